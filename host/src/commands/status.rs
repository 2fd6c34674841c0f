//! `chimera status`: how a running pool is, in one screen.

use serde_json::{Map, Value, json};

use super::pool_api::{Answer, get};
use super::{Exit, say};
use crate::causes;
use crate::cli::StatusArgs;
use crate::clock::now_ms;

/// Asks the API and prints what it says. Ends with 69 when nobody answers, with 1 when
/// the pool answers that a part is in trouble.
pub async fn status(args: &StatusArgs) -> anyhow::Result<Exit> {
    let answers = match ask(&args.api).await {
        Ok(answers) => answers,
        Err(error) if args.json => {
            say::json(&json!({ "error": error }));
            return Ok(Exit::Unreachable);
        }
        Err(error) => {
            say::trouble("status", error);
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

/// What is asked for, and where; the latest blocks are enough for a screen.
const PARTS: [(&str, &str); 5] = [
    ("status", "status"),
    ("health", "health"),
    ("stats", "stats"),
    ("plugins", "plugins"),
    ("blocks", "blocks?limit=5"),
];

async fn ask(api: &str) -> Result<Value, String> {
    let mut answers = Map::new();
    for (part, route) in PARTS {
        let body = match get(api, &format!("/api/v1/{route}")).await {
            Ok(Answer::Said(_, body)) => body,
            Ok(Answer::Nobody(error)) => return Err(error),
            Err(error) => return Err(causes(&error)),
        };
        let body = match part {
            "plugins" => body["plugins"].clone(),
            "blocks" => body["items"].clone(),
            _ => body,
        };
        answers.insert(part.to_owned(), body);
    }
    Ok(Value::Object(answers))
}

/// Every answer as it is named in the API: one screen, no second vocabulary. Of the slots what
/// fills them and where that stands, of the latest blocks how they came off;
/// `/api/v1/plugins` and `/api/v1/blocks` have the rest.
fn print(answers: &Value) {
    for (part, answer) in answers.as_object().into_iter().flatten() {
        say::line(format_args!("{part}"));
        let rows = answer.as_array().into_iter().flatten();
        match part.as_str() {
            "plugins" => rows.for_each(|slot| {
                say::field(slot["slot"].as_str().unwrap_or_default(), slot_line(slot));
            }),
            "blocks" => rows.for_each(|block| say::field(&block["height"], block_line(block))),
            _ => print_fields("", answer),
        }
    }
}

/// Component, version, generation and phase of a slot; and what is about to take over.
fn slot_line(slot: &Value) -> String {
    let text = |key: &str| slot[key].as_str().unwrap_or_default();
    let (name, version, generation) = (text("name"), text("version"), &slot["generation"]);
    let mut line =
        format!("{name} {version}, generation {generation}, {}", phase(&slot["phase"], now_ms()));
    if !slot["next"].is_null() {
        let detail = slot["next"]["detail"].as_str().unwrap_or_default();
        line += &format!("; next: {detail}, {}", phase(&slot["next"], now_ms()));
    }
    line
}

/// Where a found block stands, what it took, and what the chain said to it.
fn block_line(block: &Value) -> String {
    let text = |key: &str| block[key].as_str().unwrap_or_default();
    let mut line = text("state").to_owned();
    if let Some(effort) = block["effort"].as_f64() {
        line += &format!(", effort {:.1} %", effort * 100.0);
    }
    let (answer, detail) = (text("answer"), text("detail"));
    if !answer.is_empty() {
        line += &format!(", handed in: {answer}");
    }
    // A block moves on by that answer first: once is enough.
    if !detail.is_empty() && detail != answer {
        line += &format!("; {detail}");
    }
    line
}

fn phase(phase: &Value, now_ms: u64) -> String {
    let name = phase["name"].as_str().unwrap_or_default();
    match phase["until_ms"].as_u64() {
        Some(until) => {
            format!("{name} for {} s more", until.saturating_sub(now_ms).div_ceil(1_000))
        }
        None => name.to_owned(),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// State, effort, answer and detail of a block, and how it is told.
    #[test]
    fn a_block_is_told_with_its_effort_and_the_chains_answer() {
        for (state, effort, answer, detail, expected) in [
            ("candidate", json!(null), "", "", "candidate"),
            (
                "candidate",
                json!(0.25),
                "unreachable: connection refused",
                "",
                "candidate, effort 25.0 %, handed in: unreachable: connection refused",
            ),
            (
                "rejected",
                json!(1.5),
                "rejected: bad-cb-amount",
                "rejected: bad-cb-amount",
                "rejected, effort 150.0 %, handed in: rejected: bad-cb-amount",
            ),
            (
                "orphaned",
                json!(0.0),
                "accepted",
                "another block has its place",
                "orphaned, effort 0.0 %, handed in: accepted; another block has its place",
            ),
        ] {
            let block =
                json!({ "state": state, "effort": effort, "answer": answer, "detail": detail });
            assert_eq!(block_line(&block), expected);
        }
    }

    #[test]
    fn a_slot_is_told_with_its_generation_and_phase() {
        let slot = json!({
            "slot": "auth", "name": "auth-open", "version": "0.1.0", "generation": 3,
            "phase": { "name": "active", "detail": "", "until_ms": null },
            "next": { "name": "trial", "detail": "auth-jwt, asked for by me", "until_ms": 0 },
        });
        assert_eq!(
            slot_line(&slot),
            "auth-open 0.1.0, generation 3, active; \
             next: auth-jwt, asked for by me, trial for 0 s more"
        );
        assert_eq!(
            phase(&json!({ "name": "probation", "until_ms": 5_500 }), 1_000),
            "probation for 5 s more"
        );
    }
}
