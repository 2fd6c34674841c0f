//! `chimera chain check`: could a pool with these settings mine?

use std::path::Path;

use chimera_chain::{Verdict, examine, system_clock};
use chimera_work::NonceLayout;
use serde_json::json;

use super::{Exit, say};
use crate::causes;
use crate::chain::node_config;
use crate::config::{Chain, Config};

/// Looks at nodes, payout address, template, ZMQ and clock. Starts nothing.
pub async fn check(path: Option<&Path>, as_json: bool) -> anyhow::Result<Exit> {
    let config = match Config::of(path) {
        Ok(config) => config,
        Err(error) => {
            say::trouble("config", error);
            return Ok(Exit::BadConfig);
        }
    };
    let Chain::Nodes(nodes) = &config.chain else {
        say::done("chain", "embedded: nothing outside this program is needed");
        return Ok(Exit::Done);
    };
    let settings = match node_config(nodes) {
        Ok(settings) => settings,
        Err(error) => {
            say::trouble("config", causes(&error.into()));
            return Ok(Exit::BadConfig);
        }
    };
    let layout = NonceLayout::new(4, config.stratum.extranonce2_bytes)?;
    let settings =
        chimera_chain::NodeConfig { tag: format!("/{}/", config.pool.name), layout, ..settings };
    let findings = examine(&settings, &system_clock()).await;
    let worst = findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Wrong);
    if as_json {
        let profile = &settings.profile.name;
        say::json(&json!({ "profile": profile, "verdict": worst, "findings": findings }));
    } else {
        for finding in &findings {
            let text = format!("{}: {}", finding.subject, finding.found);
            match finding.verdict {
                Verdict::Right => say::done("right", text),
                Verdict::Warning => say::warn("look", text),
                Verdict::Wrong => say::trouble("wrong", text),
            }
            if !finding.advice.is_empty() {
                say::line(format_args!("        {}", finding.advice));
            }
        }
    }
    Ok(if worst == Verdict::Wrong { Exit::Failed } else { Exit::Done })
}
