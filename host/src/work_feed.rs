//! From the chain's templates to jobs: numbered, serialised once, published to everybody; and
//! taken back when they are work no more.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chimera_chain::{ChainHealth, Flow, NodeChain};
use chimera_stratum::NotifyLine;
use chimera_work::{JobSequence, SequenceState, Template};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::seats::Seats;

/// What there is for miners to do.
#[derive(Debug, Clone)]
pub(crate) enum Work {
    /// The chain has given nothing yet.
    Awaited,
    /// The newest job.
    Job(Arc<NotifyLine>),
    /// Nothing they do now could win, or nobody knows whether it could; the reason, for people.
    Withdrawn(Arc<str>),
}

impl Work {
    /// The newest job, if it is work.
    pub(crate) const fn job(&self) -> Option<&Arc<NotifyLine>> {
        match self {
            Self::Job(job) => Some(job),
            Self::Awaited | Self::Withdrawn(_) => None,
        }
    }
}

/// What the chain says.
#[derive(Debug)]
pub(crate) struct Sources {
    templates: watch::Receiver<Option<Arc<Template>>>,
    flow: watch::Receiver<Flow>,
    health: watch::Receiver<ChainHealth>,
    /// How long the last job is worked on while no node answers.
    withdraw_after: Duration,
}

impl Sources {
    pub(crate) fn of(chain: &NodeChain, withdraw_after: Duration) -> Self {
        let (templates, flow) = (chain.rounds(), chain.flow());
        Self { templates, flow, health: chain.health(), withdraw_after }
    }
}

/// Publishes a job for every template until stopped; then tells how far the numbers are. While
/// the chain is away miners keep the last job for a while: it may still win.
pub(crate) async fn run(
    mut sources: Sources,
    sequence: JobSequence,
    seats: Arc<Mutex<Seats>>,
    work: watch::Sender<Work>,
    stopping: CancellationToken,
) -> SequenceState {
    let mut feed = Feed { sequence, seats, work };
    let Sources { templates, flow, health, withdraw_after } = &mut sources;
    templates.mark_changed();
    let mut away_since = None;
    loop {
        let give_up_at = away_since.map(|since: Instant| since + *withdraw_after);
        tokio::select! {
            biased;
            () = stopping.cancelled() => return feed.sequence.state(),
            Ok(()) = flow.changed() => {
                if let Flow::Paused { why, .. } = &*flow.borrow_and_update() {
                    feed.withdraw(why);
                } else {
                    templates.mark_changed();
                }
            }
            Ok(()) = templates.changed() => {
                let template = templates.borrow_and_update().clone();
                if let Some(template) = template.filter(|_| *flow.borrow() == Flow::Open) {
                    feed.publish(template);
                }
            }
            Ok(()) = health.changed() => {
                let healthy = health.borrow_and_update().is_healthy();
                away_since = (!healthy).then(|| away_since.unwrap_or_else(Instant::now));
                if healthy && feed.is_withdrawn() {
                    templates.mark_changed();
                }
            }
            () = at(give_up_at), if !feed.is_withdrawn() => {
                let away_s = withdraw_after.as_secs();
                feed.withdraw(&format!("no node of the pool has answered for {away_s} s"));
            }
            // The chain is gone, and the pool with it.
            else => return feed.sequence.state(),
        }
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

struct Feed {
    sequence: JobSequence,
    seats: Arc<Mutex<Seats>>,
    work: watch::Sender<Work>,
}

impl Feed {
    fn publish(&mut self, template: Arc<Template>) {
        let job = self.sequence.issue(template);
        if job.clean() {
            self.end_round();
        }
        let template = job.template();
        tracing::debug!(
            job = %job.id(), height = template.height, clean = job.clean(),
            difficulty = template.target.difficulty().get(), "new job"
        );
        self.work.send_replace(Work::Job(Arc::new(NotifyLine::new(Arc::new(job)))));
    }

    /// What is found from now on is offered to the chain and earns nothing.
    fn withdraw(&self, why: &str) {
        // Also before the first job: sessions of the process before this one have theirs.
        if self.is_withdrawn() {
            return;
        }
        tracing::warn!(why, "miners' work is withdrawn");
        self.end_round();
        self.work.send_replace(Work::Withdrawn(why.into()));
    }

    fn is_withdrawn(&self) -> bool {
        matches!(&*self.work.borrow(), Work::Withdrawn(_))
    }

    fn end_round(&self) {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        seats.round_changed(std::time::Instant::now());
    }
}
