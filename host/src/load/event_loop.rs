//! One thread with many connections: opens them, reads, submits, cuts. What lines mean is in
//! `talk.rs`.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Interest, Poll, Token};

use super::LoadError;
use super::connection::{Connection, Stage};
use super::link::{Got, Link, READ_BYTES};
use super::plan::LoadPlan;
use super::scan::Shape;
use super::shared::{Shared, Times};
use super::tally::Tally;

/// Longest sleep: how late an end or a new stage is noticed.
const TICK: Duration = Duration::from_millis(10);
/// How long answers are waited for at the end.
const DRAIN_NS: u64 = 5_000_000_000;
/// Connections opened between two looks at those there are.
const OPENED_AT_ONCE: usize = 64;
/// A failed connection is tried again after so long; doubled each time, up to 32 times.
const RETRY_NS: u64 = 100_000_000;

/// One event loop with its part of the connections.
pub(super) struct EventLoop {
    pub(super) plan: Arc<LoadPlan>,
    pub(super) shared: Arc<Shared>,
    poll: Poll,
    pub(super) connections: Vec<Connection>,
    pub(super) tally: Tally,
    pub(super) times: Times,
    pub(super) shape: Shape,
    /// Lines to be written, of one connection at a time.
    pub(super) out: Vec<u8>,
    /// Connections that have a job.
    pub(super) working: u32,
    pub(super) in_flight: usize,
    pub(super) hungry: VecDeque<usize>,
    pub(super) bad_sum: u32,
    pub(super) bad_turn: u64,
    opening: usize,
    to_open: VecDeque<usize>,
    later: BinaryHeap<Reverse<(u64, usize)>>,
    pub(super) churn: super::churn::Churn,
}

/// Why a socket is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    /// The pool closed, or the connection broke.
    Lost,
    /// We cut it, by a reset or by closing.
    Cut { reset: bool },
    /// The pool asked us to come again, after so long.
    Asked { wait_ns: u64 },
    /// The pool will not have it.
    Refused,
}

impl EventLoop {
    /// With every connection whose number is `first` and a multiple of the number of threads.
    pub(super) fn new(plan: Arc<LoadPlan>, shared: Arc<Shared>, first: u32) -> io::Result<Self> {
        let all = plan.connections + plan.slow_readers;
        let numbers = (first..all).step_by(plan.threads as usize);
        let connections: Vec<Connection> = numbers
            .map(|number| Connection::new(number, number >= plan.connections, &plan))
            .collect();
        Ok(Self {
            churn: super::churn::Churn::new(&plan, first, connections.len()),
            times: shared.times(),
            poll: Poll::new()?,
            to_open: (0..connections.len()).collect(),
            connections,
            tally: Tally::default(),
            shape: Shape::default(),
            out: Vec::new(),
            working: 0,
            in_flight: 0,
            hungry: VecDeque::new(),
            bad_sum: 0,
            bad_turn: 0,
            opening: 0,
            later: BinaryHeap::new(),
            plan,
            shared,
        })
    }

    /// Until the time is over and every submit is answered.
    pub(super) fn run(mut self) -> io::Result<Tally> {
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; READ_BYTES];
        let mut submitting = false;
        loop {
            let now = self.shared.now_ns();
            self.times = self.shared.times();
            if self.is_over(now) {
                break;
            }
            self.open_due(now);
            self.churn(now);
            if !submitting && self.times.submits(now) {
                submitting = true;
                (0..self.connections.len()).for_each(|index| self.submit(index));
            }
            for _ in 0..self.hungry.len() {
                let Some(index) = self.hungry.pop_front() else { break };
                self.connections[index].hungry = false;
                self.submit(index);
            }
            match self.poll.poll(&mut events, Some(self.sleep(now))) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            for event in &events {
                self.happened(event, &mut buffer);
            }
        }
        self.tally.unanswered_end += self.in_flight as u64;
        Ok(self.tally)
    }

    fn is_over(&self, now: u64) -> bool {
        let Times { to_ns, .. } = self.times;
        let drained = self.in_flight == 0 || now >= to_ns.saturating_add(DRAIN_NS);
        self.shared.abort.load(Ordering::Relaxed) || (now >= to_ns && drained)
    }

    fn sleep(&self, now: u64) -> Duration {
        let room = self.opening < self.at_once() && !self.to_open.is_empty();
        if room || !self.hungry.is_empty() {
            return Duration::ZERO;
        }
        let next = self.later.peek().map_or(u64::MAX, |Reverse((at, _))| *at);
        TICK.min(Duration::from_nanos(next.saturating_sub(now)))
    }

    fn at_once(&self) -> usize {
        match self.plan.at_once {
            0 => usize::MAX,
            all => (all as usize / self.plan.threads as usize).max(1),
        }
    }

    fn open_due(&mut self, now: u64) {
        while let Some(Reverse((at, index))) = self.later.peek().copied()
            && at <= now
        {
            self.later.pop();
            self.to_open.push_back(index);
        }
        for _ in 0..OPENED_AT_ONCE {
            if self.opening >= self.at_once() {
                break;
            }
            let Some(index) = self.to_open.pop_front() else { break };
            if let Err(error) = self.open(index) {
                self.failed_to_connect(index, &error);
            }
        }
    }

    fn open(&mut self, index: usize) -> io::Result<()> {
        let connection = &mut self.connections[index];
        connection.opened_ns = self.shared.now_ns();
        self.tally.opening.first_connect_ns.get_or_insert(connection.opened_ns);
        let mut stream = connection.socket(&self.plan)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, Token(index), interest)?;
        connection.link = Some(Link::new(stream));
        connection.stage = Stage::Connecting;
        self.opening += 1;
        Ok(())
    }

    fn failed_to_connect(&mut self, index: usize, error: &io::Error) {
        self.tally.error(&format!("connect: {}", error.kind()));
        let (pool, cause) = (self.connections[index].address, error.to_string());
        self.shared.note(LoadError::Unreachable { pool, cause });
        self.close(index, Closing::Lost);
    }

    /// An event of a socket; maybe of the one before, so only what calls return is believed.
    fn happened(&mut self, event: &Event, buffer: &mut [u8]) {
        let index = event.token().0;
        let gone = event.is_read_closed() || event.is_write_closed() || event.is_error();
        let connection = &mut self.connections[index];
        let Some(link) = &mut connection.link else { return };
        if connection.stage == Stage::Connecting {
            match link.stream.take_error() {
                Ok(None) => {}
                Ok(Some(error)) | Err(error) => return self.failed_to_connect(index, &error),
            }
            if link.stream.peer_addr().is_err() {
                return;
            }
            self.connected(index);
        } else if event.is_writable() && link.is_full() {
            if link.flush().is_err() {
                return self.broken(index);
            }
            self.submit(index);
        }
        if self.connections[index].silent_ns.is_some() {
            if gone {
                self.broken(index);
            }
        } else if event.is_readable() || gone {
            self.read(index, gone, buffer);
        }
    }

    fn read(&mut self, index: usize, gone: bool, buffer: &mut [u8]) {
        loop {
            let Some(link) = &mut self.connections[index].link else { return };
            let got = link.read(buffer);
            let now = self.shared.now_ns();
            let (bytes, more) = match got {
                Ok(Got::More(bytes)) => (bytes, true),
                // Closed behind its last bytes: only one more read tells.
                Ok(Got::Last(bytes)) => (bytes, gone && bytes > 0),
                Ok(Got::Closed) | Err(_) => return self.broken(index),
            };
            let used = self.heard(index, &buffer[..bytes], now);
            let connection = &mut self.connections[index];
            let Some(link) = &mut connection.link else { return };
            if link.keep(&buffer[used..bytes]).is_err() {
                self.tally.error("endless line");
                return self.close(index, Closing::Lost);
            }
            self.submit(index);
            if !more || (used == 0 && gone) {
                return;
            }
        }
    }

    /// Sends what stands in `out`.
    pub(super) fn send(&mut self, index: usize) {
        let Some(link) = &mut self.connections[index].link else { return };
        let sent = link.write(&self.out);
        self.out.clear();
        if sent.is_err() {
            self.broken(index);
        }
    }

    /// The pool closed, or the connection broke.
    pub(super) fn broken(&mut self, index: usize) {
        let connection = &self.connections[index];
        if let Some(since) = connection.silent_ns {
            self.tally.slow.dropped_after.record(self.shared.now_ns() - since);
        } else {
            let kind = match connection.stage {
                Stage::Closed => return,
                Stage::Connecting | Stage::Subscribing => "closed before the subscription",
                Stage::Authorizing => "closed before the login",
                Stage::Ready => "closed",
            };
            self.tally.error(kind);
            let pool = connection.address;
            if connection.stage != Stage::Ready {
                self.shared.note(LoadError::Closed { pool });
            }
        }
        self.close(index, Closing::Lost);
    }

    /// Closes a socket and, as the plan says, sees to a new one.
    pub(super) fn close(&mut self, index: usize, why: Closing) {
        let now = self.shared.now_ns();
        let connection = &mut self.connections[index];
        self.opening -= usize::from(connection.is_opening());
        self.working -= u32::from(connection.is_working() && !connection.slow);
        let was_ready = connection.stage == Stage::Ready;
        let silent = connection.silent_ns.is_some();
        if let Some(link) = &mut connection.link {
            let _ = self.poll.registry().deregister(&mut link.stream);
            if why == (Closing::Cut { reset: false }) {
                let _ = link.stream.shutdown(Shutdown::Write);
            }
        }
        let unanswered = connection.close(why == Closing::Cut { reset: true });
        self.in_flight -= unanswered as usize;
        let again = match why {
            Closing::Lost => {
                self.tally.unanswered_lost += unanswered;
                self.tally.lost += u64::from(was_ready && !silent);
                if !was_ready {
                    self.shared.failures.fetch_add(1, Ordering::Relaxed);
                }
                connection.attempts += 1;
                let doubled = RETRY_NS << (connection.attempts - 1).min(5);
                (self.plan.reconnect && !silent).then_some(now + doubled)
            }
            Closing::Cut { .. } => {
                self.tally.unanswered_cut += unanswered;
                self.tally.cut += 1;
                self.plan.reconnect.then_some(now)
            }
            Closing::Asked { wait_ns } => {
                self.tally.unanswered_cut += unanswered;
                Some(now + wait_ns)
            }
            Closing::Refused => {
                self.shared.failures.fetch_add(1, Ordering::Relaxed);
                None
            }
        };
        match again {
            Some(at) => self.later.push(Reverse((at, index))),
            None if connection.slow || connection.reached[3] => {}
            None => {
                self.shared.given_up.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// A connection has its part of the nonce space; another may be opened.
    pub(super) fn opened(&mut self) {
        self.opening -= 1;
    }
}
