//! Sessions of seeded miners, window by window.

use chimera_plugin_sdk::check_config;

use super::*;

const ONE: u64 = 1 << 32;

/// A miner whose shares come at random, as in life, from a seed.
struct Miner {
    /// Difficulty-one shares per minute, in thousandths.
    rate_milli: u64,
    difficulty: u64,
    state: Vec<u64>,
    seed: u64,
    window_ms: u32,
    bounds: (u64, u64),
}

impl Miner {
    fn new(rate_milli: u64, difficulty: u64, seed: u64) -> Self {
        let bounds = (ONE >> 20, ONE << 30);
        Self { rate_milli, difficulty, state: vec![0; 2], seed, window_ms: 30_000, bounds }
    }

    fn uniform(&mut self) -> f64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        (self.seed >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Shares per minute the miner is expected to find at its difficulty.
    fn rate(&self) -> f64 {
        self.rate_milli as f64 / 1000.0 * ONE as f64 / self.difficulty as f64
    }

    /// Exponential gaps between shares.
    fn mine(&mut self) -> u32 {
        let window_min = f64::from(self.window_ms) / 60_000.0;
        let mut shares = 0;
        let mut time = 0.0;
        loop {
            time -= self.uniform().max(f64::MIN_POSITIVE).ln() / self.rate();
            if time > window_min {
                return shares;
            }
            shares += 1;
        }
    }

    /// One window and its verdict: whether the difficulty changed.
    fn retarget(&mut self, config: &Config) -> bool {
        let shares = self.mine();
        let batch = Batch {
            current: vec![self.difficulty],
            minimum: vec![self.bounds.0],
            maximum: vec![self.bounds.1],
            accepted: vec![shares],
            stale: vec![0],
            rejected: vec![0],
            accepted_difficulty: vec![u64::from(shares) * self.difficulty],
            window_ms: vec![self.window_ms],
            connected_ms: vec![0],
            state: self.state.clone(),
        };
        let verdicts = Vardiff::retarget(config, batch).unwrap();
        self.state = verdicts.state;
        if verdicts.next[0] != 0 {
            self.difficulty = verdicts.next[0];
        }
        verdicts.next[0] != 0
    }
}

#[test]
fn t11_a_miner_64_times_too_fast_is_at_the_target_rate_within_5_retargets() {
    let config = Config::default();
    for seed in 1..=200 {
        for window_ms in [10_000, 30_000, 60_000] {
            let mut miner = Miner::new(64 * 20_000, ONE, seed * 0x9e37_79b9);
            miner.window_ms = window_ms;
            for _ in 0..5 {
                miner.retarget(&config);
            }
            let rate = miner.rate();
            assert!((14.0..=26.0).contains(&rate), "seed {seed}, {window_ms} ms: {rate}/min");
        }
    }
}

#[test]
fn a_miner_64_times_too_slow_is_found_too() {
    let config = Config::default();
    for seed in 1..=50 {
        let mut miner = Miner::new(20_000, 64 * ONE, seed * 0x9e37_79b9);
        for _ in 0..40 {
            miner.retarget(&config);
        }
        let rate = miner.rate();
        assert!((12.0..=30.0).contains(&rate), "seed {seed}: {rate}/min");
    }
}

#[test]
fn a_steady_miner_is_left_alone() {
    let config = Config::default();
    let mut changes = 0;
    for seed in 1..=50 {
        let mut miner = Miner::new(20_000, ONE, seed * 0x9e37_79b9);
        changes += (0..100).filter(|_| miner.retarget(&config)).count();
    }
    // 5000 windows: nothing that swings, and hardly any luck that counts.
    assert!(changes < 2, "{changes} changes");
}

#[test]
fn a_silent_miner_steps_down_to_the_minimum_and_stays() {
    let config = Config::default();
    let mut miner = Miner::new(1, ONE << 30, 1);
    miner.rate_milli = 0;
    miner.seed = 1;
    let mut steps = vec![];
    for _ in 0..200 {
        let window = |difficulty: u64, state: Vec<u64>| Batch {
            current: vec![difficulty],
            minimum: vec![ONE],
            maximum: vec![ONE << 30],
            accepted: vec![0],
            stale: vec![0],
            rejected: vec![0],
            accepted_difficulty: vec![0],
            window_ms: vec![30_000],
            connected_ms: vec![0],
            state,
        };
        let batch = window(miner.difficulty, miner.state.clone());
        let verdicts = Vardiff::retarget(&config, batch).unwrap();
        miner.state = verdicts.state;
        if verdicts.next[0] != 0 {
            assert!(verdicts.next[0] < miner.difficulty);
            assert!(verdicts.next[0] >= miner.difficulty / 64);
            miner.difficulty = verdicts.next[0];
            steps.push(miner.difficulty);
        }
    }
    assert_eq!(steps.last(), Some(&ONE));
}

#[test]
fn t11_the_host_s_bounds_hold_for_every_row_of_a_batch() {
    let config = Config::default();
    let columns = |value: u64| vec![value; 3];
    let batch = Batch {
        current: vec![ONE, 2 * ONE, 8 * ONE],
        minimum: columns(2 * ONE),
        maximum: columns(4 * ONE),
        accepted: vec![20; 3],
        stale: vec![0; 3],
        rejected: vec![0; 3],
        // Far too fast, exactly right (10 in half a minute), far too fast.
        accepted_difficulty: vec![6400 * ONE, 20 * ONE, 6400 * ONE],
        window_ms: vec![30_000; 3],
        connected_ms: vec![0; 3],
        state: vec![0; 6],
    };
    let verdicts = Vardiff::retarget(&config, batch).unwrap();
    assert_eq!(verdicts.next, [4 * ONE, 0, 4 * ONE]);
    assert_eq!(verdicts.state, [0, 0, 20 * ONE, 30_000, 0, 0]);
}

#[test]
fn extreme_columns_do_not_overflow() {
    let config = Config::default();
    let batch = Batch {
        current: vec![u64::MAX, 0, 1],
        minimum: vec![0, 0, u64::MAX],
        maximum: vec![u64::MAX, 0, 0],
        accepted: vec![u32::MAX; 3],
        stale: vec![0; 3],
        rejected: vec![0; 3],
        accepted_difficulty: vec![u64::MAX; 3],
        window_ms: vec![u32::MAX, 0, 1],
        connected_ms: vec![0; 3],
        state: vec![u64::MAX; 6],
    };
    assert_eq!(Vardiff::retarget(&config, batch).unwrap().next.len(), 3);
}

#[test]
fn columns_that_differ_in_length_are_refused() {
    let batch = Batch {
        current: vec![ONE],
        minimum: vec![],
        maximum: vec![ONE],
        accepted: vec![0],
        stale: vec![0],
        rejected: vec![0],
        accepted_difficulty: vec![0],
        window_ms: vec![0],
        connected_ms: vec![0],
        state: vec![0; 2],
    };
    assert!(matches!(
        Vardiff::retarget(&Config::default(), batch),
        Err(PluginError::InvalidInput(_))
    ));
}

#[test]
fn a_session_starts_where_it_asks_else_easy() {
    let hello = |hint| Hello { user_agent: String::new(), hint, minimum: ONE, maximum: 8 * ONE };
    let hellos = vec![hello(None), hello(Some(4 * ONE)), hello(Some(64 * ONE)), hello(Some(1))];
    let first = Vardiff::initial(&Config::default(), hellos).unwrap();
    assert_eq!(first, [ONE, 4 * ONE, 8 * ONE, ONE]);
}

#[test]
fn nonsense_is_refused_with_its_place() {
    for (text, at) in [
        (r#"{"target_shares_per_minute": 0}"#, "/target_shares_per_minute"),
        (r#"{"retarget_interval_s": 3601}"#, "/retarget_interval_s"),
        (r#"{"tolerance_percent": 4}"#, "/tolerance_percent"),
        (r#"{"target": 20}"#, "/target"),
    ] {
        assert_eq!(check_config::<Vardiff>(text).err().unwrap()[0].at, at, "{text}");
    }
}
