//! Builds the shipped components from source, so that the ordinary `cargo build` is all it takes.
//!
//! A nested cargo compiles `plugins/*` (and the hostile component of the tests) for
//! `wasm32-unknown-unknown` into `<target>/components`, wit-component makes components of the
//! modules (copies stay in `<target>/components`), and `shipped.rs` in `OUT_DIR` embeds them.
//! The nested build has its own profile, flags and path names, so that a component's digest
//! is the same from every outer build.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use chimera_componentize::{Rustc, TARGET, WASIP1, WASIP2, component_of};

/// For tests, never embedded: those that misbehave on request, and the examples to copy.
const NOT_EMBEDDED: [&str; 5] =
    [HOSTILE, HOSTILE_AUTH, "payout-equal", "auth-named", "difficulty-doubling"];
const HOSTILE: &str = "hostile";
const HOSTILE_AUTH: &str = "hostile-auth";

fn main() {
    if let Err(problem) = build() {
        eprintln!("{problem}");
        std::process::exit(1);
    }
}

fn build() -> Result<(), String> {
    let out_dir = PathBuf::from(variable("OUT_DIR")?);
    let workspace = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let workspace = workspace.ancestors().nth(3).ok_or("this crate is host/crates/plugin")?;
    for input in [
        "plugins",
        "examples",
        "wit",
        "tests/hostile",
        "tests/hostile-auth",
        "Cargo.toml",
        "Cargo.lock",
    ] {
        println!("cargo::rerun-if-changed={}", workspace.join(input).display());
    }
    println!("cargo::rerun-if-changed=build.rs");

    let shipped = shipped(&workspace.join("plugins"))?;
    let target_dir = target_dir(&out_dir)?.join("components");
    let rustc = Rustc::new(variable("RUSTC")?, workspace);
    // What ordinary builds for a system become is for the tests.
    for target in [TARGET, WASIP1, WASIP2] {
        rustc.install_target(target)?;
    }
    // One build per component: together they would share one set of features.
    for name in shipped.iter().map(String::as_str).chain(NOT_EMBEDDED) {
        compile(workspace, &target_dir, &rustc, TARGET, name)?;
    }
    for target in [WASIP1, WASIP2] {
        compile(workspace, &target_dir, &rustc, target, HOSTILE)?;
    }

    let mut embedded = String::from("pub(crate) const SHIPPED: &[(&str, &[u8])] = &[\n");
    for name in shipped.iter().map(String::as_str).chain(NOT_EMBEDDED) {
        let component = componentize(&target_dir, TARGET, name)?;
        let file = format!("{name}.wasm");
        let path = out_dir.join(&file);
        // A second copy where people and end-to-end tests find it.
        for copy in [&path, &target_dir.join(&file)] {
            fs::write(copy, &component).map_err(|error| format!("{}: {error}", copy.display()))?;
        }
        if name == HOSTILE || name == HOSTILE_AUTH {
            let name = name.to_uppercase().replace('-', "_");
            println!("cargo::rustc-env=CHIMERA_{name}_COMPONENT={}", path.display());
        } else if !NOT_EMBEDDED.contains(&name) {
            embedded.push_str(&format!("    ({name:?}, include_bytes!(\"{name}.wasm\")),\n"));
        }
    }
    embedded.push_str("];\n");
    let wasip1 = componentize(&target_dir, WASIP1, HOSTILE)?;
    // For this target the linker makes components.
    let wasip2 = built(&target_dir, WASIP2, HOSTILE)?;
    for (target, component) in [("WASIP1", wasip1), ("WASIP2", wasip2)] {
        let path = out_dir.join(format!("hostile-{}.wasm", target.to_lowercase()));
        fs::write(&path, component).map_err(|error| format!("{}: {error}", path.display()))?;
        println!("cargo::rustc-env=CHIMERA_HOSTILE_{target}_COMPONENT={}", path.display());
    }
    fs::write(out_dir.join("shipped.rs"), embedded).map_err(|error| format!("shipped.rs: {error}"))
}

/// Every crate in `plugins/` but the kit.
fn shipped(plugins: &Path) -> Result<Vec<String>, String> {
    let entries =
        fs::read_dir(plugins).map_err(|error| format!("{}: {error}", plugins.display()))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok())
        .filter(|entry| entry.path().join("Cargo.toml").is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name != "sdk")
        .collect();
    names.sort();
    Ok(names)
}

/// The outer target directory: cargo marks it with a CACHEDIR.TAG.
fn target_dir(out_dir: &Path) -> Result<PathBuf, String> {
    out_dir
        .ancestors()
        .find(|directory| directory.join("CACHEDIR.TAG").is_file())
        .or_else(|| out_dir.ancestors().nth(4))
        .map(Path::to_path_buf)
        .ok_or_else(|| format!("no target directory above {}", out_dir.display()))
}

fn compile(
    workspace: &Path,
    target_dir: &Path,
    rustc: &Rustc,
    target: &str,
    name: &str,
) -> Result<(), String> {
    let mut cargo = Command::new(variable("CARGO")?);
    forget_outer_build(&mut cargo);
    cargo
        .current_dir(workspace)
        .env("CARGO_ENCODED_RUSTFLAGS", rustc.remapping(workspace, "/chimera")?.join("\x1f"))
        .args(["build", "--profile", "component", "--target", target, "--lib", "-p", name])
        .arg("--target-dir")
        .arg(target_dir);
    run(&mut cargo, &format!("cannot build the component {name} for {target}"))
}

/// Flags, wrappers and settings of the outer build must not reach the components.
fn forget_outer_build(cargo: &mut Command) {
    let of_the_user = ["CARGO_HOME", "CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTR", "CARGO_SOURCE"];
    let of_the_build = ["CARGO_", "DEP_", "RUSTFLAGS", "RUSTC_WORKSPACE_WRAPPER", "CLIPPY_ARGS"];
    for (name, _) in env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        let has = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
        if has(&of_the_build) && !has(&of_the_user) {
            cargo.env_remove(name);
        }
    }
}

/// What cargo made of a crate, for a target.
fn built(target_dir: &Path, target: &str, name: &str) -> Result<Vec<u8>, String> {
    let file = format!("{}.wasm", name.replace('-', "_"));
    let path = target_dir.join(target).join("component").join(file);
    fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))
}

fn componentize(target_dir: &Path, target: &str, name: &str) -> Result<Vec<u8>, String> {
    let module = built(target_dir, target, name)?;
    component_of(&module, target)
        .map_err(|error| format!("{name} is no component of wit/: {error}"))
}

fn run(command: &mut Command, otherwise: &str) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{otherwise}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{otherwise}:\n{}", String::from_utf8_lossy(&output.stderr)))
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}; cargo sets it"))
}
