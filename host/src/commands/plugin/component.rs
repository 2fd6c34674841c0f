//! Engines to ask a component with, for as long as a command runs.

use anyhow::Context as _;
use chimera_plugin::Engines;
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

/// Components are asked on a thread that may block.
pub(super) async fn blocking(
    work: impl FnOnce() -> anyhow::Result<Exit> + Send + 'static,
) -> anyhow::Result<Exit> {
    tokio::task::spawn_blocking(work).await.context("the command panicked")?
}
