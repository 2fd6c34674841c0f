//! A CPU miner for any Stratum V1 pool: what `chimera mine` runs, and the virtual miners
//! of `chimera rehearse`. It speaks as stock miners do and knows nothing of our own pool.

mod client;
mod display;
mod endpoint;
mod grind;
mod job;
mod line_reader;
mod session;
mod tally;
mod wire;

use std::sync::Arc;
use std::time::{Duration, Instant};

use chimera_pow::Algorithm;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use client::Event;
pub use display::{Output, hashrate};
pub use endpoint::{BadEndpoint, Endpoint};
pub use grind::{Engine, scan};
pub use job::{BadMessage, Found, MinerJob, Subscription};
pub use session::{Answered, USER_AGENT};
pub use tally::MinerReport;
pub(crate) use wire::{Call, PoolLine, reply, reply_unknown, request, shown};

use client::Client;
use display::Display;
use grind::Grinder;
use session::Login;
use tally::RateMeter;

/// Shares found faster than the connection takes them; then the workers wait.
const ANSWERS_MAX: usize = 256;
const EVENTS_MAX: usize = 256;

/// What to mine, where, for whom, and how long.
#[derive(Debug, Clone)]
pub struct MinerConfig {
    /// The pool.
    pub pool: Endpoint,
    /// The user name, often `account.worker`.
    pub user: String,
    /// Pools ignore it or read options from it.
    pub password: String,
    /// The proof-of-work function of the pool's coin.
    pub algorithm: Algorithm,
    /// Who hashes.
    pub engine: Engine,
    /// Upper bound of the hashrate of all workers together, for virtual miners.
    pub hashes_per_s_max: Option<u64>,
    /// Where in its nonce space the miner begins: equal seeds walk the same way.
    pub seed: u64,
    /// Ends the run after so many accepted shares.
    pub stop_after_shares: Option<u64>,
    /// Ends the run after so long.
    pub stop_after: Option<Duration>,
    /// A pool that was never reached is given up after so many attempts (at least one);
    /// one that was reached is tried for ever.
    pub connect_attempts: u32,
    /// Who reads the output.
    pub output: Output,
}

impl MinerConfig {
    /// A miner with all processors, password `x`, Blake2s, for people, without end.
    pub fn new(pool: Endpoint, user: impl Into<String>) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            pool,
            user: user.into(),
            password: "x".to_owned(),
            algorithm: Algorithm::default(),
            engine: Engine::Threads(processors),
            hashes_per_s_max: None,
            seed: 0,
            stop_after_shares: None,
            stop_after: None,
            connect_attempts: 5,
            output: Output::Human,
        }
    }
}

/// Why a run ended without being asked to.
#[derive(Debug, thiserror::Error)]
pub enum MinerError {
    /// No connection ever succeeded.
    #[error(
        "cannot connect to {endpoint}: {cause}; is the pool running there, and is that its \
         Stratum port?"
    )]
    Unreachable {
        /// Where.
        endpoint: Endpoint,
        /// What the system or the pool said.
        cause: String,
    },
    /// Something answers, in another language.
    #[error(
        "{endpoint} does not speak Stratum, it answered \"{found}\"; is that the pool's web or \
         API port?"
    )]
    NotAPool {
        /// Where.
        endpoint: Endpoint,
        /// What came instead.
        found: String,
    },
    /// The pool gave no part of its nonce space.
    #[error("{endpoint} refuses the subscription: {reason}")]
    NotSubscribed {
        /// Where.
        endpoint: Endpoint,
        /// What the pool said.
        reason: String,
    },
    /// The pool will not have this user.
    #[error("the pool does not let \"{user}\" mine: {reason}; most pools want account.worker")]
    NotAuthorized {
        /// Who.
        user: String,
        /// What the pool said.
        reason: String,
    },
    /// The system gives no thread.
    #[error("cannot start the mining threads: {0}; try fewer")]
    Threads(#[source] std::io::Error),
}

/// Mines until `shutdown` or one of the configured ends, showing progress.
///
/// # Errors
/// When the pool cannot be reached, is none, or refuses the user.
pub async fn run(
    config: MinerConfig,
    shutdown: CancellationToken,
) -> Result<MinerReport, MinerError> {
    run_observed(config, shutdown, |_, _| {}).await
}

/// As [`run`]; `observe` also sees every event, with the report as it stands after it.
///
/// # Errors
/// As [`run`].
pub async fn run_observed(
    config: MinerConfig,
    shutdown: CancellationToken,
    observe: impl FnMut(&Event, &MinerReport),
) -> Result<MinerReport, MinerError> {
    let (answer_sender, answers) = mpsc::channel(ANSWERS_MAX);
    let (event_sender, mut events) = mpsc::channel(EVENTS_MAX);
    let rate_max = config.hashes_per_s_max;
    let grinder = Grinder::start(config.engine, config.seed, rate_max, &answer_sender)
        .map_err(MinerError::Threads)?;
    drop(answer_sender);
    let MinerConfig { user, password, algorithm, .. } = config;
    let stop = CancellationToken::new();
    let client = Client {
        endpoint: config.pool,
        login: Login { user, password, algorithm },
        attempts_max: config.connect_attempts.max(1),
        seed: config.seed,
        events: event_sender,
        answers,
    };
    let mut run = Run {
        begun: Instant::now(),
        grinder: Some(grinder),
        report: MinerReport::default(),
        display: Display::new(config.output, algorithm),
        observe,
    };
    let mut meter = RateMeter::default();
    meter.rate(run.begun, 0);
    let second = Duration::from_secs(1);
    let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + second, second);
    let time_over = tokio::time::sleep(config.stop_after.unwrap_or(Duration::MAX));
    let talk = client.run(&stop);
    tokio::pin!(talk, time_over);

    let outcome = loop {
        let mut ending = false;
        tokio::select! {
            Some(event) = events.recv() => {
                run.hear(&event);
                let enough = |shares| run.report.accepted >= shares;
                ending = config.stop_after_shares.is_some_and(enough);
            }
            outcome = &mut talk => break outcome,
            () = shutdown.cancelled(), if run.grinder.is_some() => ending = true,
            () = &mut time_over, if run.grinder.is_some() => ending = true,
            now = tick.tick(), if run.grinder.is_some() => {
                run.measure();
                let rate = meter.rate(now.into_std(), run.report.hashes);
                run.display.status(&run.report, rate, now.into_std());
            }
        }
        if ending {
            run.measure();
            // No more hashing; the shares on the way are still answered.
            run.grinder = None;
            stop.cancel();
        }
    };
    // What the talk said in its last breath.
    while let Ok(event) = events.try_recv() {
        run.hear(&event);
    }
    run.measure();
    run.report.unanswered += outcome?;
    run.display.finish(&run.report);
    Ok(run.report)
}

/// One run's state outside the connection.
struct Run<F> {
    begun: Instant,
    /// `None` once the run is ending.
    grinder: Option<Grinder>,
    report: MinerReport,
    display: Display,
    observe: F,
}

impl<F: FnMut(&Event, &MinerReport)> Run<F> {
    fn hear(&mut self, event: &Event) {
        self.measure();
        self.report.note(event);
        match (&self.grinder, event) {
            (Some(grinder), Event::Job(job)) => grinder.work(Arc::clone(job)),
            (Some(grinder), Event::Disconnected { .. }) => grinder.rest(),
            _ => {}
        }
        self.display.event(event, &self.report);
        (self.observe)(event, &self.report);
    }

    fn measure(&mut self) {
        if let Some(grinder) = &self.grinder {
            self.report.elapsed = self.begun.elapsed();
            self.report.hashes = grinder.hashes();
        }
    }
}

#[cfg(test)]
mod tests;
