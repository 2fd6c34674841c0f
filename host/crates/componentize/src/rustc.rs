//! The compiler in use: has it the target, and what must it be told for equal bytes.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A compiler, as it is found from a directory: a toolchain file there decides which.
pub struct Rustc {
    program: OsString,
    directory: PathBuf,
}

impl Rustc {
    /// The compiler `program`, started in `directory`.
    pub fn new(program: impl AsRef<OsStr>, directory: &Path) -> Self {
        Self { program: program.as_ref().to_owned(), directory: directory.to_path_buf() }
    }

    /// `rustup target add`, for the toolchain in use, if its standard library is missing.
    ///
    /// # Errors
    /// When there is no compiler, or the target is missing and cannot be installed.
    pub fn install_target(&self, target: &str) -> Result<(), String> {
        let library = self.ask(&["--print", "target-libdir", "--target", target])?;
        if Path::new(&library).is_dir() {
            return Ok(());
        }
        let advice = format!(
            "components need the Rust target {target}, and it could not be installed; \
             `rustup target add {target}` does that"
        );
        let mut rustup = self.command("rustup");
        let output = rustup
            .args(["target", "add", target])
            .output()
            .map_err(|error| format!("{advice}: rustup: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("{advice}:\n{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Path names end up in panic messages: flags that give every machine the same. The
    /// sources below `root` are told to lie in `name`.
    ///
    /// # Errors
    /// When the compiler does not answer.
    pub fn remapping(&self, root: &Path, name: &str) -> Result<Vec<String>, String> {
        let sysroot = self.ask(&["--print", "sysroot"])?;
        let version = self.version()?;
        let commit = version.lines().find_map(|line| line.strip_prefix("commit-hash: "));
        let cargo_home = match env::var("CARGO_HOME") {
            Ok(directory) => directory,
            Err(_) => format!("{}/.cargo", env::var("HOME").unwrap_or_default()),
        };
        Ok(vec![
            format!("--remap-path-prefix={}={name}", root.display()),
            format!("--remap-path-prefix={cargo_home}/registry/src=/registry"),
            format!(
                "--remap-path-prefix={sysroot}/lib/rustlib/src/rust=/rustc/{}",
                commit.unwrap_or_default()
            ),
        ])
    }

    /// `rustc --version --verbose`.
    ///
    /// # Errors
    /// When the compiler does not answer.
    pub fn version(&self) -> Result<String, String> {
        self.ask(&["--version", "--verbose"])
    }

    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.directory);
        command
    }

    fn ask(&self, arguments: &[&str]) -> Result<String, String> {
        let program = self.program.to_string_lossy();
        let answer = self
            .command(&self.program)
            .args(arguments)
            .output()
            .map_err(|error| format!("{program}: {error}"))?;
        if !answer.status.success() {
            let words = String::from_utf8_lossy(&answer.stderr);
            return Err(format!("{program} {}: {}", arguments.join(" "), words.trim()));
        }
        Ok(String::from_utf8_lossy(&answer.stdout).trim().to_owned())
    }
}
