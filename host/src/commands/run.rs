//! `chimera run`: the pool, until it is told to stop.

use std::path::PathBuf;
use std::time::Duration;

use chimera_api::Lifecycle;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Exit, say};
use crate::cli::RunArgs;
use crate::clock::now_ms;
use crate::config::{Chain, Config, Log};
use crate::lifecycle::Moment;
use crate::pool::{Addresses, Pool, preflight, raise_open_files};
use crate::upgrade::{self, Next, Outcome, Record, Testator};

/// Runs the pool. A start that fails stops what it had started and says why.
pub async fn run(args: RunArgs, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    if args.config.len() > 1 {
        return super::run_many::run_many(&args.config, args.json, shutdown).await;
    }
    let config = match Config::of(args.config.first().map(PathBuf::as_path)) {
        Ok(config) => config,
        Err(error) => {
            say::trouble("config", error);
            return Ok(Exit::BadConfig);
        }
    };
    start_logging(&config.log, false);
    // Before anything takes time: unheard, the signal would end the process.
    let mut upgrade_asked = signal(SignalKind::user_defined2())?;
    let testator = Testator::present()?;
    let mut estate = match &testator {
        Some(testator) => {
            // Every connection that comes over is an open file.
            let prepared = raise_open_files(config.pool.miners_max);
            let prepared = match prepared {
                Ok(()) => preflight(&config).await,
                Err(error) => Err(error),
            };
            if let Err(error) = prepared {
                testator.failed(&format!("{error:#}"));
                return Err(error);
            }
            Some(tokio::task::block_in_place(|| testator.inherit())?)
        }
        None => None,
    };
    let mut heard = testator;
    loop {
        let bound = Pool::go_on(config.clone(), &mut estate);
        let Some(bound) = shutdown.run_until_cancelled(bound).await else {
            return Ok(Exit::Done);
        };
        let pool = match (bound, &heard) {
            (Err(error), Some(testator)) => {
                testator.failed(&format!("{error:#}"));
                return Err(error);
            }
            (Err(error), None) if estate.is_some() => {
                // Miners wait with their sockets open: whatever is away may come back.
                let cause = format!("{error:#}");
                tracing::error!(cause, "the pool cannot go on yet; trying again");
                if shutdown.run_until_cancelled(tokio::time::sleep(RETRY)).await.is_none() {
                    return Ok(Exit::Failed);
                }
                continue;
            }
            (bound, _) => bound?,
        };
        let (addresses, states) = (pool.addresses().clone(), pool.states());
        let freeze = CancellationToken::new();
        let takes_over = heard.is_some();
        let running = pool.run_until(shutdown.clone(), freeze.clone(), heard.take());
        let running = tokio::spawn(running);
        if takes_over {
            note_taken_over(states, &config).await;
        } else {
            greet_when_running(states, &addresses, args.json, &config).await;
        }
        match upgrade::serve(&mut upgrade_asked, running, &freeze, &shutdown, &config.pool.data_dir)
            .await?
        {
            Next::Exit => return Ok(Exit::Done),
            Next::GoOn(kept) => estate = Some(*kept),
        }
    }
}

/// Between two tries to go on where this process had stopped for another.
const RETRY: Duration = Duration::from_secs(1);

/// Whether it serves, once it has begun to, or ended before.
async fn is_running(states: &mut watch::Receiver<Moment>) -> bool {
    let moment = states.wait_for(|moment| moment.state != Lifecycle::Starting).await;
    moment.is_ok_and(|moment| moment.state == Lifecycle::Running)
}

/// `chimera upgrade` waits for this.
async fn note_taken_over(mut states: watch::Receiver<Moment>, config: &Config) {
    if !is_running(&mut states).await {
        return;
    }
    tracing::info!("this process has taken over");
    let (outcome, process) = (Outcome::Done, std::process::id());
    let done = Record { asked_ms: now_ms(), outcome, process, cause: None };
    if let Err(error) = done.write(&config.pool.data_dir) {
        tracing::warn!(%error, "what became of the upgrade is not on record");
    }
}

/// Says where the pool is, once it serves.
pub(super) async fn greet_when_running(
    mut states: watch::Receiver<Moment>,
    addresses: &Addresses,
    as_json: bool,
    config: &Config,
) {
    // A pool that ends before it serves anybody has nothing to greet with.
    if !is_running(&mut states).await {
        return;
    }
    if as_json {
        say::json(&json!({
            "pool": config.pool.name,
            "stratum": addresses.stratum.to_string(),
            "more_doors": addresses.more_doors.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "api": addresses.api.to_string(),
        }));
    } else {
        greet(addresses, matches!(config.chain, Chain::Dev(_)));
    }
}

fn greet(addresses: &Addresses, embedded: bool) {
    for stratum in std::iter::once(&addresses.stratum).chain(&addresses.more_doors) {
        say::done("stratum", format_args!("stratum+tcp://{stratum}"));
    }
    say::done("api", format_args!("http://{}/api/v1/status", addresses.api));
    if embedded {
        let Addresses { stratum, api, .. } = addresses;
        say::line("Mine in a second terminal, and watch the money move:");
        say::line(format_args!("  cargo run -- mine --url {stratum} --user alice.cpu"));
        say::line(format_args!("  curl -s http://{api}/api/v1/miners/alice"));
    }
}

/// With `threads` every line names its thread.
pub(super) fn start_logging(log: &Log, threads: bool) {
    let filter: tracing_subscriber::EnvFilter =
        log.level.parse().expect("the settings were checked to be a filter");
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_thread_names(threads)
        .with_writer(std::io::stderr);
    if log.json {
        builder.json().flatten_event(true).init();
    } else {
        use std::io::IsTerminal as _;
        let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        builder.with_ansi(colours).init();
    }
}
