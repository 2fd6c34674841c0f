//! `chimera config check`: would a pool with these settings start?

use std::path::Path;

use serde_json::json;

use super::{Exit, say};
use crate::causes;
use crate::config::{Chain, Config};
use crate::swap;

/// Checks the file, the environment, and that every named component accepts its
/// configuration. Starts nothing and connects nowhere.
pub async fn check(path: Option<&Path>, as_json: bool) -> anyhow::Result<Exit> {
    let outcome = match load(path) {
        Ok(config) => swap::describe_slots(&config).await.map(|slots| (config, slots)),
        Err(error) => Err(error),
    };
    match outcome {
        Ok((config, slots)) => {
            let chain = match &config.chain {
                Chain::Dev(_) => "devchain",
                Chain::Nodes(_) => "node",
            };
            let grants = [
                ("payout", &config.payout),
                ("auth", &config.auth),
                ("difficulty", &config.difficulty),
            ]
            .map(|(name, slot)| (name, slot.grants.texts()));
            if as_json {
                let slots: serde_json::Map<_, _> =
                    slots.into_iter().map(|(slot, text)| (slot.to_owned(), json!(text))).collect();
                let grants: serde_json::Map<_, _> =
                    grants.into_iter().map(|(slot, all)| (slot.to_owned(), json!(all))).collect();
                say::json(&json!({
                    "valid": true, "chain": chain, "plugins": slots, "grants": grants,
                }));
            } else {
                say::done("config", format_args!("valid; chain: {chain}"));
                for ((slot, text), (_, grants)) in slots.into_iter().zip(grants) {
                    match grants.is_empty() {
                        true => say::done(slot, text),
                        false => {
                            say::done(slot, format_args!("{text} may use {}", grants.join(", ")))
                        }
                    }
                }
            }
            Ok(Exit::Done)
        }
        Err(error) => {
            if as_json {
                say::json(&json!({ "valid": false, "error": causes(&error) }));
            } else {
                say::trouble("config", causes(&error));
            }
            Ok(Exit::BadConfig)
        }
    }
}

fn load(path: Option<&Path>) -> anyhow::Result<Config> {
    Ok(match path {
        Some(path) => Config::load(path)?,
        None => Config::from_environment()?,
    })
}
