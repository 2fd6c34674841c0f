//! Components by name: the shipped ones, and the operator's directory before them.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::shipped::SHIPPED;
use crate::{Artifact, ArtifactError, Digest};

/// Finds components by name.
#[derive(Debug, Clone)]
pub struct Registry {
    directory: Option<PathBuf>,
}

impl Registry {
    /// The shipped components, and before them the `.wasm` files of a directory.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn new(directory: Option<&Path>) -> Result<Self, ArtifactError> {
        let registry = Self { directory: directory.map(Path::to_path_buf) };
        registry.names()?;
        Ok(registry)
    }

    /// The operator's directory.
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// A component by name.
    ///
    /// # Errors
    /// When there is none of that name (with those there are), or its file cannot be read.
    pub fn find(&self, name: &str) -> Result<Artifact, ArtifactError> {
        check_name(name)?;
        if let Some(directory) = &self.directory {
            let path = directory.join(format!("{name}.wasm"));
            match Artifact::from_file(&path) {
                Err(ArtifactError::Unreadable { source, .. })
                    if source.kind() == io::ErrorKind::NotFound => {}
                found => return found,
            }
        }
        match SHIPPED.iter().find(|(shipped, _)| *shipped == name) {
            Some((name, bytes)) => Ok(Artifact::shipped(name, bytes)),
            None => Err(ArtifactError::Unknown { name: name.to_owned(), known: self.names()? }),
        }
    }

    /// A component by name that must be exactly the one pinned.
    ///
    /// # Errors
    /// As [`Registry::find`], and when the digest is another.
    pub fn find_pinned(&self, name: &str, expected: Digest) -> Result<Artifact, ArtifactError> {
        self.find(name)?.pinned(expected)
    }

    /// All names, sorted.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn names(&self) -> Result<Vec<String>, ArtifactError> {
        let mut names: Vec<String> = SHIPPED.iter().map(|(name, _)| (*name).to_owned()).collect();
        if let Some(directory) = &self.directory {
            let unreadable = |source| ArtifactError::Unreadable { path: directory.clone(), source };
            for entry in fs::read_dir(directory).map_err(unreadable)? {
                let file = entry.map_err(unreadable)?.file_name();
                let name = file.to_str().and_then(|file| file.strip_suffix(".wasm"));
                names.extend(name.filter(|name| check_name(name).is_ok()).map(str::to_owned));
            }
        }
        names.sort();
        names.dedup();
        Ok(names)
    }
}

fn check_name(name: &str) -> Result<(), ArtifactError> {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !name.is_empty() && name.bytes().all(good) {
        return Ok(());
    }
    Err(ArtifactError::BadName(name.to_owned()))
}
