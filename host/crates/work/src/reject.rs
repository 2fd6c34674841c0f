//! Why an answer is refused: one list, from which wire codes, metric labels and
//! statistics are derived.

use std::fmt;

/// The reason a submission earns nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reject {
    /// The session never received this job, or it is long gone.
    UnknownJob,
    /// The job is of a round that is over.
    Stale,
    /// The same header was already accepted from this session.
    Duplicate,
    /// The hash misses the share target of the job.
    LowDifficulty,
    /// The second extranonce has another length than the session was told.
    Extranonce2Length {
        /// What the session was told, in bytes.
        expected: u8,
        /// What came, in bytes.
        found: u8,
    },
    /// The header time is before what the chain accepts.
    TimeTooOld,
    /// The header time is further ahead than the chain accepts.
    TimeTooNew,
    /// Version bits were rolled outside the negotiated mask.
    VersionMask,
    /// The session has more shares in this round than the pool remembers.
    TooManyShares,
}

impl Reject {
    /// Every reason, for tables and metrics.
    pub const ALL: [Self; 9] = [
        Self::UnknownJob,
        Self::Stale,
        Self::Duplicate,
        Self::LowDifficulty,
        Self::Extranonce2Length { expected: 0, found: 0 },
        Self::TimeTooOld,
        Self::TimeTooNew,
        Self::VersionMask,
        Self::TooManyShares,
    ];

    /// A fixed word for metric labels and the API.
    pub const fn label(self) -> &'static str {
        match self {
            Self::UnknownJob => "unknown-job",
            Self::Stale => "stale",
            Self::Duplicate => "duplicate",
            Self::LowDifficulty => "low-difficulty",
            Self::Extranonce2Length { .. } => "extranonce2-length",
            Self::TimeTooOld => "time-too-old",
            Self::TimeTooNew => "time-too-new",
            Self::VersionMask => "version-mask",
            Self::TooManyShares => "too-many-shares",
        }
    }
}

/// The text a miner sees.
impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownJob => f.write_str("job not found"),
            Self::Stale => f.write_str("stale job"),
            Self::Duplicate => f.write_str("duplicate share"),
            Self::LowDifficulty => f.write_str("low difficulty share"),
            Self::Extranonce2Length { expected, found } => {
                write!(f, "extranonce2 has {found} bytes, expected {expected}")
            }
            Self::TimeTooOld => f.write_str("ntime too old"),
            Self::TimeTooNew => f.write_str("ntime too far ahead"),
            Self::VersionMask => f.write_str("version bits outside the mask"),
            Self::TooManyShares => f.write_str("too many shares in this round"),
        }
    }
}
