//! Keeps the totals people look at behind the share log, a moment later, so that no share
//! waits for them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chimera_store::{Store, StoreError};
use tokio_util::task::AbortOnDropHandle;

/// Between two counts: what the API shows is as old at most, and what the count takes.
const PAUSE: Duration = Duration::from_millis(250);
/// The pause after a long count, times what it took: totals of very many workers lag further
/// behind rather than take the disk from shares.
const PAUSE_PER_COUNT: u32 = 4;
/// Between two checkpoints: what they leave to do grows by some 15 MB at 300,000 shares a
/// second, and each holds shares up for two syncs of the disk.
const CHECKPOINT: Duration = Duration::from_secs(1);

/// For the last count.
const LAST_COUNT_MAX: Duration = Duration::from_secs(2);

/// Counts while shares are recorded, and what is left when that has ended.
pub(crate) async fn follow(store: Arc<Store>, recording: impl Future<Output = ()>) {
    let counting = AbortOnDropHandle::new(tokio::spawn(count(Arc::clone(&store))));
    recording.await;
    counting.abort();
    // A count that is given up half-way is not done, or done; the next one knows.
    let _ = counting.await;
    match tokio::time::timeout(LAST_COUNT_MAX, store.count_shares()).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the last shares are counted at the next start"),
        // Nobody who waits for the end of the pool waits for this.
        Err(_) => tracing::info!("the last shares are counted at the next start"),
    }
}

async fn count(store: Arc<Store>) {
    let (mut behind, mut checked_in) = (false, Instant::now());
    loop {
        let begun = Instant::now();
        match count_and_check_in(&store, &mut checked_in).await {
            Ok(()) => behind = false,
            // Every quarter of a second would be a little much.
            Err(error) if !behind => {
                tracing::warn!(%error, "totals stay behind the share log");
                behind = true;
            }
            Err(_) => {}
        }
        tokio::time::sleep(PAUSE.max(begun.elapsed() * PAUSE_PER_COUNT)).await;
    }
}

async fn count_and_check_in(store: &Store, checked_in: &mut Instant) -> Result<(), StoreError> {
    let counted = store.count_shares().await?;
    if counted > 0 && checked_in.elapsed() >= CHECKPOINT {
        *checked_in = Instant::now();
        store.checkpoint().await?;
    }
    Ok(())
}
