//! The watched plugin directory: a changed file of a component in force is a request to swap.
//!
//! A file is taken when it has not changed for a second: one that is half written is not. One
//! that is refused is not tried again until its content changes, and one that was there before
//! the start only if it was never in force: what an operator took back stays away.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use chimera_api::SwapOutcome;
use chimera_plugin::{Artifact, Digest};

use super::SlotName;
use super::manager::Manager;
use super::request::SwapRequest;

/// How long a file must stay as it is.
const STABLE: Duration = Duration::from_secs(1);
/// Who asks.
pub(super) const BY_DIRECTORY: &str = "directory";

/// What was seen of the files of the components in force.
#[derive(Debug, Default)]
pub(super) struct Directory {
    files: BTreeMap<SlotName, Seen>,
    refused: BTreeSet<(SlotName, Digest)>,
}

#[derive(Debug, Clone)]
struct Seen {
    path: PathBuf,
    stamp: Option<Stamp>,
    since: Instant,
    /// It is as it was when it was first looked at.
    first: bool,
    done: bool,
}

/// What changes when a file is written or replaced.
type Stamp = (SystemTime, u64, u64);

impl Directory {
    /// Looks at the file of each slot, and asks for a swap where one has changed.
    pub(super) async fn look(&mut self, manager: &Arc<Manager>) {
        let Some(directory) = manager.loader.registry.directory().map(Path::to_path_buf) else {
            return;
        };
        for slot in SlotName::ALL {
            let path = directory.join(format!("{}.wasm", manager.name(slot)));
            if self.is_due(slot, &path).await && !manager.is_busy(slot) {
                self.ask(manager, slot, path).await;
            }
        }
    }

    /// Whether the file has changed and then stayed as it is.
    async fn is_due(&mut self, slot: SlotName, path: &Path) -> bool {
        let stamp = stamp(path).await;
        let seen = self.files.get(&slot);
        let same = seen.is_some_and(|seen| seen.path == path && seen.stamp == stamp);
        if !same {
            let first = seen.is_none_or(|seen| seen.path != path);
            let since = Instant::now();
            let seen = Seen { path: path.to_owned(), stamp, since, first, done: false };
            self.files.insert(slot, seen);
            return false;
        }
        let Some(seen) = self.files.get_mut(&slot) else { return false };
        stamp.is_some() && !seen.done && seen.since.elapsed() >= STABLE
    }

    async fn ask(&mut self, manager: &Arc<Manager>, slot: SlotName, path: PathBuf) {
        let read = tokio::task::spawn_blocking(move || Artifact::from_file(&path)).await;
        let Ok(Ok(artifact)) = read else { return };
        let digest = artifact.digest();
        let first = self.files.get(&slot).is_some_and(|seen| seen.first);
        let known = if first {
            match manager.store.was_in_force(slot.name(), digest.as_bytes()).await {
                Ok(known) => known,
                // Later.
                Err(_) => return,
            }
        } else {
            digest == manager.slots.digest(slot) || self.refused.contains(&(slot, digest))
        };
        if !known {
            let request = SwapRequest {
                slot,
                component: manager.name(slot),
                config: None,
                grants: None,
                digest: Some(digest),
                by: BY_DIRECTORY.to_owned(),
            };
            let answer = manager.request(request).await;
            if answer.swap.is_none() {
                // Another swap is under way: later.
                return;
            }
            if answer.outcome == SwapOutcome::Refused {
                self.refused.insert((slot, digest));
            }
        }
        if let Some(seen) = self.files.get_mut(&slot) {
            seen.done = true;
        }
    }
}

async fn stamp(path: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt as _;
    let found = tokio::fs::metadata(path).await.ok()?;
    Some((found.modified().ok()?, found.len(), found.ino()))
}
