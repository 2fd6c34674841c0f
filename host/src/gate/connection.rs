//! One miner's connection: bytes and the pool's news into the session, its effects out.
//! Nothing here waits; what has to is asked of others, whose answers come back as messages.

mod deadlines;
mod farewell;
mod handover;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;

use chimera_store::ShareRecord;
use chimera_stratum::{AuthAnswer, Counters, Effect, Line, Session, Unread};
use chimera_work::WorkerId;

use super::addresses::AddressPlace;
use super::conduct::{Record, Step};
use super::desk::Desk;
use super::door::{Arrival, Door};
use super::inbox::Answer;
use super::opening::{Opening, Verdict};
use super::slots::Key;
use super::wire::Wire;
use crate::config::Durability;
use crate::policy::{Admission, Memory, Origin, Place as AccountPlace, Retarget};
use crate::work_feed::Work;

/// A miner that does not take its lines for so long is gone or hostile.
const WRITE_MAX_MS: u64 = 10_000;
/// A miner that does not take its replies is not read either.
const UNSENT_PAUSE: usize = 64 * 1024;
/// Jobs go on being written to it; beyond this it is dropped at once.
const UNSENT_MAX: usize = 512 * 1024;
/// Logins of one connection under way; a proxy that brings a farm waits for some.
const LOGINS_MAX: u32 = 16;
/// The same of a stranger: those who are somebody must not queue behind his guesses.
const STRANGERS_LOGINS_MAX: u32 = 2;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("the miner closed the connection")]
    Closed,
    #[error("the connection broke: {0}")]
    Broke(#[from] std::io::Error),
    #[error("the miner did not take its lines for {}s", WRITE_MAX_MS / 1_000)]
    SlowReader,
    #[error("{0} bytes wait for a miner that does not take its lines")]
    Overfull(usize),
    #[error("no worker was authorised within {0}s")]
    Handshake(u64),
    #[error("nothing was heard for {0}s")]
    Silent(u64),
    #[error("{0}")]
    Dismissed(String),
    #[error("the pool is stopping")]
    Leaving,
}

/// How far a connection is.
#[derive(Debug)]
enum Stage {
    /// Its first bytes decide what it speaks.
    Opening(Opening),
    /// It speaks Stratum.
    Mining,
    /// It was told why it must go; what it says is not heard any more.
    Dismissed { until_ms: u64 },
}

/// A session with what the pool keeps beside it. Times are milliseconds on the gate's own
/// clock, which never jumps.
#[derive(Debug)]
pub(super) struct Connection {
    wire: Wire,
    stage: Stage,
    pub(super) peer: SocketAddr,
    pub(super) door: Arc<Door>,
    pub(super) session: Session,
    unread: Unread,
    /// The session's number at the difficulty desk.
    number: u64,
    /// What the difficulty strategy wants to see again.
    difficulty_memory: Option<Box<Memory>>,
    /// When a retarget was asked for that is not yet answered.
    measuring_since: Option<u64>,
    measure_at: u64,
    opened: u64,
    heard: u64,
    /// When something was last said to it.
    spoken: u64,
    /// When it was last asked for a sign of life.
    pinged: u64,
    /// Since when something waits to be sent.
    blocked_since: Option<u64>,
    /// When the miner closed its side.
    closed: Option<u64>,
    /// When it was asked to come back, because the pool stops.
    leaving: Option<u64>,
    /// Which of the gate's jobs it was given.
    job: u64,
    /// Logins under way.
    logins: u32,
    /// Credited shares whose fate is unknown.
    unanswered: u32,
    /// Of those whose fate is known, so many wait to be answered.
    settled: u32,
    /// A possible block is on its way to the chain; its share waits for it.
    offering: Option<(u32, Box<ShareRecord>)>,
    /// Possible blocks it has found.
    offers: u32,
    /// Gone with the connection: nobody asks on its behalf any more.
    alive: Arc<()>,
    /// More may be there to be read.
    readable: bool,
    /// The miner has closed its side, or the connection is broken: the system says so once,
    /// maybe while there was something left to be read.
    ending: bool,
    /// Lines were read that could not be handled yet.
    more: bool,
    pub(super) queued: bool,
    authorised: bool,
    /// The first one that was authorised.
    worker: Option<WorkerId>,
    /// Under the accounts of all of them.
    places: Vec<AccountPlace>,
    counted: Counters,
    conduct: Record,
    _place: super::Place,
    address: Option<AddressPlace>,
}

impl Connection {
    /// A connection that has said nothing yet.
    pub(super) fn new(arrival: Arrival, desk: &Desk) -> Self {
        let Arrival { socket, peer, door, place, address } = arrival;
        let now = desk.now;
        Self {
            wire: Wire::new(socket),
            stage: Stage::Opening(Opening::new(&door, peer)),
            peer,
            session: Session::new(door.session, now),
            door,
            unread: Unread::default(),
            number: desk.gate.difficulty.number(),
            difficulty_memory: None,
            measuring_since: None,
            measure_at: now + desk.gate.retarget_ms,
            opened: now,
            heard: now,
            spoken: now,
            pinged: now,
            blocked_since: None,
            closed: None,
            leaving: None,
            job: 0,
            logins: 0,
            unanswered: 0,
            settled: 0,
            offering: None,
            offers: 0,
            alive: Arc::default(),
            readable: true,
            ending: false,
            more: false,
            queued: false,
            authorised: false,
            worker: None,
            places: Vec::new(),
            counted: Counters::default(),
            conduct: Record::default(),
            _place: place,
            address,
        }
    }

    /// The socket, to be watched.
    pub(super) const fn socket(&mut self) -> &mut mio::net::TcpStream {
        self.wire.socket()
    }

    /// The system says that something can be read or written.
    pub(super) fn ready(
        &mut self,
        readable: bool,
        writable: bool,
        ending: bool,
    ) -> Result<(), End> {
        self.readable |= readable || ending;
        self.ending |= ending;
        if writable && !self.wire.is_flushed() {
            self.wire.flush()?;
        }
        if self.wire.is_flushed() {
            self.blocked_since = None;
        }
        Ok(())
    }

    /// Whether there is something to do for [`serve`](Self::serve).
    pub(super) fn has_work(&self) -> bool {
        self.more && self.may_handle() || self.readable && self.may_read()
    }

    fn may_read(&self) -> bool {
        self.closed.is_none() && self.may_handle()
    }

    fn may_handle(&self) -> bool {
        matches!(self.stage, Stage::Dismissed { .. })
            || self.leaving.is_none()
                && self.offering.is_none()
                && self.logins < if self.authorised { LOGINS_MAX } else { STRANGERS_LOGINS_MAX }
                && self.session.wants_input()
                && self.wire.unsent() < UNSENT_PAUSE
    }

    /// One turn: reads once and handles what came. A peer that sends without end gets its
    /// turn when all others had theirs.
    pub(super) fn serve(&mut self, key: Key, desk: &mut Desk) -> Result<(), End> {
        if !self.has_work() {
            // It may have been given a job just now.
            return self.send(desk);
        }
        desk.lines.resume(&mut self.unread);
        let outcome = self.read_and_handle(key, desk);
        desk.lines.suspend(&mut self.unread);
        outcome?;
        self.send(desk)
    }

    fn read_and_handle(&mut self, key: Key, desk: &mut Desk) -> Result<(), End> {
        if self.more {
            // Lines it had sent before somebody had to be waited for.
            self.handle_lines(key, desk)?;
        }
        if !self.readable || !self.may_read() {
            return Ok(());
        }
        let space = desk.lines.space();
        let asked = space.len();
        if asked == 0 {
            return Ok(());
        }
        match self.wire.read(space) {
            Ok(0) => {
                self.readable = false;
                self.closed = Some(desk.now);
                if !matches!(self.stage, Stage::Mining) {
                    return Err(End::Closed);
                }
            }
            Ok(count) => {
                // Less than asked for: the socket is empty, and the system tells of more.
                self.readable = count == asked || self.ending || self.wire.is_tls();
                self.heard = desk.now;
                desk.lines.filled(count);
                self.handle_lines(key, desk)?;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Handles whole lines while the session wants them.
    fn handle_lines(&mut self, key: Key, desk: &mut Desk) -> Result<(), End> {
        match &mut self.stage {
            Stage::Mining => {}
            Stage::Dismissed { .. } => {
                self.ignore(desk);
                return Ok(());
            }
            Stage::Opening(_) => {
                self.more = false;
                self.open(desk)?;
                if !matches!(self.stage, Stage::Mining) {
                    return Ok(());
                }
            }
        }
        loop {
            self.more = !self.may_handle() || desk.is_full();
            if self.more {
                return Ok(());
            }
            match desk.lines.next_line() {
                Some(Line::Text(line)) => self.session.handle_line(line, &mut desk.out),
                Some(Line::TooLong) => self.session.line_too_long(&mut desk.out),
                None => return Ok(()),
            }
            if !desk.out.effects.is_empty() {
                self.act(key, desk)?;
            }
            if self.session.wants_extranonce()
                && let Some(lease) = desk.gate.lease()
            {
                // A miner that cannot follow stays where it is.
                if let Err(lease) = self.session.set_extranonce(lease, &mut desk.out) {
                    desk.gate.give_back(lease);
                }
            }
        }
    }

    /// Finds out what the connection speaks.
    fn open(&mut self, desk: &mut Desk) -> Result<(), End> {
        let Stage::Opening(opening) = &mut self.stage else { return Ok(()) };
        loop {
            match opening.look(desk.lines.unread()) {
                Verdict::More => return Ok(()),
                Verdict::Peer { peer, length } => {
                    desk.lines.pass_over(length);
                    // Without one it is the proxy's own, whose address is nobody's to limit.
                    let Some(peer) = peer else { continue };
                    self.peer = peer;
                    match desk.gate.place_for(self.peer.ip(), &self.door) {
                        Ok(place) => self.address = Some(place),
                        Err(why) => return self.dismiss(&why, desk),
                    }
                }
                Verdict::Tls => {
                    let Some(certificate) = &self.door.certificate else {
                        return Err(End::Dismissed("TLS at a door without it".to_owned()));
                    };
                    let begun = desk.lines.unread().to_vec();
                    desk.lines.pass_over(begun.len());
                    self.wire.begin_tls(certificate.current(), &begun)?;
                    opening.encrypted();
                    // What was read may hold the first lines as well.
                    self.readable = true;
                    return Ok(());
                }
                Verdict::Stratum => {
                    self.stage = Stage::Mining;
                    // New work was published meanwhile, maybe more than once.
                    self.update_job(desk);
                    return Ok(());
                }
                Verdict::Refused { answer, why } => {
                    self.wire.write(answer.as_bytes())?;
                    self.last_words(why, desk);
                    return Ok(());
                }
            }
        }
    }

    /// A new job is there. Whoever mines gets it, once.
    pub(super) fn update_job(&mut self, desk: &mut Desk) {
        if self.job == desk.job_number || !matches!(self.stage, Stage::Mining) {
            return;
        }
        self.job = desk.job_number;
        if self.leaving.is_some() || self.closed.is_some() {
            return;
        }
        match &desk.work {
            Work::Awaited => {}
            Work::Job(job) => self.session.new_job(job, &mut desk.out),
            Work::Withdrawn(why) => self.session.withdraw_work(why, &mut desk.out),
        }
    }

    /// Takes an answer of a policy.
    pub(super) fn deliver(&mut self, answer: Answer, desk: &mut Desk) {
        match answer {
            Answer::Login(ticket, Admission { answer, place }) => {
                self.logins = self.logins.saturating_sub(1);
                if let AuthAnswer::Allow { worker, .. } = &answer {
                    self.worker.get_or_insert(*worker);
                    if !self.authorised {
                        self.authorised = true;
                        desk.gate.totals.authorised_one_more();
                        if self.session.user_agent().is_empty() {
                            self.session.get_version(&mut desk.out);
                        }
                    }
                }
                if let Some(place) = place
                    && !self.places.iter().any(|known| known.account() == place.account())
                {
                    self.places.push(place);
                }
                self.session.authorized(ticket, answer, &mut desk.out);
            }
            Answer::Retarget(Retarget { next, memory }) => {
                self.measuring_since = None;
                self.difficulty_memory = Some(Box::new(memory));
                self.session.measured(desk.now);
                next.inspect(|next| self.session.retarget(*next, &mut desk.out));
            }
        }
    }

    /// The fate of its next oldest shares is known. True for the first of them: it is
    /// answered when all that came at once are known.
    pub(super) fn settle(&mut self, count: u32) -> bool {
        self.unanswered = self.unanswered.saturating_sub(count);
        self.settled += count;
        self.settled == count
    }

    /// Answers the shares whose fate is known; it is the same for all.
    pub(super) fn answer_settled(&mut self, durable: bool, desk: &mut Desk) {
        let count = std::mem::take(&mut self.settled);
        match durable {
            // Already answered.
            _ if desk.gate.durability == Durability::Relaxed => {}
            true => self.session.durable(count, &mut desk.out),
            false => self.session.not_durable(count, &mut desk.out),
        }
    }

    /// The possible block it found is recorded and handed in: its share is credited now.
    pub(super) fn offered(&mut self, number: u32, key: Key, desk: &mut Desk) {
        if let Some((_, record)) = self.offering.take_if(|(offer, _)| *offer == number) {
            self.credit(*record, key, desk);
        }
    }

    /// Does what the session asked for, in order.
    fn act(&mut self, key: Key, desk: &mut Desk) -> Result<(), End> {
        while !desk.out.effects.is_empty() {
            let mut effects = std::mem::take(&mut desk.out.effects);
            let mut found = false;
            for effect in effects.drain(..) {
                self.perform(effect, key, desk, &mut found)?;
            }
            // What answering an effect asked for in turn is done next; the memory is kept.
            if desk.out.effects.is_empty() {
                desk.out.effects = effects;
            }
        }
        Ok(())
    }

    fn perform(
        &mut self,
        effect: Effect,
        key: Key,
        desk: &mut Desk,
        found: &mut bool,
    ) -> Result<(), End> {
        match effect {
            Effect::Subscribe { resume } => match desk.gate.take_seat(resume) {
                Ok(seat) => self.session.subscribed(seat, &mut desk.out),
                Err(error) => {
                    tracing::debug!(peer = %self.peer, %error, "refused");
                    desk.gate.no_seat(&error);
                    self.session.no_seat(&mut desk.out);
                }
            },
            Effect::Authorize(login) => {
                self.logins += 1;
                let origin = Origin {
                    peer: self.peer,
                    listener: Arc::clone(&self.door.settings.name),
                    tls: self.wire.is_tls(),
                    limits: self.door.session.difficulty,
                };
                let alive = Arc::downgrade(&self.alive);
                desk.gate.ask_who(login, origin, self.number, desk.reply_to(key), alive);
            }
            Effect::Found(solution) => {
                // Its place is behind every share this shard has judged before it.
                desk.hand_in_all();
                *found = true;
                self.offers = self.offers.wrapping_add(1);
                let inbox = Arc::clone(&desk.inbox);
                desk.gate.offer(solution, inbox, key, self.offers, desk.turn_began);
            }
            Effect::Credit(share) => {
                let record = ShareRecord::from_share(&share, desk.wall_ms);
                if *found {
                    // A possible block leaves first. Nothing more of this miner is read until
                    // then: shares are answered in their order.
                    self.offering = Some((self.offers, Box::new(record)));
                } else {
                    self.credit(record, key, desk);
                }
            }
        }
        Ok(())
    }

    fn credit(&mut self, record: ShareRecord, key: Key, desk: &mut Desk) {
        self.unanswered += 1;
        desk.credit(record, key);
        if desk.gate.durability == Durability::Relaxed {
            self.session.durable(1, &mut desk.out);
        }
    }

    /// Writes what was said. What the socket does not take is kept.
    pub(super) fn send(&mut self, desk: &mut Desk) -> Result<(), End> {
        let counters = *self.session.counters();
        let mut step = Step::Go;
        if counters != self.counted {
            desk.gate.totals.add(&self.counted, &counters);
            let rules = &desk.gate.settings.conduct;
            step = self.conduct.note(&self.counted, &counters, rules, desk.now);
            self.counted = counters;
        }
        if matches!(self.stage, Stage::Dismissed { .. }) {
            desk.out.bytes.clear();
            return Ok(());
        }
        match step {
            Step::Go => self.write(desk),
            Step::Warn => {
                self.warn(desk);
                self.write(desk)
            }
            Step::Drop => self.drop_for_conduct(desk),
        }
    }

    fn write(&mut self, desk: &mut Desk) -> Result<(), End> {
        if desk.out.bytes.is_empty() {
            return Ok(());
        }
        self.spoken = desk.now;
        let written = self.wire.write(&desk.out.bytes);
        desk.out.bytes.clear();
        written?;
        if self.wire.is_flushed() {
            self.blocked_since = None;
            return Ok(());
        }
        self.blocked_since.get_or_insert(desk.now);
        if self.wire.unsent() > UNSENT_MAX {
            return Err(End::Overfull(self.wire.unsent()));
        }
        Ok(())
    }
}
