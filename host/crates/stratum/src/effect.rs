//! What a session asks of its host, and where it writes.

use std::fmt;

use chimera_pow::Difficulty;
use chimera_work::{Share, Solution, WorkerId};

use crate::SessionId;

/// Something only the host can do. Perform effects in order, and write
/// [`Outbox::bytes`] after them: so a possible block leaves before its share is credited.
#[derive(Debug)]
pub enum Effect {
    /// Give the session a seat: answer with [`Session::subscribed`](crate::Session::subscribed)
    /// or [`Session::no_seat`](crate::Session::no_seat). Emitted at most once at a time.
    Subscribe {
        /// The seat the miner had before; a new one will do.
        resume: Option<SessionId>,
    },
    /// Decide who this is: answer with [`Session::authorized`](crate::Session::authorized).
    Authorize(Login),
    /// Record and submit a possible block. Comes before the `Credit` of the same share; a share
    /// that earns nothing (its job is stale) has none, and is answered at once.
    Found(Box<Solution>),
    /// Make a share durable, then say [`Session::durable`](crate::Session::durable); if that
    /// fails for good, [`Session::not_durable`](crate::Session::not_durable).
    Credit(Share),
}

/// Which authorize request an answer belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AuthTicket(pub(crate) u32);

/// A user who wants to mine here.
#[derive(Clone, PartialEq)]
pub struct Login {
    /// To be handed back with the answer.
    pub ticket: AuthTicket,
    /// The name, escapes of firmware undone, at most
    /// [`USER_BYTES_MAX`](crate::USER_BYTES_MAX) bytes.
    pub user: String,
    /// The password as sent, often meaningless.
    pub password: String,
    /// What the miner calls itself; empty if it has not subscribed yet.
    pub user_agent: String,
    /// The difficulty it asked for, by suggestion or in the password, within the limits.
    pub hint: Option<Difficulty>,
}

/// Without the password: it may be a real one.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("ticket", &self.ticket)
            .field("user", &self.user)
            .field("user_agent", &self.user_agent)
            .field("hint", &self.hint)
            .finish_non_exhaustive()
    }
}

/// The decision about a [`Login`].
#[derive(Debug, Clone, PartialEq)]
pub enum AuthAnswer {
    /// The user may mine.
    Allow {
        /// Whom its shares are credited to.
        worker: WorkerId,
        /// What to start at; `None` leaves it to the miner's hint and the pool's default.
        /// Only the first worker of a new session sets it.
        difficulty: Option<Difficulty>,
    },
    /// The user may not.
    Deny {
        /// What the miner is told.
        message: String,
    },
    /// Nobody can tell at the moment, which is not the user's fault.
    Unknown {
        /// What the miner is told.
        message: String,
    },
}

/// What came of one input. Kept and reused by the host.
#[derive(Debug, Default)]
pub struct Outbox {
    /// To be written to the miner: whole lines, in order.
    pub bytes: Vec<u8>,
    /// To be done before that, in order.
    pub effects: Vec<Effect>,
}

impl Outbox {
    /// Empties it for the next input; the memory stays.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.effects.clear();
    }
}
