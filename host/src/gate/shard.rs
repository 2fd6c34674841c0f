//! A shard: one thread, one poll, some of the connections. Shards share nothing that a share
//! on its way to a verdict has to wait for: shares leave for the share log once a turn, all
//! together, and come back as one count.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use mio::event::Event;
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};

use super::connection::{Connection, End};
use super::desk::Desk;
use super::door::{Arrival, Door};
use super::inbox::{Inbox, Message};
use super::slots::{Key, Slots};
use super::{ACCEPT_PAUSE, Gate};
use crate::recorder::Fate;
use crate::upgrade::Frozen;

/// Events taken from the system at once.
const EVENTS_MAX: usize = 1024;
/// Connections given new work before others get a turn: their answers must not wait for a
/// job to reach everybody.
const JOBS_A_TURN: usize = 64;
/// Sockets accepted before others get a turn.
const ACCEPTS_A_TURN: usize = 64;
/// How often deadlines are looked at.
const SWEEP_MS: u64 = 250;
/// Beyond this difference a new connection goes to the shard that has fewer.
const IMBALANCE: u32 = 16;

/// How long what is under way (a login, a commit) may hold up a handover.
const FREEZE_MAX_MS: u64 = 5_000;
/// How often it is looked whether everything has ended.
const FREEZE_LOOK: Duration = Duration::from_millis(5);

/// The token of the waker; listeners follow, and connections have their place plus
/// [`FIRST_CONNECTION`].
const WAKER: Token = Token(0);
const FIRST_LISTENER: usize = 1;
const FIRST_CONNECTION: usize = 1024;

struct Entrance {
    door: Arc<Door>,
    listener: TcpListener,
    /// Somebody may be waiting outside.
    knocking: bool,
}

/// One thread's connections.
pub(super) struct Shard {
    number: usize,
    poll: Poll,
    desk: Desk,
    slots: Slots<Connection>,
    entrances: Vec<Entrance>,
    /// Who has work, in order.
    ready: VecDeque<Key>,
    /// Next place to be given the newest job; `None` when everybody has it.
    publishing: Option<usize>,
    /// Whose shares' fate came in this turn, and whether it was the good one.
    settled: Vec<Key>,
    settled_durable: bool,
    sweep_at: u64,
    /// Which of the operator's bans everybody was compared with.
    bans_heeded: u64,
    accept_at: u64,
    leaving: bool,
    freezing_since: Option<u64>,
}

impl Shard {
    /// A shard behind all doors.
    ///
    /// # Errors
    /// When the system gives no poll or does not watch a listener.
    pub(super) fn new(
        number: usize,
        gate: Arc<Gate>,
        doors: Vec<(Arc<Door>, std::net::TcpListener)>,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = mio::Waker::new(poll.registry(), WAKER)?;
        let mut entrances = Vec::new();
        for (nth, (door, listener)) in doors.into_iter().enumerate() {
            let mut listener = TcpListener::from_std(listener);
            poll.registry().register(
                &mut listener,
                Token(FIRST_LISTENER + nth),
                Interest::READABLE,
            )?;
            entrances.push(Entrance { door, listener, knocking: true });
        }
        let desk = Desk::new(gate, Arc::new(Inbox::new(waker)));
        Ok(Self {
            number,
            poll,
            slots: Slots::default(),
            entrances,
            ready: VecDeque::new(),
            publishing: None,
            settled: Vec::new(),
            settled_durable: true,
            sweep_at: desk.now + SWEEP_MS,
            bans_heeded: 0,
            accept_at: 0,
            leaving: false,
            freezing_since: None,
            desk,
        })
    }

    /// Where other threads reach it.
    pub(super) fn inbox(&self) -> Arc<Inbox> {
        Arc::clone(&self.desk.inbox)
    }

    /// Serves until told to leave and everybody has left, or until told to freeze: then gives
    /// the connections another process can go on with.
    pub(super) fn run(mut self) -> io::Result<Vec<Frozen>> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut messages = Vec::new();
        loop {
            match self.poll.poll(&mut events, Some(self.patience())) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                polled => polled?,
            }
            self.desk.look_at_the_clock();
            self.desk.inbox.take(&mut messages);
            for message in messages.drain(..) {
                self.heed(message);
            }
            self.send_settled();
            for event in &events {
                self.note(event);
            }
            if self.desk.gate.freezing.is_cancelled() {
                if let Some(frozen) = self.freeze() {
                    return Ok(frozen);
                }
                continue;
            }
            self.accept();
            self.serve_ready();
            self.publish();
            self.desk.hand_in();
            if self.desk.now >= self.sweep_at {
                self.sweep();
            }
            if self.desk.gate.leaving.is_cancelled() && !self.leaving {
                self.leave();
            }
            if self.leaving && self.slots.len() == 0 && !self.desk.has_credits() {
                return Ok(Vec::new());
            }
        }
    }

    /// One turn of coming to rest: nothing is read any more, what is under way ends. The
    /// connections, once everything has ended or nobody waits any longer.
    fn freeze(&mut self) -> Option<Vec<Frozen>> {
        let since = *self.freezing_since.get_or_insert(self.desk.now);
        self.desk.hand_in();
        let mut under_way = self.desk.has_credits();
        for index in 0..self.slots.end() {
            let Some(key) = self.slots.key_at(index) else { continue };
            self.with(key, |connection, desk| match connection.may_freeze() {
                true => Ok(()),
                // It comes back to the other process, and finds its seat.
                false => connection.say_goodbye(desk),
            });
            let connection = self.slots.get_mut(index);
            under_way |= connection.is_some_and(|(_, connection)| !connection.is_settled());
        }
        if under_way && self.desk.now.saturating_sub(since) < FREEZE_MAX_MS {
            return None;
        }
        let mut frozen = Vec::with_capacity(self.slots.len());
        for index in 0..self.slots.end() {
            let Some(key) = self.slots.key_at(index) else { continue };
            let Some(mut connection) = self.slots.take(key) else { continue };
            self.slots.release(key);
            if connection.may_freeze() && connection.is_settled() {
                // The poll must not tell of it to nobody.
                let _ = self.poll.registry().deregister(connection.socket());
                frozen.push(connection.freeze(&self.desk));
            } else {
                connection.end(&End::Leaving, &mut self.desk);
            }
        }
        self.desk.hand_in_all();
        Some(frozen)
    }

    /// How long nothing needs to be done.
    fn patience(&self) -> Duration {
        if self.freezing_since.is_some() {
            return FREEZE_LOOK;
        }
        let busy = self.publishing.is_some()
            || !self.desk.is_shut() && !self.ready.is_empty()
            || self.desk.now >= self.accept_at
                && !self.leaving
                && self.entrances.iter().any(|entrance| entrance.knocking);
        if busy { Duration::ZERO } else { Duration::from_millis(SWEEP_MS) }
    }

    fn heed(&mut self, message: Message) {
        match message {
            Message::Work(work) => {
                self.desk.work = work;
                self.desk.job_number += 1;
                self.publishing = Some(0);
            }
            Message::Fate(fate) => self.distribute(fate),
            Message::Room => self.desk.open(),
            Message::Arrived(arrival) => {
                let key = self.seat(Connection::new(arrival, &self.desk));
                // It may have been on its way while everybody was compared.
                self.with(key, Connection::heed_bans);
            }
            Message::Resumed(resumed) => {
                self.seat(Connection::resume(*resumed, &self.desk));
            }
            Message::Answer(key, answer) => {
                self.with(key, |connection, desk| {
                    connection.deliver(answer, desk);
                    connection.send(desk)
                });
            }
            Message::Offered(key, number) => {
                self.with(key, |connection, desk| {
                    connection.offered(number, key, desk);
                    connection.send(desk)
                });
            }
        }
    }

    /// Tells the connections what became of this shard's oldest shares.
    fn distribute(&mut self, fate: Fate) {
        let (Fate::Durable(mut count) | Fate::Lost(mut count)) = fate;
        let durable = matches!(fate, Fate::Durable(_));
        if durable != self.settled_durable {
            self.send_settled();
            self.settled_durable = durable;
        }
        while count > 0 {
            let Some((key, share)) = self.desk.settle_oldest(count) else { return };
            count -= share;
            let Some(mut connection) = self.slots.take(key) else { continue };
            // Written when all fates are known: one write for a miner with many shares.
            if connection.settle(share) {
                self.settled.push(key);
            }
            self.slots.put(key, connection);
        }
    }

    fn send_settled(&mut self) {
        let (mut settled, durable) = (std::mem::take(&mut self.settled), self.settled_durable);
        for key in settled.drain(..) {
            self.with(key, |connection, desk| {
                connection.answer_settled(durable, desk);
                connection.send(desk)
            });
        }
        self.settled = settled;
    }

    fn note(&mut self, event: &Event) {
        let Token(token) = event.token();
        if token == WAKER.0 {
            return;
        }
        if token < FIRST_CONNECTION {
            if let Some(entrance) = self.entrances.get_mut(token - FIRST_LISTENER) {
                entrance.knocking = true;
            }
            return;
        }
        let Some(key) = self.slots.key_at(token - FIRST_CONNECTION) else { return };
        let ending = event.is_read_closed() || event.is_error();
        let (readable, writable) = (event.is_readable(), event.is_writable());
        self.with(key, |connection, _| connection.ready(readable, writable, ending));
    }

    fn serve_ready(&mut self) {
        // Only those who are waiting now: whoever still has work then waits for the others.
        for _ in 0..self.ready.len() {
            if self.desk.is_full() {
                self.desk.hand_in();
            }
            if self.desk.is_shut() {
                return;
            }
            let Some(key) = self.ready.pop_front() else { return };
            self.with(key, |connection, desk| {
                connection.queued = false;
                // New work first: what is judged from here on belongs to it.
                connection.update_job(desk);
                connection.serve(key, desk)
            });
        }
    }

    /// Gives the newest job to the next connections that do not have it.
    fn publish(&mut self) {
        let Some(first) = self.publishing else { return };
        let last = (first + JOBS_A_TURN).min(self.slots.end());
        for index in first..last {
            let Some(key) = self.slots.key_at(index) else { continue };
            self.with(key, |connection, desk| {
                connection.update_job(desk);
                connection.send(desk)
            });
        }
        self.publishing = (last < self.slots.end()).then_some(last);
    }

    fn accept(&mut self) {
        if self.leaving || self.desk.now < self.accept_at {
            return;
        }
        for nth in 0..self.entrances.len() {
            for _ in 0..ACCEPTS_A_TURN {
                let entrance = &mut self.entrances[nth];
                if !entrance.knocking {
                    break;
                }
                match entrance.listener.accept() {
                    Ok((socket, peer)) => {
                        let door = Arc::clone(&entrance.door);
                        if let Some(arrival) = self.desk.gate.admit(socket, peer, door) {
                            self.place(arrival);
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        entrance.knocking = false;
                    }
                    Err(error) => {
                        if !is_the_peers(&error) {
                            self.desk.gate.cannot_accept(&error);
                            self.accept_at = self.desk.now + ACCEPT_PAUSE;
                            return;
                        }
                    }
                }
            }
        }
    }

    /// Keeps a connection, or passes it to the shard that has fewest.
    fn place(&mut self, arrival: Arrival) {
        let gate = Arc::clone(&self.desk.gate);
        match gate.shard_for_next(self.number, IMBALANCE) {
            Some(other) => other.put(Message::Arrived(arrival)),
            None => {
                self.seat(Connection::new(arrival, &self.desk));
            }
        }
    }

    fn seat(&mut self, connection: Connection) -> Key {
        let key = self.slots.reserve();
        let mut connection = Box::new(connection);
        let token = Token(FIRST_CONNECTION + key.index as usize);
        let interest = Interest::READABLE | Interest::WRITABLE;
        let watched = self.poll.registry().register(connection.socket(), token, interest);
        self.desk.gate.seated(self.number, 1);
        self.slots.put(key, connection);
        self.with(key, |_, _| Ok(watched?));
        if self.leaving {
            self.with(key, Connection::say_goodbye);
        }
        key
    }

    fn sweep(&mut self) {
        self.sweep_at = self.desk.now + SWEEP_MS;
        self.desk.rest();
        for index in 0..self.slots.end() {
            let Some((key, connection)) = self.slots.get_mut(index) else { continue };
            // Most have nothing to do; those are not even taken out.
            if let Err(end) = connection.sweep(key, &mut self.desk) {
                self.with(key, |_, _| Err(end));
            }
        }
        let bans = self.desk.gate.bans.operators_changes();
        if self.bans_heeded != bans {
            self.bans_heeded = bans;
            for index in 0..self.slots.end() {
                let Some(key) = self.slots.key_at(index) else { continue };
                self.with(key, Connection::heed_bans);
            }
        }
    }

    fn leave(&mut self) {
        self.leaving = true;
        for entrance in &mut self.entrances {
            // The listener is the gate's as well, and is closed there.
            let _ = self.poll.registry().deregister(&mut entrance.listener);
        }
        for index in 0..self.slots.end() {
            let Some(key) = self.slots.key_at(index) else { continue };
            self.with(key, |connection, desk| {
                connection.update_job(desk);
                connection.say_goodbye(desk)
            });
        }
    }

    /// Works on one connection, ends it if that says so, and queues it if it has more to do.
    fn with(&mut self, key: Key, work: impl FnOnce(&mut Connection, &mut Desk) -> Result<(), End>) {
        let Some(mut connection) = self.slots.take(key) else { return };
        let outcome = work(&mut connection, &mut self.desk);
        self.desk.out.clear();
        let outcome = match outcome {
            Ok(()) if connection.may_end() => Err(connection.last_end()),
            outcome => outcome,
        };
        if let Err(end) = outcome {
            connection.end(&end, &mut self.desk);
            self.slots.release(key);
            self.desk.gate.seated(self.number, -1);
            return;
        }
        if connection.has_work() && !connection.queued {
            connection.queued = true;
            self.ready.push_back(key);
        }
        self.slots.put(key, connection);
    }
}

/// Whether an accept failed because of the peer that was to be accepted.
fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}
