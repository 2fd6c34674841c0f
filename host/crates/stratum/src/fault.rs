//! What can be wrong with a request before there is a share to judge.

use std::fmt;

use crate::{LINE_BYTES_MAX, USER_BYTES_MAX, WORKERS_MAX};

/// A parameter, by the name the field gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Param {
    /// The user (worker) name of authorize and submit.
    User,
    /// The job id of submit.
    JobId,
    /// The miner's part of the nonce space.
    Extranonce2,
    /// Header time.
    Ntime,
    /// Header nonce.
    Nonce,
    /// Rolled version bits (BIP 310).
    VersionBits,
    /// The list of extensions of configure.
    Extensions,
    /// The options of configure.
    Options,
    /// The target of suggest_target.
    Target,
    /// The difficulty of suggest_difficulty.
    Difficulty,
}

impl fmt::Display for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "user name",
            Self::JobId => "job id",
            Self::Extranonce2 => "extranonce2",
            Self::Ntime => "ntime",
            Self::Nonce => "nonce",
            Self::VersionBits => "version bits",
            Self::Extensions => "list of extensions",
            Self::Options => "extension options",
            Self::Target => "target",
            Self::Difficulty => "difficulty",
        })
    }
}

/// Why a request was not carried out. `Display` is the text the miner sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Fault {
    /// The line passed the limit and was skipped.
    #[error("line is longer than {LINE_BYTES_MAX} bytes")]
    LineTooLong,
    /// The line is not a JSON object of the shape of a request.
    #[error("not a JSON-RPC object")]
    NotJson,
    /// The id is too long to keep while its reply waits.
    #[error("id is longer than {max} bytes", max = crate::request_id::ID_BYTES_MAX)]
    IdTooLong,
    /// No such method.
    #[error("unknown method")]
    UnknownMethod,
    /// A parameter is absent or not of its JSON type.
    #[error("{0} is missing or of the wrong type")]
    Missing(Param),
    /// A parameter of fixed width has another.
    #[error("{param} has {found} hex digits, expected {expected}")]
    HexWidth {
        /// Which one.
        param: Param,
        /// Its characters.
        found: usize,
        /// What is right.
        expected: usize,
    },
    /// The second extranonce cannot be bytes of any session.
    #[error("extranonce2 has {found} hex digits, expected an even number up to 32")]
    Extranonce2Width {
        /// Its characters.
        found: usize,
    },
    /// A parameter contains something else than hex digits.
    #[error("{0} is not hexadecimal")]
    NotHex(Param),
    /// A number that is no difficulty: zero, negative, infinite or no number.
    #[error("difficulty must be a finite number above zero")]
    NotADifficulty,
    /// The user name is too long to keep.
    #[error("user name has {found} bytes, at most {USER_BYTES_MAX} are allowed")]
    UserTooLong {
        /// Its bytes.
        found: usize,
    },
    /// One more worker than a connection may have.
    #[error("more than {WORKERS_MAX} workers on one connection")]
    TooManyWorkers,
    /// The user is not authorised on this connection.
    #[error("unauthorized worker")]
    Unauthorized,
    /// There is no session yet.
    #[error("not subscribed")]
    NotSubscribed,
    /// The pool could not make the share durable, so it does not count.
    #[error("share could not be stored")]
    NotStored,
    /// The pool has no part of the nonce space left.
    #[error("no extranonce is free, try again later")]
    NoSeat,
}
