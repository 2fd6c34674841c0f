//! A crate: plain `cargo build`, then the module becomes a component.

use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

use chimera_componentize::{Rustc, TARGET, component_of, without_producers};

use super::BuildError;
use super::project::Package;

const PINS: [&str; 2] = ["rust-toolchain.toml", "rust-toolchain"];
/// What the environment may change of a build, beside the project's own files.
const SETTINGS: [&str; 6] = [
    "CARGO_PROFILE_",
    "CARGO_BUILD_",
    "CARGO_TARGET_WASM32",
    "RUSTFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
];

/// cargo, as the author would start it in the directory.
pub(super) fn cargo(directory: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(directory);
    // Set by rustup for whatever runs below a cargo: the project's own choice counts.
    if pinned(directory) {
        cargo.env_remove("RUSTUP_TOOLCHAIN");
    }
    cargo
}

/// Whether a file beside or above the sources says which compiler.
fn pinned(directory: &Path) -> bool {
    directory.ancestors().any(|above| PINS.iter().any(|pin| above.join(pin).is_file()))
}

pub(super) fn compile(package: &Package, reproducible: bool) -> Result<Vec<u8>, BuildError> {
    let directory = &package.directory;
    let rustc = Rustc::new("rustc", directory);
    rustc.install_target(TARGET).map_err(BuildError::Tool)?;
    let mut cargo = cargo(directory);
    cargo.args(["build", "--release", "--target", TARGET, "--lib", "-p", &package.name]);
    if reproducible {
        make_reproducible(&mut cargo, &rustc, directory)?;
    }
    let status = cargo
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .status()
        .map_err(|error| BuildError::Tool(format!("cargo cannot be started: {error}")))?;
    if !status.success() {
        return Err(BuildError::Refused("cargo"));
    }
    let module = package
        .target_directory
        .join(TARGET)
        .join("release")
        .join(format!("{}.wasm", package.library));
    let module = fs::read(&module).map_err(BuildError::file(&module))?;
    let component = component_of(&module, TARGET).map_err(|problem| BuildError::NoComponent {
        name: package.name.clone(),
        problem,
        hint: super::HINT,
    })?;
    Ok(if reproducible { without_producers(&component) } else { component })
}

fn make_reproducible(
    cargo: &mut Command,
    rustc: &Rustc,
    directory: &Path,
) -> Result<(), BuildError> {
    if !pinned(directory) {
        let version = rustc.version().map_err(BuildError::Tool)?;
        let release = version.lines().find_map(|line| line.strip_prefix("release: "));
        return Err(BuildError::Project {
            file: directory.join(PINS[0]),
            problem: format!(
                "missing, so the bytes would depend on whatever compiler is installed; \
                 right would be:\n[toolchain]\nchannel = \"{}\"",
                release.unwrap_or("1.95.0")
            ),
        });
    }
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| SETTINGS.iter().any(|all| name.starts_with(all))) {
            cargo.env_remove(name);
        }
    }
    let flags = rustc.remapping(directory, "/plugin").map_err(BuildError::Tool)?;
    cargo.arg("--locked").env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    Ok(())
}
