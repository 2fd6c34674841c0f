//! `chimera payout recheck`: all records of the pool, from the first to the last.

use chimera_store::StoreError;
use clap::Args;

use super::ledger::LedgerArgs;
use crate::commands::{Exit, say};

/// Which pool.
#[derive(Debug, Args)]
pub struct RecheckArgs {
    #[command(flatten)]
    ledger: LedgerArgs,
}

pub(super) async fn recheck(args: RecheckArgs) -> anyhow::Result<Exit> {
    let store = args.ledger.open().await?;
    let checked = store.verify_records().await;
    store.close().await;
    match checked {
        Ok(chain) => {
            let (records, recomputable) = (chain.records, chain.recomputable);
            say::done("records", format_args!("{records} in one chain, last {}", chain.head));
            say::field("recomputable", recomputable);
            if chain.unrecorded > 0 {
                say::field("before records", chain.unrecorded);
            }
            Ok(Exit::Done)
        }
        Err(error @ StoreError::RecordsDisagree { .. }) => {
            say::trouble("records", error);
            Ok(Exit::Failed)
        }
        Err(error) => Err(error.into()),
    }
}
