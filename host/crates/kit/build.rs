//! Lists what `chimera plugin new` writes, so that a new project holds the very SDK, `wit/`
//! and examples this binary was built with: `embedded.rs` in `OUT_DIR`.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// What a new project may get something of.
const EMBEDDED: [&str; 6] =
    ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "plugins/sdk", "wit", "examples"];
/// What builds and tools leave beside the sources.
const LEFT_BEHIND: [&str; 4] = ["bindings.rs", "__pycache__", ".build", "target"];

fn main() -> io::Result<()> {
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?);
    let out_dir = PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?);
    let root = manifest.ancestors().nth(3).ok_or_else(|| io::Error::other("no workspace"))?;
    let mut files = Vec::new();
    for entry in EMBEDDED {
        println!("cargo::rerun-if-changed={}", root.join(entry).display());
        collect(&root.join(entry), &mut files)?;
    }
    println!("cargo::rerun-if-changed=build.rs");
    files.sort();
    let mut list = String::from("pub(crate) const FILES: &[(&str, &str)] = &[\n");
    for file in files {
        let name = file.strip_prefix(root).map_err(io::Error::other)?;
        list.push_str(&format!("    ({name:?}, include_str!({file:?})),\n"));
    }
    list.push_str("];\n");
    fs::write(out_dir.join("embedded.rs"), list)
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let generated =
            LEFT_BEHIND.contains(&name) && !path.ends_with("plugins/sdk/src/bindings.rs");
        if !generated && !name.ends_with(".wasm") {
            collect(&path, files)?;
        }
    }
    Ok(())
}
