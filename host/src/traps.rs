//! Failed calls as files, for the component's author: few enough that a component that always
//! fails fills neither disk nor time.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use chimera_plugin::CallBundle;

/// Files kept; the oldest makes room.
const FILES_MAX: usize = 32;
/// A larger one (a batch of ten thousand sessions has 1 MB) is not written.
const BYTES_MAX: usize = 4 << 20;
/// One slot writes not more often than this.
const PAUSE_MS: u64 = 10_000;
/// What stands in them is nobody's but the pool's user's: users, addresses, configurations.
const MODE: u32 = 0o600;
/// Shorter ones ("x", "123") are no secrets, and would blot out half the text.
const PASSWORD_BYTES_MIN: usize = 4;

/// A directory of call bundles.
#[derive(Debug)]
pub(crate) struct Traps {
    directory: PathBuf,
    /// When each slot wrote last.
    written: Mutex<Vec<(&'static str, u64)>>,
}

impl Traps {
    /// In a directory that is made when it is needed.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory, written: Mutex::default() }
    }

    /// Writes a failed call, if the slot's last one is long enough ago. Blocks: not for the
    /// executor. A password that a component repeated in its words is taken out.
    pub(crate) fn keep(
        &self,
        slot: &'static str,
        now_ms: u64,
        password: Option<&str>,
        bundle: impl FnOnce() -> CallBundle,
    ) {
        if !self.is_due(slot, now_ms) {
            return;
        }
        let text = redacted(bundle().to_json(), password);
        if text.len() > BYTES_MAX {
            tracing::debug!(slot, bytes = text.len(), "a failed call is too large to be kept");
            return;
        }
        match self.write(&format!("{now_ms}-{slot}.json"), text.as_bytes()) {
            Ok(path) => tracing::info!(slot, path = %path.display(), "a failed call is kept"),
            Err(error) => tracing::warn!(slot, %error, "a failed call cannot be kept"),
        }
    }

    fn is_due(&self, slot: &'static str, now_ms: u64) -> bool {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        match written.iter_mut().find(|(name, _)| *name == slot) {
            Some((_, at_ms)) if now_ms < at_ms.saturating_add(PAUSE_MS) => return false,
            Some((_, at_ms)) => *at_ms = now_ms,
            None => written.push((slot, now_ms)),
        }
        true
    }

    /// Writes the failed call of a settlement: one file each, however often it is tried. Blocks.
    pub(crate) fn keep_settlement(&self, key: &str, bundle: &[u8]) {
        let name = key.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-");
        match self.write(&format!("{name}.json"), bundle) {
            Ok(path) => tracing::info!(key, path = %path.display(), "a failed call is kept"),
            Err(error) => tracing::warn!(key, %error, "a failed call cannot be kept"),
        }
    }

    fn write(&self, name: &str, text: &[u8]) -> std::io::Result<PathBuf> {
        std::fs::create_dir_all(&self.directory)?;
        let path = self.directory.join(name);
        let mut file = std::fs::File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(MODE)
            .open(&path)?;
        // One that was there keeps its mode otherwise.
        file.set_permissions(Permissions::from_mode(MODE))?;
        file.write_all(text)?;
        let mut files = files(&self.directory)?;
        files.sort();
        let surplus = files.len().saturating_sub(FILES_MAX);
        for (_, file) in files.drain(..surplus) {
            std::fs::remove_file(file)?;
        }
        Ok(path)
    }
}

/// The bundles there are, with when each was written.
fn files(directory: &Path) -> std::io::Result<Vec<(SystemTime, PathBuf)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|ending| ending == "json") {
            files.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    Ok(files)
}

/// A text without the password a component repeated in it.
pub(crate) fn redacted(text: String, password: Option<&str>) -> String {
    let Some(password) = password.filter(|password| password.len() >= PASSWORD_BYTES_MIN) else {
        return text;
    };
    // As it stands in JSON, without the quotes.
    let quoted = serde_json::Value::from(password).to_string();
    text.replace(&quoted[1..quoted.len() - 1], "(password)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use chimera_plugin::{Attempt, AuthPolicy, Engines, Grants, Protocol, Registry, Services};

    fn bundle() -> CallBundle {
        let engines = Engines::new(None).unwrap();
        let artifact = Registry::new(None).unwrap().find("auth-open").unwrap();
        let policy =
            AuthPolicy::load(&engines, &artifact, "", &Grants::none(), Services::none()).unwrap();
        let attempt = Attempt {
            remote_ip: [127, 0, 0, 1].into(),
            listener: "stratum".into(),
            protocol: Protocol::StratumV1,
            tls: false,
            user: "alice and hunter2\"".into(),
            password: Some("hunter2\"".into()),
            user_agent: String::new(),
            at_ms: 0,
        };
        let answer = policy.authorize(&attempt);
        CallBundle::authorize(&policy, &attempt, &answer)
    }

    #[test]
    fn failed_calls_are_kept_few_and_without_passwords() {
        let dir = tempfile::tempdir().unwrap();
        let traps = Traps::new(dir.path().join("traps"));
        let bundle = bundle();
        for at_s in 0..100 {
            for slot in ["auth", "difficulty"] {
                traps.keep(slot, 1_000_000 + at_s * 5_000, Some("hunter2\""), || bundle.clone());
            }
        }
        let mut files = files(&traps.directory).unwrap();
        files.sort();
        assert_eq!(files.len(), FILES_MAX);
        let (_, newest) = files.last().unwrap();
        assert!(newest.ends_with("1490000-difficulty.json"), "{newest:?}");
        let text = std::fs::read_to_string(newest).unwrap();
        assert!(text.contains("alice and (password)") && !text.contains("hunter2"), "{text}");
        assert!(CallBundle::from_json(&text).is_ok());
    }

    #[test]
    fn a_settlement_that_fails_again_and_again_takes_one_file() {
        let dir = tempfile::tempdir().unwrap();
        let traps = Traps::new(dir.path().join("traps"));
        for round in 0..3 {
            for number in 0..40 {
                traps.keep_settlement(&format!("interval:1:0-{number}"), &[round]);
            }
        }
        assert_eq!(files(&traps.directory).unwrap().len(), FILES_MAX);
        assert_eq!(std::fs::read(traps.directory.join("interval-1-0-39.json")).unwrap(), [2]);
    }

    #[test]
    fn a_failed_call_is_for_the_pools_user_only() {
        let dir = tempfile::tempdir().unwrap();
        let traps = Traps::new(dir.path().to_owned());
        let earlier = dir.path().join("earlier.json");
        std::fs::write(&earlier, "").unwrap();
        std::fs::set_permissions(&earlier, Permissions::from_mode(0o644)).unwrap();
        traps.keep("auth", 1, None, bundle);
        traps.keep_settlement("block:1", b"{}");
        traps.keep_settlement("earlier", b"{}");
        for name in ["1-auth.json", "block-1.json", "earlier.json"] {
            let mode = std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, MODE, "{name}");
        }
    }
}
