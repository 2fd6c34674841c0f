//! What swapping costs while miners submit as fast as they can: reply times with and without
//! swaps in the same run, how soon a component is active, and what memory thousands of swaps
//! leave behind. `cargo bench -p chimera --bench swap` prints the table; `cargo test` runs it
//! small and checks that no share is lost and nobody is disconnected.
#![expect(clippy::print_stdout, reason = "a benchmark")]

mod common;

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use chimera::miner::{MinerJob, Subscription, scan};
use chimera_pow::{Algorithm, Difficulty};
use serde_json::{Value, json};

use common::Pool;

const MINERS: usize = 4;
/// Submissions each miner has under way.
const IN_FLIGHT: usize = 16;
/// Tens of hashes a share: the pool is what is busy.
const EASY: [&str; 2] = ["0.00000001", "0.000000011"];

/// What goes on: nothing but mining, mining and swapping, or the end.
const CALM: usize = 0;
const SWAPPING: usize = 1;
const OVER: usize = 2;

fn main() {
    let full = std::env::args().any(|arg| arg == "--bench");
    let (phase, rounds, fresh, swaps) = match full {
        true => (Duration::from_secs(30), 2, 15, 10_000),
        false => (Duration::from_secs(2), 1, 2, 30),
    };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let plugins = dir.path().join("plugins");
    std::fs::create_dir(&plugins).expect("writable");
    let config = format!("{{ difficulty = \"{}\" }}", EASY[0]);
    let pool = Pool::start(
        &dir.path().join("data"),
        &[
            ("STRATUM__DIFFICULTY_MIN", "1e-9"),
            ("DIFFICULTY__STRATEGY", "difficulty-fixed"),
            ("DIFFICULTY__CONFIG", &config),
            ("DIFFICULTY__RETARGET_INTERVAL_S", "1"),
            ("PLUGINS__DIRECTORY", plugins.to_str().expect("a temporary path is text")),
        ],
    );
    // First, while there is nothing to settle again.
    soon_active(&pool, &plugins, fresh, full);
    let turns = under_load(&pool, phase, rounds, full);
    left_behind(&pool, turns, swaps, full);
}

/// The same miners, calm and swapped at, in turns. Says how often each slot was swapped.
fn under_load(pool: &Pool, phase: Duration, rounds: usize, full: bool) -> usize {
    let goes_on = Arc::new(AtomicUsize::new(CALM));
    let miners: Vec<JoinHandle<Mined>> = (0..MINERS)
        .map(|number| {
            let (stratum, goes_on) = (pool.stratum.clone(), Arc::clone(&goes_on));
            std::thread::spawn(move || Miner::connect(&stratum, number).mine(&goes_on))
        })
        .collect();
    let mut swaps = 0;
    for _ in 0..rounds {
        goes_on.store(CALM, Ordering::Relaxed);
        std::thread::sleep(phase);
        goes_on.store(SWAPPING, Ordering::Relaxed);
        let begun = Instant::now();
        while begun.elapsed() < phase {
            let second = Instant::now();
            for slot in 0..3 {
                swap(pool, swaps, slot);
            }
            swaps += 1;
            std::thread::sleep(Duration::from_secs(1).saturating_sub(second.elapsed()));
        }
    }
    goes_on.store(OVER, Ordering::Relaxed);
    let mined: Vec<Mined> =
        miners.into_iter().map(|miner| miner.join().expect("no miner was disconnected")).collect();
    let accepted: u64 = mined.iter().map(|mined| mined.accepted).sum();
    let on_record = || -> u64 {
        let shares = |number| pool.get(&format!("miners/bench{number}"))["shares"].as_u64();
        (0..MINERS).map(|number| shares(number).unwrap_or(0)).sum()
    };
    // Totals follow the log within a second, later while it is busy.
    let deadline = Instant::now() + Duration::from_secs(60);
    while on_record() != accepted && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(200));
    }
    let recorded = on_record();
    assert_eq!(recorded, accepted, "every acknowledged share is on record, once");
    if full {
        let times = |phase: usize| -> Vec<Duration> {
            mined.iter().flat_map(|mined| mined.replies[phase].iter().copied()).collect()
        };
        let (calm, swapped) = (times(CALM), times(SWAPPING));
        let counts = (calm.len(), swapped.len());
        let [calm, swapped] = [calm, swapped].map(|times| (at(times.clone(), 50), at(times, 99)));
        println!("{MINERS} miners x {IN_FLIGHT} in flight; {swaps} x 3 swaps, one second apart");
        println!("  shares calm, swapped at       {:>9} {:>9}", counts.0, counts.1);
        println!("  lost or doubled, disconnected {:>9} {:>9}", 0, 0);
        println!("  reply p50, ms                 {:>9.3} {:>9.3}", calm.0, swapped.0);
        let ratio = swapped.1 / calm.1;
        println!(
            "  reply p99, ms                 {:>9.3} {:>9.3}   ratio {ratio:.2}, limit 1.20",
            calm.1, swapped.1
        );
    }
    swaps
}

/// Exchanges what fills a slot; every second time it is as it was.
fn swap(pool: &Pool, turn: usize, slot: usize) {
    let odd = turn % 2;
    let (scheme, worker) = (["payout-prop", "payout-pplns"][odd], ["a", "b"][odd]);
    let (slot, body) = match slot {
        0 => ("payout", json!({ "component": scheme })),
        1 => (
            "difficulty",
            json!({ "component": "difficulty-fixed", "config": { "difficulty": EASY[1 - odd] } }),
        ),
        _ => ("auth", json!({ "component": "auth-open", "config": { "default_worker": worker } })),
    };
    active(&pool.post(&format!("plugins/{slot}/swap"), &body));
}

fn active(answer: &Value) {
    assert_eq!(answer["outcome"], "active", "{answer:#}");
}

/// From the request to the generation in force: new bytes, and bytes seen before.
fn soon_active(pool: &Pool, plugins: &Path, fresh: usize, full: bool) {
    // The smallest component there is; it does nothing bad unless it is told to.
    let target = Path::new(env!("CARGO_BIN_EXE_chimera")).ancestors().nth(2);
    let file = target.expect("the binary is in target/").join("components/hostile.wasm");
    let bytes = std::fs::read(&file).expect("the build leaves it there");
    let config = json!({ "misdeed": "none" });
    let (mut cold, mut cached) = (Vec::new(), Vec::new());
    for number in 0..fresh {
        let name = format!("payout-fresh-{number}");
        // A custom section of its own makes it another component.
        let mut other = bytes.clone();
        let label = format!("{number:08}");
        other.extend([0, 1 + label.len() as u8, label.len() as u8]);
        other.extend(label.as_bytes());
        std::fs::write(plugins.join(format!("{name}.wasm")), &other).expect("writable");
        let timed = |body: Value| {
            let begun = Instant::now();
            active(&pool.post("plugins/payout/swap", &body));
            begun.elapsed()
        };
        let fresh = json!({ "component": name, "config": config });
        let back = json!({ "component": "payout-pplns" });
        cold.push(timed(fresh.clone()));
        timed(back.clone());
        cached.push(timed(fresh));
        timed(back);
    }
    if full {
        let kb = bytes.len() / 1000;
        println!("from the request to active, a component of {kb} kB, medians of {fresh}");
        println!("  compiled now                  {:>9.1} ms   limit 200 ms", at(cold, 50));
        println!("  compiled before               {:>9.1} ms   limit 10 ms", at(cached, 50));
    }
}

/// Memory after many swaps, against memory after ten.
fn left_behind(pool: &Pool, turns: usize, swaps: usize, full: bool) {
    let mut after_ten = 0;
    for turn in 0..swaps {
        // Each slot gets every third one, and goes on where it is.
        swap(pool, turns + turn / 3, turn % 3);
        if turn + 1 == 10 {
            after_ten = pool.resident_kb();
        }
    }
    let after_all = pool.resident_kb();
    if full {
        let ratio = after_all as f64 / after_ten as f64;
        println!(
            "memory after ten swaps {after_ten} kB, after {swaps} {after_all} kB   ratio {ratio:.3}, limit 1.05"
        );
    }
}

/// A percentile, in milliseconds.
fn at(mut times: Vec<Duration>, percent: usize) -> f64 {
    times.sort_unstable();
    let index = (times.len() * percent / 100).min(times.len() - 1);
    times[index].as_secs_f64() * 1e3
}

/// What one miner saw.
#[derive(Default)]
struct Mined {
    accepted: u64,
    /// Reply times, calm and swapped at.
    replies: [Vec<Duration>; 2],
}

/// A miner that keeps some submissions under way.
struct Miner {
    lines: BufReader<TcpStream>,
    user: String,
    subscription: Subscription,
    difficulty: Difficulty,
    job: Option<MinerJob>,
    extranonce2: u128,
}

impl Miner {
    fn connect(stratum: &str, number: usize) -> Self {
        let socket = TcpStream::connect(stratum).expect("it listens");
        socket.set_nodelay(true).expect("a socket");
        let mut lines = BufReader::new(socket);
        let user = format!("bench{number}.rig");
        let subscribe = json!({ "id": 1, "method": "mining.subscribe", "params": [] });
        let authorize = json!({ "id": 2, "method": "mining.authorize", "params": [user, "x"] });
        let hello = format!("{subscribe}\n{authorize}\n");
        lines.get_mut().write_all(hello.as_bytes()).expect("writable");
        let answer = read(&mut lines);
        let subscription =
            Subscription::from_values(&answer["result"][1], &answer["result"][2]).expect("one");
        let (difficulty, job) = (Difficulty::ONE, None);
        let mut miner = Self { lines, user, subscription, difficulty, job, extranonce2: 0 };
        while miner.job.is_none() {
            let line = read(&mut miner.lines);
            miner.heed(&line);
        }
        miner
    }

    /// Takes note of a job or a difficulty; anything else is an answer.
    fn heed(&mut self, line: &Value) -> bool {
        let params = &line["params"];
        match line["method"].as_str() {
            Some("mining.set_difficulty") => {
                let number = params[0].as_f64().expect("a number");
                self.difficulty = Difficulty::new(number).expect("a difficulty");
            }
            Some("mining.notify") => {
                let fields = params.as_array().expect("parameters");
                let (subscription, difficulty) = (&self.subscription, self.difficulty);
                let job =
                    MinerJob::from_notify(fields, subscription, difficulty, Algorithm::Blake2s);
                self.job = Some(job.expect("a job a miner understands"));
            }
            _ => return line.get("method").is_some(),
        }
        true
    }

    fn mine(mut self, goes_on: &AtomicUsize) -> Mined {
        let mut mined = Mined::default();
        let mut under_way: VecDeque<(Instant, usize)> = VecDeque::new();
        let mut id = 10_u64;
        loop {
            let phase = goes_on.load(Ordering::Relaxed);
            while phase != OVER && under_way.len() < IN_FLIGHT {
                let job = self.job.clone().expect("there was one before mining began");
                self.extranonce2 += 1;
                let Some(found) = scan(&job, self.extranonce2, 0..100_000) else { continue };
                let params = job.submit_params(&self.user, &found);
                let line = json!({ "id": id, "method": "mining.submit", "params": params });
                id += 1;
                under_way.push_back((Instant::now(), phase));
                self.lines.get_mut().write_all(format!("{line}\n").as_bytes()).expect("writable");
            }
            if under_way.is_empty() {
                return mined;
            }
            let line = read(&mut self.lines);
            if self.heed(&line) {
                continue;
            }
            // Replies come in the order of the requests.
            let (sent, phase) = under_way.pop_front().expect("an answer to a submission");
            mined.replies[phase].push(sent.elapsed());
            mined.accepted += u64::from(line["result"] == true);
        }
    }
}

fn read(lines: &mut BufReader<TcpStream>) -> Value {
    let mut line = String::new();
    let count = lines.read_line(&mut line).expect("readable");
    assert!(count > 0, "the pool closed the connection");
    serde_json::from_str(&line).expect("every line is JSON")
}
