//! Makes shares durable, many at a time, and only then lets them be answered.
//!
//! Sessions put judged shares into one batch; one task commits it. While a commit runs the
//! next batch fills, so the batch size follows the load by itself. A full batch makes
//! sessions wait, which stops them reading their sockets: nothing is dropped.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chimera_pow::Work;
use chimera_store::{ShareRecord, Store};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::clock::now_ms;
use crate::config::Durability;
use crate::gate::{Inbox, Message};
use crate::health::Probe;

/// Shares waiting for the next commit; at 96 bytes each well below a megabyte.
const BATCH_SHARES_MAX: usize = 8_192;
/// What relaxed shares gather for: nobody waits for their commits, so few are better than many.
const RELAXED_GATHER: Duration = Duration::from_millis(5);
/// How long a batch that cannot be written is retried before its miners are told. Miners
/// resend nothing, so it is worth a wait.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two tries: from here, doubling, up to the second figure.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LONGEST: Duration = Duration::from_secs(1);

/// What became of the oldest unanswered shares of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// So many are on disk.
    Durable(u32),
    /// So many could not be recorded and never will be.
    Lost(u32),
}

#[derive(Debug, Default)]
struct Batch {
    records: Vec<ShareRecord>,
    /// Whose they are: so many in a row of each.
    sources: Vec<(Arc<Inbox>, u32)>,
    /// Who waits for room.
    waiting: Vec<Arc<Inbox>>,
    /// Shares taken out of the batch whose commit has not ended.
    in_flight: u64,
    /// Work recorded since the start.
    recorded: Work,
    closed: bool,
}

impl Batch {
    fn add(&mut self, records: &mut Vec<ShareRecord>, from: &Arc<Inbox>) {
        let count = u32::try_from(records.len()).expect("a turn has few shares");
        self.records.append(records);
        match self.sources.last_mut() {
            Some((last, of_it)) if Arc::ptr_eq(last, from) => *of_it += count,
            _ => self.sources.push((Arc::clone(from), count)),
        }
    }
}

/// What the share log has done since the start.
#[derive(Debug, Default)]
pub(crate) struct RecorderCounters {
    /// Commits that ended well.
    pub commits: AtomicU64,
    /// Shares in them.
    pub shares: AtomicU64,
    /// Time spent in them, microseconds.
    pub commit_us: AtomicU64,
    /// Commits that failed; their shares were tried again or given up.
    pub failures: AtomicU64,
    /// Shares in the largest commit.
    pub batch_max: AtomicU64,
}

/// The entrance to the share log.
#[derive(Debug)]
pub(crate) struct Recorder {
    batch: Mutex<Batch>,
    filled: Notify,
    /// Between two commits, so that more shares are in one.
    gather: Duration,
    /// Sequence number of the newest durable share.
    committed: AtomicU64,
    /// What was done, for the API.
    pub counters: RecorderCounters,
}

impl Recorder {
    /// Continues after the newest durable share.
    pub(crate) fn new(last_seq: u64, durability: Durability) -> Self {
        Self {
            batch: Mutex::default(),
            filled: Notify::new(),
            gather: match durability {
                Durability::Durable => Duration::ZERO,
                Durability::Relaxed => RELAXED_GATHER,
            },
            committed: AtomicU64::new(last_seq),
            counters: RecorderCounters::default(),
        }
    }

    /// Adds the shares of a shard, and empties its list; their fate comes by its inbox, in
    /// order. False while the batch is full: then nothing is added, and a message says when
    /// there is room.
    pub(crate) fn add(&self, records: &mut Vec<ShareRecord>, from: &Arc<Inbox>) -> bool {
        let mut batch = lock(&self.batch);
        if batch.records.len() >= BATCH_SHARES_MAX {
            if !batch.waiting.iter().any(|waiting| Arc::ptr_eq(waiting, from)) {
                batch.waiting.push(Arc::clone(from));
            }
            return false;
        }
        batch.add(records, from);
        drop(batch);
        self.filled.notify_one();
        true
    }

    /// Adds shares of a shard, and empties its list, whether there is room or not: its last
    /// ones, or those before a block.
    pub(crate) fn add_last(&self, records: &mut Vec<ShareRecord>, from: &Arc<Inbox>) {
        if !records.is_empty() {
            lock(&self.batch).add(records, from);
            self.filled.notify_one();
        }
    }

    /// Sequence number of the last share ahead of one that would be added now.
    pub(crate) fn seq_before_next(&self) -> u64 {
        let batch = lock(&self.batch);
        self.committed.load(Ordering::Acquire) + batch.in_flight + batch.records.len() as u64
    }

    /// Work made durable since the start.
    pub(crate) fn recorded_work(&self) -> Work {
        lock(&self.batch).recorded
    }

    /// No more shares will come: [`Self::run`] ends after the last commit.
    pub(crate) fn close(&self) {
        lock(&self.batch).closed = true;
        self.filled.notify_one();
    }

    /// Commits batches until closed and empty.
    pub(crate) async fn run(&self, store: &Store, probe: &Probe) {
        probe.healthy(now_ms());
        let mut in_trouble = false;
        while let Some((records, sources)) = self.take().await {
            let durable = self.commit(store, &records, probe, in_trouble).await;
            in_trouble = !durable;
            let count = records.len() as u64;
            {
                // Both numbers move under the lock, or a reader would count shares twice.
                let mut batch = lock(&self.batch);
                batch.in_flight = 0;
                if durable {
                    self.committed.fetch_add(count, Ordering::Release);
                    batch.recorded += records.iter().map(|record| record.work).sum();
                }
            }
            for (inbox, count) in sources {
                let fate = if durable { Fate::Durable(count) } else { Fate::Lost(count) };
                inbox.put(Message::Fate(fate));
            }
            if !self.gather.is_zero() {
                tokio::time::sleep(self.gather).await;
            }
        }
    }

    async fn take(&self) -> Option<(Vec<ShareRecord>, Vec<(Arc<Inbox>, u32)>)> {
        loop {
            let filled = self.filled.notified();
            {
                let mut batch = lock(&self.batch);
                if !batch.records.is_empty() {
                    batch.in_flight = batch.records.len() as u64;
                    let room = Vec::with_capacity(batch.records.len());
                    let records = std::mem::replace(&mut batch.records, room);
                    let sources = std::mem::take(&mut batch.sources);
                    batch.waiting.drain(..).for_each(|inbox| inbox.put(Message::Room));
                    return Some((records, sources));
                }
                if batch.closed {
                    return None;
                }
            }
            filled.await;
        }
    }

    /// Whether the batch is on disk. Tries for [`PATIENCE`], or once if the batch before
    /// this one was given up.
    async fn commit(
        &self,
        store: &Store,
        records: &[ShareRecord],
        probe: &Probe,
        in_trouble: bool,
    ) -> bool {
        if in_trouble {
            // The batch before was given up, but its last try may have reached the disk.
            match store.last_seq().await {
                Ok(last) => {
                    self.committed.store(last, Ordering::Release);
                    // Blocks placed behind the lost shares must not take in later ones.
                    if store.put_back_blocks().await.is_err() {
                        return false;
                    }
                }
                Err(_) => return false,
            }
        }
        let first_seq = self.committed.load(Ordering::Acquire) + 1;
        let started = Instant::now();
        let mut pause = RETRY_FIRST;
        loop {
            let attempt = Instant::now();
            match store.append_shares(first_seq, records, now_ms()).await {
                Ok(_) => {
                    let spent = u64::try_from(attempt.elapsed().as_micros()).unwrap_or(u64::MAX);
                    self.counters.commit_us.fetch_add(spent, Ordering::Relaxed);
                    self.counters.commits.fetch_add(1, Ordering::Relaxed);
                    self.counters.shares.fetch_add(records.len() as u64, Ordering::Relaxed);
                    self.counters.batch_max.fetch_max(records.len() as u64, Ordering::Relaxed);
                    probe.healthy(now_ms());
                    return true;
                }
                Err(error) => {
                    let advice = "Free space on the disk of pool.data_dir, or make it writable; \
                                  shares are refused until the log can be written.";
                    self.counters.failures.fetch_add(1, Ordering::Relaxed);
                    probe.unhealthy(error, advice, now_ms());
                }
            }
            if in_trouble || started.elapsed() >= PATIENCE {
                return self.is_recorded_after_all(store, first_seq, records.len()).await;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_LONGEST);
        }
    }

    /// A commit can fail after it took effect; only the log knows.
    async fn is_recorded_after_all(&self, store: &Store, first_seq: u64, count: usize) -> bool {
        store.last_seq().await.is_ok_and(|last| last + 1 >= first_seq + count as u64)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
