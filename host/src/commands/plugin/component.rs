//! What the commands have in common: a component by file or name, and engines to ask it.

use std::path::Path;

use anyhow::Context as _;
use chimera_plugin::{Artifact, Engines, Registry};
use tempfile::TempDir;

use super::Exit;

/// Engines that remember what they compiled for as long as the command runs.
pub(super) struct Workshop {
    pub(super) engines: Engines,
    directory: TempDir,
}

impl Workshop {
    pub(super) fn open() -> anyhow::Result<Self> {
        let directory = TempDir::with_prefix("chimera-plugin-").context("temporary directory")?;
        let engines = Engines::new(Some(directory.path()))?;
        Ok(Self { engines, directory })
    }

    /// An interpreter for the same components.
    pub(super) fn second(&self) -> anyhow::Result<Engines> {
        Ok(Engines::portable(Some(self.directory.path()))?)
    }
}

/// A component from a file, or a shipped one by name.
pub(super) fn find(file_or_name: &str) -> anyhow::Result<Artifact> {
    let is_file = file_or_name.ends_with(".wasm")
        || file_or_name.contains('/')
        || Path::new(file_or_name).exists();
    if is_file {
        return Ok(Artifact::from_file(Path::new(file_or_name))?);
    }
    Ok(Registry::new(None)?.find(file_or_name)?)
}

/// Text given directly, or the content of the file it names.
pub(super) fn text_or_file(text: &str) -> anyhow::Result<String> {
    if text.trim_start().starts_with('{') || text.is_empty() {
        return Ok(text.to_owned());
    }
    std::fs::read_to_string(text).with_context(|| format!("{text}: neither JSON nor a file"))
}

/// Components are asked on a thread that may block.
pub(super) async fn blocking(
    work: impl FnOnce() -> anyhow::Result<Exit> + Send + 'static,
) -> anyhow::Result<Exit> {
    tokio::task::spawn_blocking(work).await.context("the command panicked")?
}
