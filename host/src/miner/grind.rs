//! The hashing: a cursor through one worker's part of the nonce space, and the two things
//! that push cursors forward: operating-system threads (people's machines) and a task of
//! the runtime (virtual miners, hundreds to a process).

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chimera_pow::Header;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::job::{Found, MinerJob};

/// Hashes between two looks at the job: under a millisecond, so a clean job aborts at once.
const BATCH_HASHES: u64 = 4096;
/// Batches per second of a throttled worker.
const BATCHES_PER_S: u64 = 20;
/// Nonces of one extranonce2.
const NONCES: u64 = 1 << 32;

/// Looks through nonces of one extranonce2 for the first share.
pub fn scan(job: &MinerJob, extranonce2: u128, nonces: Range<u64>) -> Option<Found> {
    let mut header = job.header(extranonce2);
    scan_header(job, extranonce2, &mut header, nonces).1
}

/// As [`scan`], on a header made before; also says how many hashes it took.
fn scan_header(
    job: &MinerJob,
    extranonce2: u128,
    header: &mut Header,
    nonces: Range<u64>,
) -> (u64, Option<Found>) {
    let (algorithm, target, first) = (job.algorithm(), job.target(), nonces.start);
    for nonce in nonces.start..nonces.end.min(NONCES) {
        let nonce32 = u32::try_from(nonce).expect("below 2^32: the range was cut there");
        header[76..].copy_from_slice(&nonce32.to_le_bytes());
        let hash = algorithm.hash(header);
        if target.is_met_by(&hash) {
            return (nonce + 1 - first, Some(Found { extranonce2, nonce: nonce32, hash }));
        }
    }
    (nonces.end.min(NONCES).saturating_sub(first), None)
}

/// An answer with the job it answers.
pub(super) type Answer = (Arc<MinerJob>, Found);

/// One worker's way through its part of the nonce space: every `stride`-th extranonce2,
/// all nonces of each. The same job and start always give the same order.
#[derive(Debug)]
struct Cursor {
    start: u128,
    first: u128,
    stride: u128,
    job: Option<Arc<MinerJob>>,
    /// Steps from `start`; above the job's largest extranonce2 the part is exhausted.
    offset: u128,
    nonce: u64,
    header: Header,
}

impl Cursor {
    fn new(seed: u64, worker: usize, workers: usize) -> Self {
        Self {
            start: u128::from(seed),
            first: worker as u128,
            stride: workers as u128,
            job: None,
            offset: 0,
            nonce: 0,
            header: [0; 80],
        }
    }

    /// Turns to a job; one that is the same work under another name is continued.
    fn turn_to(&mut self, job: Arc<MinerJob>) {
        if !self.job.as_ref().is_some_and(|last| last.same_work(&job)) {
            self.offset = self.first;
            self.nonce = 0;
            self.header = job.header(self.extranonce2(&job));
        }
        self.job = Some(job);
    }

    /// Up to so many hashes; stops behind a share. No hashes: nothing is left to try.
    fn step(&mut self, hashes_max: u64) -> (u64, Option<Answer>) {
        let Some(job) = self.job.clone() else { return (0, None) };
        if self.nonce == NONCES {
            self.nonce = 0;
            self.offset = self.offset.saturating_add(self.stride);
            self.header = job.header(self.extranonce2(&job));
        }
        if self.offset > job.extranonce2_max() {
            return (0, None);
        }
        let nonces = self.nonce..(self.nonce + hashes_max).min(NONCES);
        let extranonce2 = self.extranonce2(&job);
        let (hashes, found) = scan_header(&job, extranonce2, &mut self.header, nonces);
        self.nonce += hashes;
        (hashes, found.map(|found| (job, found)))
    }

    fn extranonce2(&self, job: &MinerJob) -> u128 {
        self.start.wrapping_add(self.offset) & job.extranonce2_max()
    }
}

/// Keeps a worker below a rate: says how long to rest after so many hashes.
#[derive(Debug)]
struct Pace {
    hashes_per_s: Option<u64>,
    since: Instant,
    hashes: u64,
}

impl Pace {
    fn new(hashes_per_s: Option<u64>, now: Instant) -> Self {
        Self { hashes_per_s: hashes_per_s.map(|rate| rate.max(1)), since: now, hashes: 0 }
    }

    fn batch(&self) -> u64 {
        let paced = |rate: u64| (rate / BATCHES_PER_S).clamp(1, BATCH_HASHES);
        self.hashes_per_s.map_or(BATCH_HASHES, paced)
    }

    /// How long to rest. Time lost by waiting for jobs is not caught up.
    fn rest(&mut self, hashes: u64, now: Instant) -> Duration {
        let Some(rate) = self.hashes_per_s else { return Duration::ZERO };
        self.hashes += hashes;
        let due = Duration::from_micros(self.hashes.saturating_mul(1_000_000) / rate);
        let spent = now.saturating_duration_since(self.since);
        if spent > due + Duration::from_secs(1) {
            (self.since, self.hashes) = (now, 0);
        }
        due.saturating_sub(spent)
    }
}

/// Who pushes the cursors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// So many operating-system threads: all the machine has.
    Threads(usize),
    /// One task of the runtime, a batch at a time: for many small miners in one process.
    Task,
}

/// Workers over one job slot. Dropping it stops them.
#[derive(Debug)]
pub(super) struct Grinder {
    /// `None`: rest. Closed: end.
    job: watch::Sender<Option<Arc<MinerJob>>>,
    hashes: Arc<AtomicU64>,
}

impl Grinder {
    /// Starts resting workers; answers go to `found`. Must be called in a runtime.
    pub(super) fn start(
        engine: Engine,
        seed: u64,
        hashes_per_s_max: Option<u64>,
        found: &mpsc::Sender<Answer>,
    ) -> std::io::Result<Self> {
        let (job, jobs) = watch::channel(None);
        let hashes = Arc::new(AtomicU64::new(0));
        let workers = match engine {
            Engine::Threads(count) => count.max(1),
            Engine::Task => 1,
        };
        let rate = hashes_per_s_max.map(|rate| rate / workers as u64);
        let worker = |number| Worker {
            cursor: Cursor::new(seed, number, workers),
            pace: Pace::new(rate, Instant::now()),
            jobs: jobs.clone(),
            hashes: Arc::clone(&hashes),
            found: found.clone(),
        };
        if engine == Engine::Task {
            tokio::spawn(worker(0).run_as_task());
        } else {
            let runtime = Handle::current();
            for number in 0..workers {
                let (worker, runtime) = (worker(number), runtime.clone());
                let thread = std::thread::Builder::new().name(format!("miner {number}"));
                thread.spawn(move || worker.run_as_thread(&runtime))?;
            }
        }
        Ok(Self { job, hashes })
    }

    /// Gives the workers a job; they leave the one before within a millisecond.
    pub(super) fn work(&self, job: Arc<MinerJob>) {
        self.job.send_replace(Some(job));
    }

    /// Lets the workers rest: without a pool, hashes are waste.
    pub(super) fn rest(&self) {
        self.job.send_replace(None);
    }

    /// Hashes so far, of all workers.
    pub(super) fn hashes(&self) -> u64 {
        self.hashes.load(Ordering::Relaxed)
    }
}

struct Worker {
    cursor: Cursor,
    pace: Pace,
    jobs: watch::Receiver<Option<Arc<MinerJob>>>,
    hashes: Arc<AtomicU64>,
    found: mpsc::Sender<Answer>,
}

impl Worker {
    /// Takes the newest job if there is a newer one. `false`: nothing to do now.
    fn look(&mut self) -> bool {
        if self.jobs.has_changed().unwrap_or(false)
            && let Some(job) = self.jobs.borrow_and_update().clone()
        {
            self.cursor.turn_to(job);
        }
        self.jobs.borrow().is_some()
    }

    fn batch(&mut self) -> (u64, Option<Answer>) {
        let (hashes, answer) = self.cursor.step(self.pace.batch());
        self.hashes.fetch_add(hashes, Ordering::Relaxed);
        (hashes, answer)
    }

    /// Waits for another job, and leaves it unseen for the next look. `false`: the end.
    async fn job_changed(&mut self) -> bool {
        let changed = self.jobs.changed().await.is_ok();
        self.jobs.mark_changed();
        changed
    }

    fn ended(&self) -> bool {
        self.jobs.has_changed().is_err() || self.found.is_closed()
    }

    fn run_as_thread(mut self, runtime: &Handle) {
        while !self.ended() {
            let (hashes, answer) = if self.look() { self.batch() } else { (0, None) };
            if answer.is_some_and(|answer| self.found.blocking_send(answer).is_err()) {
                return;
            }
            if hashes == 0 {
                if !runtime.block_on(self.job_changed()) {
                    return;
                }
                continue;
            }
            let rest = self.pace.rest(hashes, Instant::now());
            if !rest.is_zero() {
                std::thread::sleep(rest);
            }
        }
    }

    async fn run_as_task(mut self) {
        while !self.ended() {
            let (hashes, answer) = if self.look() { self.batch() } else { (0, None) };
            if let Some(answer) = answer
                && self.found.send(answer).await.is_err()
            {
                return;
            }
            if hashes == 0 {
                if !self.job_changed().await {
                    return;
                }
                continue;
            }
            match self.pace.rest(hashes, Instant::now()) {
                Duration::ZERO => tokio::task::yield_now().await,
                rest => tokio::time::sleep(rest).await,
            }
        }
    }
}

#[cfg(test)]
#[path = "grind_tests.rs"]
mod tests;
