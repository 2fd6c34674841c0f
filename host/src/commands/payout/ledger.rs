//! The pool's ledger, opened for reading: beside a running pool or without one.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use chimera_store::{Settlement, Store};
use clap::Args;

use crate::config::Config;

/// Where the ledger is.
#[derive(Debug, Args)]
pub(super) struct LedgerArgs {
    /// Settings of the pool (TOML), for its data directory
    #[arg(short, long, env = "CHIMERA_CONFIG", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The data directory itself, whatever the settings say
    #[arg(long, value_name = "DIRECTORY")]
    pub(super) data_dir: Option<PathBuf>,
}

impl LedgerArgs {
    /// The pool's data directory.
    pub(super) fn data_dir(&self) -> anyhow::Result<PathBuf> {
        Ok(match (&self.data_dir, &self.config) {
            (Some(data_dir), _) => data_dir.clone(),
            (None, Some(path)) => Config::load(path)?.pool.data_dir,
            (None, None) => Config::from_environment()?.pool.data_dir,
        })
    }

    pub(super) async fn open(&self) -> anyhow::Result<Store> {
        let opened = Store::open_to_read(&self.data_dir()?.join("pool.sqlite")).await;
        opened.context("the ledger cannot be opened; --data-dir or --config says where it is")
    }
}

/// The settlement meant: a block's id or height, a settlement's key or number; the latest one
/// if nothing is said.
pub(super) async fn find(store: &Store, what: Option<&str>) -> anyhow::Result<Settlement> {
    let Some(what) = what else {
        let latest = store.settlements(1, None).await?.into_iter().next();
        return latest.context("nothing was settled yet");
    };
    if let Some(settlement) = store.settlement_alone(what).await? {
        return Ok(settlement);
    }
    if let Some(number) = what.strip_prefix('#').and_then(|number| number.parse::<u64>().ok()) {
        let found = store.settlements(1, Some(number.saturating_add(1))).await?;
        if let Some(settlement) = found.into_iter().find(|found| found.number == number) {
            return Ok(settlement);
        }
        bail!("there is no settlement #{number}");
    }
    store.settlement_of_block(what).await?.with_context(|| {
        format!(
            "block {what} was not settled here: it must be a settled block's height or id, a \
             settlement's key (interval:1:0-99) or its number (#7)"
        )
    })
}
