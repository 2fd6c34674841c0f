//! What became of the last upgrade, in the data directory: for `chimera upgrade`, and for
//! people.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The newest upgrade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// When it was asked for, milliseconds since the Unix epoch.
    pub(crate) asked_ms: u64,
    /// What became of it.
    pub(crate) outcome: Outcome,
    /// The process that serves now.
    pub(crate) process: u32,
    /// Why it failed.
    pub(crate) cause: Option<String>,
}

/// How far an upgrade is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// Under way.
    Running,
    /// The new process serves.
    Done,
    /// The old one goes on.
    Failed,
}

impl Record {
    /// Writes it, whole or not at all.
    pub(crate) fn write(&self, data_dir: &Path) -> io::Result<()> {
        let (file, new) = (path(data_dir), data_dir.join("upgrade.json.new"));
        std::fs::write(&new, serde_json::to_vec(self)?)?;
        std::fs::rename(new, file)
    }

    /// Reads it; `None` if there was no upgrade.
    pub(crate) fn read(data_dir: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(path(data_dir)).ok()?).ok()
    }
}

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("upgrade.json")
}
