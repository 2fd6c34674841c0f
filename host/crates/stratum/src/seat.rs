//! What a session owns of the pool, and gets back when it returns.

use std::fmt;

use chimera_pow::Difficulty;
use chimera_work::{Extranonce1, ExtranonceLease, JobBook, JobId, NonceLayout};

/// The name under which a session can be resumed: whoever knows it can take the seat, so
/// the host draws it from a secure source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl SessionId {
    /// Reads the 16 hex digits of the wire form.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        digits.then(|| u64::from_str_radix(text, 16).ok())?.map(Self)
    }
}

/// A part of the nonce space, the jobs issued over it, the shares they earned, and the
/// difficulty reached. Outlives a connection for a grace time, so that a miner that
/// reconnects keeps its work and cannot be paid twice for it. Authorisations do not.
#[derive(Debug)]
pub struct Seat {
    pub(crate) id: SessionId,
    pub(crate) book: JobBook,
    pub(crate) difficulty: Option<Difficulty>,
    /// The shared job last issued, itself or under another number.
    pub(crate) shared: Option<JobId>,
    /// How many other numbers that job has had here.
    pub(crate) reissues: u32,
}

impl Seat {
    /// A new seat over a leased part of the nonce space.
    pub fn new(id: SessionId, lease: ExtranonceLease, layout: NonceLayout) -> Self {
        let book = JobBook::new(lease, layout);
        Self { id, book, difficulty: None, shared: None, reissues: 0 }
    }

    /// The round is over: frees what only mattered in it.
    pub fn end_round(&mut self) {
        self.book.end_round();
    }

    /// Whether work was issued over it; else nobody has anything to come back for.
    pub const fn is_used(&self) -> bool {
        self.shared.is_some()
    }

    /// Its part of the nonce space.
    pub fn into_lease(self) -> ExtranonceLease {
        self.book.into_lease()
    }

    /// The name to resume it by.
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// Its part of the nonce space.
    pub const fn extranonce1(&self) -> Extranonce1 {
        self.book.extranonce1()
    }
}
