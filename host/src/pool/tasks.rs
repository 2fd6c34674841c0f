//! What runs while a pool runs, and the order in which it ends.

use std::time::Duration;

use chimera_work::SequenceState;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::recorder::Recorder;
use crate::upgrade::Frozen;

/// What runs and must go on running.
pub(super) struct Tasks {
    pub(super) serving: JoinHandle<std::io::Result<Vec<Frozen>>>,
    pub(super) recording: JoinHandle<()>,
    pub(super) feed: JoinHandle<SequenceState>,
    pub(super) desk: JoinHandle<()>,
    pub(super) settling: JoinHandle<()>,
    pub(super) swapping: JoinHandle<()>,
    /// Whether the end of `serving` was seen.
    pub(super) served: bool,
}

impl Tasks {
    /// The first part that ends although nobody asked it to, and why.
    pub(super) async fn first_to_end(&mut self) -> (&'static str, String) {
        let (part, ended) = tokio::select! {
            ended = &mut self.serving => {
                self.served = true;
                let cause = match ended {
                    Ok(Ok(_)) => "it just ended".to_owned(),
                    Ok(Err(error)) => error.to_string(),
                    Err(error) => error.to_string(),
                };
                return ("the Stratum server", cause);
            }
            ended = &mut self.recording => ("the share log", ended),
            ended = &mut self.feed => ("the work feed", ended.map(drop)),
            ended = &mut self.desk => ("the difficulty desk", ended),
            ended = &mut self.settling => ("the settler", ended),
            ended = &mut self.swapping => ("the swap manager", ended),
        };
        (part, ended.err().map_or_else(|| "it just ended".to_owned(), |error| error.to_string()))
    }

    /// Stops in order: miners say goodbye, what they were credited is recorded, then the
    /// rest. Miners have two thirds of the time; the share log does not wait for slow ones,
    /// and a settlement that waits for a node is rolled back and made at the next start.
    ///
    /// Gives the connections of a gate that was frozen, and where the numbers of jobs are.
    pub(super) async fn drain(
        &mut self,
        recorder: &Recorder,
        stopping: &CancellationToken,
        grace: Duration,
    ) -> Drained {
        let mut drained = Drained::default();
        if !self.served {
            let served = tokio::time::timeout(grace * 2 / 3, &mut self.serving).await;
            if let Ok(Ok(Ok(frozen))) = served {
                drained.frozen = frozen;
            }
        }
        recorder.close();
        stopping.cancel();
        if !self.recording.is_finished() {
            let _ = (&mut self.recording).await;
        }
        if let Ok(Ok(sequence)) = tokio::time::timeout(grace / 10, &mut self.feed).await {
            drained.sequence = Some(sequence);
        }
        for task in [&mut self.desk, &mut self.settling, &mut self.swapping] {
            let ended =
                task.is_finished() || tokio::time::timeout(grace / 10, &mut *task).await.is_ok();
            if !ended {
                task.abort();
                // What it held is let go of before anybody opens it again.
                let _ = (&mut *task).await;
            }
        }
        drained
    }
}

/// What was left when everything had ended.
#[derive(Debug, Default)]
pub(super) struct Drained {
    pub(super) frozen: Vec<Frozen>,
    pub(super) sequence: Option<SequenceState>,
}
