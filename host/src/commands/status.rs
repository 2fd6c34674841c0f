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

async fn ask(api: &str) -> Result<Value, String> {
    let mut answers = Map::new();
    for part in ["status", "health", "stats", "plugins"] {
        let body = match get(api, &format!("/api/v1/{part}")).await {
            Ok(Answer::Said(_, body)) => body,
            Ok(Answer::Nobody(error)) => return Err(error),
            Err(error) => return Err(causes(&error)),
        };
        let body = if part == "plugins" { body[part].clone() } else { body };
        answers.insert(part.to_owned(), body);
    }
    Ok(Value::Object(answers))
}

/// Every answer as it is named in the API: one screen, no second vocabulary. Of the slots what
/// fills them and where that stands; `/api/v1/plugins` has the rest.
fn print(answers: &Value) {
    for (part, answer) in answers.as_object().into_iter().flatten() {
        say::line(format_args!("{part}"));
        match answer.as_array().filter(|_| part == "plugins") {
            Some(slots) => {
                for slot in slots {
                    say::field(slot["slot"].as_str().unwrap_or_default(), slot_line(slot));
                }
            }
            None => print_fields("", answer),
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
