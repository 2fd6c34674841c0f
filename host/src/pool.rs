//! The PoolManager: puts the parts together in the order they depend on each other, runs
//! them, and stops them in the reverse order. The one place where they all meet.
//!
//! | part | task | it ends |
//! |---|---|---|
//! | API | `Watch::serve` | last of all |
//! | chain | inside `NodeChain` | when dropped |
//! | work feed | `work_feed::run` | when stopping |
//! | gate | `Gate::serve` | when stopping, after the last goodbye |
//! | recorder | `Recorder::run` | when closed, after the last commit |
//! | settler | `Settler::run` | when stopping, after the settlement under way |
//! | difficulty | `DifficultyDesk::run` | with the gate |
//! | swaps | `Manager::run` | when stopping |

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use chimera_api::Lifecycle;
use chimera_pow::Difficulty;
use chimera_store::{Durability as StoreDurability, Store, StoreOptions};
use chimera_stratum::{DifficultyLimits, NotifyLine, SessionConfig};
use chimera_work::{JobSequence, NonceLayout};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::candidates::Candidates;
use crate::chain;
use crate::clock::now_ms;
use crate::config::{Config, Durability};
use crate::gate::{Gate, Totals};
use crate::grants;
use crate::health::{Health, Probe};
use crate::lifecycle::{LifecycleCell, Moment};
use crate::policy::{AuthDesk, DifficultyDesk};
use crate::recorder::Recorder;
use crate::seats::Seats;
use crate::settle_process::SettleProcess;
use crate::settler::Settler;
use crate::snapshot::{Assembled, Watch};
use crate::swap::{self, Commands, Manager, Slots};
use crate::traps::Traps;
use crate::work_feed;

/// What a session starts at before the difficulty component has said anything.
const DIFFICULTY_INITIAL: f64 = 1e-4;
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
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// Miners.
    pub stratum: SocketAddr,
    /// Everybody else.
    pub api: SocketAddr,
}

/// A pool whose parts are put together and whose doors are bound, but not yet open.
pub struct Pool {
    addresses: Addresses,
    stratum: TcpListener,
    lifecycle: Arc<LifecycleCell>,
    parts: Parts,
    probes: Probes,
    api: ApiTask,
    grace: Duration,
}

/// What runs.
struct Parts {
    store: Arc<Store>,
    recorder: Arc<Recorder>,
    gate: Arc<Gate>,
    settler: Arc<Settler>,
    manager: Arc<Manager>,
    commands: Commands,
    jobs: watch::Sender<Option<Arc<NotifyLine>>>,
    sequence: JobSequence,
}

/// The voices of the parts that run as tasks here.
#[derive(Debug)]
struct Probes {
    stratum: Probe,
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
        raise_open_files(config.pool.miners_max)?;
        let (stratum_listen, api_listen) = (config.stratum.listen, config.api_listen);
        let stratum = bind(stratum_listen, "stratum.listen").await?;
        let api = bind(api_listen, "api.listen").await?;
        let addresses = Addresses { stratum: stratum.local_addr()?, api: api.local_addr()? };
        let lifecycle = Arc::new(LifecycleCell::default());
        lifecycle.advance(Lifecycle::Starting);
        let health = Health::default();
        let (admin, commands) = swap::doors(&config)?;
        let moments = Arc::clone(&lifecycle);
        let watch = Arc::new(Watch::new(&config, addresses, moments, health.clone(), admin));
        let stop = CancellationToken::new();
        let task = tokio::spawn(Arc::clone(&watch).serve(api, stop.clone()));
        let api = ApiTask { stop, task };
        match assemble(&config, &health, &watch, commands).await {
            Ok((parts, probes)) => {
                let grace = config.pool.grace;
                Ok(Self { addresses, stratum, lifecycle, parts, probes, api, grace })
            }
            Err(error) => {
                lifecycle.advance(Lifecycle::Error);
                Err(error)
            }
        }
    }

    /// Where it can be reached.
    pub const fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Follows its state.
    pub fn states(&self) -> watch::Receiver<Moment> {
        self.lifecycle.watch()
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
        let Self { stratum, lifecycle, parts, probes, api, grace, .. } = self;
        let stopping = CancellationToken::new();
        let Parts { store, recorder, gate, settler, manager, commands, jobs, sequence } = parts;
        let feed = tokio::spawn(work_feed::run(
            settler.chain.rounds(),
            sequence,
            Arc::clone(&gate.seats),
            jobs,
            stopping.clone(),
        ));
        let recording = {
            let (recorder, store) = (Arc::clone(&recorder), Arc::clone(&store));
            tokio::spawn(async move { recorder.run(&store, &probes.share_log).await })
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
        let serving = tokio::spawn(Arc::clone(&gate).serve(stratum, probes.stratum));
        lifecycle.advance(Lifecycle::Running);

        let mut tasks = Tasks { serving, recording, feed, desk, settling, swapping };
        let ended_early = tokio::select! {
            () = shutdown.cancelled() => None,
            ended = tasks.first_to_end() => Some(ended),
        };
        lifecycle.advance(Lifecycle::Stopping);
        gate.leaving.cancel();
        let drained = tokio::time::timeout(grace, tasks.drain(&recorder, &stopping, grace)).await;
        let outcome = match (ended_early, drained) {
            (Some((part, cause)), _) => Err(RunError::PartEnded { part, cause }),
            (None, Err(_)) => Err(RunError::GraceOver(grace)),
            (None, Ok(())) => Ok(()),
        };
        lifecycle.advance(if outcome.is_ok() { Lifecycle::Stopped } else { Lifecycle::Error });
        api.end().await;
        for tasks in [&gate.tasks, &settler.candidates.tasks, &manager.tasks] {
            tasks.close();
            let _ = tokio::time::timeout(grace / 10, tasks.wait()).await;
        }
        drop((gate, recorder, manager));
        close(settler, store).await;
        outcome
    }
}

/// What runs and must go on running.
struct Tasks {
    serving: JoinHandle<()>,
    recording: JoinHandle<()>,
    feed: JoinHandle<()>,
    desk: JoinHandle<()>,
    settling: JoinHandle<()>,
    swapping: JoinHandle<()>,
}

impl Tasks {
    /// The first part that ends although nobody asked it to, and why.
    async fn first_to_end(&mut self) -> (&'static str, String) {
        let (part, ended) = tokio::select! {
            ended = &mut self.serving => ("the Stratum server", ended),
            ended = &mut self.recording => ("the share log", ended),
            ended = &mut self.feed => ("the work feed", ended),
            ended = &mut self.desk => ("the difficulty desk", ended),
            ended = &mut self.settling => ("the settler", ended),
            ended = &mut self.swapping => ("the swap manager", ended),
        };
        (part, ended.err().map_or_else(|| "it just ended".to_owned(), |error| error.to_string()))
    }

    /// Stops in order: miners say goodbye, what they were credited is recorded, then the
    /// rest. Miners have two thirds of the time; the share log does not wait for slow ones,
    /// and a settlement that waits for a node is rolled back and made at the next start.
    async fn drain(&mut self, recorder: &Recorder, stopping: &CancellationToken, grace: Duration) {
        if !self.serving.is_finished() {
            let _ = tokio::time::timeout(grace * 2 / 3, &mut self.serving).await;
        }
        recorder.close();
        stopping.cancel();
        if !self.recording.is_finished() {
            let _ = (&mut self.recording).await;
        }
        for task in [&mut self.feed, &mut self.desk, &mut self.settling, &mut self.swapping] {
            let ended =
                task.is_finished() || tokio::time::timeout(grace / 10, &mut *task).await.is_ok();
            if !ended {
                task.abort();
                // What it held is let go of before anybody opens it again.
                let _ = (&mut *task).await;
            }
        }
    }
}

/// Lets go of files, so that the pool can be opened again in the same process (T19). Whoever
/// still holds a part closes it by dropping it.
async fn close(settler: Arc<Settler>, store: Arc<Store>) {
    let Some(settler) = Arc::into_inner(settler) else { return };
    let chain = Arc::clone(&settler.chain);
    drop(settler);
    if let Some(chain) = Arc::into_inner(chain) {
        chain.close().await;
    }
    if let Some(store) = Arc::into_inner(store) {
        store.close().await;
    }
}

/// Every connection is an open file, and so are the database, the API's readers and nodes.
const OTHER_FILES: u64 = 128;

/// Raises the limit of open files as far as the system lets; the rest is the operator's.
fn raise_open_files(miners_max: u32) -> anyhow::Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let needed = u64::from(miners_max) + OTHER_FILES;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < needed) {
        limit.current = limit.maximum.map_or(Some(needed), |maximum| Some(maximum.min(needed)));
        setrlimit(Resource::Nofile, limit).context("the limit of open files cannot be raised")?;
    }
    let allowed = limit.current.unwrap_or(u64::MAX);
    anyhow::ensure!(
        allowed >= needed,
        "pool.max_miners = {miners_max} takes {needed} open files, but the system allows \
         {allowed}: lower it, or raise the limit (ulimit -n)"
    );
    Ok(())
}

async fn bind(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.with_context(|| {
        format!("cannot listen at {key} = {address}: is it in use by another program?")
    })
}

/// A miner that connects gets its job at once; without a chain it waits like everybody.
async fn wait_for_first_job(gate: &Gate) {
    let mut jobs = gate.jobs.clone();
    let first = jobs.wait_for(Option::is_some);
    if tokio::time::timeout(FIRST_JOB_WAIT, first).await.is_err() {
        tracing::warn!("the chain has given no work yet; miners will wait for it");
    }
}

/// Puts the parts together: store, plugins, chain, then what needs them.
async fn assemble(
    config: &Config,
    health: &Health,
    watch: &Watch,
    commands: Commands,
) -> anyhow::Result<(Parts, Probes)> {
    let data_dir = &config.pool.data_dir;
    // Keys, passwords and who was paid lie in it; one that is there keeps its mode.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data_dir)
        .with_context(|| format!("cannot create pool.data_dir = {}", data_dir.display()))?;
    let probe = |name| health.part(name, now_ms());
    let probes = Probes { stratum: probe("stratum"), share_log: probe("share-log") };
    let layout = NonceLayout::new(4, config.stratum.extranonce2_bytes)?;

    let store = Arc::new(open_store(config).await?);
    let run = store.begin_run().await?;
    store.set_all_fees_ppm(&config.account_fees_ppm).await?;
    watch.opened(&store);
    let compiled = data_dir.join("compiled");
    let services = grants::services(&config.capabilities, &store)?;
    let loader = swap::loader(config, Some(&compiled), services)?;
    let chain = chain::connect(&config.chain, data_dir, &config.pool.name, layout).await;
    let chain = Arc::new(chain.context("the chain cannot be used")?);
    tracing::info!(run, payout_address = chain.payout_address(), "chain connected");
    // Last of what can fail: a start that comes to nothing puts no generation in force.
    let filled = swap::fill_slots(&store, &loader, config).await?;

    let engines = Arc::clone(&loader.engines);
    let process = SettleProcess::new(&config.settlement, engines, Some(&compiled))
        .context("the engine that checks settlements")?;
    let portable = process.portable();
    let recorder = Arc::new(Recorder::new(store.last_seq().await?));
    let candidates = Arc::new(Candidates {
        chain: Arc::clone(&chain),
        store: Arc::clone(&store),
        recorder: Arc::clone(&recorder),
        tasks: TaskTracker::new(),
        under_way: Mutex::default(),
    });
    let limits = DifficultyLimits {
        initial: Difficulty::new(DIFFICULTY_INITIAL)?,
        min: config.stratum.difficulty_min,
        max: config.stratum.difficulty_max,
    };
    let traps = Arc::new(Traps::new(data_dir.join("traps")));
    let auth = AuthDesk::new(
        filled.auth,
        Arc::clone(&store),
        config.unknown_users,
        Arc::clone(&traps),
        probe("auth"),
    );
    let difficulty =
        DifficultyDesk::new(filled.difficulty, limits, Arc::clone(&traps), probe("difficulty"));
    let seats = Seats::new(config.stratum.instance, layout, config.stratum.resume);
    let (jobs, newest_job) = watch::channel(None);
    let gate = Arc::new(Gate {
        settings: config.stratum.clone(),
        session: SessionConfig { version_mask: config.stratum.version_mask, difficulty: limits },
        miners_max: config.pool.miners_max,
        durability: config.pool.durability,
        retarget_interval: config.retarget_interval,
        grace: config.pool.grace,
        jobs: newest_job,
        recorder: Arc::clone(&recorder),
        candidates: Arc::clone(&candidates),
        auth: Arc::new(auth),
        difficulty: Arc::new(difficulty),
        leaving: CancellationToken::new(),
        seats: Arc::new(Mutex::new(seats)),
        tasks: TaskTracker::new(),
        totals: Totals::default(),
    });
    let settler = Arc::new(Settler {
        chain: Arc::clone(&chain),
        store: Arc::clone(&store),
        candidates,
        schemes: Arc::clone(&filled.schemes),
        take_over: config.take_over,
        missing: Mutex::default(),
        settle_interval: config.settle_interval,
        process,
        reserve: config.settlement.reserve,
        fees: Mutex::default(),
        traps: Arc::clone(&traps),
        probe: probe("payout"),
    });
    let slots = Slots {
        schemes: filled.schemes,
        auth: Arc::clone(&gate.auth),
        difficulty: Arc::clone(&gate.difficulty),
    };
    let manager =
        Manager::new(config, Arc::clone(&store), loader, portable, slots, probe("plugins"));
    let manager = Arc::new(manager);
    manager.resume(filled.opened).await?;
    let (gate_shown, settler_shown) = (Arc::clone(&gate), Arc::clone(&settler));
    let shown =
        Assembled { run, gate: gate_shown, settler: settler_shown, manager: Arc::clone(&manager) };
    watch.assembled(shown);
    let sequence = JobSequence::new(run);
    let parts = Parts { store, recorder, gate, settler, manager, commands, jobs, sequence };
    Ok((parts, probes))
}

async fn open_store(config: &Config) -> anyhow::Result<Store> {
    let durability = match config.pool.durability {
        Durability::Durable => StoreDurability::Full,
        Durability::Relaxed => StoreDurability::Relaxed,
    };
    let path = config.pool.data_dir.join("pool.sqlite");
    let opened = Store::open_with(&path, StoreOptions { durability }).await;
    opened.with_context(|| format!("cannot open the ledger {}", path.display()))
}
