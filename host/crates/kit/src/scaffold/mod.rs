//! `chimera plugin new`: a project that stands alone. The examples are the templates; the
//! SDK and `wit/` come along, so that nothing but crates.io (or PyPI) is needed to build it.

mod embedded;
mod lock;
mod manifest;

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::build::Language;

const README_RUST: &str = include_str!("../../templates/README.rust.md");
const README_PYTHON: &str = include_str!("../../templates/README.python.md");
const IGNORED_RUST: &str = "/target\n*.wasm\n*.wasm.tmp\n# cargo component writes its bindings \
                            here; the SDK has its own.\n/src/bindings.rs\n";
const IGNORED_PYTHON: &str = "/.build\n*.wasm\n*.wasm.tmp\n__pycache__\n";
/// Where the SDK lies in a new project: two levels down, as in this repository.
const SDK: &str = "vendor/chimera-plugin-sdk";
const NAME_BYTES_MAX: usize = 64;

/// What a plugin decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Who gets what part of a reward.
    Payout,
    /// Who may mine.
    Auth,
    /// How hard each session's shares are.
    Difficulty,
}

/// What to begin.
#[derive(Debug, Clone)]
pub struct NewPlugin {
    /// Its name, as operators write it.
    pub name: String,
    /// What it decides.
    pub kind: Kind,
    /// What it is written in.
    pub language: Language,
    /// Where it goes.
    pub directory: PathBuf,
}

/// Why there is no project.
#[derive(Debug, thiserror::Error)]
pub enum ScaffoldError {
    /// Not a name a pool finds a component by.
    #[error(
        "{0:?} is no plugin name: a lower-case letter, then lower-case letters, digits and \
         hyphens, 64 at most, e.g. payout-mine"
    )]
    BadName(String),
    /// No example to begin from.
    #[error("there is no {kind} plugin in {language} to begin from; {known}")]
    NoTemplate {
        /// What was asked for.
        kind: &'static str,
        /// In what.
        language: &'static str,
        /// What there is.
        known: &'static str,
    },
    /// Something is there already.
    #[error("{}: not empty; a new plugin needs a directory of its own", .0.display())]
    Occupied(PathBuf),
    /// A file cannot be written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Kind {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Payout => "payout",
            Self::Auth => "auth",
            Self::Difficulty => "difficulty",
        }
    }

    const fn example(self, language: Language) -> Option<&'static str> {
        match (language, self) {
            (Language::Rust, Self::Payout) => Some("payout-equal"),
            (Language::Rust, Self::Auth) => Some("auth-named"),
            (Language::Rust, Self::Difficulty) => Some("difficulty-doubling"),
            (Language::Python, Self::Payout) => Some("payout-python"),
            (Language::Python, _) => None,
        }
    }

    /// The key of the settings that names the component of this kind.
    const fn setting(self) -> &'static str {
        match self {
            Self::Payout => "payout.scheme",
            Self::Auth => "auth.policy",
            Self::Difficulty => "difficulty.strategy",
        }
    }
}

/// Writes a new project; the files written, relative to its directory.
///
/// # Errors
/// See [`ScaffoldError`]. Nothing is overwritten.
pub fn scaffold(new: &NewPlugin) -> Result<Vec<PathBuf>, ScaffoldError> {
    check_name(&new.name)?;
    let example = new.kind.example(new.language).ok_or(ScaffoldError::NoTemplate {
        kind: new.kind.name(),
        language: "Python",
        known: "in Python there is: --kind payout",
    })?;
    check_empty(&new.directory)?;
    let mut files = Vec::new();
    for (name, text) in files_of(new, example) {
        let path = new.directory.join(&name);
        let failed = |source| ScaffoldError::File { path: path.clone(), source };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        fs::write(&path, text).map_err(failed)?;
        files.push(name);
    }
    files.sort();
    Ok(files)
}

fn files_of(new: &NewPlugin, example: &str) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut add = |name: String, text: String| files.push((PathBuf::from(name), text));
    for (name, text) in embedded::below(&format!("examples/{example}")) {
        let text = if name == "Cargo.toml" { manifest::of_project(text) } else { text.to_owned() };
        add(name.to_owned(), renamed(&text.replace("../../wit", "wit"), example, &new.name));
    }
    for (name, text) in embedded::below("wit") {
        add(format!("wit/{name}"), text.to_owned());
    }
    let (readme, ignored) = match new.language {
        Language::Rust => (README_RUST, IGNORED_RUST),
        Language::Python => (README_PYTHON, IGNORED_PYTHON),
    };
    let readme = readme
        .replace("{name}", &new.name)
        .replace("{kind}", new.kind.name())
        .replace("{setting}", new.kind.setting());
    add("README.md".to_owned(), readme);
    add(".gitignore".to_owned(), ignored.to_owned());
    if new.language == Language::Rust {
        for (name, text) in embedded::below("plugins/sdk") {
            let text = if name == "Cargo.toml" { manifest::of_sdk(text) } else { text.to_owned() };
            add(format!("{SDK}/{name}"), text);
        }
        let pin = embedded::file("rust-toolchain.toml").unwrap_or_default();
        add("rust-toolchain.toml".to_owned(), manifest::toolchain(pin));
        let lock = embedded::file("Cargo.lock").unwrap_or_default();
        add("Cargo.lock".to_owned(), lock::of_project(lock, example, &new.name));
    }
    files
}

/// The example under another name, as a package and as a library.
fn renamed(text: &str, example: &str, name: &str) -> String {
    text.replace(example, name).replace(&example.replace('-', "_"), &name.replace('-', "_"))
}

fn check_name(name: &str) -> Result<(), ScaffoldError> {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let begins_well = name.bytes().next().is_some_and(|first| first.is_ascii_lowercase());
    if begins_well && name.len() <= NAME_BYTES_MAX && name.bytes().all(good) {
        return Ok(());
    }
    Err(ScaffoldError::BadName(name.to_owned()))
}

fn check_empty(directory: &Path) -> Result<(), ScaffoldError> {
    match fs::read_dir(directory) {
        Ok(mut entries) => match entries.next() {
            Some(_) => Err(ScaffoldError::Occupied(directory.to_path_buf())),
            None => Ok(()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(ScaffoldError::File { path: directory.to_path_buf(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_a_pool_finds_a_component_by() {
        for name in ["payout-mine", "a", "x9"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        let long = "a".repeat(NAME_BYTES_MAX + 1);
        for name in ["", "-", "9lives", "Payout", "a b", "../up", "müller", &long] {
            let refused = check_name(name).unwrap_err().to_string();
            assert!(refused.contains("e.g. payout-mine"), "{refused}");
        }
    }

    /// Nothing in a new project points out of it, or still has the example's name.
    #[test]
    fn a_project_stands_alone() {
        for kind in [Kind::Payout, Kind::Auth, Kind::Difficulty] {
            let new = NewPlugin {
                name: "my-plugin".to_owned(),
                kind,
                language: Language::Rust,
                directory: PathBuf::new(),
            };
            let example = kind.example(Language::Rust).unwrap();
            for (name, text) in files_of(&new, example) {
                let vendored = name.starts_with(SDK);
                assert!(vendored || !text.contains(example), "{}", name.display());
                assert!(!text.contains("workspace = true"), "{}", name.display());
                assert!(vendored || !text.contains("../.."), "{}", name.display());
            }
        }
    }

    #[test]
    fn what_is_there_is_not_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("precious"), "").unwrap();
        let new = NewPlugin {
            name: "payout-mine".to_owned(),
            kind: Kind::Payout,
            language: Language::Rust,
            directory: directory.path().to_path_buf(),
        };
        assert!(matches!(scaffold(&new), Err(ScaffoldError::Occupied(_))));
    }
}
