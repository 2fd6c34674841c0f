//! A job: a template as it is handed to miners.

use std::fmt;
use std::sync::Arc;

use chimera_pow::Work;
use sha2::{Digest as _, Sha256};

use crate::Template;

/// Bytes of the hole that name the job: the run and the job's number.
pub const SALT_BYTES: usize = 8;

/// Reissues of a shared job to one session: the low byte of its id.
const REISSUES_MAX: u32 = 0xff;

/// A job's number: plain hex on the wire, never used twice in a run (ESP-Miner drops a
/// known id; cpuminer-opt compares the numbers).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u32);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl JobId {
    /// Reads the wire form. Upper case and leading zeros are the same number.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
        digits.then(|| u32::from_str_radix(text, 16).ok())?.map(Self)
    }
}

/// A template with its number, shared by all sessions.
///
/// The number is part of the committed bytes, so no two jobs ever contain the same work:
/// a miner that starts over at a new job cannot repeat a share.
#[derive(Debug, Clone)]
pub struct Job {
    id: JobId,
    run: u32,
    template: Arc<Template>,
    head: Box<[u8]>,
    /// The hash of the commitment up to the hole: the same for every share.
    begun: Sha256,
    network_work: Work,
    clean: bool,
}

impl Job {
    /// Issues a template under a number. `run` differs between any two starts of a pool.
    pub fn new(id: JobId, run: u32, template: Arc<Template>, clean: bool) -> Self {
        let mut head = template.commitment.head.clone();
        head.extend_from_slice(&run.to_be_bytes());
        head.extend_from_slice(&id.0.to_be_bytes());
        Self::over(id, run, template, head.into(), clean)
    }

    /// A job whose commitment carries no salt, as other pools build them: for replaying
    /// recorded jobs.
    pub fn recorded(id: JobId, template: Arc<Template>, clean: bool) -> Self {
        let head = template.commitment.head.clone().into();
        Self::over(id, 0, template, head, clean)
    }

    fn over(id: JobId, run: u32, template: Arc<Template>, head: Box<[u8]>, clean: bool) -> Self {
        let begun = Sha256::new().chain_update(&head);
        let network_work = template.target.work();
        Self { id, run, template, head, begun, network_work, clean }
    }

    /// The same template under a new number for one session, so that a new difficulty can
    /// take effect at once. `None` when the numbers of this job are used up.
    pub fn reissue(&self, nth: u32) -> Option<Self> {
        let shared = self.id.0 & !REISSUES_MAX;
        (nth <= REISSUES_MAX)
            .then(|| Self::new(JobId(shared | nth), self.run, Arc::clone(&self.template), false))
    }

    /// Its number.
    pub const fn id(&self) -> JobId {
        self.id
    }

    /// What it asks for.
    pub const fn template(&self) -> &Arc<Template> {
        &self.template
    }

    /// The committed bytes before the extranonce, salt included: `coinb1` on the wire.
    pub const fn head(&self) -> &[u8] {
        &self.head
    }

    /// The hash of [`head`](Self::head), to be gone on with.
    pub(crate) const fn begun(&self) -> &Sha256 {
        &self.begun
    }

    /// The work a block of it takes.
    pub const fn network_work(&self) -> Work {
        self.network_work
    }

    /// The start of the pool it was issued in.
    pub const fn run(&self) -> u32 {
        self.run
    }

    /// Whether it makes all earlier jobs stale.
    pub const fn clean(&self) -> bool {
        self.clean
    }
}

/// Where a [`JobSequence`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequenceState {
    /// The number of the next shared job.
    pub next: u32,
    /// The round it is in, by the hash of the block before; `None` before the first job.
    pub previous: Option<[u8; 32]>,
}

/// Numbers the jobs of one run and knows when a round begins.
#[derive(Debug)]
pub struct JobSequence {
    run: u32,
    next: u32,
    previous: Option<[u8; 32]>,
}

impl JobSequence {
    /// Starts at job 1. `run` must differ from every earlier start: the store counts them.
    pub const fn new(run: u32) -> Self {
        Self { run, next: 1, previous: None }
    }

    /// Goes on where another process was: its numbers are not used again, and its round is
    /// not begun again.
    pub const fn resume(run: u32, state: SequenceState) -> Self {
        Self { run, next: state.next & 0x00ff_ffff, previous: state.previous }
    }

    /// Where it is.
    pub const fn state(&self) -> SequenceState {
        SequenceState { next: self.next, previous: self.previous }
    }

    /// Makes the next shared job. It is clean when its round is a new one.
    ///
    /// Numbers are spent at 256 a job: at one job per 10 s they last five years.
    pub fn issue(&mut self, template: Arc<Template>) -> Job {
        let clean = self.previous != Some(template.previous);
        self.previous = Some(template.previous);
        let id = JobId(self.next << 8);
        self.next = (self.next + 1) & 0x00ff_ffff;
        Job::new(id, self.run, template, clean)
    }
}
