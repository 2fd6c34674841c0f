//! What it costs to make shares durable, beside the least it could cost: writing as many
//! bytes to a file and waiting for the disk. Totals are counted and the write-ahead log is
//! checked in beside it, as in a pool. And how long a storm of new workers takes.
//!
//! `cargo bench -p chimera-store` prints the table; `cargo test` runs it small and only checks
//! that every share is there and counted.
#![expect(clippy::print_stdout, reason = "a benchmark")]

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chimera_pow::{Difficulty, PowHash, Work};
use chimera_store::{ShareRecord, Store};
use chimera_work::WorkerId;
use tempfile::TempDir;
use tokio::task::JoinSet;

const WORKERS: u32 = 100;
const SIZES: [u32; 5] = [1, 100, 1_000, 3_200, 8_000];
/// Bytes of a share: its hash, and who found it, how and when.
const SHARE_BYTES: u32 = 42;
const COUNT_PAUSE: Duration = Duration::from_millis(250);
/// Counts to a checkpoint.
const COUNTS: u32 = 4;

fn main() {
    let full = std::env::args().any(|arg| arg == "--bench");
    let (sizes, spell, newcomers) = if full {
        (SIZES.as_slice(), Duration::from_secs(5), 10_000)
    } else {
        (&SIZES[..3], Duration::from_millis(20), 300)
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("threads are available");
    if full {
        println!(
            "shares of {WORKERS} workers, fsync on; bare: write and fdatasync of as many bytes"
        );
        println!("                     commit, us                   bare, us         ratio");
        println!(
            " batch  shares/s     p50    p99   mean    CPU     p50    p99   mean    p50   mean"
        );
    }
    for &size in sizes {
        let bare = bare(size, spell / 2);
        let log = runtime.block_on(log(size, spell));
        if full {
            println!(
                "{size:>6} {:>9.0} {:>7.0} {:>6.0} {:>6.0} {:>6.0} {:>7.0} {:>6.0} {:>6.0} {:>6.2} {:>6.2}",
                f64::from(size) * 1e6 / log.mean(),
                log.at(0.5),
                log.at(0.99),
                log.mean(),
                log.cpu.as_secs_f64() * 1e6 / log.took.len() as f64,
                bare.at(0.5),
                bare.at(0.99),
                bare.mean(),
                log.at(0.5) / bare.at(0.5),
                log.mean() / bare.mean(),
            );
        }
    }
    let (took, commits) = runtime.block_on(storm(newcomers));
    if full {
        let took = took.as_millis();
        println!("{newcomers} new workers at once: {took} ms, beside {commits} commits of a share");
    }
}

/// How long each of many commits took.
struct Spell {
    took: Vec<Duration>,
    /// Of the whole process.
    cpu: Duration,
}

impl Spell {
    fn of(mut took: Vec<Duration>, cpu: Duration) -> Self {
        took.sort_unstable();
        Self { took, cpu }
    }

    /// Microseconds at a part of all.
    fn at(&self, part: f64) -> f64 {
        let index = (self.took.len() as f64 * part) as usize;
        self.took[index.min(self.took.len() - 1)].as_secs_f64() * 1e6
    }

    fn mean(&self) -> f64 {
        self.took.iter().sum::<Duration>().as_secs_f64() * 1e6 / self.took.len() as f64
    }
}

async fn open() -> (TempDir, Arc<Store>) {
    let directory = directory();
    let store = Store::open(&directory.path().join("pool.db")).await.expect("opens");
    (directory, Arc::new(store))
}

fn directory() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory")
}

async fn log(size: u32, spell: Duration) -> Spell {
    let (_directory, store) = open().await;
    let mut workers = Vec::new();
    for worker in 0..WORKERS {
        let name = format!("rig{worker}");
        workers.push(store.worker("ann", &name, 0).await.expect("registers"));
    }
    let mut shares: Vec<_> = (0..size).map(|seed| share(seed, &workers)).collect();
    let counting = tokio::spawn(count(Arc::clone(&store)));
    let (mut next, mut took) = (1, Vec::new());
    let (began, used) = (Instant::now(), cpu_time());
    while began.elapsed() < spell {
        shares.iter_mut().for_each(|share| share.time_ms += 1);
        let start = Instant::now();
        store.append_shares(next, &shares, 0).await.expect("appends");
        took.push(start.elapsed());
        next += u64::from(size);
    }
    let cpu = cpu_time().saturating_sub(used);
    counting.abort();
    let _ = counting.await;
    store.count_shares().await.expect("counts");
    assert_eq!(store.last_seq().await.expect("readable"), next - 1, "every share is there");
    let stats = store.stats(0).await.expect("readable");
    assert_eq!(stats.shares, next - 1, "every share is counted, once");
    Spell::of(took, cpu)
}

async fn count(store: Arc<Store>) {
    for round in 1_u32.. {
        tokio::time::sleep(COUNT_PAUSE).await;
        store.count_shares().await.expect("counts");
        if round % COUNTS == 0 {
            store.checkpoint().await.expect("checks in");
        }
    }
}

/// The least a commit could be.
fn bare(size: u32, spell: Duration) -> Spell {
    let directory = directory();
    let mut file = File::create(directory.path().join("bare")).expect("a file");
    let bytes = vec![7; (size * SHARE_BYTES) as usize];
    let (mut took, began) = (Vec::new(), Instant::now());
    while began.elapsed() < spell {
        let start = Instant::now();
        file.write_all(&bytes).and_then(|()| file.sync_data()).expect("written");
        took.push(start.elapsed());
    }
    Spell::of(took, Duration::ZERO)
}

/// So many workers at once that nobody has seen, while shares go on.
async fn storm(newcomers: u32) -> (Duration, u32) {
    let (_directory, store) = open().await;
    let ann = store.worker("ann", "rig", 0).await.expect("registers");
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    for miner in 0..newcomers {
        let store = Arc::clone(&store);
        tasks.spawn(async move { store.worker(&format!("miner{miner}"), "rig", 0).await });
    }
    let all = tasks.join_all();
    let mut all = std::pin::pin!(all);
    let (mut commits, share) = (0, share(0, &[ann]));
    let outcomes = loop {
        tokio::select! {
            outcomes = &mut all => break outcomes,
            appended = store.append_shares(u64::from(commits) + 1, std::slice::from_ref(&share), 0) => {
                appended.expect("appends");
                commits += 1;
            }
        }
    };
    let took = began.elapsed();
    assert!(outcomes.iter().all(Result::is_ok), "everybody is let in");
    assert_eq!(store.workers().await.expect("readable").len() as u32, newcomers + 1);
    (took, commits)
}

fn share(seed: u32, workers: &[WorkerId]) -> ShareRecord {
    let mut hash = [0; 32];
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = (seed.wrapping_mul(2_654_435_761) >> (at % 24)) as u8;
    }
    ShareRecord {
        worker: workers[seed as usize % workers.len()],
        work: Work::from_hashes(1 << 20),
        network_work: Work::from_hashes(1 << 60),
        difficulty: Difficulty::ONE,
        height: 1_000_000,
        time_ms: 1_700_000_000_000,
        hash: PowHash(hash),
    }
}

/// What this process has used of the processors.
fn cpu_time() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").expect("a running process");
    let used = |path| std::fs::read_to_string(path).ok()?.split(' ').next()?.parse::<u64>().ok();
    let nanos = tasks.flatten().filter_map(|task| used(task.path().join("schedstat")));
    Duration::from_nanos(nanos.sum())
}
