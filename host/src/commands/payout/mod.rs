//! `chimera payout`: what was paid, checked by anybody.

pub mod backtest;
mod export;
mod ledger;
mod prove;
mod recheck;
mod verify;
mod verify_proof;

use std::path::Path;

use anyhow::Context as _;
use clap::Subcommand;
use serde::de::DeserializeOwned;

use super::Exit;

/// What to do with payouts.
#[derive(Debug, Subcommand)]
pub enum PayoutCommand {
    /// Show what another scheme would have paid, beside what was paid
    Backtest(backtest::BacktestArgs),
    /// Write down what a settlement looked at and what it paid, for anybody to recompute
    Export(export::ExportArgs),
    /// Recompute a settlement from its record, on two engines
    Verify(verify::VerifyArgs),
    /// Prove to an account that its work is counted: tells its salt, so give it to nobody else
    Prove(prove::ProveArgs),
    /// Check such a proof against the record
    VerifyProof(verify_proof::VerifyProofArgs),
    /// Go through all records of this pool: the chain, the transfers, the rows
    Recheck(recheck::RecheckArgs),
}

/// Does it.
///
/// # Errors
/// When something that is needed cannot be read or written.
pub async fn run(command: PayoutCommand) -> anyhow::Result<Exit> {
    match command {
        PayoutCommand::Backtest(args) => backtest::backtest(args).await,
        PayoutCommand::Export(args) => export::export(args).await,
        PayoutCommand::Verify(args) => verify::verify(args).await,
        PayoutCommand::Prove(args) => prove::prove(args).await,
        PayoutCommand::VerifyProof(args) => verify_proof::verify_proof(&args),
        PayoutCommand::Recheck(args) => recheck::recheck(args).await,
    }
}

fn read_json<T: DeserializeOwned>(path: &Path, what: &str) -> anyhow::Result<T> {
    let text = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is no {what}", path.display()))
}
