//! `chimera plugin swap`: another component, configuration or grants for a slot.

use clap::Args;
use serde_json::{Value, json};

use super::super::admin::AdminArgs;
use super::super::pool_api::Answer;
use super::super::{Exit, arguments, say};
use super::shown::show_swap;

/// What shall take over.
#[derive(Debug, Args)]
pub struct SwapArgs {
    /// payout, auth or difficulty
    pub slot: String,
    /// A component's name, or the digest of one that was in force here
    pub component: String,
    /// Its configuration: JSON, or a file with JSON or TOML in it; '' for all defaults, without
    /// it what it has now
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
        body["config"] = config_of(config)?;
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

/// The configuration to ask for; empty text means all defaults.
fn config_of(text: &str) -> anyhow::Result<Value> {
    match arguments::config(text)?.trim() {
        "" => Ok(json!({})),
        config => Ok(serde_json::from_str(config)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (Found by use: it ended with "EOF while parsing a value".)
    #[test]
    fn an_empty_configuration_is_all_defaults() {
        let dir = tempfile::tempdir().unwrap();
        let empty = dir.path().join("empty.toml");
        std::fs::write(&empty, "").unwrap();
        for (text, expected) in [
            ("", json!({})),
            ("{}", json!({})),
            (empty.to_str().unwrap(), json!({})),
            (r#"{"fee_ppm":5}"#, json!({ "fee_ppm": 5 })),
        ] {
            assert_eq!(config_of(text).unwrap(), expected, "{text:?}");
        }
        assert!(config_of("{").is_err());
    }
}
