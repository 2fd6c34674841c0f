//! What a shard's connections work with: one buffer, one clock, and the way to the share log.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use chimera_store::ShareRecord;
use chimera_stratum::{LineBuffer, Outbox};

use super::Gate;
use super::inbox::{Inbox, ReplyTo};
use super::slots::Key;
use crate::clock::now_ms;
use crate::work_feed::Work;

/// One read; a hundred submits.
const INPUT_BYTES: usize = 16 * 1024;
/// What a turn says to one miner; a burst may be more, and is not kept for long.
const OUT_BYTES_KEPT: usize = 64 * 1024;
/// Shares judged before they are handed to the share log.
const CREDITS_MAX: usize = 4096;

/// What a shard's connections work with, one after another.
pub(super) struct Desk {
    pub(super) gate: Arc<Gate>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) lines: LineBuffer,
    pub(super) out: Outbox,
    /// Milliseconds since the gate was opened: for deadlines. Never jumps.
    pub(super) now: u64,
    /// Milliseconds since the Unix epoch: for records.
    pub(super) wall_ms: u64,
    /// What is read in this turn was read after this.
    pub(super) turn_began: Instant,
    pub(super) work: Work,
    /// Counts the jobs, so that a connection knows whether it has the newest.
    pub(super) job_number: u64,
    /// Judged in this turn.
    credits: Vec<ShareRecord>,
    /// Whose shares wait for the disk, in the order they were handed in.
    awaiting: VecDeque<(Key, u32)>,
    /// The share log takes no more for now.
    full: bool,
}

impl Desk {
    pub(super) fn new(gate: Arc<Gate>, inbox: Arc<Inbox>) -> Self {
        Self {
            inbox,
            lines: LineBuffer::with_capacity(INPUT_BYTES),
            out: Outbox::default(),
            now: gate.now_ms(),
            wall_ms: now_ms(),
            turn_began: Instant::now(),
            work: Work::Awaited,
            job_number: 0,
            credits: Vec::with_capacity(CREDITS_MAX),
            awaiting: VecDeque::new(),
            full: false,
            gate,
        }
    }

    pub(super) fn reply_to(&self, key: Key) -> ReplyTo {
        ReplyTo { inbox: Arc::clone(&self.inbox), key }
    }

    /// Whether shares have to wait outside, in the miners' sockets.
    pub(super) const fn is_full(&self) -> bool {
        self.full || self.credits.len() >= CREDITS_MAX
    }

    pub(super) fn credit(&mut self, record: ShareRecord, key: Key) {
        self.credits.push(record);
        match self.awaiting.back_mut() {
            Some((last, count)) if *last == key => *count += 1,
            _ => self.awaiting.push_back((key, 1)),
        }
    }

    /// The share of a connection that has ended.
    pub(super) fn credit_of_nobody(&mut self, record: ShareRecord) {
        self.credit(record, Key { index: u32::MAX, turn: u32::MAX });
    }

    /// Hands what was judged to the share log.
    pub(super) fn hand_in(&mut self) {
        if !self.credits.is_empty() {
            self.full = !self.gate.recorder.add(&mut self.credits, &self.inbox);
        }
    }

    /// The same, whether there is room or not.
    pub(super) fn hand_in_all(&mut self) {
        self.gate.recorder.add_last(&mut self.credits, &self.inbox);
    }

    /// Whether something judged was not handed in yet.
    pub(super) const fn has_credits(&self) -> bool {
        !self.credits.is_empty()
    }

    /// Whether the share log has said that it takes no more for now.
    pub(super) const fn is_shut(&self) -> bool {
        self.full
    }

    /// The share log takes shares again.
    pub(super) const fn open(&mut self) {
        self.full = false;
    }

    /// Whose the oldest shares are whose fate is not known, and how many in a row, at most
    /// `most`: it is known now.
    pub(super) fn settle_oldest(&mut self, most: u32) -> Option<(Key, u32)> {
        let (key, waiting) = self.awaiting.front_mut()?;
        let (key, count) = (*key, most.min(*waiting));
        *waiting -= count;
        if *waiting == 0 {
            self.awaiting.pop_front();
        }
        Some((key, count))
    }

    /// Gives back what only a burst needed.
    pub(super) fn rest(&mut self) {
        self.out.bytes.shrink_to(OUT_BYTES_KEPT);
    }

    pub(super) fn look_at_the_clock(&mut self) {
        self.now = self.gate.now_ms();
        self.wall_ms = now_ms();
        self.turn_began = Instant::now();
    }
}
