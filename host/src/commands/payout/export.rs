//! `chimera payout export`: a settlement's record as a file of its own.

use std::path::PathBuf;

use anyhow::Context as _;
use chimera_ledger::Record;
use clap::Args;

use super::ledger::{LedgerArgs, find};
use crate::commands::{Exit, say};

/// What to export.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Height or id of a settled block; or the key or #number of any settlement
    #[arg(value_name = "BLOCK")]
    block: String,
    /// Every row, under salted keys: enough to recompute it (the default)
    #[arg(long, conflicts_with = "sums")]
    full: bool,
    /// The sums and hashes only: enough to check proofs of inclusion
    #[arg(long)]
    sums: bool,
    /// Where to write it; standard output if not given
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    ledger: LedgerArgs,
}

pub(super) async fn export(args: ExportArgs) -> anyhow::Result<Exit> {
    let store = args.ledger.open().await?;
    let settlement = find(&store, Some(&args.block)).await?;
    let (key, number) = (&settlement.row.key, settlement.number);
    let before = || format!("{key} was settled before records were kept");
    let record = if args.sums {
        let recorded = store.recorded(number).await?.with_context(before)?;
        Record { hash: recorded.hash, ..Record::new(recorded.header, None) }
    } else {
        store.record(number).await?.with_context(before)?
    };
    store.close().await;
    let text = serde_json::to_string(&record).context("a record is JSON")?;
    match args.output {
        None => say::line(text),
        Some(path) => {
            std::fs::write(&path, text)
                .with_context(|| format!("{} cannot be written", path.display()))?;
            say::done("record", format_args!("{key}, hash {}: {}", record.hash, path.display()));
        }
    }
    Ok(Exit::Done)
}
