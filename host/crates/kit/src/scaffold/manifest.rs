//! A crate of this workspace becomes one of its own: what it inherits is written out.

use toml::Table;

use super::{SDK, embedded};

/// How a component is best built. A trap names the function it happened in.
const PROFILE: &str = "
# Small, but with the names of functions: a trap then says where it happened.
[profile.release]
codegen-units = 1
lto = true
panic = \"abort\"
strip = \"debuginfo\"

# Stands alone, also inside another workspace.
[workspace]
";

/// The manifest of a new project, from the example's.
pub(super) fn of_project(manifest: &str) -> String {
    standalone(manifest) + PROFILE
}

/// The manifest of the SDK that comes along.
pub(super) fn of_sdk(manifest: &str) -> String {
    standalone(manifest)
}

/// The compiler this was built with; of its targets, the one plugins need.
pub(super) fn toolchain(pin: &str) -> String {
    let pin: Table = pin.parse().unwrap_or_default();
    let channel = pin.get("toolchain").and_then(|toolchain| toolchain.get("channel"));
    let channel = channel.and_then(toml::Value::as_str).unwrap_or("stable");
    format!(
        "# The compiler is part of a reproducible build.\n[toolchain]\nchannel = \"{channel}\"\n\
         components = [\"rustfmt\", \"clippy\"]\ntargets = [\"wasm32-unknown-unknown\"]\n"
    )
}

fn standalone(manifest: &str) -> String {
    let root: Table = embedded::file("Cargo.toml").unwrap_or_default().parse().unwrap_or_default();
    let workspace = |section: &str, key: &str| root.get("workspace")?.get(section)?.get(key);
    let mut lines = Vec::new();
    let mut section = "";
    for line in manifest.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        }
        // The workspace's lints are the workspace's taste.
        if section == "lints" {
            continue;
        }
        if let Some((key, more)) = line.split_once(" = { workspace = true, ") {
            let inherited = workspace("dependencies", key).cloned();
            lines.push(with_more(key, inherited, more).unwrap_or_else(|| line.to_owned()));
            continue;
        }
        let Some(key) = line.strip_suffix(".workspace = true") else {
            lines.push(line.to_owned());
            continue;
        };
        let inherited = match section {
            "package" => workspace("package", key),
            _ => workspace("dependencies", key),
        };
        lines.push(match (key, inherited) {
            ("chimera-plugin-sdk", _) => format!("{key} = {{ path = \"{SDK}\" }}"),
            (_, Some(value)) => format!("{key} = {value}"),
            (_, None) => line.to_owned(),
        });
    }
    lines.join("\n") + "\n"
}

/// A dependency that inherits, with keys of its own, e.g. `optional = true }`.
fn with_more(key: &str, inherited: Option<toml::Value>, more: &str) -> Option<String> {
    let mut all = match inherited? {
        toml::Value::Table(table) => table,
        version => Table::from_iter([("version".to_owned(), version)]),
    };
    let own: Table = more.strip_suffix(" }")?.parse().ok()?;
    all.extend(own);
    Some(format!("{key} = {}", toml::Value::Table(all)))
}
