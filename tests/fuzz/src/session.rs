//! A miner and a pool that do anything in any order. Whatever they do:
//!
//! - nothing is said unasked before the subscribe reply;
//! - every request with an id is answered once, in order, when the host has answered;
//! - the replies that wait are bounded;
//! - every difficulty stands directly before the job it is for, no job id comes twice unless
//!   the job is clean;
//! - no work is credited twice, and none at a difficulty that was never told.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use chimera_pow::{Algorithm, Difficulty};
use chimera_stratum::{
    AuthAnswer, AuthTicket, DifficultyLimits, Effect, Line, LineBuffer, NotifyLine, Outbox,
    PENDING_REPLIES_MAX, Reconnect, Seat, Session, SessionConfig, SessionId,
};
use chimera_work::{
    Commitment, Extranonce1, ExtranonceLease, Job, JobId, NonceLayout, Template, WorkerId,
};
use serde_json::Value;
use serde_json::value::RawValue;

use super::choices::Choices;

/// Half of all hashes meet it.
const EASY: f64 = 1.0 / 2_147_483_648.0;
/// How a request begins that is recognised by its number, and its reply.
const ID: &str = r##"{"id":"#"##;
const TIME: u32 = 0x6b00_b23c;

/// Any bytes: what happens next, again and again.
pub fn run(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let mut pool = Pool::new();
    while !choices.is_empty() {
        pool.step(&mut choices);
        pool.read_out();
    }
    pool.finish();
}

/// A host with one miner.
pub(crate) struct Pool {
    pub(crate) session: Session,
    pub(crate) out: Outbox,
    lines: LineBuffer,
    /// What the miner has sent and the pool has not read.
    wire: VecDeque<u8>,
    /// The requests sent that can be told by their id.
    sent: usize,
    /// How many of them the session was given.
    handled: usize,
    /// The one of them whose answer comes next.
    awaited: usize,
    seat_asked: bool,
    parked: Option<Seat>,
    seats: u32,
    tickets: VecDeque<AuthTicket>,
    /// Credited shares whose fate is open.
    open: u32,
    credited: HashSet<[u8; 32]>,
    told: HashSet<String>,
    jobs: Vec<Arc<Job>>,
    rounds: u8,
    /// Job ids sent on this connection.
    notified: HashSet<String>,
    greeted: bool,
    now_ms: u64,
}

impl Pool {
    pub(crate) fn new() -> Self {
        let mut pool = Self {
            session: Session::new(config(), 0),
            out: Outbox::default(),
            lines: LineBuffer::default(),
            wire: VecDeque::new(),
            sent: 0,
            handled: 0,
            awaited: 0,
            seat_asked: false,
            parked: None,
            seats: 0,
            tickets: VecDeque::new(),
            open: 0,
            credited: HashSet::new(),
            told: HashSet::new(),
            jobs: Vec::new(),
            rounds: 0,
            notified: HashSet::new(),
            greeted: false,
            now_ms: 0,
        };
        pool.new_job(1e12, u32::MAX, true);
        pool
    }

    /// Subscribes and authorises.
    pub(crate) fn begin(&mut self) {
        self.session.handle_line(br##"{"id":"a","method":"mining.subscribe"}"##, &mut self.out);
        let authorize = br##"{"id":"b","method":"mining.authorize","params":["a"]}"##;
        self.session.handle_line(authorize, &mut self.out);
        self.answer_everything();
        assert!(self.session.is_mining());
        self.take_bytes();
    }

    /// The host answers whatever it was asked, until nothing is open.
    pub(crate) fn answer_everything(&mut self) {
        self.take_effects();
        while self.seat_asked || !self.tickets.is_empty() || self.open > 0 {
            self.give_seat();
            self.decide(true);
            self.settle_shares(u32::MAX, true);
            self.take_effects();
        }
    }

    pub(crate) fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out.bytes)
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.below(16) {
            0..=3 => self.request(choices),
            4 => {
                // Whatever it is, it ends, and is not taken for one of the requests above.
                let length = usize::from(choices.byte());
                let raw = choices
                    .bytes(length)
                    .iter()
                    .map(|&byte| if byte == b'#' { b'.' } else { byte });
                self.wire.extend(raw);
                self.wire.push_back(b'\n');
            }
            5 => {
                let length = 16 * choices.below(256) + choices.below(256);
                self.wire.extend(std::iter::repeat_n(b'x', length));
                self.wire.push_back(b'\n');
            }
            6 => self.receive(1 + choices.below(256)),
            7 => self.receive(usize::MAX),
            8 => {
                if choices.flag() {
                    self.give_seat();
                } else if std::mem::take(&mut self.seat_asked) {
                    self.session.no_seat(&mut self.out);
                }
            }
            9 => {
                let allow = choices.flag();
                self.decide(allow);
            }
            10 => {
                let (count, stored) = (u32::from(choices.byte()), choices.flag());
                self.settle_shares(count, stored);
            }
            11 => {
                let network = choices.one_of(&[EASY, 2.0 * EASY, 1e12, 1e30]);
                let mask = choices.one_of(&[u32::MAX, 0, 0x1fff_e000, 0x1fff_8000]);
                let round = choices.flag();
                self.new_job(network, mask, round);
            }
            12 => {
                let difficulty = difficulty(choices);
                self.session.retarget(difficulty, &mut self.out);
            }
            13 => self.unasked(choices),
            14 => self.cut(),
            _ => {
                self.now_ms += u64::from(choices.byte());
                let measure = self.session.measure(self.now_ms);
                assert!(measure.current == 0 || measure.minimum > 0);
                self.session.measured(self.now_ms);
            }
        }
    }

    /// A request of a known shape; with an id to be recognised by, or with none.
    fn request(&mut self, choices: &mut Choices<'_>) {
        let user = choices.one_of(&["a", "b", "%61", "c%2Ed", "", "\u{e9}%"]);
        let (method, params) = match choices.below(12) {
            0 => (
                "mining.subscribe",
                choices.one_of(&["", r#""rig/1""#, r#"null,null,"x:1",null"#]).to_owned(),
            ),
            1 => ("mining.subscribe", format!(r#""rig/1","{:016x}""#, choices.below(8))),
            2 | 3 => {
                let password = choices.one_of(&["x", "d=1e-9", "diff=4,x", "d=0"]);
                ("mining.authorize", format!(r#""{user}","{password}""#))
            }
            4 => {
                let extension = choices.one_of(&[
                    "version-rolling",
                    "minimum-difficulty",
                    "subscribe-extranonce",
                    "info",
                    "other",
                ]);
                let (mask, least) = (choices.word(), difficulty(choices));
                (
                    "mining.configure",
                    format!(
                        r#"["{extension}"],{{"version-rolling.mask":"{mask:08x}","minimum-difficulty.value":{least}}}"#
                    ),
                )
            }
            5 => ("mining.extranonce.subscribe", String::new()),
            6 => ("mining.suggest_difficulty", difficulty(choices).to_string()),
            7 => (
                choices.one_of(&["mining.ping", "mining.get_transactions", "no.such"]),
                String::new(),
            ),
            _ => ("mining.submit", self.submission(user, choices)),
        };
        let id = if choices.byte() == 255 {
            r#"{"id":null"#.to_owned()
        } else {
            self.sent += 1;
            format!("{ID}{}\"", self.sent - 1)
        };
        let line = format!(r#"{id},"method":"{method}","params":[{params}]}}"#);
        self.wire.extend(line.bytes());
        self.wire.push_back(b'\n');
    }

    fn submission(&self, user: &str, choices: &mut Choices<'_>) -> String {
        let age = choices.below(4).min(self.jobs.len() - 1);
        let job = self.jobs[self.jobs.len() - 1 - age].id().0
            + u32::try_from(choices.below(4)).unwrap_or(0);
        let (extranonce2, nonce) = (choices.below(4), choices.byte());
        let time = TIME + u32::from(choices.one_of(&[0_u8, 0, 1, 255]));
        let bits = choices.one_of(&["", r#","00000000""#, r#","00006000""#, ",null"]);
        format!(r#""{user}","{job:x}","{extranonce2:016x}","{time:08x}","{nonce:08x}"{bits}"#)
    }

    /// Bytes arrive, and lines are handled while the session wants them.
    fn receive(&mut self, count: usize) {
        let mut count = count.min(self.wire.len());
        loop {
            while self.session.wants_input() {
                match self.lines.next_line() {
                    Some(Line::Text(line)) => {
                        self.handled += usize::from(line.starts_with(ID.as_bytes()));
                        self.session.handle_line(line, &mut self.out);
                    }
                    Some(Line::TooLong) => self.session.line_too_long(&mut self.out),
                    None => break,
                }
                self.take_effects();
            }
            if !self.session.wants_input() || count == 0 {
                return;
            }
            let space = self.lines.space();
            let taken = space.len().min(count);
            assert!(taken > 0, "all lines were taken, so there is space");
            for (place, byte) in space.iter_mut().zip(self.wire.drain(..taken)) {
                *place = byte;
            }
            self.lines.filled(taken);
            count -= taken;
        }
    }

    fn take_effects(&mut self) {
        self.note_difficulty();
        for effect in std::mem::take(&mut self.out.effects) {
            match effect {
                Effect::Subscribe { .. } => {
                    assert!(!self.seat_asked, "one seat at a time");
                    self.seat_asked = true;
                }
                Effect::Authorize(login) => self.tickets.push_back(login.ticket),
                Effect::Found(_) => {}
                Effect::Credit(share) => {
                    assert!(self.credited.insert(share.hash().0), "credited twice: {share:?}");
                    let difficulty = share.difficulty().to_string();
                    assert!(self.told.contains(&difficulty), "never told: {difficulty}");
                    assert!(
                        share.difficulty().target().with_share_tolerance().is_met_by(share.hash())
                    );
                    self.open += 1;
                }
            }
        }
    }

    fn note_difficulty(&mut self) {
        self.told.extend(self.session.difficulty().map(|told| told.to_string()));
    }

    fn give_seat(&mut self) {
        if !std::mem::take(&mut self.seat_asked) {
            return;
        }
        let seat = self.parked.take().unwrap_or_else(|| {
            self.seats += 1;
            let lease = ExtranonceLease::recorded(Extranonce1(self.seats.to_be_bytes()));
            Seat::new(SessionId(self.seats.into()), lease, NonceLayout::DEFAULT)
        });
        self.session.subscribed(seat, &mut self.out);
        self.note_difficulty();
    }

    fn decide(&mut self, allow: bool) {
        let Some(ticket) = self.tickets.pop_front() else { return };
        let answer = match allow {
            true => AuthAnswer::Allow { worker: WorkerId(7), difficulty: None },
            false => AuthAnswer::Deny { message: "no \"x\"\n".to_owned() },
        };
        self.session.authorized(ticket, answer, &mut self.out);
        self.note_difficulty();
    }

    fn settle_shares(&mut self, count: u32, stored: bool) {
        let count = count.min(self.open);
        self.open -= count;
        match stored {
            true => self.session.durable(count, &mut self.out),
            false => self.session.not_durable(count, &mut self.out),
        }
        self.note_difficulty();
    }

    fn new_job(&mut self, network: f64, version_mask: u32, round: bool) {
        self.rounds = self.rounds.wrapping_add(u8::from(round));
        self.parked.as_mut().filter(|_| round).map(Seat::end_round);
        let id = JobId(u32::try_from(self.jobs.len() + 1).unwrap_or(0) << 8);
        let template = template(self.rounds, network, version_mask);
        let job = Arc::new(Job::new(id, 1, Arc::new(template), round));
        self.jobs.push(Arc::clone(&job));
        self.session.new_job(&Arc::new(NotifyLine::new(job)), &mut self.out);
    }

    fn unasked(&mut self, choices: &mut Choices<'_>) {
        let (session, out) = (&mut self.session, &mut self.out);
        match choices.below(5) {
            0 => {
                session.ping(out);
            }
            1 => {
                session.get_version(out);
            }
            2 => {
                session.show_message("a \"text\"\n", out);
            }
            3 => {
                session.reconnect(&Reconnect { to: None, wait_s: choices.byte().into() }, out);
            }
            _ => {
                self.seats += 1;
                let part = Extranonce1(self.seats.to_be_bytes());
                // One that cannot follow stays where it is.
                let _ = session.set_extranonce(ExtranonceLease::recorded(part), out);
            }
        }
    }

    /// The connection breaks and another begins; the seat is kept.
    fn cut(&mut self) {
        self.take_effects();
        let session = std::mem::replace(&mut self.session, Session::new(config(), self.now_ms));
        self.parked = session.park();
        self.lines = LineBuffer::default();
        self.out.clear();
        self.wire.clear();
        self.tickets.clear();
        self.notified.clear();
        (self.seat_asked, self.greeted, self.open) = (false, false, 0);
        (self.handled, self.awaited) = (self.sent, self.sent);
        let latest = self.jobs.last().map(Arc::clone).expect("there was a job from the start");
        self.session.new_job(&Arc::new(NotifyLine::new(latest)), &mut self.out);
    }

    /// Everything arrives and is answered. A session takes only so many requests before some are.
    fn finish(&mut self) {
        loop {
            self.answer_everything();
            self.read_out();
            assert!(self.session.wants_input(), "nothing is open any more");
            let before = (self.wire.len(), self.lines.unread().len());
            self.receive(usize::MAX);
            if (self.wire.len(), self.lines.unread().len()) == before {
                break;
            }
        }
        assert_eq!(self.awaited, self.sent, "every request was answered");
    }

    /// Reads what the pool has said, as the miner does.
    fn read_out(&mut self) {
        self.take_effects();
        let mut difficulty_before = false;
        let bytes = self.take_bytes();
        let texts = std::str::from_utf8(&bytes).unwrap_or_default().lines();
        for (text, line) in texts.zip(said(&bytes)) {
            let params = &line["params"];
            let is_notify = line["method"] == "mining.notify";
            assert!(is_notify || !difficulty_before, "a difficulty without its job: {line}");
            difficulty_before = line["method"] == "mining.set_difficulty";
            if line.get("method").is_some() {
                assert!(self.greeted, "before the subscribe reply: {line}");
            }
            if is_notify {
                let id = params[0].as_str().expect("job ids are strings").to_owned();
                let fresh = self.notified.insert(id);
                assert!(fresh || params[8] == true, "known and not clean: {line}");
            } else if line["result"][1].is_string() && line["result"][2].is_number() {
                self.greeted = true;
            }
            if let Some((number, _)) = text.strip_prefix(ID).and_then(|rest| rest.split_once('"')) {
                assert_eq!(number.parse(), Ok(self.awaited), "out of order: {line}");
                self.awaited += 1;
            }
        }
        assert!(self.handled - self.awaited <= PENDING_REPLIES_MAX);
        assert!(!difficulty_before, "a difficulty without its job");
    }
}

/// The lines said, each of the shape miners need.
pub(crate) fn said(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).expect("the pool says UTF-8");
    assert!(text.is_empty() || text.ends_with('\n'));
    let lines: Vec<Value> = text.lines().map(parsed).collect();
    for line in &lines {
        let has = |key| line.get(key).is_some();
        assert!(has("id") && (has("method") != (has("result") && has("error"))), "{line}");
        if let Some(error) = line.get("error").filter(|error| !error.is_null()) {
            let code = error[0].as_u64().expect("the code is a number");
            assert!((20..=25).contains(&code) && error[1].is_string(), "{line}");
            assert!(line["result"].is_null(), "{line}");
        }
    }
    lines
}

fn parsed(line: &str) -> Value {
    let members: BTreeMap<String, &RawValue> =
        serde_json::from_str(line).expect("the pool says JSON");
    let value = |(name, raw): (String, &RawValue)| {
        let value = serde_json::from_str(raw.get());
        // An id comes back as it was sent, also one that fits no number or nests too deeply.
        assert!(value.is_ok() || name == "id", "{line}");
        (name, value.unwrap_or_default())
    };
    Value::Object(members.into_iter().map(value).collect())
}

fn config() -> SessionConfig {
    let difficulty = |value| Difficulty::new(value).expect("above zero");
    let limits = DifficultyLimits {
        initial: difficulty(EASY),
        min: difficulty(EASY / 4.0),
        max: difficulty(1e12),
    };
    SessionConfig { version_mask: 0x1fff_e000, difficulty: limits, multiplier: 1 }
}

fn difficulty(choices: &mut Choices<'_>) -> Difficulty {
    let value = choices.one_of(&[EASY / 2.0, EASY, 2.0 * EASY, 0.3, 1.0, 16_383.75, 1e15, 1e-300]);
    Difficulty::new(value).expect("above zero")
}

fn template(round: u8, network: f64, version_mask: u32) -> Template {
    let bits = Difficulty::new(network).expect("above zero").target().compact();
    Template {
        id: 1,
        height: u64::from(round),
        algorithm: Algorithm::Blake2s,
        version: 0x2000_0000,
        version_mask,
        previous: [round; 32],
        bits,
        target: bits.target().expect("bits of a target are good"),
        time: TIME,
        time_min: TIME,
        time_max: TIME + 10,
        commitment: Commitment { head: vec![1, 2, 3], tail: vec![4, 5], branch: vec![[9; 32]] },
        reward: 50,
        tx_fees: 0,
    }
}
