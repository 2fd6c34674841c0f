//! Payout tables: what each scheme pays, to the last unit, through component and host check.

use chimera_ledger::{Accounts, Distribution, Event, Limits, Request, SCORE_PER_BLOCK, Slices};
use chimera_plugin::{Cause, Grants, PayoutScheme, Refusal};

use crate::{engines, shipped};

const BLOCK: u64 = SCORE_PER_BLOCK;

fn scheme(name: &str, config: &str) -> PayoutScheme {
    PayoutScheme::load(engines(), &shipped(name), config, &Grants::none()).unwrap()
}

fn request(event: Event, rows: &[(u64, i32)], state: &[u8]) -> Request {
    Request {
        event,
        accounts: Accounts {
            key: (1..=rows.len() as u64).collect(),
            work: rows.iter().map(|row| row.0).collect(),
            fee_ppm: rows.iter().map(|row| row.1).collect(),
        },
        slices: Slices::default(),
        carry: 0,
        state: state.to_vec(),
    }
}

fn block(reward: u64, window_work: u64, finder: Option<u32>) -> Event {
    Event::Block { height: 7, reward, tx_fees: 0, window_work, found_at_ms: 1, finder }
}

fn interval(expected_reward: u64) -> Event {
    Event::Interval {
        started_at_ms: 0,
        ended_at_ms: 60_000,
        network_work: BLOCK,
        expected_reward,
        expected_fees: 0,
    }
}

/// Amounts and fee of one settlement, after the ledger's own check.
fn settle(scheme: &PayoutScheme, request: &Request) -> (Vec<u64>, u64, Vec<u8>) {
    let proposal = scheme.settle(request).unwrap();
    let checked =
        Distribution::check("scheme", request, scheme.plan(), proposal, &Limits::default());
    let checked = checked.unwrap();
    (checked.amounts().to_vec(), checked.pool_fee(), checked.state().to_vec())
}

#[test]
fn t15_pplns_credits_and_fee_sum_to_the_reward() {
    // config, reward, window, rows of (work, single fee), amounts, pool fee
    let full = 2 * BLOCK;
    for (config, reward, window, rows, amounts, fee) in [
        // A full window, a fee of 1 %, and a third that does not divide.
        ("", 1000, full, vec![(full, 0)], vec![990], 10),
        ("", 1000, full, vec![(full / 2, 0), (full / 2, 0)], vec![495, 495], 10),
        (r#"{"fee_ppm":0}"#, 100, 3, vec![(1, 0), (1, 0), (1, 0)], vec![34, 33, 33], 0),
        // The whole reward as fee.
        (r#"{"fee_ppm":1000000}"#, 1000, full, vec![(full, 0)], vec![0], 1000),
        // A young pool: the miners share all, or the pool has the rest.
        (r#"{"fee_ppm":0}"#, 1000, full, vec![(BLOCK / 2, 0)], vec![1000], 0),
        (r#"{"fee_ppm":0,"unfilled":"pool"}"#, 1000, full, vec![(BLOCK / 2, 0)], vec![250], 750),
        (r#"{"unfilled":"pool"}"#, 1000, full, vec![(BLOCK / 2, 0)], vec![247], 753),
        // Nobody before the first share: somebody must own the reward.
        ("", 1000, full, vec![], vec![], 1000),
        // Fees of single accounts go to the pool: 1 % and 50 %, together 51 %.
        ("", 1000, full, vec![(BLOCK, 500_000), (BLOCK, 0)], vec![245, 495], 260),
        // A reward as large as they come.
        (
            r#"{"fee_ppm":0}"#,
            u64::MAX,
            full,
            vec![(BLOCK, 0), (BLOCK, 0)],
            vec![1 << 63, (1 << 63) - 1],
            0,
        ),
    ] {
        let scheme = scheme("payout-pplns", config);
        let (paid, kept, _) = settle(&scheme, &request(block(reward, window, None), &rows, &[]));
        assert_eq!((paid, kept), (amounts, fee), "{config} {rows:?}");
    }
}

#[test]
fn pplns_pays_work_by_its_own_score_whatever_the_window_holds() {
    // Difficulty doubled inside the window: old work scored at its own time, so equal scores
    // are paid equally (hopping around a change gains nothing).
    let scheme = scheme("payout-pplns", r#"{"fee_ppm":0,"unfilled":"pool"}"#);
    for filled in [BLOCK / 4, BLOCK, 2 * BLOCK - 8] {
        let rows = [(filled / 4, 0), (3 * (filled / 4), 0)];
        let (paid, ..) = settle(&scheme, &request(block(8000, 2 * BLOCK, None), &rows, &[]));
        let exact = |work: u64| u128::from(work) * 8000 / u128::from(2 * BLOCK);
        for (amount, (work, _)) in paid.iter().zip(rows) {
            assert!(u128::from(*amount).abs_diff(exact(work)) <= 1, "{filled}: {amount}");
        }
    }
}

#[test]
fn t15_prop_splits_the_round_and_solo_pays_the_finder() {
    for (name, config, finder, rows, amounts, fee) in [
        ("payout-prop", "", None, vec![(3, 0), (1, 0)], vec![743, 247], 10),
        ("payout-prop", r#"{"fee_ppm":0}"#, None, vec![(3, 0), (1, 0)], vec![750, 250], 0),
        ("payout-prop", "", None, vec![], vec![], 1000),
        ("payout-solo", "", Some(0), vec![(5, 0)], vec![990], 10),
        ("payout-solo", "", Some(0), vec![(0, 0)], vec![990], 10),
        ("payout-solo", r#"{"fee_ppm":0}"#, Some(0), vec![(0, 100_000)], vec![900], 100),
    ] {
        let scheme = scheme(name, config);
        let event = block(1000, BLOCK, finder);
        let (paid, kept, _) = settle(&scheme, &request(event, &rows, &[]));
        assert_eq!((paid, kept), (amounts, fee), "{name} {config} {rows:?}");
    }
}

#[test]
fn t15_pps_loses_nothing_below_one_base_unit() {
    // A block pays 1000 units; each interval a miner does a 3000th of it: 0.3266 units.
    let scheme = scheme("payout-pps", "");
    let mut state = vec![];
    let mut paid = 0;
    for _ in 0..3000 {
        let request = request(interval(1000), &[(BLOCK / 3000, 0)], &state);
        let (amounts, fee, next) = settle(&scheme, &request);
        assert_eq!(fee, 0);
        paid += amounts[0];
        state = next;
    }
    // 2 % less than a block, and a fraction still owed (2^52 does not divide by 3000).
    assert_eq!(paid, 979);
}

#[test]
fn pps_pays_work_at_once_and_never_above_its_worth() {
    for (config, rows, amounts) in [
        ("", vec![(BLOCK, 0)], vec![980]),
        (r#"{"fee_ppm":0}"#, vec![(BLOCK, 0), (BLOCK / 2, 0)], vec![1000, 500]),
        ("", vec![(BLOCK, 30_000)], vec![950]),
        ("", vec![], vec![]),
    ] {
        let scheme = scheme("payout-pps", config);
        let (paid, ..) = settle(&scheme, &request(interval(1000), &rows, &[]));
        assert_eq!(paid, amounts, "{config}");
    }
}

#[test]
fn t16_the_same_request_is_settled_the_same_every_time() {
    for (name, event) in [
        ("payout-pplns", block(12_345_678_901, 2 * BLOCK, Some(3))),
        ("payout-prop", block(12_345_678_901, 2 * BLOCK, Some(3))),
        ("payout-pps", interval(12_345_678_901)),
    ] {
        let scheme = scheme(name, "");
        let rows: Vec<(u64, i32)> = (0..500_i32)
            .map(|row| (u64::from((row * row + 1).unsigned_abs()) << 20, row % 7 * 1000))
            .collect();
        let request = request(event, &rows, &[]);
        assert_eq!(scheme.settle(&request).unwrap(), scheme.settle(&request).unwrap(), "{name}");
    }
}

#[test]
fn a_scheme_declines_what_it_does_not_settle() {
    for (name, event, rows, kind) in [
        ("payout-pplns", interval(1000), vec![], Refusal::Unsupported),
        ("payout-pps", block(1000, BLOCK, None), vec![], Refusal::Unsupported),
        ("payout-solo", block(1000, BLOCK, None), vec![(1, 0)], Refusal::InvalidInput),
        ("payout-pplns", block(1000, BLOCK, None), vec![(BLOCK, 0), (1, 0)], Refusal::InvalidInput),
        ("payout-prop", block(1000, BLOCK, None), vec![(1, 1_000_001)], Refusal::InvalidInput),
    ] {
        let error = scheme(name, "").settle(&request(event, &rows, &[])).unwrap_err();
        assert_eq!(error.call, "settle");
        assert!(
            matches!(&error.cause, Cause::Refused { kind: found, .. } if *found == kind),
            "{error}"
        );
    }
}

#[test]
fn state_of_an_unknown_version_is_not_taken_over() {
    let scheme = scheme("payout-pps", "");
    assert_eq!(scheme.migrate(1, &[1, 2]).unwrap(), [1, 2]);
    let error = scheme.migrate(9, &[]).unwrap_err();
    assert!(error.to_string().contains("state of version 9"), "{error}");
}

/// Fractions of units belong to the accounts, whatever the scheme's fee becomes.
#[test]
fn t15_a_new_configuration_starts_with_the_fractions_of_the_one_before() {
    for name in ["payout-pps", "payout-fpps", "payout-pps-plus"] {
        let (before, after) =
            (scheme(name, r#"{"fee_ppm":500000}"#), scheme(name, r#"{"fee_ppm":0}"#));
        let (paid, _, state) = settle(&before, &request(interval(1), &[(BLOCK, 0)], &[]));
        assert_eq!(paid, [0], "{name}: half a unit is owed");
        let state = after.migrate(before.info().state_version, &state).unwrap();
        let (paid, ..) = settle(&after, &request(interval(1), &[(BLOCK / 2, 0)], &state));
        assert_eq!(paid, [1], "{name}");
    }
}

/// A large pool in which no two accounts pay alike stays within the fuel of its rows.
#[test]
fn a_hundred_thousand_accounts_with_fees_of_their_own_are_settled() {
    let rows: Vec<(u64, i32)> = (0..100_000_i32)
        .map(|row| ((u64::from(row.unsigned_abs()) << 20) + 1, row % 20_001 - 10_000))
        .collect();
    let window = rows.iter().map(|row| row.0).sum();
    for (name, event) in [
        ("payout-pplns", block(312_500_001, window, None)),
        ("payout-prop", block(312_500_001, window, None)),
        ("payout-score", block(312_500_001, window, None)),
        ("payout-pps", interval(312_500_001)),
        ("payout-pps-plus", interval(312_500_001)),
    ] {
        let scheme = scheme(name, "");
        let mut request = request(event, &rows, &[]);
        if scheme.plan().buckets > 1 {
            request.slices = Slices {
                account: (0..100_000).collect(),
                bucket: (0..100_000_u32).map(|row| u16::try_from(row / 100).unwrap()).collect(),
                work: request.accounts.work.clone(),
            };
        }
        let (amounts, fee, _) = settle(&scheme, &request);
        if let Event::Block { reward, .. } = event {
            assert_eq!(amounts.iter().sum::<u64>() + fee, reward, "{name}");
        }
    }
}
