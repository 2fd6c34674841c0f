//! Calls that come while another is being served are served together, by one of them: a
//! thousand cost what one costs.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::StoreError;

/// Who waits to be asked about, and who asks.
pub(crate) struct Gather<Q, A> {
    waiting: Mutex<VecDeque<(Q, Tell<A>)>>,
    turn: tokio::sync::Mutex<()>,
    /// Served at once, at most.
    batch_max: usize,
}

type Tell<A> = oneshot::Sender<Result<A, StoreError>>;

impl<Q: Clone, A> Gather<Q, A> {
    /// Nobody waits.
    pub(crate) fn new(batch_max: usize) -> Self {
        Self { waiting: Mutex::default(), turn: tokio::sync::Mutex::default(), batch_max }
    }

    /// Has a question answered, with those of others. `serve` gives an answer to each, in
    /// their order; if it fails, it fails for all of them.
    pub(crate) async fn ask<Serving>(
        &self,
        question: Q,
        serve: impl Fn(Vec<Q>) -> Serving,
    ) -> Result<A, StoreError>
    where
        Serving: Future<Output = Result<Vec<A>, StoreError>>,
    {
        loop {
            let (tell, mut told) = oneshot::channel();
            self.waiting().push_back((question.clone(), tell));
            loop {
                tokio::select! {
                    biased;
                    answer = &mut told => match answer {
                        Ok(answer) => return answer,
                        // Whoever was serving it was given up.
                        Err(_) => break,
                    },
                    _turn = self.turn.lock() => {
                        let (questions, tells) = self.take();
                        answer(tells, serve(questions).await);
                    }
                }
            }
        }
    }

    fn take(&self) -> (Vec<Q>, Vec<Tell<A>>) {
        let mut waiting = self.waiting();
        let count = waiting.len().min(self.batch_max);
        waiting.drain(..count).unzip()
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<(Q, Tell<A>)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn answer<A>(tells: Vec<Tell<A>>, answers: Result<Vec<A>, StoreError>) {
    // Those who no longer listen need no answer.
    match answers {
        Ok(answers) => {
            for (tell, answer) in tells.into_iter().zip(answers) {
                let _ = tell.send(Ok(answer));
            }
        }
        Err(error) => {
            let error = Arc::new(error);
            for tell in tells {
                let _ = tell.send(Err(StoreError::Shared(Arc::clone(&error))));
            }
        }
    }
}

impl<Q, A> fmt::Debug for Gather<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gather").field("batch_max", &self.batch_max).finish_non_exhaustive()
    }
}
