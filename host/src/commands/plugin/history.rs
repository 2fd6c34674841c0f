//! `chimera plugin history`: what took over when, step by step, and what is quarantined.

use clap::Args;
use serde_json::{Value, json};

use super::super::pool_api::{Answer, get};
use super::super::{Exit, api_url, say};

/// How much of it.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Only payout, auth or difficulty
    #[arg(long)]
    pub slot: Option<String>,
    /// How many swaps, newest first
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub limit: u32,
    /// The pool's API
    #[arg(long, default_value = "http://127.0.0.1:8080", value_name = "URL", value_parser = api_url)]
    pub api: String,
    /// The raw answer, as JSON
    #[arg(long)]
    pub json: bool,
}

/// Shows the latest swaps of a running pool.
pub(super) async fn run(args: HistoryArgs) -> anyhow::Result<Exit> {
    let slot = args.slot.map(|slot| format!("&slot={slot}")).unwrap_or_default();
    let path = format!("/api/v1/plugins/history?limit={}{slot}", args.limit);
    match get(&args.api, &path).await? {
        Answer::Said(200, history) if args.json => say::json(&history),
        Answer::Said(200, history) => show(&history),
        Answer::Said(_, body) => {
            say::trouble("history", body["error"]["message"].as_str().unwrap_or_default());
            return Ok(Exit::Failed);
        }
        Answer::Nobody(error) if args.json => {
            say::json(&json!({ "error": error }));
            return Ok(Exit::Unreachable);
        }
        Answer::Nobody(error) => {
            say::trouble("history", error);
            return Ok(Exit::Unreachable);
        }
    }
    Ok(Exit::Done)
}

fn show(history: &Value) {
    for swap in history["items"].as_array().into_iter().flatten() {
        let text = |key: &str| swap[key].as_str().unwrap_or_default().to_owned();
        let outcome = swap["outcome"].as_str().unwrap_or("under way");
        let detail = format!("{} by {}: {outcome}", text("component"), text("by"));
        if outcome == "refused" || outcome == "abandoned" {
            say::trouble(text("slot"), detail);
        } else {
            say::done(text("slot"), detail);
        }
        if let Some(digest) = swap["digest"].as_str() {
            say::field("digest", digest);
        }
        for step in swap["steps"].as_array().into_iter().flatten() {
            let (name, detail) = (step["step"].as_str(), step["detail"].as_str());
            say::field(name.unwrap_or_default(), detail.unwrap_or_default());
        }
    }
    for failed in history["quarantined"].as_array().into_iter().flatten() {
        let text = |key: &str| failed[key].as_str().unwrap_or_default().to_owned();
        say::trouble("quarantine", format_args!("{}: {}", text("name"), text("why")));
        say::field("digest", text("digest"));
    }
}
