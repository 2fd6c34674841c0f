//! Difficulties of batches of sessions, through the shipped strategies.

use chimera_plugin::{Batch, Cause, DifficultyStrategy, Grants, Hello};
use chimera_pow::Difficulty;

use crate::{engines, shipped};

const ONE: u64 = 1 << 32;

fn strategy(name: &str, config: &str) -> DifficultyStrategy {
    DifficultyStrategy::load(engines(), &shipped(name), config, &Grants::none()).unwrap()
}

/// Sessions at `current`, watched for half a minute, with so many shares each.
pub(crate) fn batch(words: usize, sessions: &[(u64, u32)]) -> Batch {
    let rows = sessions.len();
    Batch {
        current: sessions.iter().map(|session| session.0).collect(),
        minimum: vec![ONE >> 10; rows],
        maximum: vec![ONE << 20; rows],
        accepted: sessions.iter().map(|session| session.1).collect(),
        stale: vec![0; rows],
        rejected: vec![0; rows],
        accepted_difficulty: sessions
            .iter()
            .map(|(current, shares)| current * u64::from(*shares))
            .collect(),
        window_ms: vec![30_000; rows],
        connected_ms: vec![30_000; rows],
        state: vec![0; rows * words],
    }
}

#[test]
fn t11_a_miner_64_times_too_fast_reaches_the_target_rate_within_5_retargets() {
    let vardiff = strategy("difficulty-vardiff", "");
    let mut current = ONE;
    let mut state = vec![0; vardiff.state_words()];
    // 64 times 20 shares a minute at difficulty 1: 640 in half a minute.
    let shares = |current: u64| (640 * ONE / current) as u32;
    for _ in 0..5 {
        let mut batch = batch(vardiff.state_words(), &[(current, shares(current))]);
        batch.state = state;
        let verdicts = vardiff.retarget(batch).unwrap();
        current = verdicts.next[0].unwrap_or(current);
        state = verdicts.state;
    }
    assert!((7..=13).contains(&shares(current)), "{} of 10 shares", shares(current));
}

#[test]
fn ten_thousand_sessions_are_one_call() {
    let vardiff = strategy("difficulty-vardiff", "");
    // Too fast, right, silent for too short to tell.
    let kinds = [(ONE, 640), (ONE, 10), (ONE, 0)];
    let sessions: Vec<(u64, u32)> = kinds.into_iter().cycle().take(10_000).collect();
    let verdicts = vardiff.retarget(batch(vardiff.state_words(), &sessions)).unwrap();
    for (row, next) in verdicts.next.iter().enumerate() {
        assert_eq!(*next, [Some(64 * ONE), None, None][row % 3], "row {row}");
    }
}

#[test]
fn a_fixed_difficulty_is_exact_and_stays_within_bounds() {
    let hello = |hint: Option<f64>, minimum: f64| Hello {
        user_agent: "bfgminer".to_owned(),
        hint: hint.map(|hint| Difficulty::new(hint).unwrap()),
        previous: None,
        minimum: Difficulty::new(minimum).unwrap(),
        maximum: Difficulty::new(1000.0).unwrap(),
    };
    for (config, hello, first) in [
        (r#"{"difficulty":0.5}"#, hello(None, 0.001), 0.5),
        (r#"{"difficulty":"0.5"}"#, hello(Some(2.0), 0.001), 0.5),
        (r#"{"difficulty":0.5,"hint":true}"#, hello(Some(2.0), 0.001), 2.0),
        (r#"{"difficulty":0.5}"#, hello(None, 4.0), 4.0),
        (r#"{"difficulty":4294967295}"#, hello(None, 4.0), 1000.0),
    ] {
        let fixed = strategy("difficulty-fixed", config);
        let got = fixed.initial(std::slice::from_ref(&hello)).unwrap();
        assert_eq!(got, [Difficulty::new(first).unwrap()], "{config} {hello:?}");
        let words = fixed.state_words();
        let verdicts = fixed.retarget(batch(words, &[(ONE / 2, 3)])).unwrap();
        assert_eq!(verdicts.next.len(), 1);
    }
}

#[test]
fn software_with_a_rule_begins_and_stays_within_it() {
    let agent = strategy("difficulty-agent", r#"{"agents":[{"agent":"nicehash","minimum":64}]}"#);
    let hello = Hello {
        user_agent: "NiceHash/1.0.0".to_owned(),
        hint: Difficulty::new(1.0).ok(),
        previous: None,
        minimum: Difficulty::new(0.001).unwrap(),
        maximum: Difficulty::new(1e6).unwrap(),
    };
    assert_eq!(agent.initial(&[hello]).unwrap(), [Difficulty::new(64.0).unwrap()]);
    let mut state = vec![0; agent.state_words()];
    // Silent for an hour: it stays where rented hashrate is accepted.
    for _ in 0..120 {
        let mut batch = batch(agent.state_words(), &[(64 * ONE, 0)]);
        batch.state = state;
        let verdicts = agent.retarget(batch).unwrap();
        assert_eq!(verdicts.next, [None]);
        state = verdicts.state;
    }
}

#[test]
fn a_difficulty_is_proportional_to_the_hashrate() {
    let hashrate = strategy("difficulty-hashrate", "");
    // 80 shares in half a minute where 10 should be.
    let verdicts = hashrate.retarget(batch(hashrate.state_words(), &[(ONE, 80), (ONE, 10)]));
    assert_eq!(verdicts.unwrap().next, [Some(8 * ONE), None]);
}

#[test]
fn an_uneven_batch_is_the_caller_s_mistake_and_changes_nothing() {
    let vardiff = strategy("difficulty-vardiff", "");
    let mut uneven = batch(vardiff.state_words(), &[(ONE, 1), (ONE, 1)]);
    uneven.window_ms.pop();
    let error = vardiff.retarget(uneven).unwrap_err();
    assert_eq!(error.cause, Cause::UnevenBatch { what: "window_ms", expected: 2, found: 1 });
    assert!(vardiff.retarget(batch(vardiff.state_words(), &[(ONE, 640)])).is_ok());
}

#[test]
fn no_sessions_is_no_mistake() {
    let vardiff = strategy("difficulty-vardiff", "");
    assert!(vardiff.retarget(Batch::default()).unwrap().next.is_empty());
    assert!(vardiff.initial(&[]).unwrap().is_empty());
}
