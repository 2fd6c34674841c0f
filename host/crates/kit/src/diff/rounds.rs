//! Rounds that two payout schemes settle, synthetic or recorded, and who is paid otherwise.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use chimera_ledger::{Distribution, Event, Limits, Plan, Request, SchemeKind, WindowSize};
use chimera_plugin::{CallBundle, PayoutScheme, Question};
use serde_json::Value;

use super::{Paid, RoundDiff, changed};
use crate::check::{SEED, occasions};
use crate::dice::Dice;
use crate::rounds::{Occasion, Round};

/// Accounts of the synthetic rounds.
const ROWS: [usize; 4] = [1, 3, 12, 60];

/// Two payout schemes of different kinds, in words; nothing if they are of one kind.
pub(super) fn kinds(one: &PayoutScheme, two: &PayoutScheme) -> Option<String> {
    let (one, two) = (one.plan().kind, two.plan().kind);
    (one != two).then(|| {
        format!(
            "A {}, B {}: what only one of them is asked, the other is asked in its own form, for \
             the same work and what that is worth: a block as an interval in which one block was \
             expected, an interval as a block of its value; who bears the luck is not compared",
            kind(one),
            kind(two)
        )
    })
}

const fn kind(kind: SchemeKind) -> &'static str {
    match kind {
        SchemeKind::Distribute => "distributes blocks",
        SchemeKind::Accrue => "pays work as it comes, in intervals",
        SchemeKind::Hybrid => "does both: pays intervals of work, and distributes a block's fees",
    }
}

/// Rounds as each is to be asked about them: in the form its kind knows, synthetic ones by the
/// plan of each, made by the finer of them.
pub(super) fn rounds(
    one: &PayoutScheme,
    two: &PayoutScheme,
    records: Option<&Path>,
) -> Result<Vec<(String, Request, Request)>, String> {
    if let Some(directory) = records {
        let requests = recorded(directory)?;
        if requests.is_empty() {
            return Err(format!("{}: no settlement is recorded there", directory.display()));
        }
        return Ok(requests
            .into_iter()
            .map(|(name, request)| {
                let asked = |scheme: &PayoutScheme| as_known(&request, scheme.plan().kind);
                (name, asked(one), asked(two))
            })
            .collect());
    }
    let mut dice = Dice::new(SEED);
    let mut rounds = Vec::new();
    let finer = finer(one.plan(), two.plan());
    for occasion in [Occasion::Block, Occasion::Interval] {
        let is_asked = |plan: &Plan| occasions(plan.kind).contains(&occasion);
        if !is_asked(one.plan()) && !is_asked(two.plan()) {
            continue;
        }
        for rows in ROWS {
            let round = Round::random(&mut dice, occasion, finer, rows);
            let name = format!("{occasion:?} of {rows} accounts");
            let asked = |plan: &Plan| {
                let (request, _) = merged(&round, finer.buckets, plan.buckets).request(plan);
                as_known(&request, plan.kind)
            };
            rounds.push((name, asked(one.plan()), asked(two.plan())));
        }
    }
    Ok(rounds)
}

/// The plan that tells more of a round: by age first, then by how much its window holds. Which
/// of two is asked for first makes no difference.
fn finer<'a>(one: &'a Plan, two: &'a Plan) -> &'a Plan {
    let detail = |plan: &Plan| {
        let window = match plan.window {
            WindowSize::None => 0,
            WindowSize::NetworkWorkMilli(milli) => milli.max(1),
            WindowSize::DurationMs(_) | WindowSize::SinceLastBlock => 1000,
        };
        (plan.buckets, window)
    };
    if detail(two) > detail(one) { two } else { one }
}

/// The same round in fewer buckets of equal work: one that lies across a border is divided.
fn merged(round: &Round, from: u16, to: u16) -> Round {
    let mut round = round.clone();
    if to >= from {
        return round;
    }
    let (from, to) = (u64::from(from), u64::from(to.max(1)));
    for miner in &mut round.miners {
        let mut merged = BTreeMap::<u16, u64>::new();
        for &(bucket, work) in &miner.work {
            // In parts of which a bucket of the round has `to`, and a new one `from`.
            let begins = u64::from(bucket) * to;
            let newer = begins / from;
            let inside = (from - begins % from).min(to);
            let part = u64::try_from(u128::from(work) * u128::from(inside) / u128::from(to))
                .unwrap_or(work);
            for (bucket, work) in [(newer, part), (newer + 1, work - part)] {
                if work > 0 {
                    *merged.entry(bucket as u16).or_default() += work;
                }
            }
        }
        miner.work = merged.into_iter().collect();
    }
    round
}

/// The same work in the form a kind of scheme is asked in, for what it is worth on average. What
/// another kind remembers is no state of this one.
fn as_known(request: &Request, kind: SchemeKind) -> Request {
    let work: u64 = request.accounts.work.iter().sum();
    let event = match (request.event, occasions(kind)) {
        (Event::Block { reward, tx_fees, found_at_ms, .. }, [Occasion::Interval]) => {
            Event::Interval {
                started_at_ms: found_at_ms,
                ended_at_ms: found_at_ms,
                network_work: work.max(1),
                expected_reward: reward,
                expected_fees: tx_fees,
            }
        }
        (
            Event::Interval { ended_at_ms, network_work, expected_reward, expected_fees, .. },
            [Occasion::Block],
        ) => {
            let worth = |units: u64| {
                let units = u128::from(units) * u128::from(work) / u128::from(network_work.max(1));
                u64::try_from(units).unwrap_or(u64::MAX)
            };
            Event::Block {
                height: 0,
                reward: worth(expected_reward),
                tx_fees: worth(expected_fees),
                window_work: work,
                found_at_ms: ended_at_ms,
                finder: None,
            }
        }
        _ => return request.clone(),
    };
    Request { event, carry: 0, state: Vec::new(), ..request.clone() }
}

/// The requests of all settlement records and recorded calls in a directory.
fn recorded(directory: &Path) -> Result<Vec<(String, Request)>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    let mut paths: Vec<_> = fs::read_dir(directory)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
        .map_err(failed)?;
    paths.retain(|path: &std::path::PathBuf| path.extension().is_some_and(|end| end == "json"));
    paths.sort();
    let mut requests = Vec::new();
    for path in paths {
        let told = |problem: String| format!("{}: {problem}", path.display());
        let text = fs::read_to_string(&path).map_err(|error| told(error.to_string()))?;
        let request = request_of(&text).map_err(told)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        requests.extend(request.map(|request| (name, request)));
    }
    Ok(requests)
}

/// The request of a settlement record (`body.request`) or of a recorded settlement call.
fn request_of(text: &str) -> Result<Option<Request>, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if let Some(request) = value.pointer("/body/request") {
        let request = serde_json::from_value(request.clone()).map_err(|error| error.to_string())?;
        return Ok(Some(request));
    }
    let bundle = CallBundle::from_json(text).map_err(|error| error.to_string())?;
    Ok(match bundle.question {
        Question::Settle(request) => Some(request),
        _ => None,
    })
}

pub(super) fn settled(
    round: String,
    first: (&PayoutScheme, &Request),
    second: (&PayoutScheme, &Request),
) -> Option<RoundDiff> {
    let answer = |(scheme, request): (&PayoutScheme, &Request)| -> Result<Distribution, String> {
        let proposal = scheme.settle(request).map_err(|error| error.to_string())?;
        let (name, plan) = (&scheme.info().name, scheme.plan());
        Distribution::check(name, request, plan, proposal, &Limits::default())
            .map_err(|imbalance| imbalance.to_string())
    };
    let (one, two) = (answer(first), answer(second));
    let mut accounts = Vec::new();
    let mut others = Vec::new();
    match (&one, &two) {
        (Ok(one), Ok(two)) => {
            let columns = &first.1.accounts;
            let pairs = one.amounts().iter().zip(two.amounts());
            for (row, (&first, &second)) in pairs.enumerate().filter(|(_, (a, b))| a != b) {
                let (key, work) = (columns.key[row], columns.work[row]);
                accounts.push(Paid { key, work, first, second });
            }
            for (what, one, two) in [
                ("pool fee", one.pool_fee(), two.pool_fee()),
                ("carry", one.carry_out(), two.carry_out()),
            ] {
                others.extend(changed(what, one.to_string(), two.to_string()));
            }
        }
        _ => {
            let told = |answer: &Result<Distribution, String>| match answer {
                Ok(_) => "settled".to_owned(),
                Err(why) => why.clone(),
            };
            others.extend(changed("outcome", told(&one), told(&two)));
        }
    }
    (!accounts.is_empty() || !others.is_empty()).then_some(RoundDiff { round, accounts, others })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rounds::Miner;

    fn plan(buckets: u16, window: WindowSize) -> Plan {
        Plan { kind: SchemeKind::Distribute, window, buckets, carry_max: 0 }
    }

    #[test]
    fn the_finer_plan_is_the_same_from_both_sides() {
        let (one, three) = (WindowSize::NetworkWorkMilli(1000), WindowSize::NetworkWorkMilli(3000));
        for (coarse, fine) in [
            (plan(1, three), plan(8, one)),
            (plan(8, one), plan(8, three)),
            (plan(1, WindowSize::None), plan(1, one)),
            (plan(1, WindowSize::SinceLastBlock), plan(1, three)),
        ] {
            assert_eq!((finer(&coarse, &fine), finer(&fine, &coarse)), (&fine, &fine));
        }
    }

    #[test]
    fn merged_buckets_hold_the_same_work() {
        let mut dice = Dice::new(SEED);
        let plan = plan(12, WindowSize::NetworkWorkMilli(2000));
        let round = Round::random(&mut dice, Occasion::Block, &plan, 12);
        for to in [1, 5, 6, 12, 100] {
            let merged = merged(&round, 12, to);
            let totals = |round: &Round| round.miners.iter().map(Miner::total).collect::<Vec<_>>();
            assert_eq!(totals(&merged), totals(&round), "{to}");
            let buckets = to.min(12);
            for bucket in 0..buckets {
                let work = merged.miners.iter().flat_map(|miner| &miner.work);
                let work: u64 = work.filter(|(own, _)| *own == bucket).map(|(_, work)| work).sum();
                let even = round.capacity / u64::from(buckets);
                // Each miner's part of a divided bucket is rounded down.
                assert!(work.abs_diff(even) <= 24, "{to}: {bucket} holds {work} of {even}");
            }
        }
    }
}
