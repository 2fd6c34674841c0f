//! What miners ask, and what they get.

use std::borrow::Cow;

use chimera_work::{Judgement, Reject, Submission};

use super::{Session, WORKERS_MAX};
use crate::configure::Extension;
use crate::notice::json_string;
use crate::reply_queue::Answer;
use crate::request::{Call, Request};
use crate::request_id::RequestId;
use crate::submit::Submit;
use crate::{AuthTicket, Effect, Fault, Login, Outbox, Refusal, Seat, SessionId, suggest};

/// A user agent or version says who made it in fewer characters.
const USER_AGENT_CHARS_KEPT: usize = 128;

impl Session {
    /// Takes one line from the miner.
    pub fn handle_line(&mut self, line: &[u8], out: &mut Outbox) {
        let Request { id, call } = Request::parse(line);
        match call.map_err(Refusal::from).and_then(|call| self.answer(call, &id, out)) {
            Ok(Some(answer)) => self.replies.push(id, answer),
            Ok(None) => {}
            Err(refusal) => self.refuse(id, refusal),
        }
        self.settle(out);
    }

    /// A line was skipped because it was too long.
    pub fn line_too_long(&mut self, out: &mut Outbox) {
        self.refuse(RequestId::Unreadable, Fault::LineTooLong.into());
        self.settle(out);
    }

    /// Hints with a null id get no reply: bfgminer sends such before subscribe, and would
    /// take the reply for subscribe's.
    fn answer(
        &mut self,
        call: Call<'_>,
        id: &RequestId,
        out: &mut Outbox,
    ) -> Result<Option<Answer>, Refusal> {
        let answer = match call {
            Call::Submit(submit) => self.submit(&submit, out)?,
            Call::Subscribe { user_agent, resume } => self.subscribe(user_agent, resume, out),
            Call::Authorize { user, password } => self.authorize(user, password, out)?,
            Call::Configure(extensions) => self.configure(extensions),
            Call::ExtranonceSubscribe => {
                self.extranonce_subscribed = true;
                Answer::TRUE
            }
            Call::Suggest(difficulty) => {
                self.difficulty.suggest(self.config.meant(difficulty));
                return Ok((!id.is_null()).then_some(Answer::TRUE));
            }
            Call::SuggestTarget(difficulty) => {
                self.difficulty.suggest(difficulty);
                return Ok((!id.is_null()).then_some(Answer::TRUE));
            }
            Call::Hint => return Ok((!id.is_null()).then_some(Answer::TRUE)),
            Call::Ping => Answer::Result(Cow::Borrowed("\"pong\"")),
            Call::GetTransactions => Answer::Result(Cow::Borrowed("[]")),
            Call::MultiVersion => Answer::Result(Cow::Borrowed("false")),
            Call::Reply { text } => {
                self.reply_from_miner(id, text);
                return Ok(None);
            }
        };
        Ok(Some(answer))
    }

    /// From bytes to verdict: nothing here allocates for a share.
    fn submit(&mut self, submit: &Submit<'_>, out: &mut Outbox) -> Result<Answer, Refusal> {
        let seat = self.seat.as_mut().ok_or(Fault::NotSubscribed)?;
        // A worker still undecided is not authorised: no miner submits before it is told so.
        let worker = *self.workers.get(submit.user.as_ref()).ok_or(Fault::Unauthorized)?;
        let job = submit.job.ok_or(Reject::UnknownJob)?;
        let Submit { extranonce2, time, nonce, version_bits, .. } = *submit;
        let submission = Submission { worker, job, extranonce2, time, nonce, version_bits };
        let Judgement { verdict, solution } = seat.book.judge(&submission, self.version_mask);
        out.effects.extend(solution.map(Effect::Found));
        let Some(share) = verdict? else {
            self.counters.uncredited += 1;
            return Ok(Answer::TRUE);
        };
        self.rate.accepted(share.difficulty());
        out.effects.push(Effect::Credit(share));
        Ok(Answer::Durable)
    }

    /// A repeated subscribe is answered as the first one was.
    fn subscribe(
        &mut self,
        user_agent: Option<Cow<'_, str>>,
        resume: Option<SessionId>,
        out: &mut Outbox,
    ) -> Answer {
        if let Some(user_agent) = user_agent {
            self.user_agent = shortened(&user_agent);
        }
        if let Some(seat) = &self.seat {
            return Answer::Greeting(greeting(seat));
        }
        if !self.seat_asked {
            self.seat_asked = true;
            out.effects.push(Effect::Subscribe { resume });
        }
        Answer::Seat
    }

    fn authorize(
        &mut self,
        user: Cow<'_, str>,
        password: Cow<'_, str>,
        out: &mut Outbox,
    ) -> Result<Answer, Fault> {
        let known = self.workers.contains_key(user.as_ref());
        if !known && self.workers.len() + self.replies.undecided_count() >= WORKERS_MAX {
            return Err(Fault::TooManyWorkers);
        }
        if let (Some(difficulty), None) = (suggest::in_password(&password), self.told) {
            self.difficulty.suggest(self.config.meant(difficulty));
        }
        let ticket = AuthTicket(self.tickets);
        self.tickets = self.tickets.wrapping_add(1);
        let hint = self.difficulty.hint();
        out.effects.push(Effect::Authorize(Login {
            ticket,
            user: user.as_ref().to_owned(),
            password: password.into_owned(),
            user_agent: self.user_agent.clone(),
            hint,
        }));
        Ok(Answer::Decision { ticket, user: user.into(), hint })
    }

    /// BIP 310: every extension asked for is answered, false if it is unknown.
    fn configure(&mut self, extensions: Vec<Extension>) -> Answer {
        let members: Vec<String> = extensions
            .into_iter()
            .map(|extension| match extension {
                Extension::VersionRolling { mask } => self.roll(mask),
                Extension::MinimumDifficulty(floor) => {
                    let kept = floor
                        .is_some_and(|floor| self.difficulty.require_min(self.config.meant(floor)));
                    format!("\"minimum-difficulty\":{kept}")
                }
                Extension::SubscribeExtranonce => {
                    self.extranonce_subscribed = true;
                    "\"subscribe-extranonce\":true".to_owned()
                }
                Extension::Info => "\"info\":true".to_owned(),
                Extension::Unknown(name) => format!("{}:false", json_string(&name)),
            })
            .collect();
        Answer::Configured(format!("{{{}}}", members.join(",")))
    }

    fn roll(&mut self, asked: u32) -> String {
        let granted = asked & self.config.version_mask;
        let usable = self.narrowed_to_template(granted);
        self.version_mask_told = None;
        if usable == 0 {
            self.version_mask = 0;
            return "\"version-rolling\":false".to_owned();
        }
        self.version_mask = granted;
        format!("\"version-rolling\":true,\"version-rolling.mask\":\"{usable:08x}\"")
    }

    /// Of the pool's own requests only `client.get_version` has an answer of interest.
    fn reply_from_miner(&mut self, id: &RequestId, text: Option<Cow<'_, str>>) {
        let asked = self.version_request.map(|id| id.to_string());
        if asked.is_some_and(|asked| asked.as_bytes() == id.as_bytes()) {
            self.version_request = None;
            self.version = text.map(|text| shortened(&text));
        }
    }
}

/// The result of subscribe: subscriptions under the session's id, extranonce1, and the size
/// of extranonce2.
pub(super) fn greeting(seat: &Seat) -> String {
    let (id, extranonce1) = (seat.id, hex::encode(seat.extranonce1().0));
    let size = seat.book.layout().extranonce2_bytes();
    format!(
        "[[[\"mining.set_difficulty\",\"{id}\"],[\"mining.notify\",\"{id}\"]],\
         \"{extranonce1}\",{size}]"
    )
}

fn shortened(text: &str) -> String {
    text.chars().take(USER_AGENT_CHARS_KEPT).collect()
}
