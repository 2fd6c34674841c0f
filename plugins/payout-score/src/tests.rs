//! Who worked late has more, and nothing is lost.

use chimera_plugin_sdk::{Allocation, BLOCK_WORK as BLOCK, BlockEvent, Event, check_config};

use super::*;

/// Cells of (row, bucket, work); the accounts' work is their sum.
fn request(rows: usize, cells: &[(u32, u16, u64)]) -> Request {
    let mut work = vec![0; rows];
    for (row, _, cell) in cells {
        work[*row as usize] += cell;
    }
    Request {
        event: Event::Block(BlockEvent {
            height: 1,
            reward: 1000,
            tx_fees: 0,
            window_work: work.iter().sum(),
            found_at: 0,
            finder: None,
        }),
        accounts: Accounts { key: (0..rows as u64).collect(), work, fee_ppm: vec![0; rows] },
        slices: Slices {
            account: cells.iter().map(|cell| cell.0).collect(),
            bucket: cells.iter().map(|cell| cell.1).collect(),
            work: cells.iter().map(|cell| cell.2).collect(),
        },
        carry: 0,
        state: vec![],
    }
}

fn amounts(request: Request) -> Vec<u64> {
    let config = Config { fee_ppm: 0, ..Config::default() };
    let outcome = Score::settle(&config, request).unwrap();
    match outcome.allocation {
        Allocation::Amounts(amounts) => amounts,
        Allocation::Weights(weights) => weights,
    }
}

#[test]
fn work_half_a_block_older_counts_half() {
    for (name, rows, cells, expected) in [
        ("one age", 2, vec![(0, 0, BLOCK / 2), (1, 0, BLOCK / 2)], vec![500, 500]),
        ("a half-life apart", 2, vec![(1, 0, BLOCK / 2), (0, 512, BLOCK / 2)], vec![333, 667]),
        ("only what is relative", 2, vec![(1, 9, BLOCK / 2), (0, 521, BLOCK / 2)], vec![333, 667]),
        ("twice as much, half as new", 2, vec![(1, 0, 100), (0, 512, 200)], vec![667, 333]),
        ("alone", 1, vec![(0, 1023, 5)], vec![1000]),
        ("nobody", 0, vec![], vec![]),
    ] {
        assert_eq!(amounts(request(rows, &cells)), expected, "{name}");
    }
}

#[test]
fn slices_that_do_not_fit_the_accounts_are_refused() {
    let good = request(1, &[(0, 0, 5)]);
    let with = |change: fn(&mut Request)| {
        let mut request = good.clone();
        change(&mut request);
        Score::settle(&Config::default(), request)
    };
    for change in [
        (|request| request.slices.account[0] = 1) as fn(&mut Request),
        |request| request.slices.bucket[0] = 1024,
        |request| request.slices.work[0] = 4,
        |request| request.slices.work.clear(),
        |request| request.accounts.work[0] = 6,
    ] {
        assert!(matches!(with(change), Err(PluginError::InvalidInput(_))));
    }
}

#[test]
fn nonsense_is_refused_with_its_place() {
    for (text, at) in [
        (r#"{"half_life_milli": 0}"#, "/half_life_milli"),
        (r#"{"half_life_milli": 1000001}"#, "/half_life_milli"),
        (r#"{"fee_ppm": 1000001}"#, "/fee_ppm"),
    ] {
        assert_eq!(check_config::<Score>(text).err().unwrap()[0].at, at, "{text}");
    }
}
