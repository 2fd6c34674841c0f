//! What the pool says, and what is said to it. Replies to submits are told by their bytes; all
//! other lines are rare and parsed.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::LoadError;
use super::connection::Stage;
use super::event_loop::{Closing, EventLoop};
use super::flights::{Flights, Kind};
use super::scan::{self, Id, Line, Verdict};
use super::shares::Wanted;
use super::template::{Fields, ID_DIGITS};
use super::waves;
use crate::miner::{
    Call, MinerJob, PoolLine, Subscription, USER_AGENT, reply, reply_unknown, request, shown,
};

const SUBSCRIBE_ID: u64 = 1;
const AUTHORIZE_ID: u64 = 2;
/// Hashes of one connection before the others have their turn: some milliseconds.
const HASHES_MAX: u64 = 1 << 14;

impl EventLoop {
    /// The socket is connected: asks for a part of the nonce space.
    pub(super) fn connected(&mut self, index: usize) {
        let now = self.shared.now_ns();
        let connection = &mut self.connections[index];
        connection.stage = Stage::Subscribing;
        if !std::mem::replace(&mut connection.reached[0], true) {
            self.tally.opening.connected.note(now);
        }
        self.say(index, &request(SUBSCRIBE_ID, "mining.subscribe", &json!([USER_AGENT])));
    }

    fn say(&mut self, index: usize, line: &str) {
        self.out.extend_from_slice(line.as_bytes());
        self.send(index);
    }

    /// Takes all whole lines; how many bytes they were.
    pub(super) fn heard(&mut self, index: usize, bytes: &[u8], now: u64) -> usize {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            if let Some((id, length)) = self.shape.accepted(rest, ID_DIGITS) {
                self.answered(index, id, Verdict::Accepted, now);
                used += length;
                continue;
            }
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else { return used };
            self.line(index, &rest[..=end], now);
            used += end + 1;
            if self.connections[index].link.is_none() {
                return used;
            }
        }
    }

    fn line(&mut self, index: usize, line: &[u8], now: u64) {
        let text = line.trim_ascii();
        match scan::read(text) {
            Line::Reply { id: Id::Number(id @ (SUBSCRIBE_ID | AUTHORIZE_ID)), .. } => {
                self.replied(index, id, text, now);
            }
            Line::Reply { id: Id::Number(id), verdict } => {
                if verdict == Verdict::Accepted {
                    self.shape.learn(line, id);
                }
                self.answered(index, id, verdict, now);
            }
            Line::Call(b"mining.notify") => self.notified(index, text, now),
            Line::Call(_) => self.called(index, text),
            Line::Reply { id: Id::None, .. } => self.tally.error("reply without an id"),
            Line::Other if text.is_empty() => {}
            Line::Other => {
                self.tally.error("not Stratum");
                let connection = &self.connections[index];
                if connection.stage != Stage::Ready {
                    let found = shown(&String::from_utf8_lossy(text));
                    self.shared.note(LoadError::NotAPool { pool: connection.address, found });
                    self.close(index, Closing::Refused);
                }
            }
        }
    }

    #[inline]
    fn answered(&mut self, index: usize, id: u64, verdict: Verdict<'_>, now: u64) {
        let Some(flight) = self.connections[index].flights.arrive(id) else {
            return self.tally.error("reply to nothing");
        };
        self.in_flight -= 1;
        let measures = self.times.measures(now);
        self.tally.answer(verdict, flight.kind == Kind::Bad, measures);
        if measures {
            let took = now.saturating_sub(flight.sent_ns);
            self.tally.times.record(took);
            if now < self.tally.waves.near_until_ns() {
                self.tally.near.record(took);
            }
        }
    }

    fn replied(&mut self, index: usize, id: u64, line: &[u8], now: u64) {
        let Ok(PoolLine::Reply { outcome, .. }) = PoolLine::parse(&String::from_utf8_lossy(line))
        else {
            return self.tally.error("not Stratum");
        };
        let connection = &mut self.connections[index];
        match (id, connection.stage, outcome) {
            (SUBSCRIBE_ID, Stage::Subscribing, Ok(result)) => {
                match Subscription::from_values(&result[1], &result[2]) {
                    Ok(subscription) => connection.subscription = Some(subscription),
                    Err(bad) => return self.refused(index, "subscribe", &bad.to_string()),
                }
                connection.stage = Stage::Authorizing;
                if !std::mem::replace(&mut connection.reached[1], true) {
                    self.tally.opening.subscribed.note(now);
                    self.shared.subscribed.fetch_add(1, Ordering::Relaxed);
                }
                let login = json!([connection.user, self.plan.password]);
                self.opened();
                self.say(index, &request(AUTHORIZE_ID, "mining.authorize", &login));
            }
            (AUTHORIZE_ID, Stage::Authorizing, Ok(_)) => {
                connection.stage = Stage::Ready;
                if !std::mem::replace(&mut connection.reached[2], true) {
                    self.tally.opening.authorized.note(now);
                    self.shared.authorized.fetch_add(1, Ordering::Relaxed);
                }
                if connection.is_working() {
                    self.works(index, now);
                }
            }
            (SUBSCRIBE_ID, Stage::Subscribing, Err(reason)) => {
                self.refused(index, "subscribe", &reason);
            }
            (AUTHORIZE_ID, _, Err(reason)) => self.refused(index, "authorize", &reason),
            _ => self.tally.error("reply to nothing"),
        }
    }

    fn refused(&mut self, index: usize, what: &'static str, reason: &str) {
        self.tally.error(&format!("{what}: {reason}"));
        let user = self.connections[index].user.clone();
        self.shared.note(LoadError::Refused { what, user, reason: reason.to_owned() });
        self.close(index, Closing::Refused);
    }

    /// A connection is ready and has its first job.
    fn works(&mut self, index: usize, now: u64) {
        let in_flight = self.plan.in_flight;
        let connection = &mut self.connections[index];
        connection.attempts = 0;
        if connection.slow {
            return;
        }
        connection.flights = Flights::new(in_flight);
        self.working += 1;
        self.tally.opening.to_job.record(now - connection.opened_ns);
        if std::mem::replace(&mut connection.reached[3], true) {
            self.tally.reopened += 1;
        } else {
            self.tally.opening.job.note(now);
            self.shared.holding.fetch_add(1, Ordering::Relaxed);
        }
        self.back(index, now);
    }

    fn notified(&mut self, index: usize, line: &[u8], now: u64) {
        let connection = &mut self.connections[index];
        let (Some(job), Some(subscription)) = (scan::notify(line), &connection.subscription) else {
            return self.tally.error("unreadable job");
        };
        let mined = match self.plan.mined() {
            None => None,
            Some(algorithm) => {
                let message: Value = serde_json::from_slice(line).unwrap_or_default();
                let params = message["params"].as_array().map_or(&[][..], Vec::as_slice);
                let difficulty = connection.difficulty;
                match MinerJob::from_notify(params, subscription, difficulty, algorithm) {
                    Ok(job) => Some(job),
                    Err(_) => return self.tally.error("unreadable job"),
                }
            }
        };
        let had_work = connection.is_working();
        let fields = Fields {
            user: &connection.user,
            job_id: job.job_id,
            ntime: job.ntime,
            extranonce2_bytes: usize::from(subscription.extranonce2_bytes),
        };
        connection.work.turn_to(fields, mined, self.plan.bad_ppm > 0);
        self.tally.jobs += 1;
        let block = waves::block(job.prevhash);
        let news = connection.block.replace(block).is_some_and(|last| last != block);
        if !had_work && connection.is_working() {
            self.works(index, now);
        } else if had_work && news && !connection.slow && self.times.measures(now) {
            let complete = self.tally.waves.note(block, now, self.working);
            self.shared.waves.fetch_add(u32::from(complete), Ordering::Relaxed);
        }
    }

    fn called(&mut self, index: usize, line: &[u8]) {
        let Ok(PoolLine::Call { id, call }) = PoolLine::parse(&String::from_utf8_lossy(line))
        else {
            return self.tally.error("not Stratum");
        };
        let connection = &mut self.connections[index];
        let answer = match call {
            Call::SetDifficulty(Some(difficulty)) => {
                self.tally.difficulty_changes += u64::from(connection.difficulty != difficulty);
                connection.difficulty = difficulty;
                None
            }
            Call::SetDifficulty(None) => return self.tally.error("unreadable difficulty"),
            Call::SetExtranonce(params) => {
                // Some pools leave the size out when it stays.
                let kept = connection.subscription.as_ref().map(|kept| kept.extranonce2_bytes);
                let size = params.get(1).cloned().unwrap_or_else(|| json!(kept));
                let first = params.first().unwrap_or(&Value::Null);
                match Subscription::from_values(first, &size) {
                    Ok(subscription) => connection.subscription = Some(subscription),
                    Err(_) => self.tally.error("unreadable extranonce"),
                }
                None
            }
            Call::Reconnect { host, port, wait_s } => {
                self.tally.reconnects += 1;
                let elsewhere = |host: &String| *host != connection.address.ip().to_string();
                if host.as_ref().is_some_and(elsewhere) {
                    self.tally.error("asked to another host, came back to this one");
                } else if let Some(port) = port {
                    connection.address.set_port(port);
                }
                let wait_ns = wait_s.min(3600) * 1_000_000_000;
                return self.close(index, Closing::Asked { wait_ns });
            }
            Call::GetVersion => reply(&id, &json!(USER_AGENT)),
            Call::Ping => reply(&id, &json!("pong")),
            // A submit without version bits is right under any mask.
            Call::ShowMessage(_) => None,
            Call::Other(method) if method == "mining.set_version_mask" => None,
            Call::Notify(_) => None,
            Call::Other(method) => {
                self.tally.error(&format!("unknown method {method}"));
                reply_unknown(&id, &method)
            }
        };
        if let Some(answer) = answer {
            self.say(index, &answer);
        }
    }

    /// Sends every submit a connection may have under way, in one write.
    pub(super) fn submit(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        let full = connection.link.as_ref().is_none_or(super::link::Link::is_full);
        if connection.flights.room() == 0 || full || connection.slow || !connection.is_working() {
            return;
        }
        let now = self.shared.now_ns();
        if !self.times.submits(now) {
            return;
        }
        let before = connection.flights.count();
        let mut hashes = HASHES_MAX;
        while self.connections[index].flights.room() > 0 {
            let wanted = self.wanted();
            let connection = &mut self.connections[index];
            let (work, flights) = (&mut connection.work, &mut connection.flights);
            if !work.append(&mut self.out, flights, now, wanted, &mut hashes) {
                if !std::mem::replace(&mut connection.hungry, true) {
                    self.hungry.push_back(index);
                }
                break;
            }
            self.tally.bad_sent += u64::from(wanted != Wanted::Good);
        }
        let sent = self.connections[index].flights.count() - before;
        self.in_flight += sent;
        self.tally.submits += sent as u64;
        if sent > 0 {
            self.send(index);
        }
    }

    /// Lines of one that will not read the answers, into `out`; how many.
    pub(super) fn unread_submits(&mut self, index: usize, lines: usize) -> u64 {
        let connection = &mut self.connections[index];
        connection.flights = Flights::new(lines as u32);
        let (mut made, mut hashes, now) = (0, HASHES_MAX, self.shared.now_ns());
        let (work, flights) = (&mut connection.work, &mut connection.flights);
        while flights.room() > 0
            && work.append(&mut self.out, flights, now, Wanted::Good, &mut hashes)
        {
            made += 1;
        }
        // Nothing waits for their answers.
        connection.flights.forget();
        made
    }

    /// Spreads the bad ones evenly.
    #[inline]
    fn wanted(&mut self) -> Wanted {
        self.bad_sum += self.plan.bad_ppm;
        if self.bad_sum < 1_000_000 {
            return Wanted::Good;
        }
        self.bad_sum -= 1_000_000;
        self.bad_turn += 1;
        Wanted::bad(self.bad_turn, self.plan.mined().is_some())
    }
}
