//! What a component may not answer, one line each, and what is booked when it may.

use chimera_ledger::{
    AccountName, Accounts, Allocation, Distribution, Event, Limits, Plan, Proposal, Request,
    SchemeKind, Slices, UnnamedRows, WindowSize,
};

const SPLIT: Plan = Plan {
    kind: SchemeKind::Distribute,
    window: WindowSize::SinceLastBlock,
    buckets: 1,
    carry_max: 10,
};
const ACCRUE: Plan = Plan { kind: SchemeKind::Accrue, carry_max: 0, ..SPLIT };
const TWO_PERCENT: Limits = Limits { fee_max_ppm: 20_000 };

fn rows(work: &[u64]) -> Accounts {
    Accounts {
        key: (1..).take(work.len()).collect(),
        work: work.to_vec(),
        fee_ppm: vec![0; work.len()],
    }
}

/// A block of 1000 units after a carry of 5, found by row 0.
fn block(work: &[u64]) -> Request {
    let event = Event::Block {
        height: 1,
        reward: 1_000,
        tx_fees: 0,
        window_work: 100,
        found_at_ms: 0,
        finder: Some(0),
    };
    Request { event, accounts: rows(work), slices: Slices::default(), carry: 5, state: vec![] }
}

/// Work of which 100 is worth 1000 units.
fn interval(work: &[u64]) -> Request {
    let event = Event::Interval {
        started_at_ms: 0,
        ended_at_ms: 1,
        network_work: 100,
        expected_reward: 1_000,
        expected_fees: 0,
    };
    Request { event, accounts: rows(work), slices: Slices::default(), carry: 0, state: vec![] }
}

fn weights(weights: &[u64], pool_fee: u64, carry: u64) -> Proposal {
    let allocation = Allocation::Weights(weights.to_vec());
    Proposal { allocation, pool_fee, carry, state: vec![], notes: vec![] }
}

fn amounts(amounts: &[u64], pool_fee: u64, carry: u64) -> Proposal {
    Proposal { allocation: Allocation::Amounts(amounts.to_vec()), ..weights(&[], pool_fee, carry) }
}

/// The amounts, or why not.
fn outcome(request: &Request, plan: &Plan, proposal: Proposal) -> String {
    match Distribution::check("x", request, plan, proposal, &TWO_PERCENT) {
        Ok(split) => format!("{:?}", split.amounts()),
        Err(imbalance) => imbalance.to_string(),
    }
}

#[test]
fn t15_splits_that_do_not_balance_are_refused_with_the_numbers() {
    let ok = block(&[1, 1, 0]);
    let table = [
        (weights(&[1, 1, 0], 0, 0), "[503, 502, 0]"),
        (weights(&[1, 1, 0], 20, 10), "[488, 487, 0]"),
        (
            weights(&[1, 1, 0], 21, 0),
            "x proposed a fee of 21 for a reward of 1005; the operator allows 20000 parts per million",
        ),
        (weights(&[1, 1, 0], 0, 11), "x proposed a carry of 11 where its plan allows 10"),
        (weights(&[1, 1], 0, 0), "x proposed 2 entries for 3 accounts"),
        (weights(&[], 0, 0), "x proposed 0 entries for 3 accounts"),
        (weights(&[0, 0, 0], 0, 0), "x proposed nobody to receive 1005 of a reward of 1000"),
        (
            weights(&[1, 1, 1], 0, 0),
            "x proposed 1 for row 2, which has no work and is not the finder",
        ),
        (amounts(&[5, 1000, 0], 0, 0), "[5, 1000, 0]"),
        (amounts(&[5, 999, 0], 1, 0), "[5, 999, 0]"),
        (
            amounts(&[5, 1001, 0], 0, 0),
            "x proposed amounts of 1006 in all, for a reward of 1000 that leaves 1005 to divide",
        ),
        (
            amounts(&[5, 999, 0], 0, 0),
            "x proposed amounts of 1004 in all, for a reward of 1000 that leaves 1005 to divide",
        ),
        (
            amounts(&[u64::MAX, u64::MAX, 0], 0, 0),
            "x proposed amounts of 36893488147419103230 in all, for a reward of 1000 that leaves 1005 to divide",
        ),
        (
            amounts(&[0, 1004, 1], 0, 0),
            "x proposed 1 for row 2, which has no work and is not the finder",
        ),
        (amounts(&[0, 0, 0], 0, 0), "x proposed nobody to receive 1005 of a reward of 1000"),
    ];
    for (proposal, expected) in table {
        assert_eq!(outcome(&ok, &SPLIT, proposal), expected);
    }
}

#[test]
fn the_finder_may_be_paid_without_work() {
    assert_eq!(outcome(&block(&[0, 1]), &SPLIT, weights(&[1, 0], 0, 0)), "[1005, 0]");
    assert_eq!(outcome(&block(&[0]), &SPLIT, weights(&[1], 0, 0)), "[1005]");
}

#[test]
fn a_fee_of_everything_is_possible_where_the_operator_allows_it() {
    let request = Request { carry: 0, ..block(&[1]) };
    let split =
        Distribution::check("x", &request, &SPLIT, weights(&[0], 1_000, 0), &Limits::default());
    assert_eq!(split.unwrap().amounts(), [0]);
}

#[test]
fn t15_work_is_never_accrued_above_its_expected_value() {
    let ok = interval(&[10, 1, 0]);
    let table = [
        (amounts(&[100, 10, 0], 0, 0), "[100, 10, 0]"),
        (amounts(&[98, 9, 0], 2, 0), "[98, 9, 0]"),
        // One unit more: remainders of earlier intervals.
        (amounts(&[101, 11, 0], 0, 0), "[101, 11, 0]"),
        (amounts(&[102, 0, 0], 0, 0), "x proposed 102 for row 0, whose work is worth 101 at most"),
        (
            amounts(&[0, 0, 1], 0, 0),
            "x proposed 1 for row 2, which has no work and is not the finder",
        ),
        (
            amounts(&[101, 11, 0], 3, 0),
            "x proposed 115 with the fee, for work that is worth 114 at most",
        ),
        (
            amounts(&[0, 0, 0], 4, 0),
            "x proposed a fee of 4 for a reward of 110; the operator allows 20000 parts per million",
        ),
        (amounts(&[0, 0, 0], 0, 1), "x proposed a carry of 1 where its plan allows 0"),
        (
            weights(&[1, 1, 0], 0, 0),
            "x proposed weights for an interval; accruing schemes answer with amounts",
        ),
        (amounts(&[1], 0, 0), "x proposed 1 entries for 3 accounts"),
    ];
    for (proposal, expected) in table {
        assert_eq!(outcome(&ok, &ACCRUE, proposal), expected);
    }
}

#[test]
fn pps_shares_worth_less_than_a_unit_add_up_over_intervals() {
    // 10 intervals of work worth 0.3 units each: a scheme that remembers pays 0 or 1.
    let request = Request {
        event: Event::Interval {
            started_at_ms: 0,
            ended_at_ms: 1,
            network_work: 1_000,
            expected_reward: 300,
            expected_fees: 0,
        },
        ..interval(&[1])
    };
    let paid = |tenths: u64| (tenths + 3) / 10 - tenths / 10;
    let total: u64 = (0..10)
        .map(|interval| {
            let proposal = amounts(&[paid(interval * 3)], 0, 0);
            let limits = Limits::default();
            Distribution::check("x", &request, &ACCRUE, proposal, &limits).unwrap().amounts()[0]
        })
        .sum();
    assert_eq!(total, 3);
}

#[test]
fn a_plan_is_only_asked_about_its_own_events() {
    assert_eq!(
        outcome(&interval(&[1]), &SPLIT, amounts(&[1], 0, 0)),
        "x proposed an answer to a malformed request: an interval under a plan that splits blocks"
    );
    assert_eq!(
        outcome(&block(&[1]), &ACCRUE, amounts(&[1], 0, 0)),
        "x proposed an answer to a malformed request: a block under a plan that accrues"
    );
}

#[test]
fn an_interval_is_paid_by_the_reserve_and_a_block_by_the_chain() {
    let names = ["ann", "bob"].map(|name| AccountName::new(name).unwrap());
    let book = |request: &Request, plan, proposal| {
        let split = Distribution::check("x", request, plan, proposal, &TWO_PERCENT).unwrap();
        let transfers = split.transfers("s", &names).unwrap();
        let line = |t: &chimera_ledger::Transfer| {
            format!("{}: {} -> {} {} {}", t.key, t.debit, t.credit, t.amount, t.reason)
        };
        transfers.iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(
        book(&block(&[1, 1]), &SPLIT, weights(&[1, 1], 20, 7)),
        [
            "s/carry-in: pool:carry -> chain:reward 5 carry-in",
            "s/miner:ann: chain:reward -> miner:ann 489 reward",
            "s/miner:bob: chain:reward -> miner:bob 489 reward",
            "s/pool:fee: chain:reward -> pool:fee 20 fee",
            "s/carry-out: chain:reward -> pool:carry 7 carry-out",
        ]
    );
    assert_eq!(
        book(&interval(&[10, 1]), &ACCRUE, amounts(&[98, 0], 2, 0)),
        [
            "s/miner:ann: pool:reserve -> miner:ann 98 accrual",
            "s/pool:fee: pool:reserve -> pool:fee 2 fee",
        ]
    );
}

#[test]
fn every_row_needs_its_name() {
    let request = block(&[1, 1]);
    let split =
        Distribution::check("x", &request, &SPLIT, weights(&[1, 1], 0, 0), &TWO_PERCENT).unwrap();
    assert_eq!(split.transfers("s", &[]), Err(UnnamedRows { names: 0, rows: 2 }));
}
