//! `chimera payout recheck`: all records of the pool, from the first to the last, compared
//! with everything the ledger knows and with what their components answer now.

use std::collections::HashMap;
use std::sync::Arc;

use chimera_ledger::{Decider, Hash256, Record};
use chimera_plugin::{Artifact, Digest, Engines, Grants, PayoutScheme};
use chimera_store::{RecordChain, Store, StoreError};
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
    let checked = check(&store).await;
    store.close().await;
    match checked {
        Ok(chain) => {
            tell(&chain);
            Ok(Exit::Done)
        }
        Err(error) if is_difference(&error) => {
            say::trouble("records", error);
            Ok(Exit::Failed)
        }
        Err(error) => Err(error.into()),
    }
}

/// Where the ledger contradicts itself, not where it cannot be read.
const fn is_difference(error: &StoreError) -> bool {
    matches!(error, StoreError::RecordsDisagree { .. } | StoreError::BooksDisagree { .. })
}

fn tell(chain: &RecordChain) {
    say::done("records", format_args!("{} in one chain, last {}", chain.records, chain.head));
    say::field("recomputed", chain.recomputable.len());
    if !chain.by_hash.is_empty() {
        let (count, which) = (chain.by_hash.len(), runs(&chain.by_hash));
        say::field(
            "by hash only",
            format_args!("{count}, their states are no longer kept: {which}"),
        );
    }
    if chain.unrecorded > 0 {
        say::field("before records", chain.unrecorded);
    }
}

/// Ascending numbers as people write them: `#1-#3, #7`.
fn runs(numbers: &[u64]) -> String {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for &number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let told = runs.iter().map(|&(first, last)| match last - first {
        0 => format!("#{first}"),
        _ => format!("#{first}-#{last}"),
    });
    told.collect::<Vec<_>>().join(", ")
}

/// Records, then accounts, then the components.
async fn check(store: &Store) -> Result<RecordChain, StoreError> {
    let mut chain = store.verify_records().await?;
    store.verify_books().await?;
    let mut components = Components::default();
    let mut recomputed = Vec::new();
    for number in std::mem::take(&mut chain.recomputable) {
        let record = match store.record(number).await {
            Ok(Some(record)) => record,
            // A pool beside it has let go of the state meanwhile.
            Ok(None) | Err(StoreError::StateNotKept(_)) => {
                chain.by_hash.push(number);
                continue;
            }
            Err(error) => return Err(error),
        };
        let key = record.header.key.clone();
        if let Some(why) = components.ask_again(store, record).await? {
            return Err(StoreError::RecordsDisagree { number, key, why });
        }
        recomputed.push(number);
    }
    chain.by_hash.sort_unstable();
    chain.recomputable = recomputed;
    Ok(chain)
}

/// Components of records, loaded once each.
#[derive(Default)]
struct Components {
    engines: Option<Arc<Engines>>,
    loaded: HashMap<(Hash256, String, Vec<String>), Arc<PayoutScheme>>,
}

impl Components {
    /// Does a settlement again. Says where it comes out otherwise.
    async fn ask_again(
        &mut self,
        store: &Store,
        record: Record,
    ) -> Result<Option<String>, StoreError> {
        let scheme = match self.load(store, &record.header.decider).await? {
            Ok(scheme) => scheme,
            Err(why) => return Ok(Some(why)),
        };
        let again = tokio::task::spawn_blocking(move || differs(&scheme, &record));
        Ok(again.await.unwrap_or_else(|error| Some(error.to_string())))
    }

    async fn load(
        &mut self,
        store: &Store,
        decider: &Decider,
    ) -> Result<Result<Arc<PayoutScheme>, String>, StoreError> {
        let Decider { digest, config, grants, name, .. } = decider;
        let key = (*digest, config.clone(), grants.clone());
        if let Some(scheme) = self.loaded.get(&key) {
            return Ok(Ok(Arc::clone(scheme)));
        }
        let Some(wasm) = store.component_bytes(digest.as_bytes()).await? else {
            return Ok(Err(format!("its component {digest} is not kept")));
        };
        let engines = self.engines.clone();
        let (name, config, grants) = (name.clone(), config.clone(), grants.clone());
        let expected = Digest::from_bytes(*digest.as_bytes());
        let loading = tokio::task::spawn_blocking(move || {
            let engines = match engines {
                Some(engines) => engines,
                None => Arc::new(Engines::new(None).map_err(|error| error.to_string())?),
            };
            let artifact = Artifact::kept(&name, wasm).pinned(expected);
            let artifact = artifact.map_err(|error| format!("its component: {error}"))?;
            let grants = Grants::parse(&grants).map_err(|error| error.to_string())?;
            let scheme = PayoutScheme::load(&engines, &artifact, &config, &grants);
            Ok((engines, Arc::new(scheme.map_err(|error| error.to_string())?)))
        });
        let loaded = loading.await.unwrap_or_else(|error| Err(error.to_string()));
        Ok(loaded.map(|(engines, scheme)| {
            self.engines = Some(engines);
            self.loaded.insert(key, Arc::clone(&scheme));
            scheme
        }))
    }
}

/// Where the component says something else than the record: of itself, or as its answer.
fn differs(scheme: &PayoutScheme, record: &Record) -> Option<String> {
    let decider = &record.header.decider;
    if (&scheme.info().name, &scheme.info().version) != (&decider.name, &decider.version) {
        let (info, decider) = (scheme.info(), decider);
        return Some(format!(
            "component: the record says {} {}, it is {} {}",
            decider.name, decider.version, info.name, info.version
        ));
    }
    if *scheme.plan() != decider.plan {
        let (recorded, found) = (decider.plan, scheme.plan());
        return Some(format!("plan: the record says {recorded:?}, it says {found:?}"));
    }
    let body = record.body.as_ref()?;
    // Under the rule of the reserve nobody was asked.
    if record.header.decided_by == chimera_ledger::DecidedBy::ReserveRule {
        return None;
    }
    match scheme.settle(&body.request) {
        Ok(answer) => Some(record.against(&answer)?.first()?.to_string()),
        Err(error) => Some(format!("the component does not answer: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::runs;

    #[test]
    fn numbers_are_told_as_runs() {
        assert_eq!(runs(&[1, 2, 3, 7, 9, 10]), "#1-#3, #7, #9-#10");
        assert_eq!(runs(&[]), "");
    }
}
