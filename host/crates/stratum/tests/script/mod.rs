//! Runs conversations written as text. A file holds cases, each begun by `## name`:
//!
//! ```text
//! > line          from the miner; {nonce JOB EN2 DIFFICULTY NTH}, {miss JOB EN2 DIFFICULTY},
//!                 {between JOB EN2 LOW HIGH} are mined, {x*N} is N times x
//! >> line         the same, in one packet with the next line from the miner
//! < line          expected from the pool, byte for byte; `greeting ID` (the subscribe reply
//!                 for the seat given last), `notify JOB [clean]`, `difficulty N` and
//!                 `true ID` are short forms
//! ! effect        expected of the host
//! = input         from the host, see `Script::host`
//! # remark
//! ```
//!
//! Whatever a line causes must be named before the next input.

use std::collections::VecDeque;
use std::sync::Arc;

use chimera_stratum::{
    AuthAnswer, AuthTicket, Effect, Jobs, Line, LineBuffer, NotifyLine, Outbox, Reconnect, Seat,
    Session, SessionId, SessionState,
};
use chimera_work::{Extranonce1, ExtranonceLease, Job, JobId, NonceLayout, WorkerId};

use crate::mine;

/// Runs every case of a file; panics with file, case and line at the first difference. With
/// `upgrades`, another process goes on with the session after every step.
pub(crate) fn run(file: &str, text: &str, upgrades: bool) {
    let begin = || Script { upgrades, ..Script::new() };
    let mut script = begin();
    let mut case = "";
    for (number, line) in text.lines().enumerate() {
        let at = || format!("{file}:{} ({case})", number + 1);
        let (kind, rest) = line.split_at(line.len().min(2));
        match kind {
            "##" => {
                script.expect_silence(&at());
                script = begin();
                case = rest.trim();
            }
            ">>" => {
                script.expect_silence(&at());
                script.packet += &(script.mined(rest.trim_start()) + "\n");
            }
            "> " | "= " => {
                script.expect_silence(&at());
                if kind == "> " { script.miner(rest) } else { script.host(rest) }
            }
            "< " => {
                let said = script.said.pop_front();
                assert_eq!(said.as_deref(), Some(script.written_out(rest).as_str()), "{}", at());
            }
            "! " => {
                let expected = script.mined(rest);
                assert_eq!(script.asked.pop_front(), Some(expected), "{}", at());
            }
            "# " | "#" | "" => {}
            _ => panic!("{}: no such kind of line", at()),
        }
    }
    script.expect_silence(&format!("{file}: end ({case})"));
}

struct Script {
    session: Session,
    lines: LineBuffer,
    out: Outbox,
    said: VecDeque<String>,
    asked: VecDeque<String>,
    tickets: VecDeque<AuthTicket>,
    parked: Option<Seat>,
    /// The jobs the host issued.
    jobs: Vec<Arc<Job>>,
    extranonce1: Extranonce1,
    session_id: String,
    /// Lines held back for the next one.
    packet: String,
    /// The pool is replaced after every step.
    upgrades: bool,
}

/// The jobs of a pool that is replaced.
#[derive(Default)]
struct Handed(Vec<Arc<Job>>);

impl Jobs for Handed {
    fn place(&mut self, job: &Arc<Job>) -> u32 {
        self.0.push(Arc::clone(job));
        u32::try_from(self.0.len() - 1).expect("few")
    }
}

impl Script {
    fn new() -> Self {
        Self {
            session: Session::new(mine::config(), 0),
            lines: LineBuffer::default(),
            out: Outbox::default(),
            said: VecDeque::new(),
            asked: VecDeque::new(),
            tickets: VecDeque::new(),
            parked: None,
            jobs: Vec::new(),
            extranonce1: Extranonce1([0; 4]),
            session_id: String::new(),
            packet: String::new(),
            upgrades: false,
        }
    }

    fn expect_silence(&self, at: &str) {
        assert!(self.said.is_empty(), "{at}: not expected from the pool: {:?}", self.said);
        assert!(self.asked.is_empty(), "{at}: not expected of the host: {:?}", self.asked);
    }

    /// Sends a line the way a socket does: in pieces.
    fn miner(&mut self, line: &str) {
        let packet = std::mem::take(&mut self.packet) + &self.mined(line) + "\n";
        let mut bytes = packet.as_bytes();
        while !bytes.is_empty() {
            let space = self.lines.space();
            let count = space.len().min(bytes.len());
            space[..count].copy_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            self.lines.filled(count);
            while let Some(line) = self.lines.next_line() {
                match line {
                    Line::Text(line) => self.session.handle_line(line, &mut self.out),
                    Line::TooLong => self.session.line_too_long(&mut self.out),
                }
            }
        }
        self.collect();
    }

    fn host(&mut self, input: &str) {
        let (verb, rest) = input.split_once(' ').unwrap_or((input, ""));
        let words: Vec<&str> = rest.split_whitespace().collect();
        let (session, out) = (&mut self.session, &mut self.out);
        match verb {
            "mining" => self.start_mining(),
            // = seat EXTRANONCE1 SESSION-ID
            "seat" => {
                self.extranonce1 = extranonce1(words[0]);
                words[1].clone_into(&mut self.session_id);
                session.subscribed(seat(words[0], words[1]), out);
            }
            "parked" => {
                let seat = self.parked.take().expect("something was cut before");
                self.extranonce1 = seat.extranonce1();
                session.subscribed(seat, out);
            }
            "no-seat" => session.no_seat(out),
            // = allow WORKER [DIFFICULTY]
            "allow" => {
                let worker = WorkerId(words[0].parse().expect("a number"));
                let difficulty = words.get(1).map(|word| mine::difficulty(parse(word)));
                let ticket = self.tickets.pop_front().expect("somebody asked");
                session.authorized(ticket, AuthAnswer::Allow { worker, difficulty }, out);
            }
            "deny" => {
                let ticket = self.tickets.pop_front().expect("somebody asked");
                session.authorized(ticket, AuthAnswer::Deny { message: rest.to_owned() }, out);
            }
            // = job ID [clean] [round=N] [network=DIFFICULTY] [mask=HEX]
            "job" => {
                let option = |name: &str| {
                    words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
                };
                let round = option("round").map_or(1, |round| round.parse().expect("a number"));
                let mut template = mine::template(round, option("network").map_or(1e12, parse));
                if let Some(mask) = option("mask") {
                    template.version_mask = u32::from_str_radix(mask, 16).expect("hex");
                }
                let id = JobId::parse(words[0]).expect("a job id").0;
                let job = mine::job(id, template, words.contains(&"clean"));
                self.jobs.push(Arc::clone(&job));
                session.new_job(&Arc::new(NotifyLine::new(job)), out);
            }
            "durable" => session.durable(words[0].parse().expect("a number"), out),
            "not-durable" => session.not_durable(words[0].parse().expect("a number"), out),
            "measured" => session.measured(0),
            "retarget" => session.retarget(mine::difficulty(parse(words[0])), out),
            // = extranonce EXTRANONCE1
            "extranonce" => {
                let lease = ExtranonceLease::recorded(extranonce1(words[0]));
                match session.set_extranonce(lease, out) {
                    Ok(()) => self.extranonce1 = extranonce1(words[0]),
                    Err(_) => self.asked.push_back("cannot follow".to_owned()),
                }
            }
            // The connection breaks; the next one begins.
            "cut" => {
                self.parked = std::mem::replace(session, Session::new(mine::config(), 0)).park();
                self.lines = LineBuffer::default();
                self.tickets.clear();
                if let Some(job) = self.jobs.last() {
                    let notify = Arc::new(NotifyLine::new(Arc::clone(job)));
                    self.session.new_job(&notify, &mut self.out);
                }
            }
            "ping" | "version" | "message" | "reconnect" => {
                let said = match verb {
                    "ping" => session.ping(out),
                    "version" => session.get_version(out),
                    "message" => session.show_message(rest, out),
                    _ => session.reconnect(&reconnect(&words), out),
                };
                if !said {
                    self.asked.push_back("not said".to_owned());
                }
            }
            "agent" => self.asked.push_back(session.user_agent().to_owned()),
            "counters" => self.asked.push_back(counters(session)),
            _ => panic!("the host has no input {verb}"),
        }
        self.collect();
    }

    /// The usual beginning: job 100, one session at the initial difficulty, worker 7.
    fn start_mining(&mut self) {
        self.host("job 100 clean");
        self.miner(r#"{"id":1,"method":"mining.subscribe","params":["rig/1"]}"#);
        self.host("seat 0a0b0c0d 00000000000000aa");
        self.miner(r#"{"id":2,"method":"mining.authorize","params":["alice.rig1","x"]}"#);
        self.host("allow 7");
        assert_eq!(self.said.len(), 4, "greeting, true, difficulty, notify: {:?}", self.said);
        self.said.clear();
        self.asked.clear();
    }

    fn collect(&mut self) {
        let text = std::str::from_utf8(&self.out.bytes).expect("the pool says UTF-8");
        self.said.extend(text.lines().map(str::to_owned));
        for effect in &self.out.effects {
            if let Effect::Authorize(login) = effect {
                self.tickets.push_back(login.ticket);
            }
            self.asked.push_back(asked(effect));
        }
        self.out.clear();
        if self.upgrades {
            self.upgrade();
        }
    }

    /// The session as another process would go on with it, if it may be handed over now.
    fn upgrade(&mut self) {
        let mut handed = Handed::default();
        let Some(state) = self.session.state(1_000, &mut handed) else { return };
        let text = serde_json::to_string(&state).expect("a state is data");
        let state: SessionState = serde_json::from_str(&text).expect("as it was written");
        let seat = state.seat().cloned().map(|seat| {
            let lease = ExtranonceLease::recorded(seat.extranonce1());
            Seat::restore(seat, lease, NonceLayout::DEFAULT, &handed.0).expect("a seat")
        });
        let latest = self.jobs.last().map(|job| Arc::new(NotifyLine::new(Arc::clone(job))));
        self.session = Session::restore(mine::config(), state, seat, latest, 77_000);
    }

    /// The job with an id, also when a session had it under a number of its own.
    fn job(&self, id: &str) -> Arc<Job> {
        let id = JobId::parse(id).expect("a job id");
        let found = self.jobs.iter().rev().find_map(|job| {
            (0..=255).filter_map(|nth| job.reissue(nth)).find(|job| job.id() == id).map(Arc::new)
        });
        found.expect("the host issued the job")
    }

    /// Replaces `{nonce ..}` and its like.
    fn mined(&self, line: &str) -> String {
        let mut text = line.to_owned();
        for verb in ["{nonce ", "{miss ", "{between "] {
            while let Some(start) = text.find(verb) {
                let end = start + text[start..].find('}').expect("braces are closed");
                let words: Vec<&str> = text[start + verb.len()..end].split(' ').collect();
                let (least, below, nth) = match verb {
                    "{nonce " => (Some(parse(words[2])), None, words[3].parse().expect("a number")),
                    "{miss " => (None, Some(parse(words[2])), 0),
                    _ => (Some(parse(words[2])), Some(parse(words[3])), 0),
                };
                let job = self.job(words[0]);
                let extranonce2 = hex::decode(words[1]).expect("hex");
                let nonce = mine::nonce(&job, self.extranonce1, &extranonce2, least, below, nth);
                text.replace_range(start..=end, &format!("{nonce:08x}"));
            }
        }
        if let Some((before, rest)) = text.split_once("{x*") {
            let (count, after) = rest.split_once('}').expect("braces are closed");
            text = [before, &"x".repeat(count.parse().expect("a number")), after].concat();
        }
        text
    }

    /// Short forms of expected lines.
    fn written_out(&self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["true", id] => format!(r#"{{"id":{id},"result":true,"error":null}}"#),
            ["greeting", id] => {
                let (session, part) = (&self.session_id, hex::encode(self.extranonce1.0));
                format!(
                    r#"{{"id":{id},"result":[[["mining.set_difficulty","{session}"],["mining.notify","{session}"]],"{part}",8],"error":null}}"#
                )
            }
            ["difficulty", number] => {
                format!(r#"{{"id":null,"method":"mining.set_difficulty","params":[{number}]}}"#)
            }
            ["notify", id, rest @ ..] => self.notify(id, rest == ["clean"]),
            _ => line.to_owned(),
        }
    }

    /// Built here a second time, field by field.
    fn notify(&self, id: &str, clean: bool) -> String {
        let job = self.job(id);
        let template = job.template();
        let (head, tail) = (hex::encode(job.head()), hex::encode(&template.commitment.tail));
        let previous = hex::encode(template.previous);
        let branch = hex::encode(template.commitment.branch[0]);
        format!(
            r#"{{"id":null,"method":"mining.notify","params":["{id}","{previous}","{head}","{tail}",["{branch}"],"20000000","{}","6b00b23c",{clean}]}}"#,
            template.bits
        )
    }
}

fn asked(effect: &Effect) -> String {
    match effect {
        Effect::Subscribe { resume: None } => "subscribe".to_owned(),
        Effect::Subscribe { resume: Some(id) } => format!("subscribe resume={id}"),
        Effect::Authorize(login) => {
            let hint = login.hint.map_or(String::new(), |hint| format!(" hint={hint}"));
            format!("authorize {} {}{hint}", login.user, login.password)
        }
        Effect::Found(solution) => {
            let stale = if solution.stale { " stale" } else { "" };
            format!("found worker={}{stale}", solution.worker.0)
        }
        Effect::Credit(share) => {
            format!("credit worker={} difficulty={}", share.worker().0, share.difficulty())
        }
    }
}

fn counters(session: &Session) -> String {
    let count = session.counters();
    format!(
        "accepted={} stale={} duplicate={} low={} invalid={} not-stored={} faults={}",
        count.accepted,
        count.stale,
        count.duplicate,
        count.low_difficulty,
        count.invalid,
        count.not_stored,
        count.faults
    )
}

fn seat(part: &str, id: &str) -> Seat {
    let lease = ExtranonceLease::recorded(extranonce1(part));
    Seat::new(SessionId::parse(id).expect("16 digits"), lease, NonceLayout::DEFAULT)
}

fn extranonce1(hex: &str) -> Extranonce1 {
    Extranonce1(hex::decode(hex).expect("hex").try_into().expect("four bytes"))
}

fn reconnect(words: &[&str]) -> Reconnect {
    match words {
        [host, port, wait] => Reconnect {
            to: Some((String::from(*host), port.parse().expect("a port"))),
            wait_s: wait.parse().expect("seconds"),
        },
        [wait] => Reconnect { to: None, wait_s: wait.parse().expect("seconds") },
        _ => Reconnect::default(),
    }
}

fn parse(number: &str) -> f64 {
    number.parse().expect("a difficulty")
}
