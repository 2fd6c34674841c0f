//! What shares are worth, and that fractions add up.

use chimera_plugin_sdk::{Accounts, BlockEvent, Event, Slices, check_config};

use super::*;

const BLOCK: u64 = 1 << 52;

fn request(event: Event, rows: &[(u64, u64, u32)], state: Vec<u8>) -> Request {
    Request {
        event,
        accounts: Accounts {
            key: rows.iter().map(|row| row.0).collect(),
            work: rows.iter().map(|row| row.1).collect(),
            fee_ppm: rows.iter().map(|row| row.2).collect(),
        },
        slices: Slices { account: vec![], bucket: vec![], work: vec![] },
        carry: 0,
        state,
    }
}

fn interval(expected_reward: u64, network_work: u64) -> Event {
    Event::Interval(IntervalEvent { started_at: 0, ended_at: 1, network_work, expected_reward })
}

fn amounts(outcome: &Outcome) -> &[u64] {
    match &outcome.allocation {
        Allocation::Amounts(amounts) => amounts,
        Allocation::Weights(_) => panic!("an accruing scheme answers amounts"),
    }
}

#[test]
fn work_is_paid_its_expected_value_less_the_fee() {
    // fee, single fee, work, expected reward, amount
    for (fee_ppm, single, work, reward, amount) in [
        (0, 0, BLOCK, 5_000_000_000, 5_000_000_000),
        (20_000, 0, BLOCK, 5_000_000_000, 4_900_000_000),
        (20_000, 5_000, BLOCK, 5_000_000_000, 4_875_000_000),
        (20_000, 0, BLOCK / 1024, 5_000_000_000, 4_785_156),
        (20_000, 0, 3 * BLOCK, 5_000_000_000, 14_700_000_000),
        (1_000_000, 1_000_000, BLOCK, 5_000_000_000, 0),
        (0, 0, BLOCK, u64::MAX, u64::MAX),
    ] {
        let config = Config { fee_ppm };
        let request = request(interval(reward, BLOCK), &[(7, work, single)], vec![]);
        let outcome = Pps::settle(&config, request).unwrap();
        assert_eq!(amounts(&outcome), [amount], "{fee_ppm} {single} {work} {reward}");
    }
}

#[test]
fn t15_a_share_below_one_base_unit_is_paid_in_the_end() {
    // A share worth 0.98 / 2^10 of a unit: 2^20 of them are worth 1003.52 units.
    let config = Config::default();
    let mut state = vec![];
    let mut paid = 0;
    for _ in 0..1 << 10 {
        // Two accounts, one of them twice as fast as the other every second time.
        let rows = [(1, BLOCK >> 10, 0), (2, BLOCK >> 9, 0)];
        let outcome = Pps::settle(&config, request(interval(1, BLOCK), &rows, state)).unwrap();
        paid += amounts(&outcome).iter().sum::<u64>();
        state = outcome.state;
    }
    // 1024 * 3 shares of 0.98 / 1024: 0.98 and 1.96 units; the fractions stay owed.
    assert_eq!(paid, 1);
    let fractions = Fractions::read(&state, BLOCK).unwrap();
    assert_eq!(fractions.write().len(), 8 + 2 * 24);
}

#[test]
fn t15_many_small_intervals_pay_what_one_large_one_does() {
    let config = Config::default();
    for (parts, work, reward) in [(7_u64, 123_457, 5_000_000_000), (1000, BLOCK / 3, 312_500_001)] {
        let mut state = vec![];
        let mut paid = 0;
        for _ in 0..parts {
            let rows = [(1, work, 0)];
            let outcome =
                Pps::settle(&config, request(interval(reward, BLOCK), &rows, state)).unwrap();
            paid += amounts(&outcome)[0];
            state = outcome.state;
        }
        let rows = [(1, work * parts, 0)];
        let once = Pps::settle(&config, request(interval(reward, BLOCK), &rows, vec![])).unwrap();
        assert_eq!(paid, amounts(&once)[0]);
        assert_eq!(state, once.state, "and the fraction owed is the same");
    }
}

#[test]
fn who_does_not_work_keeps_what_is_owed() {
    let config = Config { fee_ppm: 0 };
    let half = [(1, BLOCK / 2, 0)];
    let other = [(2, BLOCK, 0)];
    let state = Pps::settle(&config, request(interval(1, BLOCK), &half, vec![])).unwrap().state;
    let state = Pps::settle(&config, request(interval(1, BLOCK), &other, state)).unwrap().state;
    let outcome = Pps::settle(&config, request(interval(1, BLOCK), &half, state)).unwrap();
    assert_eq!(amounts(&outcome), [1]);
}

#[test]
fn a_new_unit_of_account_keeps_the_fractions() {
    let config = Config { fee_ppm: 0 };
    let half = [(1, BLOCK / 2, 0)];
    let state = Pps::settle(&config, request(interval(1, BLOCK), &half, vec![])).unwrap().state;
    let half = [(1, BLOCK, 0)];
    let outcome = Pps::settle(&config, request(interval(1, 2 * BLOCK), &half, state)).unwrap();
    assert_eq!(amounts(&outcome), [1]);
}

#[test]
fn blocks_strange_state_and_worthless_work_are_refused() {
    let block = Event::Block(BlockEvent {
        height: 1,
        reward: 1,
        tx_fees: 0,
        window_work: 1,
        found_at: 0,
        finder: None,
    });
    let config = Config::default();
    for request in [
        request(block, &[], vec![]),
        request(interval(1, 0), &[], vec![]),
        request(interval(1, BLOCK), &[], vec![1, 2, 3]),
        request(interval(1, BLOCK), &[], vec![1; 9]),
        request(interval(1, BLOCK), &[], vec![0; 8]),
        request(interval(1, BLOCK), &[], vec![0xff; 8 + 24]),
        request(interval(u64::MAX, 1), &[(1, 1 << 62, 0)], vec![]),
    ] {
        assert!(Pps::settle(&config, request).is_err());
    }
    assert_eq!(check_config::<Pps>(r#"{"fee_ppm": 1000001}"#).err().unwrap()[0].at, "/fee_ppm");
}
