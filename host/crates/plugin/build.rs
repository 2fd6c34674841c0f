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

use wit_component::ComponentEncoder;

const TARGET: &str = "wasm32-unknown-unknown";

/// For tests, never embedded: one that misbehaves on request, and the example to copy.
const NOT_EMBEDDED: [&str; 2] = [HOSTILE, "payout-equal"];
const HOSTILE: &str = "hostile";

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
    for input in ["plugins", "examples", "wit", "tests/hostile", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", workspace.join(input).display());
    }
    println!("cargo::rerun-if-changed=build.rs");

    let shipped = shipped(&workspace.join("plugins"))?;
    let target_dir = target_dir(&out_dir)?.join("components");
    let rustc = Rustc::find()?;
    rustc.install_target()?;
    compile(workspace, &target_dir, &rustc, &shipped)?;

    let mut embedded = String::from("pub(crate) const SHIPPED: &[(&str, &[u8])] = &[\n");
    for name in shipped.iter().map(String::as_str).chain(NOT_EMBEDDED) {
        let component = componentize(&target_dir, name)?;
        let file = format!("{name}.wasm");
        let path = out_dir.join(&file);
        // A second copy where people and end-to-end tests find it.
        for copy in [&path, &target_dir.join(&file)] {
            fs::write(copy, &component).map_err(|error| format!("{}: {error}", copy.display()))?;
        }
        if name == HOSTILE {
            println!("cargo::rustc-env=CHIMERA_HOSTILE_COMPONENT={}", path.display());
        } else if !NOT_EMBEDDED.contains(&name) {
            embedded.push_str(&format!("    ({name:?}, include_bytes!(\"{name}.wasm\")),\n"));
        }
    }
    embedded.push_str("];\n");
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
    shipped: &[String],
) -> Result<(), String> {
    // One build per component: together they would share one set of features.
    for name in shipped.iter().map(String::as_str).chain(NOT_EMBEDDED) {
        let mut cargo = Command::new(variable("CARGO")?);
        forget_outer_build(&mut cargo);
        cargo
            .current_dir(workspace)
            .env("CARGO_ENCODED_RUSTFLAGS", rustc.reproducible_flags(workspace)?)
            .args(["build", "--profile", "component", "--target", TARGET, "--lib", "-p", name])
            .arg("--target-dir")
            .arg(target_dir);
        run(&mut cargo, &format!("cannot build the component {name}"))?;
    }
    Ok(())
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

fn componentize(target_dir: &Path, name: &str) -> Result<Vec<u8>, String> {
    let file = format!("{}.wasm", name.replace('-', "_"));
    let path = target_dir.join(TARGET).join("component").join(file);
    let module = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| format!("{name} is no component of wit/: {error:?}"))
}

/// The compiler of the outer build.
struct Rustc(String);

impl Rustc {
    fn find() -> Result<Self, String> {
        variable("RUSTC").map(Self)
    }

    /// `rustup target add`, for the toolchain in use, if its standard library is missing.
    fn install_target(&self) -> Result<(), String> {
        let library = self.ask(&["--print", "target-libdir", "--target", TARGET])?;
        if Path::new(&library).is_dir() {
            return Ok(());
        }
        let advice = format!(
            "the components need the Rust target {TARGET}, and it could not be installed; \
             `rustup target add {TARGET}` does that"
        );
        run(Command::new("rustup").args(["target", "add", TARGET]), &advice)
    }

    /// Path names end up in panic messages: give every machine the same.
    fn reproducible_flags(&self, workspace: &Path) -> Result<String, String> {
        let sysroot = self.ask(&["--print", "sysroot"])?;
        let version = self.ask(&["--version", "--verbose"])?;
        let commit = version.lines().find_map(|line| line.strip_prefix("commit-hash: "));
        let cargo_home = match env::var("CARGO_HOME") {
            Ok(directory) => directory,
            Err(_) => format!("{}/.cargo", env::var("HOME").unwrap_or_default()),
        };
        Ok([
            format!("--remap-path-prefix={}=/chimera", workspace.display()),
            format!("--remap-path-prefix={cargo_home}/registry/src=/registry"),
            format!(
                "--remap-path-prefix={sysroot}/lib/rustlib/src/rust=/rustc/{}",
                commit.unwrap_or_default()
            ),
        ]
        .join("\x1f"))
    }

    fn ask(&self, arguments: &[&str]) -> Result<String, String> {
        let answer = Command::new(&self.0)
            .args(arguments)
            .output()
            .map_err(|error| format!("{}: {error}", self.0))?;
        Ok(String::from_utf8_lossy(&answer.stdout).trim().to_owned())
    }
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
