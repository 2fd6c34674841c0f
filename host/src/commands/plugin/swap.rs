//! `chimera plugin swap`: another component, configuration or grants for a slot.

use std::path::Path;

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};

use super::super::{Exit, say};
use super::admin::{AdminArgs, Answer, show_swap};

/// What shall take over.
#[derive(Debug, Args)]
pub struct SwapArgs {
    /// payout, auth or difficulty
    pub slot: String,
    /// A component's name, or the digest of one that was in force here
    pub component: String,
    /// Its configuration: JSON, or a file with JSON or TOML in it; without it what it has now
    #[arg(long, value_name = "JSON|FILE")]
    pub config: Option<String>,
    /// What it may use, once for each; without any what is granted now
    #[arg(long = "grant", value_name = "GRANT")]
    pub grants: Vec<String>,
    /// Take away every grant
    #[arg(long, conflicts_with = "grants")]
    pub no_grants: bool,
    /// Refuse any other build of the component
    #[arg(long, value_name = "DIGEST")]
    pub digest: Option<String>,
    /// Which pool
    #[command(flatten)]
    pub pool: AdminArgs,
}

/// Asks for the swap and shows its steps. Ends with 0 when it is active, tried out or
/// announced, with 1 when it is refused.
pub(super) async fn run(args: SwapArgs) -> anyhow::Result<Exit> {
    let mut body = json!({ "component": args.component, "by": "chimera plugin swap" });
    if let Some(config) = &args.config {
        body["config"] = read_config(config)?;
    }
    if let Some(digest) = &args.digest {
        body["digest"] = json!(digest);
    }
    if args.no_grants || !args.grants.is_empty() {
        body["grants"] = json!(args.grants);
    }
    let path = format!("/api/v1/plugins/{}/swap", args.slot);
    let answer = args.pool.post(&path, &body).await?;
    match &answer {
        Answer::Said(200 | 409, swap) if swap["outcome"].is_string() => {
            if args.pool.json {
                say::json(swap);
            } else {
                show_swap(&args.slot, swap);
            }
            Ok(if swap["outcome"] == "refused" { Exit::Failed } else { Exit::Done })
        }
        _ => Ok(args.pool.failed("swap", &answer)),
    }
}

/// JSON as it is, or what a file holds.
fn read_config(text: &str) -> anyhow::Result<Value> {
    if let Ok(value) = serde_json::from_str(text) {
        return Ok(value);
    }
    let path = Path::new(text);
    let content = std::fs::read_to_string(path).with_context(|| {
        format!("--config {text:?} is neither JSON nor a file that can be read")
    })?;
    if let Ok(value) = serde_json::from_str(&content) {
        return Ok(value);
    }
    let table: toml::Table = toml::from_str(&content)
        .with_context(|| format!("{} holds neither JSON nor TOML", path.display()))?;
    Ok(serde_json::to_value(table)?)
}
