//! The PoolManager: puts the parts together in the order they depend on each other, runs
//! them, and stops them in the reverse order.
//!
//! | part | task | it ends |
//! |---|---|---|
//! | API | `Watch::serve` | last of all |
//! | chain | inside `NodeChain` | when dropped |
//! | work feed | `work_feed::run` | when stopping |
//! | gate | `Gate::serve` | when stopping, after the last goodbye |
//! | recorder | `Recorder::run` | when closed, after the last commit |
//! | totals | `totals::follow` | with the recorder, after the last count |
//! | settler | `Settler::run` | when stopping, after the settlement under way |
//! | difficulty | `DifficultyDesk::run` | with the gate |
//! | swaps | `Manager::run` | when stopping |

mod assemble;
mod tasks;
mod will;

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chimera_api::Lifecycle;
use chimera_store::Store;
use chimera_work::JobSequence;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, OTHER_FILES};
use crate::gate::{Beginning, Door, Gate, Resumed};
use crate::health::{Health, Probe};
use crate::lifecycle::{LifecycleCell, Moment};
use crate::listening::{API_KEY, cannot_listen, door_key, handed_listener, listen, open_doors};
use crate::open_files;
use crate::recorder::Recorder;
use crate::settler::Settler;
use crate::snapshot::Watch;
use crate::swap::{self, Commands, Manager};
use crate::totals;
use crate::upgrade::{Estate, Testator};
use crate::work_feed::{self, Work};

use assemble::assemble;
use tasks::Tasks;
use will::write_will;

pub(crate) use assemble::preflight;

/// The first job must be there before the first miner.
const FIRST_JOB_WAIT: Duration = Duration::from_secs(20);

/// Why a pool that ran ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A part the pool cannot do without has ended.
    #[error("{part} has ended by itself: {cause}")]
    PartEnded {
        /// Which.
        part: &'static str,
        /// Why, as far as known.
        cause: String,
    },
    /// Something was still under way when the grace time was over.
    #[error("the pool did not stop within {}s; every answered share is recorded", .0.as_secs())]
    GraceOver(Duration),
}

/// Where a pool can be reached.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// Miners: the first door.
    pub stratum: SocketAddr,
    /// Miners: further doors, in the order of the settings.
    pub more_doors: Vec<SocketAddr>,
    /// Everybody else.
    pub api: SocketAddr,
}

/// How a run of a pool ended well.
#[derive(Debug)]
pub(crate) enum Ended {
    /// Everybody has left.
    Stopped,
    /// Nobody has: another process goes on, or this one again.
    Frozen(Box<Estate>),
}

/// How long coming to rest may take before an upgrade: the share log is patient for ten seconds.
const FREEZE_GRACE: Duration = Duration::from_secs(45);

/// A pool whose parts are put together and whose doors are bound, but not yet open.
pub struct Pool {
    addresses: Addresses,
    /// What listens where the settings say, doors first, then the API.
    configured: Vec<(String, SocketAddr)>,
    /// The API's listener, to be handed over.
    api_listener: OwnedFd,
    /// Connections of another process.
    resumed: Vec<Resumed>,
    doors: Vec<(Arc<Door>, std::net::TcpListener)>,
    lifecycle: Arc<LifecycleCell>,
    states: watch::Receiver<Moment>,
    parts: Parts,
    probes: Probes,
    api: ApiTask,
    grace: Duration,
    withdraw_after: Duration,
}

/// What runs.
struct Parts {
    store: Arc<Store>,
    recorder: Arc<Recorder>,
    gate: Arc<Gate>,
    settler: Arc<Settler>,
    manager: Arc<Manager>,
    commands: Commands,
    work: watch::Sender<Work>,
    sequence: JobSequence,
}

/// The voices of the parts that run as tasks here.
#[derive(Debug)]
struct Probes {
    share_log: Probe,
}

/// The API runs from before the first part starts until after the last one stopped.
#[derive(Debug)]
struct ApiTask {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl ApiTask {
    async fn end(mut self) {
        self.stop.cancel();
        let _ = (&mut self.task).await;
    }
}

impl Drop for ApiTask {
    fn drop(&mut self) {
        // A start that failed half-way leaves no port open.
        self.task.abort();
    }
}

impl Pool {
    /// Opens every part in the order they depend on each other and binds both doors. The
    /// API answers from the first moment, with the state `starting`.
    ///
    /// # Errors
    /// What part failed, and why; what was already opened is closed again.
    pub async fn bind(config: Config) -> anyhow::Result<Self> {
        Self::go_on(config, &mut None).await
    }

    /// As [`bind`](Self::bind), with what another process has left. It is taken last.
    ///
    /// # Errors
    /// As [`bind`](Self::bind), or when the estate cannot be used.
    pub(crate) async fn go_on(config: Config, estate: &mut Option<Estate>) -> anyhow::Result<Self> {
        raise_open_files(config.pool.miners_max)?;
        let doors = open_doors(&config, estate.as_ref())?;
        let mut listening = doors.iter().map(|(_, listener)| listener.local_addr());
        let stratum = listening.next().context("no door")??;
        let more_doors = listening.collect::<Result<_, _>>()?;
        let api = match handed_listener(estate.as_ref(), API_KEY, config.api_listen)? {
            Some(handed) => Ok(handed),
            None => listen(config.api_listen),
        };
        let api = api.with_context(|| cannot_listen("api.listen", config.api_listen))?;
        let api_listener = OwnedFd::from(api.try_clone()?);
        let api = TcpListener::from_std(api)?;
        let doors_at = config.stratum.listeners.iter();
        let doors_at = doors_at.map(|door| (door_key(&door.name), door.listen));
        let configured = doors_at.chain([(API_KEY.to_owned(), config.api_listen)]).collect();
        let addresses = Addresses { stratum, more_doors, api: api.local_addr()? };
        let lifecycle = Arc::new(LifecycleCell::default());
        lifecycle.advance(Lifecycle::Starting);
        let health = Health::default();
        let (admin, commands) = swap::doors(&config)?;
        let moments = Arc::clone(&lifecycle);
        let watch =
            Arc::new(Watch::new(&config, addresses.clone(), moments, health.clone(), admin));
        let (stop, states) = (CancellationToken::new(), watch.states());
        let task = tokio::spawn(Arc::clone(&watch).serve(api, stop.clone()));
        let api = ApiTask { stop, task };
        let will = estate.as_ref().map(|estate| &estate.will);
        let assembled = assemble(&config, &health, &watch, commands, will).await;
        let resumed = assembled.and_then(|(parts, probes)| {
            let left = estate.take();
            let resumed = left.map(|left| parts.gate.resume(left, &doors)).transpose()?;
            Ok((parts, probes, resumed.unwrap_or_default()))
        });
        match resumed {
            Ok((parts, probes, resumed)) => Ok(Self {
                addresses,
                configured,
                api_listener,
                resumed,
                doors,
                lifecycle,
                states,
                parts,
                probes,
                api,
                grace: config.pool.grace,
                withdraw_after: config.withdraw_after,
            }),
            Err(error) => {
                lifecycle.advance(Lifecycle::Error);
                Err(error)
            }
        }
    }

    /// Where it can be reached.
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Follows its state, as the API shows it.
    pub fn states(&self) -> watch::Receiver<Moment> {
        self.states.clone()
    }

    /// The books, for reading.
    pub fn store(&self) -> Arc<Store> {
        Arc::clone(&self.parts.store)
    }

    /// Serves miners until told to stop, then drains: no new miner, every credited share
    /// answered, the settlement under way finished.
    ///
    /// # Errors
    /// When a part ended by itself, or the grace time was over first.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), RunError> {
        self.run_until(shutdown, CancellationToken::new(), None).await.map(|_| ())
    }

    /// As [`run`](Self::run); told to freeze, it leaves everything to another process, or to
    /// itself, and no miner notices. If another process's connections are to be served, it is
    /// asked last (`testator`).
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub(crate) async fn run_until(
        self,
        shutdown: CancellationToken,
        freeze: CancellationToken,
        testator: Option<Testator>,
    ) -> Result<Ended, RunError> {
        let Self {
            doors,
            lifecycle,
            parts,
            probes,
            api,
            grace,
            resumed,
            configured,
            api_listener,
            withdraw_after,
            ..
        } = self;
        let stopping = CancellationToken::new();
        let Parts { store, recorder, gate, settler, manager, commands, work, sequence } = parts;
        let feed = tokio::spawn(work_feed::run(
            work_feed::Sources::of(&settler.chain, withdraw_after),
            sequence,
            Arc::clone(&gate.seats),
            work,
            stopping.clone(),
        ));
        let recording = {
            let (recorder, store) = (Arc::clone(&recorder), Arc::clone(&store));
            tokio::spawn(async move {
                let recording = recorder.run(&store, &probes.share_log);
                totals::follow(Arc::clone(&store), recording).await;
            })
        };
        let desk = {
            let (gate, stopping) = (Arc::clone(&gate), stopping.clone());
            tokio::spawn(async move { gate.difficulty.run(stopping).await })
        };
        let settling = {
            let (settler, stopping) = (Arc::clone(&settler), stopping.clone());
            tokio::spawn(async move { settler.run(stopping).await })
        };
        let swapping = {
            let (manager, stopping) = (Arc::clone(&manager), stopping.clone());
            tokio::spawn(async move { manager.run(commands, stopping).await })
        };
        tokio::select! {
            () = wait_for_first_job(&gate) => {}
            () = shutdown.cancelled() => {}
        }
        let listeners: std::io::Result<Vec<OwnedFd>> =
            doors.iter().map(|(_, listener)| Ok(listener.try_clone()?.into())).collect();
        let (ready, is_ready) = oneshot::channel();
        let (begin, may_begin) = oneshot::channel();
        let beginning = Beginning { ready, may_begin };
        let serving = tokio::spawn(Arc::clone(&gate).serve(doors, resumed, beginning));
        // Otherwise the task has ended, or ends now, and says why.
        if !(is_ready.await.is_ok() && may_serve(testator).await) {
            drop(begin);
        } else if begin.send(()).is_ok() {
            lifecycle.advance(Lifecycle::Running);
        }

        let served = false;
        let mut tasks = Tasks { serving, recording, feed, desk, settling, swapping, served };
        let mut frozen = false;
        let ended_early = tokio::select! {
            () = shutdown.cancelled() => None,
            () = freeze.cancelled(), if listeners.is_ok() => {
                frozen = true;
                None
            }
            ended = tasks.first_to_end() => Some(ended),
        };
        lifecycle.advance(Lifecycle::Stopping);
        let grace = if frozen {
            gate.freezing.cancel();
            // What miners would have borne without it as well: a disk that stalls.
            grace.max(FREEZE_GRACE)
        } else {
            gate.leaving.cancel();
            grace
        };
        let drained = tokio::time::timeout(grace, tasks.drain(&recorder, &stopping, grace)).await;
        let outcome = match (ended_early, drained) {
            (Some((part, cause)), _) => Err(RunError::PartEnded { part, cause }),
            (None, Err(_)) => Err(RunError::GraceOver(grace)),
            (None, Ok(_)) if !frozen => Ok(Ended::Stopped),
            (None, Ok(drained)) => {
                let estate = write_will(&gate, &settler, drained, configured);
                let api_listener = std::iter::once(api_listener);
                let listeners = listeners.into_iter().flatten().chain(api_listener).collect();
                Ok(Ended::Frozen(Box::new(Estate { listeners, ..estate })))
            }
        };
        lifecycle.advance(if outcome.is_ok() { Lifecycle::Stopped } else { Lifecycle::Error });
        api.end().await;
        if frozen {
            gate.gone.cancel();
        }
        // What is not written yet is among the tasks.
        gate.bans.close();
        for tasks in [&gate.tasks, &settler.candidates.tasks, &manager.tasks] {
            tasks.close();
            let _ = tokio::time::timeout(grace / 10, tasks.wait()).await;
        }
        drop((gate, recorder, manager));
        close(settler, store).await;
        outcome
    }
}

/// Lets go of files, so that the pool can be opened again, in this process (T19) or in another,
/// whoever still holds a part.
async fn close(settler: Arc<Settler>, store: Arc<Store>) {
    let chain = Arc::into_inner(settler).map(|settler| Arc::clone(&settler.chain));
    if let Some(chain) = chain.and_then(Arc::into_inner) {
        chain.close().await;
    }
    store.close().await;
}

/// Raises the limit of open files as far as the system lets; the rest is the operator's.
pub(crate) fn raise_open_files(miners_max: u32) -> anyhow::Result<()> {
    let needed = u64::from(miners_max) + OTHER_FILES;
    open_files::allow(needed).map_err(|allowed| {
        anyhow::anyhow!(
            "pool.max_miners = {miners_max} takes {needed} open files, but the system allows \
             {allowed}: lower it, or raise the limit (ulimit -n)"
        )
    })
}

/// Whether the process before this one has let go.
async fn may_serve(testator: Option<Testator>) -> bool {
    let Some(testator) = testator else { return true };
    match tokio::task::spawn_blocking(move || testator.claim()).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::error!(cause = format!("{error:#}"), "this process may not take over");
            false
        }
        Err(_) => false,
    }
}

/// A miner that connects gets its job at once; without a chain it waits like everybody.
async fn wait_for_first_job(gate: &Gate) {
    let mut work = gate.work.clone();
    let first = work.wait_for(|work| work.job().is_some());
    if tokio::time::timeout(FIRST_JOB_WAIT, first).await.is_err() {
        tracing::warn!("the chain has given no work yet; miners will wait for it");
    }
}
