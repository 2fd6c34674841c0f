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
        Answer::Said(200, history) => {
            // Without it nothing is marked; the history is still worth showing.
            let plugins = match get(&args.api, "/api/v1/plugins").await {
                Ok(Answer::Said(200, plugins)) => plugins,
                _ => Value::Null,
            };
            show(&history, &plugins);
        }
        Answer::Said(_, body) if args.json => {
            say::json(&body);
            return Ok(Exit::Failed);
        }
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

fn show(history: &Value, plugins: &Value) {
    let in_force = in_force(history, plugins);
    for swap in history["items"].as_array().into_iter().flatten() {
        let text = |key: &str| swap[key].as_str().unwrap_or_default().to_owned();
        let (went_well, outcome) = outcome(swap);
        let mark = if in_force.contains(&&swap["swap"]) { ", in force" } else { "" };
        let detail = format!("{} by {}: {outcome}{mark}", text("component"), text("by"));
        if went_well {
            say::done(text("slot"), detail);
        } else {
            say::trouble(text("slot"), detail);
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

/// Whether a swap stands or may yet, and what became of it.
fn outcome(swap: &Value) -> (bool, &str) {
    match swap["outcome"].as_str().unwrap_or("under way") {
        "active" if is_taken_back(swap) => (false, "active, then taken back"),
        outcome => (!["refused", "abandoned"].contains(&outcome), outcome),
    }
}

fn is_taken_back(swap: &Value) -> bool {
    let last = swap["steps"].as_array().and_then(|steps| steps.last());
    last.is_some_and(|step| step["step"] == "rolled-back")
}

/// The swaps that brought what is in force, at most one for each slot. What came back has a
/// number of its own: it is the latest that brought this build with this configuration.
fn in_force<'a>(history: &'a Value, plugins: &Value) -> Vec<&'a Value> {
    let mut found = Vec::new();
    for plugin in plugins["plugins"].as_array().into_iter().flatten() {
        let mut swaps = history["items"].as_array().into_iter().flatten().filter(|swap| {
            swap["slot"] == plugin["slot"] && swap["outcome"] == "active" && !is_taken_back(swap)
        });
        let is_it = |swap: &&Value| {
            let is_same = |key: &str| swap[key] == plugin[key];
            is_same("generation") || is_same("digest") && is_same("config")
        };
        found.extend(swaps.find(is_it).map(|swap| &swap["swap"]));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swap(number: u32, outcome: &str, steps: &[&str], digest: &str) -> Value {
        let steps: Vec<_> = steps.iter().map(|step| json!({ "step": step })).collect();
        json!({
            "swap": number, "slot": "payout", "outcome": outcome, "steps": steps,
            "digest": digest, "config": { "fee_ppm": 1 }, "generation": number + 10
        })
    }

    /// (Found by use: what had been taken back was shown as active.)
    #[test]
    fn what_was_taken_back_did_not_go_well() {
        for (name, steps, went_well, expected) in [
            ("active", &["active", "proven"][..], true, "active"),
            ("active", &["active", "drained", "rolled-back"][..], false, "active, then taken back"),
            ("refused", &["refused"][..], false, "refused"),
            ("abandoned", &[][..], false, "abandoned"),
            ("withdrawn", &["withdrawn"][..], true, "withdrawn"),
        ] {
            assert_eq!(outcome(&swap(1, name, steps, "aa")), (went_well, expected), "{steps:?}");
        }
        assert_eq!(outcome(&json!({ "outcome": null })), (true, "under way"));
    }

    #[test]
    fn the_swap_that_brought_what_is_in_force_is_found() {
        let history = json!({ "items": [
            swap(5, "refused", &["refused"], "aa"),
            swap(4, "active", &["active", "rolled-back"], "aa"),
            swap(3, "active", &["active", "proven"], "bb"),
            swap(2, "active", &["active", "proven"], "bb"),
        ] });
        let plugin = |generation: u32, digest: &str, fee_ppm: u32| {
            json!({ "plugins": [{
                "slot": "payout", "generation": generation, "digest": digest,
                "config": { "fee_ppm": fee_ppm }
            }] })
        };
        for (plugins, expected) in [
            (plugin(13, "bb", 1), Some(3_u32)),
            (plugin(15, "bb", 1), Some(3)),
            (plugin(15, "bb", 2), None),
            (plugin(15, "aa", 1), None),
            (Value::Null, None),
        ] {
            let expected: Vec<_> = expected.map(Value::from).into_iter().collect();
            let found: Vec<_> = in_force(&history, &plugins).into_iter().cloned().collect();
            assert_eq!(found, expected, "{plugins}");
        }
    }
}
