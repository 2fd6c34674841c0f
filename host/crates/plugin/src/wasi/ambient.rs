//! What surrounds one call: its moment, what it prints, and how many handles it holds.

use std::io;

use blake3::{Hasher, OutputReader};
use serde::Serialize;

use super::streams::Lines;

/// When a call happens and where its random numbers begin: from its arguments alone.
pub(crate) struct Moment {
    at_ms: u64,
    random: OutputReader,
}

/// The surroundings of one instance.
pub(crate) struct Ambient {
    pub(super) moment: Moment,
    pub(super) handles: u32,
    pub(super) out: Lines,
    pub(super) err: Lines,
}

/// The beginning of time, about nothing.
impl Default for Moment {
    fn default() -> Self {
        Self { at_ms: 0, random: Hasher::new().finalize_xof() }
    }
}

impl Moment {
    /// The moment of a call about these arguments, in ms since the Unix epoch.
    pub(crate) fn of(at_ms: u64, arguments: &impl Serialize) -> Self {
        let mut hasher = Hasher::new_derive_key("chimera plugin random stream 1");
        serde_json::to_writer(&mut hasher, arguments)
            .map_err(io::Error::from)
            .expect("arguments are JSON, and a digest takes every byte");
        Self { at_ms, random: hasher.finalize_xof() }
    }

    pub(super) const fn at_ms(&self) -> u64 {
        self.at_ms
    }

    pub(super) fn fill(&mut self, bytes: &mut [u8]) {
        self.random.fill(bytes);
    }
}

impl Ambient {
    pub(crate) fn new(moment: Moment) -> Self {
        Self { moment, handles: 0, out: Lines::default(), err: Lines::default() }
    }

    /// The next call's moment.
    pub(crate) fn set(&mut self, moment: Moment) {
        self.moment = moment;
    }

    /// What it printed without an end of line, on standard output and standard error.
    pub(crate) fn rest(&mut self) -> [Option<String>; 2] {
        [self.out.rest(), self.err.rest()]
    }
}
