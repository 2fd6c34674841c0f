//! `chimera plugin dev`: every change is built, checked and put into a pool that runs, in this
//! process, with simulated miners. What does not build, load or swap changes nothing: the
//! last good build stays.

mod candidate;
mod local_pool;
mod settlements;
mod sources;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::causes;
use crate::commands::{Exit, say};
use candidate::{Candidate, Workshop};
use local_pool::LocalPool;
use settlements::Settlements;
use sources::Sources;

const LOOK: Duration = Duration::from_millis(250);

/// What to try, and how.
#[derive(Debug, Args)]
pub struct DevArgs {
    /// The plugin's directory
    #[arg(default_value = ".", value_name = "DIR")]
    pub dir: PathBuf,
    /// The plugin's configuration, JSON, or a file with JSON or TOML in it
    #[arg(long, value_name = "JSON|FILE", default_value = "{}")]
    pub config: String,
    /// What it may use: kv, credential, fetch:NAME, secret:NAME, interpreted
    #[arg(long = "grant", value_name = "GRANT")]
    pub grants: Vec<String>,
    /// Simulated miners
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub miners: u32,
}

pub(super) async fn run(args: DevArgs, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    let dir = tempfile::tempdir().context("a temporary directory for the pool")?;
    let workshop = Workshop::new(&args, dir.path())?;
    let mut sources = Sources::of(&args.dir);
    let Some(first) = first_good(&workshop, &mut sources, &shutdown).await else {
        return Ok(Exit::Failed);
    };
    let data_dir = dir.path().join("data");
    let pool = LocalPool::start(&data_dir, &workshop, &first, args.miners).await?;
    say::done("pool", format_args!("miners at {}, API at {}", pool.stratum, pool.api));
    say::field("watching", args.dir.display());
    let watched = watch(&workshop, &mut sources, &pool, &first, &shutdown).await;
    pool.stop().await?;
    watched?;
    Ok(Exit::Done)
}

/// Waits for a build that can fill its slot; `None` if stopped before.
async fn first_good(
    workshop: &Workshop,
    sources: &mut Sources,
    shutdown: &CancellationToken,
) -> Option<Candidate> {
    loop {
        match workshop.make().await {
            Ok(candidate) => {
                tell_built(&candidate);
                return Some(candidate);
            }
            Err(error) => say::trouble("build", causes(&error)),
        }
        say::field("waiting", "for a change");
        loop {
            shutdown.run_until_cancelled(tokio::time::sleep(LOOK)).await?;
            if sources.changed() {
                break;
            }
        }
    }
}

/// Takes over changes and tells what is paid, until stopped.
async fn watch(
    workshop: &Workshop,
    sources: &mut Sources,
    pool: &LocalPool,
    first: &Candidate,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let mut settlements = Settlements::default();
    let mut good = first.clone();
    while shutdown.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
        settlements.tell_new(&pool.store).await?;
        if sources.changed() {
            match take_over(workshop, pool, &good).await {
                Ok(candidate) => good = candidate,
                Err(error) => {
                    let why = causes(&error);
                    say::trouble("kept", format_args!("{} stays: {why}", good.short()));
                }
            }
        }
    }
    Ok(())
}

/// The good build afterwards: the new one, or the old one if they are the same.
async fn take_over(
    workshop: &Workshop,
    pool: &LocalPool,
    good: &Candidate,
) -> anyhow::Result<Candidate> {
    let candidate = workshop.make().await?;
    if candidate.digest == good.digest {
        say::done("same", format_args!("{}: the change makes no other component", good.short()));
        return Ok(candidate);
    }
    anyhow::ensure!(
        candidate.slot == good.slot,
        "it was a plugin for the slot {}, now it is one for {}; start again for that",
        good.slot.name(),
        candidate.slot.name()
    );
    tell_built(&candidate);
    let swapped = pool.swap(workshop, &candidate).await;
    if swapped.is_err() {
        // By name the pool must find the good one: it may start a generation anew from it.
        workshop.put_back(good)?;
    }
    say::done("swap", swapped?);
    Ok(candidate)
}

fn tell_built(candidate: &Candidate) {
    let Candidate { name, bytes, .. } = candidate;
    let kilobytes = bytes.len().div_ceil(1000);
    say::done("build", format_args!("{name} {}, {kilobytes} kB, loads", candidate.short()));
}

/// Where the pool looks for components.
fn plugins_dir(dir: &Path) -> PathBuf {
    dir.join("plugins")
}
