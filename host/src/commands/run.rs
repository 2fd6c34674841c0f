//! `chimera run`: the pool, until it is told to stop.

use chimera_api::Lifecycle;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{Exit, say};
use crate::cli::RunArgs;
use crate::config::{Chain, Config, Log};
use crate::pool::{Addresses, Pool};

/// Runs the pool. A start that fails stops what it had started and says why.
pub async fn run(args: RunArgs, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    let config = match &args.config {
        Some(path) => Config::load(path),
        None => Config::from_environment(),
    };
    let config = match config {
        Ok(config) => config,
        Err(error) => {
            say::trouble("config", error);
            return Ok(Exit::BadConfig);
        }
    };
    start_logging(&config.log);
    let embedded = matches!(config.chain, Chain::Dev(_));
    let Some(bound) = shutdown.run_until_cancelled(Pool::bind(config)).await else {
        return Ok(Exit::Done);
    };
    let pool = bound?;
    let (addresses, mut states) = (pool.addresses(), pool.states());
    let running = tokio::spawn(pool.run(shutdown));
    // A pool that ends before it serves anybody has nothing to greet with.
    if states.wait_for(|moment| moment.state != Lifecycle::Starting).await.is_ok() {
        if args.json {
            say::json(&json!({
                "stratum": addresses.stratum.to_string(),
                "api": addresses.api.to_string(),
            }));
        } else {
            greet(&addresses, embedded);
        }
    }
    running.await??;
    Ok(Exit::Done)
}

fn greet(addresses: &Addresses, embedded: bool) {
    say::done("stratum", format_args!("stratum+tcp://{}", addresses.stratum));
    say::done("api", format_args!("http://{}/api/v1/status", addresses.api));
    if embedded {
        let Addresses { stratum, api } = addresses;
        say::line("Mine in a second terminal, and watch the money move:");
        say::line(format_args!("  cargo run -- mine --url {stratum} --user alice.cpu"));
        say::line(format_args!("  curl -s http://{api}/api/v1/miners/alice"));
    }
}

fn start_logging(log: &Log) {
    let filter: tracing_subscriber::EnvFilter =
        log.level.parse().expect("the settings were checked to be a filter");
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if log.json {
        builder.json().flatten_event(true).init();
    } else {
        use std::io::IsTerminal as _;
        let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        builder.with_ansi(colours).init();
    }
}
