//! Several pools in one process, one per chain. Each has its own settings, data, listeners and
//! threads, so that none waits for another and what one does wrong is its own affair; the
//! thread's name says whose line a line of the log is.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::run::{greet_when_running, start_logging};
use super::{Exit, say};
use crate::clock::now_ms;
use crate::config::{Config, OTHER_FILES};
use crate::open_files;
use crate::pool::Pool;
use crate::upgrade::{Outcome, Record};

/// Between two starts of a pool that could not start or ended by itself; doubled after each
/// further one.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// A pool that ran so long before it ended had nothing wrong with its start.
const RAN_WELL: Duration = Duration::from_secs(60);

/// Runs every pool until told to stop.
pub(super) async fn run_many(
    files: &[PathBuf],
    as_json: bool,
    shutdown: CancellationToken,
) -> anyhow::Result<Exit> {
    let mut configs = Vec::with_capacity(files.len());
    for file in files {
        match Config::load(file) {
            Ok(config) => configs.push(config),
            Err(error) => {
                say::trouble("config", error);
                return Ok(Exit::BadConfig);
            }
        }
    }
    if let Some(problem) = shared(files, &configs) {
        say::trouble("config", problem);
        return Ok(Exit::BadConfig);
    }
    start_logging(&configs[0].log, true);
    share_open_files(&mut configs);
    // Unheard, the signal would end the process.
    let refusing = refuse_upgrades(configs.iter().map(|it| it.pool.data_dir.clone()).collect());
    let refusing = tokio::spawn(refusing?);
    let mut ends = Vec::with_capacity(configs.len());
    for config in configs {
        let (ended, end) = oneshot::channel();
        let (name, stop) = (config.pool.name.clone(), shutdown.clone());
        std::thread::Builder::new().name(name.clone()).spawn(move || {
            // Who asked is gone only with the process.
            drop(ended.send(on_own_threads(&config, as_json, &stop)));
        })?;
        ends.push((name, end));
    }
    let mut exit = Exit::Done;
    for (name, end) in ends {
        if !matches!(end.await, Ok(Ok(()))) {
            tracing::error!(pool = name, "did not end well");
            exit = Exit::Failed;
        }
    }
    refusing.abort();
    Ok(exit)
}

/// An upgrade replaces a process with one pool; whoever asks for one here is told so.
fn refuse_upgrades(data_dirs: Vec<PathBuf>) -> anyhow::Result<impl Future<Output = ()>> {
    let mut asked = signal(SignalKind::user_defined2())?;
    Ok(async move {
        while asked.recv().await.is_some() {
            let cause = "this process runs several pools: restart it instead";
            tracing::error!(cause, "no upgrade");
            for data_dir in &data_dirs {
                let (outcome, process) = (Outcome::Failed, std::process::id());
                let cause = Some(cause.to_owned());
                let record = Record { asked_ms: now_ms(), outcome, process, cause };
                if let Err(error) = record.write(data_dir) {
                    tracing::warn!(%error, "what became of the upgrade is not on record");
                }
            }
        }
    })
}

/// Every connection is an open file, and the system allows one number of them for all: where
/// that is too few for what the pools' settings say, each serves its part of it.
fn share_open_files(configs: &mut [Config]) {
    let wanted = configs.iter().map(|config| u64::from(config.pool.miners_max) + OTHER_FILES);
    let wanted: u64 = wanted.sum();
    let Err(allowed) = open_files::allow(wanted) else { return };
    for config in configs {
        let part = u64::from(config.pool.miners_max) * allowed / wanted;
        let miners_max = u32::try_from(part.saturating_sub(OTHER_FILES)).unwrap_or(u32::MAX).max(1);
        let (pool, asked) = (&config.pool.name, config.pool.miners_max);
        tracing::warn!(
            pool,
            asked,
            miners_max,
            "fewer miners fit: the system allows {allowed} open files"
        );
        config.pool.miners_max = miners_max;
    }
}

/// What two pools may not have in common.
fn shared(files: &[PathBuf], configs: &[Config]) -> Option<String> {
    for (at, (file, config)) in files.iter().zip(configs).enumerate() {
        for (other_file, other) in files.iter().zip(configs).take(at) {
            let same = |what: &str| {
                let (one, two) = (other_file.display(), file.display());
                Some(format!("{what} is the same in {one} and {two}; each pool needs its own"))
            };
            if config.pool.name == other.pool.name {
                return same("pool.name");
            }
            if absolute(&config.pool.data_dir) == absolute(&other.pool.data_dir) {
                return same("pool.data_dir");
            }
            if config.api_listen == other.api_listen && config.api_listen.port() != 0 {
                return same("api.listen");
            }
            let doors = |config: &Config| -> Vec<_> {
                let listeners = config.stratum.listeners.iter();
                listeners.map(|it| it.listen).filter(|it| it.port() != 0).collect()
            };
            let theirs = doors(other);
            if doors(config).iter().any(|door| theirs.contains(door)) {
                return same("stratum.listen");
            }
        }
    }
    None
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn on_own_threads(
    config: &Config,
    as_json: bool,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name(config.pool.name.clone())
        .enable_all()
        .build()?;
    let ended = keep_running(&runtime, config, as_json, shutdown);
    // Whatever still runs (a node that does not answer) must not keep the process.
    runtime.shutdown_background();
    ended
}

/// Starts the pool again whenever it ends by itself: the others' operator must not have to
/// stop them for it.
fn keep_running(
    runtime: &Runtime,
    config: &Config,
    as_json: bool,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let mut pause = PAUSE_FIRST;
    loop {
        let began = std::time::Instant::now();
        // A panic ends the pool, not this watch over it.
        let running = AssertUnwindSafe(|| runtime.block_on(run_once(config, as_json, shutdown)));
        let outcome = std::panic::catch_unwind(running)
            .unwrap_or_else(|_| Err(anyhow::anyhow!("the pool has panicked")));
        if shutdown.is_cancelled() {
            return outcome;
        }
        let cause =
            outcome.err().map_or_else(|| "it just ended".to_owned(), |it| format!("{it:#}"));
        if began.elapsed() > RAN_WELL {
            pause = PAUSE_FIRST;
        }
        let (pool, again_s) = (&config.pool.name, pause.as_secs());
        tracing::error!(pool, cause, again_s, "the pool does not run; it is started again");
        let waited = shutdown.run_until_cancelled(async { tokio::time::sleep(pause).await });
        if runtime.block_on(waited).is_none() {
            return Ok(());
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

async fn run_once(
    config: &Config,
    as_json: bool,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let mut nothing_handed = None;
    let starting = Pool::go_on(config.clone(), &mut nothing_handed);
    let Some(pool) = shutdown.run_until_cancelled(starting).await else { return Ok(()) };
    let pool = pool?;
    let (addresses, states) = (pool.addresses().clone(), pool.states());
    let running = pool.run_until(shutdown.clone(), CancellationToken::new(), None);
    let greeting = greet_when_running(states, &addresses, as_json, config);
    tokio::join!(running, greeting).0?;
    Ok(())
}
