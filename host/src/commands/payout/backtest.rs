//! `chimera payout backtest`: what another scheme would have paid for the blocks on record,
//! beside what was paid. Reads the pool's database, also beside a running pool; changes
//! nothing.

mod comparison;
mod csv;
mod replay;
mod since;
mod svg;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chimera_plugin::{Engines, Grants, PayoutScheme};
use clap::Args;
use serde_json::json;

use super::ledger::LedgerArgs;
use crate::commands::{Exit, arguments, say};
use comparison::Comparison;
use since::Since;

/// What to compare, and where.
#[derive(Debug, Args)]
pub struct BacktestArgs {
    /// The other scheme: a shipped component's name, or a .wasm file
    #[arg(value_name = "SCHEME")]
    pub scheme: String,
    /// Its configuration, JSON, or a file with JSON or TOML in it; all defaults if not given
    #[arg(long, default_value = "", hide_default_value = true, value_name = "JSON|FILE")]
    pub config: String,
    /// Only blocks found since a day (2026-01-31, UTC), or the last so many blocks
    #[arg(long, value_name = "DATE|BLOCKS")]
    pub since: Option<Since>,
    /// Settings of the pool (TOML), for its data directory
    #[arg(long, env = "CHIMERA_CONFIG", value_name = "FILE")]
    pool_config: Option<PathBuf>,
    /// The data directory itself
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<PathBuf>,
    /// Every account at every block, as CSV
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// The comparison as a picture
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// The comparison as JSON instead of the table
    #[arg(long)]
    pub json: bool,
}

/// Replays the record with the other scheme, and prints both side by side.
///
/// # Errors
/// When the scheme cannot be loaded or declines a block, when the ledger cannot be read, when
/// there is nothing to compare, or when a file cannot be written.
pub async fn backtest(args: BacktestArgs) -> anyhow::Result<Exit> {
    let (scheme, config) = (args.scheme.clone(), args.config.clone());
    // `--config` is the scheme's here.
    let ledger = LedgerArgs { config: args.pool_config.clone(), data_dir: args.data_dir.clone() };
    let cache = ledger.data_dir()?.join("compiled");
    let scheme = tokio::task::spawn_blocking(move || load(&scheme, &config, cache)).await??;
    let store = ledger.open().await?;
    let steps = replay::replay(&store, scheme.into(), args.since).await?;
    anyhow::ensure!(
        !steps.is_empty(),
        "no settled block is on record{}",
        if args.since.is_some() { " since then" } else { "" }
    );
    let comparison = Comparison::of(&steps);
    if let Some(file) = &args.csv {
        write(file, &csv::csv(&steps))?;
    }
    if let Some(file) = &args.svg {
        write(file, &svg::svg(&comparison, &args.scheme))?;
    }
    if args.json {
        say::json(&json!({
            "scheme": args.scheme,
            "blocks": comparison.blocks,
            "reward": comparison.reward.to_string(),
            "pool": comparison.pool.json(),
            "accounts": comparison.accounts.iter().map(|row| row.json()).collect::<Vec<_>>(),
        }));
    } else {
        print(&comparison, &args.scheme);
    }
    Ok(Exit::Done)
}

fn load(scheme: &str, config: &str, cache: PathBuf) -> anyhow::Result<PayoutScheme> {
    let (artifact, config) = (arguments::component(scheme)?, arguments::config(config)?);
    // Beside a pool of another user the cache may be out of reach: then it is compiled again.
    let cache = cache.is_dir().then_some(cache);
    let engines = Engines::new(cache.as_deref()).context("the plugin runtime")?;
    Ok(PayoutScheme::load(&engines, &artifact, &config, &Grants::none())?)
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

fn print(comparison: &Comparison, scheme: &str) {
    let Comparison { blocks, reward, .. } = comparison;
    say::line(format_args!(
        "{blocks} settled blocks with rewards of {reward} base units: what was paid, and what \
         {scheme} would have paid."
    ));
    say::line("Deviation is that of an account's income from block to block.");
    say::line("");
    let head = ["account", "paid", "would be", "difference", "", "deviation", "would be"];
    say::line(columns(head.map(str::to_owned)));
    for row in comparison.accounts.iter().chain([&comparison.pool]) {
        say::line(columns([
            row.name.clone(),
            row.paid.to_string(),
            row.would.to_string(),
            format!("{:+}", row.difference()),
            row.percent().map_or_else(|| "new".to_owned(), |percent| format!("{percent:+.2} %")),
            format!("{:.0}", row.paid_deviation),
            format!("{:.0}", row.would_deviation),
        ]));
    }
}

fn columns([name, paid, would, difference, percent, before, after]: [String; 7]) -> String {
    format!(
        "{name:<24} {paid:>20} {would:>20} {difference:>20} {percent:>10} {before:>16} {after:>16}"
    )
}
