//! `chimera plugin build`: a project becomes a component file, with no tool but the
//! language's own.

mod project;
mod python;
mod rust;

use std::path::{Path, PathBuf};
use std::{fs, io};

use chimera_plugin::Digest;

use crate::vectors;

pub use project::{Language, Project};

/// What every plugin exports, as it stands in a component.
const EXPORTED: &[u8] = b"chimera:pool/plugin@";
const HINT: &str = "in Rust, src/lib.rs must export one world, with export_payout_scheme!, \
                    export_auth_policy! or export_difficulty_strategy!";

/// How to build.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where the component goes; `NAME.wasm` in the project if not given.
    pub out: Option<PathBuf>,
    /// The same bytes on every machine: locked versions, a pinned compiler, no path names,
    /// no signatures of tools.
    pub reproducible: bool,
}

/// A component that was built.
#[derive(Debug, Clone)]
pub struct Built {
    /// Its name.
    pub name: String,
    /// What it is written in.
    pub language: Language,
    /// Where it is.
    pub file: PathBuf,
    /// Its size.
    pub bytes: usize,
    /// What settlements record and operators pin.
    pub digest: Digest,
}

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Neither a crate nor a `plugin.toml`.
    #[error(
        "{}: no plugin: neither Cargo.toml nor plugin.toml is there; \
         `chimera plugin new NAME --kind payout` begins one", .0.display()
    )]
    NoProject(PathBuf),
    /// The project's description is wrong.
    #[error("{}: {problem}", file.display())]
    Project {
        /// The file.
        file: PathBuf,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// A tool is missing or refused.
    #[error("{0}")]
    Tool(String),
    /// The compiler refused; what it said is on standard error already.
    #[error("{0} refused; its own words are above")]
    Refused(&'static str),
    /// The module is no component.
    #[error("{name} is no component of wit/: {problem}\n{hint}")]
    NoComponent {
        /// The plugin.
        name: String,
        /// The encoder's words.
        problem: String,
        /// What would be right.
        hint: &'static str,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl BuildError {
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        |source| Self::File { path, source }
    }
}

/// Builds a project. The compiler's messages go to standard error as they come. The file
/// appears at once or not at all: what was there stays until the build is good.
///
/// # Errors
/// See [`BuildError`].
pub fn build(project: &Project, options: &Options) -> Result<Built, BuildError> {
    let component = match project {
        Project::Rust(package) => rust::compile(package, options.reproducible)?,
        Project::Python(app) => python::compile(app, options.reproducible)?,
    };
    let name = project.name().to_owned();
    // A crate that exports nothing makes a component all the same: of nothing.
    if !component.windows(EXPORTED.len()).any(|window| window == EXPORTED) {
        let problem = "it exports nothing of chimera:pool".to_owned();
        return Err(BuildError::NoComponent { name, problem, hint: HINT });
    }
    let vectors = project.directory().join("vectors");
    let component = vectors::carry(component, &vectors)
        .map_err(|problem| BuildError::Project { file: vectors, problem })?;
    let default = || project.directory().join(format!("{name}.wasm"));
    let file = options.out.clone().unwrap_or_else(default);
    replace(&file, &component).map_err(BuildError::file(&file))?;
    Ok(Built {
        language: project.language(),
        bytes: component.len(),
        digest: Digest::of(&component),
        file,
        name,
    })
}

/// Written beside and renamed: nobody ever reads half a component.
fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = file.with_extension("wasm.tmp");
    fs::write(&beside, bytes)?;
    fs::rename(&beside, file)
}
