//! The load generator behind `chimera load`, for any Stratum V1 pool, and the null server it is
//! compared with. It shares the machine with what it measures, so a share costs it a few bytes
//! overwritten and a few compared; `host/LOAD.md` says how to use it and what its numbers mean.

mod churn;
mod connection;
mod event_loop;
mod flights;
mod histogram;
mod link;
mod null;
mod plan;
mod process;
mod report;
mod rounds;
mod scan;
mod shared;
mod shares;
mod talk;
mod tally;
mod template;
mod waves;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, ScopedJoinHandle};
use std::time::Duration;

pub use histogram::Histogram;
pub use null::{NullPlan, NullServer};
pub use plan::{LoadPlan, Shares, Sources};
pub use report::LoadReport;
pub use rounds::{Compared, compare};

use event_loop::EventLoop;
use shared::{Shared, Times};
use tally::Tally;

/// How often the end of a stage is looked for.
const LOOK: Duration = Duration::from_millis(5);

/// Why there is no measurement.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Nobody listens.
    #[error("cannot connect to {pool}: {cause}; is the pool running there?")]
    Unreachable {
        /// Where.
        pool: SocketAddr,
        /// What the system said.
        cause: String,
    },
    /// It hung up.
    #[error(
        "{pool} closes connections before they may mine; does it limit them per address (--source)?"
    )]
    Closed {
        /// Where.
        pool: SocketAddr,
    },
    /// Something answers, in another language.
    #[error("{pool} does not speak Stratum, it answered \"{found}\"; is that its web or API port?")]
    NotAPool {
        /// Where.
        pool: SocketAddr,
        /// What came instead.
        found: String,
    },
    /// The pool will not have us.
    #[error("the pool refuses mining.{what} of \"{user}\": {reason}; see --user and --password")]
    Refused {
        /// The request.
        what: &'static str,
        /// Whose.
        user: String,
        /// What the pool said.
        reason: String,
    },
    /// It took us and gave nothing to do.
    #[error(
        "no connection was given a job within {seconds} s ({subscribed} subscribed, \
         {authorized} authorised of {connections}); has the pool a node?"
    )]
    NoJob {
        /// How long was waited.
        seconds: u64,
        /// Connections that got so far.
        subscribed: u32,
        /// Connections that got so far.
        authorized: u32,
        /// Connections asked for.
        connections: u32,
    },
    /// The system allows fewer files.
    #[error(
        "{wanted} connections take more open files than the system allows, which is enough for \
         {enough}: ask for fewer, or raise the limit (ulimit -n)"
    )]
    Files {
        /// Connections asked for.
        wanted: u32,
        /// Connections possible.
        enough: u64,
    },
    /// The null server did not come up.
    #[error("the null server does not run: {0}")]
    Null(String),
    /// Everything else.
    #[error("the system gives no event loop: {0}")]
    System(#[from] io::Error),
}

/// Runs a plan to its end, or until `stop`; then what was measured so far is reported.
///
/// # Errors
/// When not one connection came to its first job.
pub fn run(plan: &LoadPlan, stop: &AtomicBool) -> Result<LoadReport, LoadError> {
    let all = plan.connections + plan.slow_readers;
    process::raise_open_files(u64::from(all))
        .map_err(|enough| LoadError::Files { wanted: all, enough })?;
    let plan = Arc::new(LoadPlan { threads: plan.threads.clamp(1, all.max(1)), ..plan.clone() });
    let rss = |plan: &LoadPlan| plan.pid.and_then(process::rss_kb);
    let mut report = LoadReport::new(&plan);
    report.rss_before_kb = rss(&plan);
    let shared = Arc::new(Shared::new());
    std::thread::scope(|scope| {
        let loops: Vec<ScopedJoinHandle<'_, io::Result<Tally>>> = (0..plan.threads)
            .map(|first| {
                let made = EventLoop::new(Arc::clone(&plan), Arc::clone(&shared), first);
                made.map(|one| scope.spawn(|| one.run()))
            })
            .collect::<Result<_, _>>()
            .inspect_err(|_| shared.abort.store(true, Ordering::Relaxed))?;
        let broken = || loops.iter().any(ScopedJoinHandle::is_finished);
        let opened = open(&plan, &shared, stop, &broken);
        if opened.is_ok() {
            report.rss_held_kb = rss(&plan);
            measure(&plan, &shared, stop, &broken, &mut report);
            report.rss_end_kb = rss(&plan);
        } else {
            shared.abort.store(true, Ordering::Relaxed);
        }
        for one in loops {
            let tally = one.join().expect("an event loop does not panic");
            report.tally.merge(tally?);
        }
        opened.map(|()| report)
    })
}

/// Waits until every connection holds a job, or will never.
fn open(
    plan: &LoadPlan,
    shared: &Shared,
    stop: &AtomicBool,
    broken: &dyn Fn() -> bool,
) -> Result<(), LoadError> {
    let wanted = plan.connections;
    let over = plan.open_timeout.as_nanos() as u64;
    loop {
        let read = |count: &std::sync::atomic::AtomicU32| count.load(Ordering::Relaxed);
        let holding = read(&shared.holding);
        let ended = stop.load(Ordering::Relaxed) || broken();
        if holding + read(&shared.given_up) >= wanted && holding > 0 {
            return Ok(());
        }
        let hopeless = holding == 0 && read(&shared.failures) >= wanted.max(3);
        let late = shared.now_ns() >= over;
        if holding > 0 && (late || ended) {
            return Ok(());
        }
        let all_gone = read(&shared.given_up) >= wanted;
        if hopeless || late || ended || all_gone {
            return Err(shared.take_trouble().unwrap_or(LoadError::NoJob {
                seconds: shared.now_ns() / 1_000_000_000,
                subscribed: read(&shared.subscribed),
                authorized: read(&shared.authorized),
                connections: wanted,
            }));
        }
        std::thread::sleep(LOOK);
    }
}

/// Warms up, measures, and reads the clocks of both processes at both ends.
fn measure(
    plan: &LoadPlan,
    shared: &Shared,
    stop: &AtomicBool,
    broken: &dyn Fn() -> bool,
    report: &mut LoadReport,
) {
    let seconds = if plan.storm { Duration::ZERO } else { plan.seconds };
    let Times { from_ns, .. } = shared.schedule(plan.warmup, seconds);
    let until = |at_ns: u64| loop {
        let left = Duration::from_nanos(at_ns.saturating_sub(shared.now_ns()));
        let blocks = plan.jobs.map(|jobs| jobs.saturating_mul(plan.threads));
        let enough = blocks.is_some_and(|all| shared.waves.load(Ordering::Relaxed) >= all);
        if left.is_zero() || enough || stop.load(Ordering::Relaxed) || broken() {
            break;
        }
        std::thread::sleep(LOOK.min(left));
    };
    let cpu = || (process::cpu_s(std::process::id()), plan.pid.and_then(process::cpu_s));
    until(from_ns);
    let before = cpu();
    until(shared.times().to_ns);
    shared.end();
    let after = cpu();
    let spent = |after: Option<f64>, before: Option<f64>| Some(after? - before?);
    report.measured =
        Duration::from_nanos(shared.times().to_ns.saturating_sub(shared.times().from_ns));
    report.generator_cpu_s = spent(after.0, before.0);
    report.pool_cpu_s = spent(after.1, before.1);
}

/// A thread of a server that is stopped and waited for.
type Thread = JoinHandle<io::Result<()>>;

#[cfg(test)]
mod tests;
