//! What a payout scheme would have made of the blocks settled last: the shadow of a class that
//! is never tried out in earnest. It is asked with the same work and the same reward, beginning
//! with the state it will begin with, and its answers are compared with what was booked.

use std::collections::BTreeMap;
use std::sync::Arc;

use chimera_ledger::{Account, Distribution, Event, Limits, Request, Transfer};
use chimera_plugin::PayoutScheme;
use chimera_store::{Settlement, Store, Window};

use super::Candidate;
use super::request::Refused;

/// Blocks that are settled again.
const SETTLEMENTS_MAX: u32 = 8;
/// Settlements that are looked through for them; intervals stand between.
const LOOKED_THROUGH_MAX: u32 = 64;
/// Shares their windows may have in all: cutting a window walks the log, and miners share the
/// machine. One block is settled again whatever it has.
const SHARES_MAX: u64 = 100_000;
/// Accounts whose difference is told.
const EXAMPLES_MAX: usize = 3;

/// Credits by account, base units.
type Credits = BTreeMap<String, i128>;

/// Settles the latest blocks again, in their order. Gives the candidate back with what to say.
///
/// # Errors
/// When the scheme fails at what was settled before: it would fail again.
pub(super) async fn replay(
    store: &Store,
    candidate: Candidate,
    state: Vec<u8>,
) -> Result<(Candidate, String), Refused> {
    let scheme = match candidate {
        Candidate::Payout(scheme) if scheme.plan().kind.splits_blocks() => Arc::new(scheme),
        other => return Ok((other, "pays work as it comes: no block to settle again".to_owned())),
    };
    let latest = store.settlements(LOOKED_THROUGH_MAX, None).await?;
    let blocks = latest.into_iter().filter(|one| one.row.block.is_some());
    let blocks = affordable(blocks.take(SETTLEMENTS_MAX as usize).collect());
    let mut state = state;
    let (mut paid, mut would_pay) = (Credits::new(), Credits::new());
    for settlement in &blocks {
        let Some((_, transfers)) = store.settlement(&settlement.row.key).await? else { continue };
        add(&mut paid, &transfers);
        let (question, window) = question(store, settlement, &scheme, &mut state).await?;
        let asked = Arc::clone(&scheme);
        let settled = tokio::task::spawn_blocking(move || settle(&asked, &question)).await;
        let distribution = settled
            .map_err(|error| Refused(error.to_string()))?
            .map_err(|why| Refused(format!("settling {} again: {why}", settlement.row.key)))?;
        state = distribution.state().to_vec();
        let transfers = distribution.transfers(&settlement.row.key, &window.names);
        add(&mut would_pay, &transfers.map_err(|error| Refused(error.to_string()))?);
    }
    let told = compare(blocks.len(), &paid, &would_pay);
    let scheme = Arc::into_inner(scheme)
        .ok_or_else(|| Refused("a settlement that was tried is still under way".to_owned()))?;
    Ok((Candidate::Payout(scheme), told))
}

/// Of these blocks, newest first, the newest whose windows are not too long; oldest first.
fn affordable(blocks: Vec<Settlement>) -> Vec<Settlement> {
    let mut shares = 0;
    let mut kept: Vec<Settlement> = Vec::new();
    for block in blocks {
        shares += block.row.to_seq.saturating_sub(block.row.from_seq);
        if shares > SHARES_MAX && !kept.is_empty() {
            break;
        }
        kept.push(block);
    }
    kept.reverse();
    kept
}

async fn question(
    store: &Store,
    settlement: &Settlement,
    scheme: &PayoutScheme,
    state: &mut Vec<u8>,
) -> Result<(Request, Window), Refused> {
    let id = settlement.row.block.as_deref().unwrap_or_default();
    let block = store.block(id).await?;
    let mut window = store.window_of_block(id, scheme.plan()).await?;
    let event = Event::Block {
        height: block.height,
        reward: block.reward.map_or(0, |reward| reward.units()),
        tx_fees: block.tx_fees.units(),
        window_work: window.window_work,
        found_at_ms: block.found_at_ms,
        finder: window.finder,
    };
    let accounts = std::mem::take(&mut window.accounts);
    let slices = std::mem::take(&mut window.slices);
    let request = Request { event, accounts, slices, carry: 0, state: std::mem::take(state) };
    Ok((request, window))
}

fn settle(scheme: &PayoutScheme, request: &Request) -> Result<Distribution, String> {
    let proposal = scheme.settle(request).map_err(|error| error.to_string())?;
    let name = &scheme.info().name;
    Distribution::check(name, request, scheme.plan(), proposal, &Limits::default())
        .map_err(|error| error.to_string())
}

fn add(credits: &mut Credits, transfers: &[Transfer]) {
    for transfer in transfers.iter().filter(|transfer| !transfer.reason.is_leg()) {
        if let Account::Miner(name) = &transfer.credit {
            let units = i128::from(transfer.amount.units());
            *credits.entry(name.as_str().to_owned()).or_default() += units;
        }
    }
}

/// One sentence: how many accounts would have got something else, and which the most.
fn compare(blocks: usize, paid: &Credits, would_pay: &Credits) -> String {
    let mut differences: Vec<(&str, i128)> = paid
        .keys()
        .chain(would_pay.keys())
        .map(|name| {
            let of = |credits: &Credits| credits.get(name).copied().unwrap_or(0);
            (name.as_str(), of(would_pay) - of(paid))
        })
        .filter(|(_, units)| *units != 0)
        .collect();
    differences.sort_by_key(|(name, units)| (std::cmp::Reverse(units.abs()), *name));
    differences.dedup();
    let most: Vec<String> = differences
        .iter()
        .take(EXAMPLES_MAX)
        .map(|(name, units)| format!("{name} {units:+}"))
        .collect();
    let most = if most.is_empty() { String::new() } else { format!(": {}", most.join(", ")) };
    format!(
        "settled {blocks} blocks again: {} accounts would have got another sum{most}",
        differences.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_windows_are_settled_again_once() {
        let block = |number: u64, shares: u64| Settlement {
            number,
            row: chimera_store::SettlementRow {
                key: format!("block:{number}"),
                generation: chimera_store::GenerationId(1),
                block: Some(number.to_string()),
                from_seq: 1_000,
                to_seq: 1_000 + shares,
                digest: [0; 32],
                config_hash: [0; 32],
                notes: String::new(),
                state: Vec::new(),
                carry_in: 0,
                carry_out: 0,
                booked_at_ms: 0,
            },
            reversed_at_ms: None,
        };
        for (shares, expected) in [
            (vec![10, 20, 30], vec![1, 2, 3]),
            (vec![60_000, 40_000, 1], vec![2, 3]),
            (vec![40_000, 90_000], vec![2]),
            (vec![5, SHARES_MAX * 9], vec![2]),
            (vec![], vec![]),
        ] {
            let newest_first = shares.iter().enumerate().rev();
            let blocks = newest_first.map(|(at, shares)| block(at as u64 + 1, *shares)).collect();
            let kept: Vec<u64> = affordable(blocks).iter().map(|block| block.number).collect();
            assert_eq!(kept, expected, "{shares:?}");
        }
    }

    #[test]
    fn the_largest_differences_are_told_first() {
        let credits = |rows: &[(&str, i128)]| -> Credits {
            rows.iter().map(|(name, units)| ((*name).to_owned(), *units)).collect()
        };
        let paid = credits(&[("ann", 600), ("bob", 400), ("cid", 5)]);
        let would = credits(&[("ann", 500), ("bob", 401), ("cid", 5), ("dan", 99)]);
        assert_eq!(
            compare(2, &paid, &would),
            "settled 2 blocks again: 3 accounts would have got another sum: ann -100, dan +99, bob +1"
        );
        assert_eq!(
            compare(0, &paid, &paid),
            "settled 0 blocks again: 0 accounts would have got another sum"
        );
    }
}
