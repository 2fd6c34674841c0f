//! What reaches a shard from other threads.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chimera_stratum::AuthTicket;

use super::door::{Arrival, Resumed};
use super::slots::Key;
use crate::policy::{Admission, Retarget};
use crate::recorder::Fate;
use crate::work_feed::Work;

/// News for a shard or for one of its connections.
#[derive(Debug)]
pub(crate) enum Message {
    /// A new job for everybody, or none for anybody.
    Work(Work),
    /// What became of the oldest shares of this shard.
    Fate(Fate),
    /// The share log takes shares again.
    Room,
    /// Another shard accepted it, and this one has fewer.
    Arrived(Arrival),
    /// It was served by another process until now.
    Resumed(Box<Resumed>),
    /// A policy has decided.
    Answer(Key, Answer),
    /// A possible block is recorded and handed in: its finder may be answered. With the number
    /// of the block among that connection's.
    Offered(Key, u32),
}

/// A policy's answer on its way back to a connection.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Who a user is.
    Login(AuthTicket, Admission),
    /// What the difficulty becomes.
    Retarget(Retarget),
}

/// Where other threads put messages. The shard is woken once, however many there are.
#[derive(Debug)]
pub(crate) struct Inbox {
    messages: Mutex<Vec<Message>>,
    woken: AtomicBool,
    waker: Option<mio::Waker>,
}

impl Inbox {
    /// Wakes a shard's poll.
    pub(crate) fn new(waker: mio::Waker) -> Self {
        Self { messages: Mutex::default(), woken: AtomicBool::new(false), waker: Some(waker) }
    }

    /// An inbox somebody looks into by himself.
    #[cfg(test)]
    pub(crate) fn unattended() -> Self {
        Self { messages: Mutex::default(), woken: AtomicBool::new(false), waker: None }
    }

    /// Leaves a message.
    pub(crate) fn put(&self, message: Message) {
        self.messages().push(message);
        self.wake();
    }

    /// Makes the shard look around.
    pub(crate) fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            // The only failure is a full counter, and then the shard is woken already.
            let _: Option<io::Result<()>> = self.waker.as_ref().map(mio::Waker::wake);
        }
    }

    /// Takes all messages, oldest first, into an empty list.
    pub(crate) fn take(&self, into: &mut Vec<Message>) {
        // First: whoever leaves one from here on wakes the shard again.
        self.woken.store(false, Ordering::Release);
        std::mem::swap(&mut *self.messages(), into);
    }

    fn messages(&self) -> MutexGuard<'_, Vec<Message>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where one connection's answers go.
#[derive(Debug, Clone)]
pub(crate) struct ReplyTo {
    /// Its shard.
    pub inbox: Arc<Inbox>,
    /// Its place there; nobody's, if it has ended meanwhile.
    pub key: Key,
}

impl ReplyTo {
    /// Sends an answer.
    pub(crate) fn send(&self, answer: Answer) {
        self.inbox.put(Message::Answer(self.key, answer));
    }
}
