//! How a command ends, as the shell sees it; `chimera --help` lists the codes.

use std::process::ExitCode;

/// The end of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Tried and failed.
    Failed = 1,
    /// The settings were refused (BSD's EX_CONFIG is 78; 64 is what usage errors share).
    BadConfig = 64,
    /// Whoever was to be asked does not answer (BSD's EX_UNAVAILABLE).
    Unreachable = 69,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
