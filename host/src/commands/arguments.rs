//! What arguments of several commands mean: a component, and its configuration.

use std::path::Path;

use anyhow::Context as _;
use chimera_plugin::{Artifact, Registry};
use serde_json::Value;

/// A component from a file, or a shipped one by name. A file is what ends with `.wasm`, has a
/// `/` in it, or is there.
///
/// # Errors
/// When the file cannot be read; which names there are, when it is none.
pub(super) fn component(file_or_name: &str) -> anyhow::Result<Artifact> {
    let path = Path::new(file_or_name);
    if file_or_name.ends_with(".wasm") || file_or_name.contains('/') || path.exists() {
        return Ok(Artifact::from_file(path)?);
    }
    Ok(Registry::new(None)?.find(file_or_name)?)
}

/// A configuration as JSON: given directly, or in a file with JSON or TOML in it; an empty text
/// stays one (all defaults). Given directly it is passed on as it was written.
///
/// # Errors
/// When it is neither JSON nor such a file.
pub(super) fn config(text: &str) -> anyhow::Result<String> {
    if text.is_empty() || serde_json::from_str::<Value>(text).is_ok() {
        return Ok(text.to_owned());
    }
    // What begins as JSON is meant as JSON, and its error is the one to tell.
    if text.trim_start().starts_with(['{', '[']) {
        let wrong = serde_json::from_str::<Value>(text).map(drop);
        wrong.context("--config is no JSON")?;
    }
    let content = std::fs::read_to_string(text).with_context(|| {
        format!("--config {text:?} is neither JSON nor a file that can be read")
    })?;
    if serde_json::from_str::<Value>(&content).is_ok() {
        return Ok(content);
    }
    let table: toml::Table = toml::from_str(&content)
        .with_context(|| format!("--config {text:?} holds neither JSON nor TOML"))?;
    Ok(serde_json::to_string(&table)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_json_or_a_file_of_json_or_toml() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (json, toml) = (file("a.json", "{\"n\": 1}"), file("a.toml", "n = 1"));
        let neither = file("a.txt", "n: 1");
        assert_eq!(config("").unwrap(), "");
        assert_eq!(config("{\"n\": 1.50}").unwrap(), "{\"n\": 1.50}");
        assert_eq!(config(&json).unwrap(), "{\"n\": 1}");
        assert_eq!(config(&toml).unwrap(), "{\"n\":1}");
        for (text, expected) in [
            ("{\"n\":", "is no JSON"),
            ("no-such-file", "neither JSON nor a file"),
            (neither.as_str(), "holds neither JSON nor TOML"),
        ] {
            let error = format!("{:#}", config(text).unwrap_err());
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
