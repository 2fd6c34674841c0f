//! What is paid, told as it is booked.

use std::collections::BTreeMap;

use chimera_ledger::Transfer;
use chimera_store::Store;

use crate::commands::say;

/// More accounts than this are summed up.
const NAMED: usize = 8;

/// The settlements that have been told.
#[derive(Debug, Default)]
pub(super) struct Settlements {
    told: u64,
}

impl Settlements {
    /// Tells what was booked since the last time.
    pub(super) async fn tell_new(&mut self, store: &Store) -> anyhow::Result<()> {
        let mut new = store.settlements(50, None).await?;
        new.retain(|settlement| settlement.number > self.told);
        new.reverse();
        for settlement in new {
            self.told = settlement.number;
            let Some((_, transfers)) = store.settlement(&settlement.row.key).await? else {
                continue;
            };
            let what = if settlement.row.block.is_some() { "block" } else { "interval" };
            let generation = settlement.row.generation.0;
            say::done(
                "paid",
                format_args!("{what}, generation {generation}: {}", parts(&transfers)),
            );
        }
        Ok(())
    }
}

/// Who got what, in base units.
fn parts(transfers: &[Transfer]) -> String {
    let mut credits: BTreeMap<String, u128> = BTreeMap::new();
    for transfer in transfers.iter().filter(|transfer| !transfer.reason.is_leg()) {
        let credit = credits.entry(transfer.credit.to_string()).or_default();
        *credit += u128::from(transfer.amount.units());
    }
    let mut texts: Vec<String> =
        credits.iter().take(NAMED).map(|(account, units)| format!("{account} {units}")).collect();
    if credits.len() > NAMED {
        let rest: u128 = credits.values().skip(NAMED).sum();
        texts.push(format!("{} others {rest}", credits.len() - NAMED));
    }
    if texts.is_empty() { "nothing".to_owned() } else { texts.join(", ") }
}
