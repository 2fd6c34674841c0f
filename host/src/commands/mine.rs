//! `chimera mine`: the CPU miner, for any Stratum V1 pool.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Exit, say};
use crate::cli::MineArgs;
use crate::miner::{self, Engine, MinerConfig, MinerError, Output};

/// Mines until interrupted, or until the asked number of shares or seconds is reached.
pub async fn mine(args: MineArgs, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    let mut config = MinerConfig::new(args.url.parse()?, args.user);
    config.password = args.password;
    config.algorithm = args.algorithm;
    config.stop_after_shares = args.shares;
    config.stop_after = args.seconds.map(Duration::from_secs);
    if let Some(threads) = args.threads {
        config.engine = Engine::Threads(threads);
    }
    if args.json {
        config.output = Output::Json;
    }
    match miner::run(config, shutdown).await {
        Ok(report) if report.connections == 0 => {
            say::trouble("mine", "no connection came about; is the pool running?");
            Ok(Exit::Unreachable)
        }
        Ok(_) => Ok(Exit::Done),
        Err(error) => {
            say::trouble("mine", &error);
            Ok(match error {
                MinerError::Unreachable { .. } | MinerError::NotAPool { .. } => Exit::Unreachable,
                _ => Exit::Failed,
            })
        }
    }
}
