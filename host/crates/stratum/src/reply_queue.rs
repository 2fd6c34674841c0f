//! Replies in the order of the requests: every cpuminer sends all its submits under one id
//! and counts the answers.

use std::borrow::Cow;
use std::collections::VecDeque;

use chimera_pow::Difficulty;

use crate::request_id::RequestId;
use crate::{AuthTicket, Fault, Refusal};

/// Replies that may wait on one connection. At 5 ms a commit this is 200,000 shares a
/// second; a miner beyond it is not read until some are answered.
pub const PENDING_REPLIES_MAX: usize = 1024;

/// What a request gets, or what it waits for.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    /// Waits for a seat.
    Seat,
    /// Waits for a decision about a user.
    Decision { ticket: AuthTicket, user: Box<str>, hint: Option<Difficulty> },
    /// Waits until its share is durable.
    Durable,
    /// A JSON value.
    Result(Cow<'static, str>),
    /// The result of subscribe: from here on the pool may speak unasked.
    Greeting(String),
    /// The result of configure: from here on the version mask may be told.
    Configured(String),
    /// A code and a text of the table.
    Refused(Refusal),
    /// A text of policy's.
    Denied(String),
}

impl Answer {
    pub(crate) const TRUE: Self = Self::Result(Cow::Borrowed("true"));

    const fn is_waiting(&self) -> bool {
        matches!(self, Self::Seat | Self::Decision { .. } | Self::Durable)
    }
}

/// What was among the replies just written that allows more to be said.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) greeting: bool,
    pub(crate) configured: bool,
}

/// The replies not yet written.
#[derive(Debug, Default)]
pub(crate) struct ReplyQueue(VecDeque<(RequestId, Answer)>);

impl ReplyQueue {
    pub(crate) fn push(&mut self, id: RequestId, answer: Answer) {
        self.0.push_back((id, answer));
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Gives memory back while nothing waits.
    pub(crate) fn rest(&mut self) {
        if self.0.is_empty() && self.0.capacity() > 0 {
            self.0 = VecDeque::new();
        }
    }

    /// Writes what need not wait.
    pub(crate) fn flush(&mut self, out: &mut Vec<u8>) -> Written {
        let mut written = Written::default();
        while let Some((id, answer)) = self.0.pop_front_if(|(_, answer)| !answer.is_waiting()) {
            written.greeting |= matches!(answer, Answer::Greeting(_));
            written.configured |= matches!(answer, Answer::Configured(_));
            write(&id, &answer, out);
        }
        written
    }

    /// Answers the oldest `count` replies that wait for durability; tells how many did.
    pub(crate) fn settle_shares(&mut self, count: u32, stored: bool) -> u32 {
        let mut left = count;
        for (_, answer) in &mut self.0 {
            if left == 0 {
                break;
            }
            if *answer == Answer::Durable {
                *answer = match stored {
                    true => Answer::TRUE,
                    false => Answer::Refused(Fault::NotStored.into()),
                };
                left -= 1;
            }
        }
        count - left
    }

    /// Whom a ticket is about, and the hint known when it was issued.
    pub(crate) fn undecided(&self, ticket: AuthTicket) -> Option<(Box<str>, Option<Difficulty>)> {
        self.0.iter().find_map(|(_, answer)| match answer {
            Answer::Decision { ticket: at, user, hint } if *at == ticket => {
                Some((user.clone(), *hint))
            }
            _ => None,
        })
    }

    /// How many users wait for a decision.
    pub(crate) fn undecided_count(&self) -> usize {
        self.0.iter().filter(|(_, answer)| matches!(answer, Answer::Decision { .. })).count()
    }

    /// Answers the request that waits under a ticket.
    pub(crate) fn decide(&mut self, ticket: AuthTicket, with: Answer) {
        let waiting = self.0.iter_mut().find(
            |(_, answer)| matches!(answer, Answer::Decision { ticket: at, .. } if *at == ticket),
        );
        if let Some((_, answer)) = waiting {
            *answer = with;
        }
    }

    /// Answers every request that waits for a seat.
    pub(crate) fn seated(&mut self, mut with: impl FnMut() -> Answer) {
        for (_, answer) in &mut self.0 {
            if *answer == Answer::Seat {
                *answer = with();
            }
        }
    }
}

/// `id`, `result` and `error` are always there: miners ignore a reply without one of them.
fn write(id: &RequestId, answer: &Answer, out: &mut Vec<u8>) {
    match answer {
        Answer::Seat | Answer::Decision { .. } | Answer::Durable => {}
        Answer::Result(json) => write_result(id, json, out),
        Answer::Greeting(json) | Answer::Configured(json) => write_result(id, json, out),
        Answer::Refused(refusal) => write_error(id, refusal.code(), refusal, out),
        Answer::Denied(text) => {
            write_error(id, Refusal::from(Fault::Unauthorized).code(), text, out);
        }
    }
}

fn write_result(id: &RequestId, json: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"id\":");
    out.extend_from_slice(id.as_bytes());
    out.extend_from_slice(b",\"result\":");
    out.extend_from_slice(json.as_bytes());
    out.extend_from_slice(b",\"error\":null}\n");
}

/// An error under a null id could be taken for another request's, so there is none.
fn write_error(id: &RequestId, code: u8, text: &impl std::fmt::Display, out: &mut Vec<u8>) {
    if id.is_null() {
        return;
    }
    out.extend_from_slice(b"{\"id\":");
    out.extend_from_slice(id.as_bytes());
    out.extend_from_slice(b",\"result\":null,\"error\":");
    serde_json::to_writer(&mut *out, &(code, format_args!("{text}"), ()))
        .expect("a code and a text are always JSON");
    out.extend_from_slice(b"}\n");
}
