//! From the chain's templates to jobs: numbered, serialised once, published to everybody.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use chimera_stratum::NotifyLine;
use chimera_work::{JobSequence, SequenceState, Template};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::seats::Seats;

/// Publishes a job for every template until stopped; then tells how far the numbers are. While the chain is away miners keep
/// the last job: it may still win.
pub(crate) async fn run(
    mut templates: watch::Receiver<Option<Arc<Template>>>,
    mut sequence: JobSequence,
    seats: Arc<Mutex<Seats>>,
    jobs: watch::Sender<Option<Arc<NotifyLine>>>,
    stopping: CancellationToken,
) -> SequenceState {
    templates.mark_changed();
    loop {
        let changed = stopping.run_until_cancelled(templates.changed()).await;
        let Some(Ok(())) = changed else { return sequence.state() };
        let Some(template) = templates.borrow_and_update().clone() else { continue };
        let job = sequence.issue(template);
        if job.clean() {
            seats.lock().unwrap_or_else(PoisonError::into_inner).round_changed(Instant::now());
        }
        let template = job.template();
        tracing::debug!(
            job = %job.id(), height = template.height, clean = job.clean(),
            difficulty = template.target.difficulty().get(), "new job"
        );
        jobs.send_replace(Some(Arc::new(NotifyLine::new(Arc::new(job)))));
    }
}
