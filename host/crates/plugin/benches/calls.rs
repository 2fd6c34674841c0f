//! What a component costs beside its own work: a call that does nothing, an instance, a whole
//! login, and 1000 sessions retargeted. Each beside the nearest thing plain Rust does in the
//! same run. `--quick` makes it small.
//!
//! The numbers to stay below: 250 ns a call, 10 us an instance, 30 us for 1000 sessions.

use std::fmt::Debug;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use chimera_plugin::{
    Attempt, AuthPolicy, Batch, DifficultyStrategy, Engines, Grants, Protocol, Registry, Services,
};

/// One measured thing: medians, and what they should stay below.
pub struct Figure {
    what: &'static str,
    component: Duration,
    native: Duration,
    limit: Option<Duration>,
}

#[expect(clippy::print_stdout, reason = "a benchmark prints")]
fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick" || argument == "--test");
    let rounds = if quick { 3 } else { 101 };
    println!("medians of {rounds} rounds");
    for Figure { what, component, native, limit } in measure(rounds) {
        let ns = |time: Duration| time.as_nanos();
        let ratio = component.as_secs_f64() / native.as_secs_f64();
        print!("  {what:40} {:9} ns, {ratio:8.2} x plain Rust ({} ns)", ns(component), ns(native));
        match limit {
            Some(limit) => {
                let part = component.as_secs_f64() / limit.as_secs_f64();
                println!(", {part:5.2} of the limit ({} ns)", ns(limit));
            }
            None => println!(),
        }
    }
}

/// Measures everything, in so many rounds.
pub fn measure(rounds: usize) -> Vec<Figure> {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin-cache");
    let engines = Engines::new(Some(&cache)).expect("this machine runs components");
    let registry = Registry::new(None).expect("no directory to read");
    let (none, find) = (Grants::none(), |name| registry.find(name).expect("shipped"));
    let fixed = DifficultyStrategy::load(&engines, &find("difficulty-fixed"), "", &none);
    let fixed = fixed.expect("it takes its defaults");
    let vardiff = DifficultyStrategy::load(&engines, &find("difficulty-vardiff"), "", &none);
    let vardiff = vardiff.expect("it takes its defaults");
    let open = AuthPolicy::load(&engines, &find("auth-open"), "", &none, Services::none());
    let open = open.expect("it takes its defaults");
    let attempt = attempt();
    let batch = batch(1000, vardiff.state_words());
    let unmoved = self::batch(1000, fixed.state_words());
    let nothing = Mutex::new(Vec::<u64>::new());

    vec![
        Figure {
            what: "a call that does nothing",
            component: median(rounds, 1000, || fixed.probe().expect("it answers")),
            native: median(rounds, 1000, || nothing.lock().map(|rows| rows.clone())),
            limit: Some(Duration::from_nanos(250)),
        },
        Figure {
            what: "an instance",
            component: median(rounds, 100, || open.probe().expect("there is a place")),
            // What an instance begins with: a megabyte of stack, and a page for the rest.
            native: median(rounds, 100, || vec![0_u8; 17 << 16]),
            limit: Some(Duration::from_micros(10)),
        },
        Figure {
            what: "a login: instance, settings, decision",
            component: median(rounds, 100, || open.authorize(&attempt).expect("it decides")),
            native: median(rounds, 100, || attempt.clone()),
            limit: None,
        },
        Figure {
            what: "1000 sessions kept as they are",
            component: median_of(rounds, || timed(|batch| fixed.retarget(batch), &unmoved)),
            native: median(rounds, 1, || unmoved.clone()),
            limit: None,
        },
        Figure {
            what: "1000 sessions retargeted",
            component: median_of(rounds, || timed(|batch| vardiff.retarget(batch), &batch)),
            native: median(rounds, 1, || natively(&batch)),
            limit: Some(Duration::from_micros(30)),
        },
    ]
}

/// One call. Building the question is not the component's time.
fn timed<T, E: Debug>(call: impl FnOnce(Batch) -> Result<T, E>, batch: &Batch) -> Duration {
    let question = batch.clone();
    let start = Instant::now();
    let answer = call(question);
    let took = start.elapsed();
    black_box(answer).expect("it decides");
    took
}

fn attempt() -> Attempt {
    Attempt {
        remote_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        listener: "stratum".to_owned(),
        protocol: Protocol::StratumV1,
        tls: false,
        user: "alice.rig1".to_owned(),
        password: None,
        user_agent: "cpuminer/2.5.1".to_owned(),
        at_ms: 1_700_000_000_000,
    }
}

/// Half a minute of sessions at one share in three seconds, some too fast.
fn batch(rows: usize, words: usize) -> Batch {
    let shares = |row: usize| 8 + (row * 7 % 50) as u32;
    Batch {
        current: vec![1 << 32; rows],
        minimum: vec![1 << 22; rows],
        maximum: vec![1 << 52; rows],
        accepted: (0..rows).map(shares).collect(),
        stale: vec![0; rows],
        rejected: vec![0; rows],
        accepted_difficulty: (0..rows).map(|row| u64::from(shares(row)) << 32).collect(),
        window_ms: vec![30_000; rows],
        connected_ms: vec![60_000; rows],
        state: vec![0; rows * words],
    }
}

/// The least any strategy computes: the difficulty at which the rate would be right.
fn natively(batch: &Batch) -> Vec<u64> {
    let rows = batch.accepted_difficulty.iter().zip(&batch.window_ms);
    let right = rows
        .map(|(difficulty, ms)| (u128::from(*difficulty) * 3000 / u128::from((*ms).max(1))) as u64);
    let bounds = batch.minimum.iter().zip(&batch.maximum);
    right.zip(bounds).map(|(next, (low, high))| next.clamp(*low, *high)).collect()
}

/// The median time of one call, over rounds of so many.
fn median<T>(rounds: usize, calls: u32, mut call: impl FnMut() -> T) -> Duration {
    median_of(rounds, || {
        let start = Instant::now();
        for _ in 0..calls {
            black_box(call());
        }
        start.elapsed() / calls
    })
}

fn median_of(rounds: usize, mut round: impl FnMut() -> Duration) -> Duration {
    let mut times: Vec<Duration> = (0..rounds).map(|_| round()).collect();
    times.sort();
    // A clock may be coarse; nothing takes no time.
    times[rounds / 2].max(Duration::from_nanos(1))
}
