//! Sessions of simulated miners, tick by tick.

use chimera_plugin_sdk::check_config;
use chimera_plugin_sdk::testing::{Miner, Sessions, hello};

use super::*;

const ONE: u64 = 1 << 32;

/// So many miners of one hashrate, in difficulty-one shares per minute. The target is 20.
fn sessions(rate: f64, window_ms: u32) -> Sessions<Vardiff> {
    Sessions::new((1..=200).map(|seed| Miner::new(rate, seed)).collect(), window_ms)
}

fn run(sessions: &mut Sessions<Vardiff>, ticks: usize) -> usize {
    let config = Config::default();
    (0..ticks)
        .map(|_| {
            sessions.tick(&config);
            sessions.changes
        })
        .sum()
}

/// How many of the sessions are within so many percent of 20 shares per minute.
fn within(sessions: &Sessions<Vardiff>, percent: f64) -> usize {
    let near = |rate: &f64| (rate - 20.0).abs() <= 20.0 * percent / 100.0;
    sessions.shares_per_minute().filter(near).count()
}

#[test]
fn t11_a_miner_64_times_too_fast_is_at_the_target_rate_within_5_retargets() {
    for window_ms in [5_000, 10_000, 30_000, 60_000] {
        let mut sessions = sessions(64.0 * 20.0, window_ms);
        run(&mut sessions, 5);
        assert!(within(&sessions, 33.0) >= 195, "{window_ms} ms: {}", within(&sessions, 33.0));
    }
}

#[test]
fn every_hashrate_is_brought_within_a_fifth_of_the_target() {
    // hashrate, ticks of 10 s
    for (rate, ticks) in [(20e6, 60), (20e3, 60), (60.0, 60), (20.0, 60), (7.0, 120), (0.02, 240)] {
        let mut sessions = sessions(rate, 10_000);
        run(&mut sessions, ticks);
        let near = within(&sessions, 20.0);
        let mean = sessions.shares_per_minute().sum::<f64>() / 200.0;
        assert!(near >= 170, "{rate}: {near} of 200");
        assert!((17.0..=23.0).contains(&mean), "{rate}: {mean}");
    }
}

#[test]
fn a_steady_miner_is_left_alone() {
    let mut sessions = sessions(20.0, 30_000);
    // 200 hours, 24,000 ticks.
    let changes = run(&mut sessions, 120);
    assert!(changes <= 40, "{changes} changes");
    assert!(within(&sessions, 20.0) >= 195, "{}", within(&sessions, 20.0));
}

#[test]
fn a_hundredfold_hashrate_is_noticed_at_once_and_so_is_its_end() {
    let mut sessions = sessions(20.0, 5_000);
    run(&mut sessions, 240);
    for (factor, ticks) in [(100.0, 12), (0.01, 96), (100.0, 12), (0.01, 96)] {
        sessions.miners.iter_mut().for_each(|miner| miner.rate *= factor);
        run(&mut sessions, ticks);
        let near = within(&sessions, 33.0);
        assert!(near >= 180, "x{factor}, {ticks} ticks: {near} of 200");
    }
}

#[test]
fn a_burst_that_was_rented_for_a_minute_leaves_no_session_stranded() {
    let mut sessions = sessions(20.0, 5_000);
    run(&mut sessions, 240);
    for _ in 0..5 {
        sessions.miners.iter_mut().for_each(|miner| miner.rate = 20e3);
        run(&mut sessions, 12);
        sessions.miners.iter_mut().for_each(|miner| miner.rate = 20.0);
        run(&mut sessions, 108);
    }
    assert!(within(&sessions, 33.0) >= 180, "{}", within(&sessions, 33.0));
}

#[test]
fn a_silent_miner_steps_down_to_the_minimum_and_stays() {
    let mut sessions = sessions(0.0, 5_000);
    sessions.difficulty = vec![ONE << 30; 200];
    let mut last = ONE << 30;
    for _ in 0..600 {
        run(&mut sessions, 1);
        let now = sessions.difficulty[0];
        assert!(now <= last && now >= last / 64, "{last} to {now}");
        last = now;
    }
    assert_eq!((last, run(&mut sessions, 100)), (1 << 12, 0));
}

#[test]
fn rows_do_not_know_of_each_other() {
    let config = Config::default();
    let rates = [0.0, 0.1, 20.0, 1e6];
    let miners = (1..=64).map(|seed| Miner::new(rates[seed as usize % 4], seed)).collect();
    let mut sessions = Sessions::<Vardiff>::new(miners, 10_000);
    for _ in 0..50 {
        let batch = sessions.batch(METER_WORDS);
        let whole = Vardiff::retarget(&config, batch.clone()).unwrap();
        let order: Vec<usize> = (0..64).rev().collect();
        for rows in order.chunks(24) {
            let part = Vardiff::retarget(&config, pick(&batch, rows)).unwrap();
            for (at, row) in rows.iter().enumerate() {
                assert_eq!(part.next[at], whole.next[*row]);
                let (at, row) = (at * METER_WORDS, row * METER_WORDS);
                assert_eq!(part.state[at..at + METER_WORDS], whole.state[row..row + METER_WORDS]);
            }
        }
        sessions.obey(whole);
    }
}

/// Some rows of a batch.
fn pick(batch: &Batch, rows: &[usize]) -> Batch {
    let long = |column: &[u64]| rows.iter().map(|row| column[*row]).collect();
    let short = |column: &[u32]| rows.iter().map(|row| column[*row]).collect();
    let words = |row: &usize| batch.state[row * METER_WORDS..][..METER_WORDS].to_vec();
    Batch {
        current: long(&batch.current),
        minimum: long(&batch.minimum),
        maximum: long(&batch.maximum),
        accepted: short(&batch.accepted),
        stale: short(&batch.stale),
        rejected: short(&batch.rejected),
        accepted_difficulty: long(&batch.accepted_difficulty),
        window_ms: short(&batch.window_ms),
        connected_ms: short(&batch.connected_ms),
        state: rows.iter().flat_map(words).collect(),
    }
}

/// So many rows, all the same.
fn batch(rows: usize, current: u64, minimum: u64, maximum: u64, accepted: u64, ms: u32) -> Batch {
    Batch {
        current: vec![current; rows],
        minimum: vec![minimum; rows],
        maximum: vec![maximum; rows],
        accepted: vec![1; rows],
        stale: vec![0; rows],
        rejected: vec![0; rows],
        accepted_difficulty: vec![accepted; rows],
        window_ms: vec![ms; rows],
        connected_ms: vec![0; rows],
        state: vec![0; rows * METER_WORDS],
    }
}

#[test]
fn t11_the_host_s_bounds_hold_for_every_row_of_a_batch() {
    let flood = 6400 * ONE;
    for (current, accepted, next) in [
        (ONE, flood, 4 * ONE),
        // Exactly right: 10 in half a minute.
        (2 * ONE, 20 * ONE, 0),
        (ONE, 10 * ONE, 2 * ONE),
        (8 * ONE, flood, 4 * ONE),
        (8 * ONE, 80 * ONE, 4 * ONE),
    ] {
        let batch = batch(3, current, 2 * ONE, 4 * ONE, accepted, 30_000);
        let verdicts = Vardiff::retarget(&Config::default(), batch).unwrap();
        assert_eq!(verdicts.next, [next; 3], "{current} {accepted}");
    }
}

#[test]
fn extreme_columns_do_not_overflow() {
    let config = Config { target_shares_per_minute: 6000, ..Config::default() };
    let extremes = [0, 1, ONE, u64::MAX / 128, u64::MAX];
    for current in extremes {
        for accepted in extremes {
            for (minimum, maximum) in [(0, 0), (0, u64::MAX), (u64::MAX, 0)] {
                for ms in [0, 1, u32::MAX] {
                    for state in extremes {
                        let mut batch = batch(1, current, minimum, maximum, accepted, ms);
                        batch.state = vec![state; METER_WORDS];
                        assert_eq!(Vardiff::retarget(&config, batch).unwrap().next.len(), 1);
                    }
                }
            }
        }
    }
}

#[test]
fn columns_that_differ_in_length_are_refused() {
    let mut uneven = batch(2, ONE, 1, ONE, 0, 0);
    uneven.window_ms.pop();
    let refusal = Vardiff::retarget(&Config::default(), uneven);
    assert!(matches!(refusal, Err(PluginError::InvalidInput(_))));
}

#[test]
fn a_session_starts_where_it_was_else_where_it_asks_else_where_its_kind_does_else_easy() {
    let text = r#"{"start": [
        {"agent": "cpuminer-multi", "difficulty": "2"}, {"agent": "CPUMINER", "difficulty": 4}
    ]}"#;
    let config = check_config::<Vardiff>(text).ok().unwrap().config;
    for (previous, hint, agent, first) in [
        (Some(3), Some(5), "cpuminer/2.5.1", 3),
        (None, Some(5), "cpuminer/2.5.1", 5),
        (None, None, "cpuminer/2.5.1", 4),
        (None, None, "cpuminer-multi/1.3.7", 2),
        (None, None, "bitaxe", 1),
        (None, Some(64), "bitaxe", 8),
        (Some(0), None, "bitaxe", 1),
    ] {
        let hello = Hello {
            previous: previous.map(|previous| previous * ONE),
            hint: hint.map(|hint| hint * ONE),
            minimum: ONE,
            maximum: 8 * ONE,
            ..hello(agent)
        };
        let difficulty = Vardiff::initial(&config, vec![hello]).unwrap();
        assert_eq!(difficulty, [first * ONE], "{previous:?} {hint:?} {agent}");
    }
}

#[test]
fn nonsense_is_refused_with_its_place() {
    for (text, at) in [
        (r#"{"target_shares_per_minute": 0}"#, "/target_shares_per_minute"),
        (r#"{"retarget_interval_s": 3601}"#, "/retarget_interval_s"),
        (r#"{"tolerance_percent": 4}"#, "/tolerance_percent"),
        (r#"{"start": [{"agent": "x"}]}"#, "/start/0"),
        (r#"{"start": [{"agent": "x", "difficulty": 0}]}"#, "/start/0/difficulty"),
        (r#"{"target": 20}"#, "/target"),
    ] {
        assert_eq!(check_config::<Vardiff>(text).err().unwrap()[0].at, at, "{text}");
    }
}
