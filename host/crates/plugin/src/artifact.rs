//! A component as bytes: where they came from and what they are. Not yet compiled or trusted.

use std::borrow::Cow;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use crate::Digest;

/// The most any class may have; Python brings 20 MB.
const FILE_BYTES_MAX: u64 = 32 << 20;

/// A component to load.
#[derive(Clone)]
pub struct Artifact {
    name: String,
    bytes: Cow<'static, [u8]>,
    digest: Digest,
    origin: Origin,
}

/// Where a component came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built into this binary.
    Shipped,
    /// A file of the operator's.
    File(PathBuf),
    /// What the ledger kept of an earlier generation.
    Kept,
}

/// Why there is no component to load.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// Neither shipped nor in the directory.
    #[error("no component {name:?}; there are: {}", .known.join(", "))]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names that would be right.
        known: Vec<String>,
    },
    /// A name that could leave the directory.
    #[error(
        "{0:?} is no component name: lower-case letters, digits and hyphens are, e.g. payout-pplns"
    )]
    BadName(String),
    /// The file or directory cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is too large to be a component.
    #[error("{}: more than {FILE_BYTES_MAX} bytes; no component has", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Another component than the operator pinned.
    #[error("{name} ({origin}) has the digest {found}, but {expected} is pinned")]
    WrongDigest {
        /// The component.
        name: String,
        /// Where it came from.
        origin: Origin,
        /// Its digest.
        found: Digest,
        /// The pinned digest.
        expected: Digest,
    },
}

impl Artifact {
    /// A component from a file; its name is the file's, without `.wasm`.
    ///
    /// # Errors
    /// When the file cannot be read or is far too large. What is inside is judged on loading.
    pub fn from_file(path: &Path) -> Result<Self, ArtifactError> {
        let unreadable = |source| ArtifactError::Unreadable { path: path.to_path_buf(), source };
        // Read once: what is judged, compiled and recorded are the same bytes, whatever
        // becomes of the file meanwhile.
        let file = fs::File::open(path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(ArtifactError::TooLarge { path: path.to_path_buf() });
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self::new(name, bytes.into(), Origin::File(path.to_path_buf())))
    }

    /// A component that was in force earlier, from the bytes kept of it.
    pub fn kept(name: &str, bytes: Vec<u8>) -> Self {
        Self::new(name.to_owned(), bytes.into(), Origin::Kept)
    }

    pub(crate) fn shipped(name: &str, bytes: &'static [u8]) -> Self {
        Self::new(name.to_owned(), bytes.into(), Origin::Shipped)
    }

    fn new(name: String, bytes: Cow<'static, [u8]>, origin: Origin) -> Self {
        Self { name, digest: Digest::of(&bytes), bytes, origin }
    }

    /// Passes the artifact on if it is the one the operator pinned.
    ///
    /// # Errors
    /// With the digest found and the digest expected.
    pub fn pinned(self, expected: Digest) -> Result<Self, ArtifactError> {
        if self.digest == expected {
            return Ok(self);
        }
        Err(ArtifactError::WrongDigest {
            name: self.name,
            origin: self.origin,
            found: self.digest,
            expected,
        })
    }

    /// The name operators use, e.g. `payout-pplns`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The component.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it is recorded and pinned by.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Where it came from.
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shipped => f.write_str("shipped"),
            Self::File(path) => path.display().fmt(f),
            Self::Kept => f.write_str("kept by the ledger"),
        }
    }
}

impl fmt::Debug for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Artifact")
            .field("name", &self.name)
            .field("digest", &self.digest)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}
