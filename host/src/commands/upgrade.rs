//! `chimera upgrade`: the running pool is replaced by the program as it is now on disk.

use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

use super::{Exit, say};
use crate::cli::UpgradeArgs;
use crate::clock::now_ms;
use crate::config::Config;
use crate::upgrade::{Outcome, Record};

/// The heir has 30 s to get ready and 60 to become healthy; the old one then goes on.
const PATIENCE: Duration = Duration::from_secs(150);
const LOOK: Duration = Duration::from_millis(50);

/// Asks the pool of the settings' data directory to hand over, and says what came of it.
pub async fn upgrade(args: &UpgradeArgs) -> anyhow::Result<Exit> {
    let config = match Config::of(args.config.as_deref()) {
        Ok(config) => config,
        Err(error) => {
            say::trouble("config", error);
            return Ok(Exit::BadConfig);
        }
    };
    let data_dir = &config.pool.data_dir;
    let Some(old) = chimera_store::used_by(&data_dir.join("pool.sqlite"))? else {
        let shown = data_dir.display();
        say::trouble("upgrade", format_args!("no pool runs on pool.data_dir = {shown}"));
        return Ok(Exit::Unreachable);
    };
    let asked_ms = now_ms();
    let process = i32::try_from(old).ok().and_then(Pid::from_raw).context("no process number")?;
    kill_process(process, Signal::USR2).context("the pool cannot be signalled")?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Record::read(data_dir).filter(|record| record.asked_ms >= asked_ms) {
            Some(Record { outcome: Outcome::Done, process, .. }) => {
                say::done("upgraded", format_args!("process {process} serves, {old} has ended"));
                return Ok(Exit::Done);
            }
            Some(Record { outcome: Outcome::Failed, cause, .. }) => {
                let cause = cause.unwrap_or_default();
                say::trouble("upgrade", format_args!("{cause}; process {old} goes on"));
                return Ok(Exit::Failed);
            }
            _ if Instant::now() > deadline => {
                say::trouble("upgrade", "no outcome yet; see the pool's log");
                return Ok(Exit::Failed);
            }
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}
