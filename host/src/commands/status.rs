//! `chimera status`: how a running pool is, in one screen.

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{Exit, say};
use crate::cli::StatusArgs;

/// Asks the API and prints what it says. Ends with 69 when nobody answers, with 1 when
/// the pool answers that a part is in trouble.
pub async fn status(args: &StatusArgs) -> anyhow::Result<Exit> {
    let base = args.api.trim_end_matches('/');
    let answers = match ask(base).await {
        Ok(answers) => answers,
        Err(error) if args.json => {
            say::json(&json!({ "error": format!("{error:#}") }));
            return Ok(Exit::Unreachable);
        }
        Err(error) => {
            say::trouble("status", format_args!("{error:#}"));
            say::line("Is the pool running? `chimera run` starts it; --api names another address.");
            return Ok(Exit::Unreachable);
        }
    };
    let healthy = answers["health"]["status"] == "healthy";
    if args.json {
        say::json(&answers);
    } else {
        print(&answers);
    }
    Ok(if healthy { Exit::Done } else { Exit::Failed })
}

async fn ask(base: &str) -> anyhow::Result<Value> {
    let client = reqwest::Client::builder().timeout(std::time::Duration::from_secs(5)).build()?;
    let mut answers = serde_json::Map::new();
    for part in ["status", "health", "stats"] {
        let url = format!("{base}/api/v1/{part}");
        let answer =
            client.get(&url).send().await.with_context(|| format!("no answer from {url}"))?;
        let body = answer.json().await.with_context(|| format!("{url} does not answer in JSON"))?;
        answers.insert(part.to_owned(), body);
    }
    Ok(Value::Object(answers))
}

/// Every answer as it is named in the API: one screen, no second vocabulary.
fn print(answers: &Value) {
    for (part, answer) in answers.as_object().into_iter().flatten() {
        say::line(format_args!("{part}"));
        print_fields("", answer);
    }
}

fn print_fields(prefix: &str, value: &Value) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                let path =
                    if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                print_fields(&path, inner);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let name = item.get("name").and_then(Value::as_str).map(str::to_owned);
                let name = name.unwrap_or_else(|| index.to_string());
                print_fields(&format!("{prefix}.{name}"), item);
            }
        }
        Value::Null => {}
        Value::String(text) => say::field(prefix, text),
        Value::Bool(_) | Value::Number(_) => say::field(prefix, value),
    }
}
