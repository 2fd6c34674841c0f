//! What refused swaps leave behind: components nothing names, and code compiled of them.

use std::sync::Arc;

use chimera_plugin::Digest;

use super::manager::Manager;

impl Manager {
    /// Lets go of it, behind everybody's back; what fails is told and tried after the next swap.
    pub(super) fn tidy(self: &Arc<Self>) {
        let manager = Arc::clone(self);
        self.tasks.spawn(async move {
            if let Err(error) = manager.let_go().await {
                tracing::warn!(%error, "components nobody needs are still kept");
            }
        });
    }

    async fn let_go(&self) -> anyhow::Result<()> {
        let kept = self.store.forget_components().await?;
        let kept: Vec<Digest> = kept.into_iter().map(Digest::from_bytes).collect();
        let (engines, portable) = (Arc::clone(&self.loader.engines), Arc::clone(&self.portable));
        let deleting = tokio::task::spawn_blocking(move || engines.keep_compiled(&portable, &kept));
        Ok(deleting.await??)
    }
}
