//! A door's certificate: read at the start, and again when its files change.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate chain with its key, as TLS connections use them.
#[derive(Debug)]
pub(crate) struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    current: ArcSwap<ServerConfig>,
    last: Mutex<Last>,
}

/// What was found when the files were last looked at.
#[derive(Debug)]
struct Last {
    /// The files `current` was made of.
    files: [Option<Version>; 2],
    /// Why what stands there now cannot be used.
    trouble: Option<String>,
}

/// Tells a file from what stood there before: a file moved to its place may be older.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    changed: SystemTime,
    inode: u64,
    bytes: u64,
}

/// What came of looking at a certificate again.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Renewal {
    /// It is the one in use.
    Same,
    /// The next connection has a new one.
    New,
    /// What stands there cannot be used, and the one before stays.
    Unusable {
        /// Why.
        cause: String,
        /// Nobody has been told yet.
        news: bool,
    },
}

impl Certificate {
    /// Reads a chain and its key, both PEM.
    ///
    /// # Errors
    /// When a file cannot be read, holds none, or they do not belong together.
    pub(crate) fn load(chain: PathBuf, key: PathBuf) -> anyhow::Result<Self> {
        let files = [version(&chain), version(&key)];
        let current = read(&chain, &key)?;
        let last = Mutex::new(Last { files, trouble: None });
        Ok(Self { chain, key, current: ArcSwap::from_pointee(current), last })
    }

    /// For the next connection.
    pub(super) fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }

    /// Reads the files again if they have changed; connections keep what they began with. What
    /// cannot be used is looked at until it can: two files are never replaced at once, and what
    /// is wrong with them need not show in their times.
    pub(super) fn renew(&self) -> Renewal {
        let files = [version(&self.chain), version(&self.key)];
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.files == files {
            // What had taken its place is gone again.
            last.trouble = None;
            return Renewal::Same;
        }
        match read(&self.chain, &self.key) {
            Ok(config) => {
                self.current.store(Arc::new(config));
                *last = Last { files, trouble: None };
                Renewal::New
            }
            Err(error) => {
                let cause = format!("{error:#}");
                let news = last.trouble.as_ref() != Some(&cause);
                last.trouble = Some(cause.clone());
                Renewal::Unusable { cause, news }
            }
        }
    }
}

fn version(path: &Path) -> Option<Version> {
    let file = std::fs::metadata(path).ok()?;
    Some(Version { changed: file.modified().ok()?, inode: file.ino(), bytes: file.len() })
}

fn read(chain_file: &Path, key_file: &Path) -> anyhow::Result<ServerConfig> {
    let shown = chain_file.display();
    let chain = CertificateDer::pem_file_iter(chain_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("the certificate {shown} cannot be read"))?;
    anyhow::ensure!(!chain.is_empty(), "{shown} holds no certificate (PEM is expected)");
    let key = PrivateKeyDer::from_pem_file(key_file)
        .with_context(|| format!("the key {} cannot be read", key_file.display()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .with_context(|| format!("{shown} and {} do not belong together", key_file.display()))
}
