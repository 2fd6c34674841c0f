//! The pool that tries plugins: devchain with a block a second, simulated miners, everything
//! in a temporary directory. Components are swapped through its API, as an operator would.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use chimera_store::Store;
use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::candidate::{Candidate, Workshop};
use crate::commands::rehearse::virtual_miner;
use crate::config::Config;
use crate::miner::{self, MinerError, MinerReport};
use crate::pool::{Pool, RunError};

/// A pool that runs beside us.
pub(super) struct LocalPool {
    pub(super) stratum: SocketAddr,
    pub(super) api: SocketAddr,
    pub(super) store: Arc<Store>,
    token_file: PathBuf,
    stop: CancellationToken,
    running: JoinHandle<Result<(), RunError>>,
    leave: CancellationToken,
    miners: JoinSet<Result<MinerReport, MinerError>>,
}

impl LocalPool {
    pub(super) async fn start(
        data_dir: &Path,
        workshop: &Workshop,
        first: &Candidate,
        count: u32,
    ) -> anyhow::Result<Self> {
        let pool = Pool::bind(settings(data_dir, workshop, first)?).await?;
        let (addresses, store) = (pool.addresses().clone(), pool.store());
        let stop = CancellationToken::new();
        let running = tokio::spawn(pool.run(stop.clone()));
        let leave = CancellationToken::new();
        let mut miners = JoinSet::new();
        for number in 0..count {
            let config = virtual_miner(1, number, addresses.stratum)?;
            miners.spawn(miner::run(config, leave.clone()));
        }
        let (stratum, api) = (addresses.stratum, addresses.api);
        let token_file = data_dir.join("admin.token");
        Ok(Self { stratum, api, store, token_file, stop, running, leave, miners })
    }

    /// Puts another build into the slot; what has become of it, for people.
    pub(super) async fn swap(
        &self,
        workshop: &Workshop,
        candidate: &Candidate,
    ) -> anyhow::Result<String> {
        let slot = candidate.slot.name();
        let token = std::fs::read_to_string(&self.token_file)
            .with_context(|| self.token_file.display().to_string())?;
        let question = json!({
            "component": candidate.name,
            "config": workshop.config,
            "digest": candidate.digest.to_string(),
            "grants": workshop.grants.texts(),
            "by": "chimera plugin dev",
        });
        let url = format!("http://{}/api/v1/plugins/{slot}/swap", self.api);
        let answer = reqwest::Client::new().post(url).bearer_auth(token.trim()).json(&question);
        let answer = answer.send().await.context("the pool's API does not answer")?;
        let status = answer.status();
        let text = answer.text().await.context("the pool's API does not answer")?;
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        let outcome = answer["outcome"].as_str().unwrap_or_default();
        anyhow::ensure!(
            matches!(outcome, "active" | "trial" | "announced"),
            "the pool refuses it ({status}): {}",
            reason(&answer).unwrap_or(&text)
        );
        let generation =
            answer["generation"].as_u64().map(|number| format!(", generation {number}"));
        Ok(format!("{slot}: {} is {outcome}{}", candidate.short(), generation.unwrap_or_default()))
    }

    /// Lets the miners go and ends the pool.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.leave.cancel();
        self.miners.join_all().await;
        self.stop.cancel();
        Ok(self.running.await??)
    }
}

/// The message of a refusal, or the last step that was taken.
fn reason(answer: &Value) -> Option<&str> {
    let last = answer["steps"].as_array().and_then(|steps| steps.last());
    answer["message"]
        .as_str()
        .or_else(|| last.and_then(|step| step["detail"].as_str()))
        .or_else(|| answer["error"].as_str())
}

fn settings(data_dir: &Path, workshop: &Workshop, first: &Candidate) -> anyhow::Result<Config> {
    let text = |path: &Path| path.to_str().map(str::to_owned).context("a path that is no text");
    let slot = first.slot.name().to_uppercase();
    let config = toml::Value::try_from(&workshop.config)
        .context("--config: TOML, which settings are in, knows no null")?;
    let mut settings: Vec<(String, String)> = [
        ("POOL__DATA_DIR", text(data_dir)?),
        ("PLUGINS__DIRECTORY", text(workshop.plugins())?),
        ("STRATUM__LISTEN", "127.0.0.1:0".to_owned()),
        ("API__LISTEN", "127.0.0.1:0".to_owned()),
        ("CHAIN__SPACING_S", "1".to_owned()),
        ("CHAIN__MATURITY", "2".to_owned()),
        ("PAYOUT__SETTLE_INTERVAL_S", "2".to_owned()),
        ("DIFFICULTY__RETARGET_INTERVAL_S", "1".to_owned()),
        (first.slot.setting(), first.name.clone()),
    ]
    .map(|(key, value)| (format!("CHIMERA_{key}"), value))
    .into();
    settings.push((format!("CHIMERA_{slot}__CONFIG"), config.to_string()));
    let grants = workshop.grants.texts();
    if !grants.is_empty() {
        settings.push((format!("CHIMERA_{slot}__GRANTS"), json!(grants).to_string()));
    }
    Ok(Config::parse("", &settings)?)
}
