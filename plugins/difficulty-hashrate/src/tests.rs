//! Sessions of simulated miners, tick by tick.

use chimera_plugin_sdk::check_config;
use chimera_plugin_sdk::testing::{Miner, Sessions, hello};

use super::*;

const ONE: u64 = 1 << 32;

fn sessions(rate: f64) -> Sessions<Hashrate> {
    Sessions::new((1..=200).map(|seed| Miner::new(rate, seed)).collect(), 5_000)
}

fn run(sessions: &mut Sessions<Hashrate>, ticks: usize) {
    let config = Config::default();
    (0..ticks).for_each(|_| sessions.tick(&config));
}

/// How many of the sessions are within so many percent of 20 shares per minute.
fn within(sessions: &Sessions<Hashrate>, percent: f64) -> usize {
    let near = |rate: &f64| (rate - 20.0).abs() <= 20.0 * percent / 100.0;
    sessions.shares_per_minute().filter(near).count()
}

#[test]
fn every_hashrate_gets_a_difficulty_in_proportion() {
    for (rate, ticks) in
        [(20e6, 120), (20e3, 120), (60.0, 120), (20.0, 120), (7.0, 120), (0.02, 240)]
    {
        let mut sessions = sessions(rate);
        run(&mut sessions, ticks);
        let near = within(&sessions, 20.0);
        let mean = sessions.difficulty.iter().sum::<u64>() as f64 / 200.0 / ONE as f64;
        assert!(near >= 180, "{rate}: {near} of 200");
        let proportion = mean * 20.0 / rate;
        assert!((0.9..=1.1).contains(&proportion), "{rate}: {proportion}");
    }
}

#[test]
fn a_hundredfold_hashrate_and_its_end_are_followed() {
    let mut sessions = sessions(20.0);
    run(&mut sessions, 240);
    for (factor, ticks) in [(100.0, 60), (0.01, 96), (1.5, 120)] {
        sessions.miners.iter_mut().for_each(|miner| miner.rate *= factor);
        run(&mut sessions, ticks);
        let near = within(&sessions, 33.0);
        assert!(near >= 175, "x{factor}, {ticks} ticks: {near} of 200");
    }
}

#[test]
fn a_silent_session_gets_easier_step_by_step() {
    let mut sessions = sessions(0.0);
    let config = Config { max_step: 2, ..Config::default() };
    let mut last = ONE;
    for _ in 0..600 {
        sessions.tick(&config);
        assert!(sessions.difficulty[0] <= last && sessions.difficulty[0] >= last / 2);
        last = sessions.difficulty[0];
    }
    assert_eq!(last, 1 << 12);
}

#[test]
fn a_session_starts_where_it_was_else_where_it_asks_else_easy() {
    for (previous, hint, first) in
        [(Some(3), Some(5), 3), (None, Some(5), 5), (None, None, 1), (None, Some(64), 8)]
    {
        let hello = Hello {
            previous: previous.map(|previous| previous * ONE),
            hint: hint.map(|hint| hint * ONE),
            minimum: ONE,
            maximum: 8 * ONE,
            ..hello("bitaxe")
        };
        let difficulty = Hashrate::initial(&Config::default(), vec![hello]).unwrap();
        assert_eq!(difficulty, [first * ONE], "{previous:?} {hint:?}");
    }
}

#[test]
fn nonsense_is_refused_with_its_place() {
    for (text, at) in [
        (r#"{"max_step": 1}"#, "/max_step"),
        (r#"{"target_shares_per_minute": 0}"#, "/target_shares_per_minute"),
        (r#"{"tolerance_percent": 101}"#, "/tolerance_percent"),
        (r#"{"window_s": 9}"#, "/window_s"),
        (r#"{"target": 20}"#, "/target"),
    ] {
        assert_eq!(check_config::<Hashrate>(text).err().unwrap()[0].at, at, "{text}");
    }
}
