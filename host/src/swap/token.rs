//! The token that admits to changes: a file only the pool's user can read.

use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Where it lies.
pub(crate) fn token_path(data_dir: &Path) -> PathBuf {
    data_dir.join("admin.token")
}

/// Reads the token, or makes one of 256 random bits.
///
/// # Errors
/// When the file cannot be read or written, or has no token in it.
pub(crate) fn open_token(data_dir: &Path) -> anyhow::Result<String> {
    let path = token_path(data_dir);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create(&path).with_context(|| format!("cannot write {}", path.display()))?
        }
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", path.display()));
        }
    };
    let token = text.trim().to_owned();
    let usable = token.len() >= 32 && token.bytes().all(|byte| byte.is_ascii_graphic());
    anyhow::ensure!(
        usable,
        "{} holds no token: 32 or more printable characters; delete it and a new one is made",
        path.display()
    );
    Ok(token)
}

fn create(path: &Path) -> io::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    let token = hex::encode(bytes);
    // Beside and renamed: a crash half-way leaves no broken token.
    let beside = path.with_extension("tmp");
    let mut file = std::fs::File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    writeln!(file, "{token}")?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    Ok(token)
}
