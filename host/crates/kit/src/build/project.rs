//! What is in a directory: a Rust crate, or a `plugin.toml` that says what else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

use super::BuildError;

/// A plugin's sources.
#[derive(Debug, Clone)]
pub enum Project {
    /// A crate.
    Rust(Package),
    /// A Python module, described by `plugin.toml`.
    Python(App),
}

/// What a plugin is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Compiled, some ten kilobytes.
    Rust,
    /// An interpreter and the program in it: needs the grant `interpreted`.
    Python,
}

/// A Rust crate that builds a component.
#[derive(Debug, Clone)]
pub struct Package {
    pub(super) name: String,
    pub(super) directory: PathBuf,
    pub(super) target_directory: PathBuf,
    /// Of the library, as in its file's name.
    pub(super) library: String,
}

/// A Python module and how to build it.
#[derive(Debug, Clone)]
pub struct App {
    pub(super) directory: PathBuf,
    pub(super) settings: Settings,
}

/// The table `[plugin]` of `plugin.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) language: Language,
    pub(super) world: String,
    pub(super) wit: PathBuf,
    pub(super) module: String,
    pub(super) componentize_py: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PluginToml {
    plugin: Settings,
}

impl Project {
    /// Finds out what is in a directory.
    ///
    /// # Errors
    /// When it is no plugin's, or its description is wrong.
    pub fn at(directory: &Path) -> Result<Self, BuildError> {
        let directory = fs::canonicalize(directory).map_err(BuildError::file(directory))?;
        if directory.join("plugin.toml").is_file() {
            return Ok(Self::Python(App::at(directory)?));
        }
        if directory.join("Cargo.toml").is_file() {
            return Ok(Self::Rust(Package::at(directory)?));
        }
        Err(BuildError::NoProject(directory))
    }

    /// The plugin's name: the package's, or the one in `plugin.toml`.
    pub fn name(&self) -> &str {
        match self {
            Self::Rust(package) => &package.name,
            Self::Python(app) => &app.settings.name,
        }
    }

    /// Where the sources are.
    pub fn directory(&self) -> &Path {
        match self {
            Self::Rust(package) => &package.directory,
            Self::Python(app) => &app.directory,
        }
    }

    /// What it is written in.
    pub const fn language(&self) -> Language {
        match self {
            Self::Rust(_) => Language::Rust,
            Self::Python(_) => Language::Python,
        }
    }
}

impl App {
    fn at(directory: PathBuf) -> Result<Self, BuildError> {
        let file = directory.join("plugin.toml");
        let text = fs::read_to_string(&file).map_err(BuildError::file(&file))?;
        let wrong = |problem: String| BuildError::Project { file: file.clone(), problem };
        let PluginToml { plugin } =
            toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if plugin.language != Language::Python {
            return Err(wrong("only Python needs this file; a crate has its Cargo.toml".into()));
        }
        // It becomes the name of a package on a command line.
        let is_version = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.';
        if !plugin.componentize_py.bytes().all(is_version) {
            return Err(wrong(format!("{:?} is no version, e.g. 0.25.1", plugin.componentize_py)));
        }
        Ok(Self { directory, settings: plugin })
    }
}

impl Package {
    fn at(directory: PathBuf) -> Result<Self, BuildError> {
        let file = directory.join("Cargo.toml");
        let metadata = metadata(&directory)?;
        let wrong = |problem: String| BuildError::Project { file: file.clone(), problem };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let package = packages
            .iter()
            .find(|package| package["manifest_path"].as_str().map(Path::new) == Some(&file))
            .ok_or_else(|| wrong("a workspace; name the directory of one plugin in it".into()))?;
        let is_cdylib = |target: &&Value| {
            target["crate_types"].as_array().is_some_and(|all| all.contains(&"cdylib".into()))
        };
        let targets = package["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
        let library = targets.iter().find(is_cdylib).ok_or_else(|| {
            wrong(
                "no library that makes a component; \
                 right would be [lib] with crate-type = [\"cdylib\", \"rlib\"]"
                    .into(),
            )
        })?;
        Ok(Self {
            name: text(&package["name"]),
            library: text(&library["name"]).replace('-', "_"),
            target_directory: text(&metadata["target_directory"]).into(),
            directory,
        })
    }
}

/// What cargo knows of a crate.
fn metadata(directory: &Path) -> Result<Value, BuildError> {
    let mut cargo = super::rust::cargo(directory);
    cargo.args(["metadata", "--no-deps", "--format-version", "1"]);
    let output = answer(&mut cargo, "cargo")?;
    serde_json::from_slice(&output)
        .map_err(|error| BuildError::Tool(format!("cargo metadata: {error}")))
}

/// What a tool prints, or what it says when it refuses.
pub(super) fn answer(command: &mut Command, tool: &str) -> Result<Vec<u8>, BuildError> {
    let output = command
        .output()
        .map_err(|error| BuildError::Tool(format!("{tool} cannot be started: {error}")))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(BuildError::Tool(format!("{tool} refused:\n{}", words.trim_end())))
}
