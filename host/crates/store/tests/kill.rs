//! `kill -9` in the middle of group commits and of counts, for real: a child process appends
//! and says which shares are acknowledged; it is killed; every acknowledged share is there, and
//! counted, once.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use chimera_pow::{Difficulty, PowHash, Work};
use chimera_store::{ShareRecord, Store};

/// How many acknowledgements the child lives for, in each round.
const ROUNDS: [usize; 4] = [1, 7, 30, 90];
const BATCH: u64 = 3;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("threads are available");
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("--child") {
        let database = arguments.next().expect("the parent names the database");
        return runtime.block_on(append_for_ever(Path::new(&database)));
    }
    t23_every_acknowledged_share_survives_kill_9_once(&runtime);
    eprintln!("test t23_every_acknowledged_share_survives_kill_9_once ... ok");
    ExitCode::SUCCESS
}

fn t23_every_acknowledged_share_survives_kill_9_once(runtime: &tokio::runtime::Runtime) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let database = directory.path().join("pool.db");
    for acknowledgements in ROUNDS {
        let acknowledged = kill_after(acknowledgements, &database);
        runtime.block_on(async {
            let store = Store::open(&database).await.expect("opens after a kill");
            let last = store.last_seq().await.expect("readable");
            assert!(last >= acknowledged, "{acknowledged} acknowledged, {last} there");
            assert_eq!(last % BATCH, 0, "a batch is there as a whole or not at all");
            store.count_shares().await.expect("countable");
            let stats = store.stats(0).await.expect("readable");
            assert_eq!(stats.shares, last, "the totals are those of the log");
            // Share n has work n: any share missing or doubled shows in the sum.
            let sum = u128::from(last) * u128::from(last + 1) / 2;
            assert_eq!(stats.work, Work::from_hashes(sum));
            store.close().await;
        });
    }
}

/// Runs the child until it acknowledged so often; the last number it said.
fn kill_after(acknowledgements: usize, database: &Path) -> u64 {
    let this = std::env::current_exe().expect("this program");
    let mut child = Command::new(this)
        .arg("--child")
        .arg(database)
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts itself");
    let output = child.stdout.take().expect("piped");
    let mut lines = BufReader::new(output).lines().map(|line| line.expect("text"));
    let mut last = lines.nth(acknowledgements - 1).expect("the child appends until it is killed");
    child.kill().expect("SIGKILL");
    child.wait().expect("dead");
    // What it still said before it died counts; a cut last line does not.
    for line in lines {
        if line.ends_with('.') {
            last = line;
        }
    }
    last.trim_end_matches('.').parse().expect("a sequence number")
}

async fn append_for_ever(database: &Path) -> ExitCode {
    let store = Store::open(database).await.expect("opens");
    let worker = store.worker("ann", "rig", 0).await.expect("registers");
    let mut next = store.last_seq().await.expect("readable") + 1;
    loop {
        let share = |seq: u64| ShareRecord {
            worker,
            work: Work::from_hashes(seq.into()),
            network_work: Work::from_hashes(1 << 40),
            difficulty: Difficulty::ONE,
            height: 1,
            time_ms: 0,
            hash: PowHash([0; 32]),
        };
        let batch: Vec<_> = (next..next + BATCH).map(share).collect();
        store.append_shares(next, &batch, 0).await.expect("appends");
        next += BATCH;
        if next % 2 == 0 {
            store.count_shares().await.expect("counts");
        }
        let mut out = std::io::stdout().lock();
        if writeln!(out, "{}.", next - 1).and_then(|()| out.flush()).is_err() {
            return ExitCode::FAILURE;
        }
    }
}
