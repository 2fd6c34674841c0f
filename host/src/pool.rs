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
//! | totals | `totals::follow` | with the recorder, after the last count |
//! | settler | `Settler::run` | when stopping, after the settlement under way |
//! | difficulty | `DifficultyDesk::run` | with the gate |
//! | swaps | `Manager::run` | when stopping |

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chimera_api::Lifecycle;
use chimera_store::{Durability as StoreDurability, Store, StoreOptions};
use chimera_stratum::NotifyLine;
use chimera_work::{JobSequence, NonceLayout, SequenceState};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bans::BanList;
use crate::candidates::Candidates;
use crate::chain;
use crate::clock::now_ms;
use crate::config::{Chain, Config, Durability, OTHER_FILES};
use crate::gate::{
    Certificate, ConnectionCounts, Door, Gate, LOGINS_MAX, Penalties, Resumed, Totals,
};
use crate::grants;
use crate::health::{Health, Probe};
use crate::lifecycle::{LifecycleCell, Moment};
use crate::listening::{API_KEY, cannot_listen, door_key, handed_listener, listen, open_doors};
use crate::policy::{AuthDesk, DifficultyDesk};
use crate::recorder::Recorder;
use crate::seats::Seats;
use crate::settle_process::SettleProcess;
use crate::settler::Settler;
use crate::snapshot::{Assembled, Watch};
use crate::swap::{self, Commands, Manager, Slots};
use crate::totals;
use crate::traps::Traps;
use crate::upgrade::{Estate, Frozen, JobList, Told, Will};
use crate::work_feed;

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

    /// As [`bind`](Self::bind), with what another process has left. It is taken when nothing
    /// can fail any more.
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
        let stop = CancellationToken::new();
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
                parts,
                probes,
                api,
                grace: config.pool.grace,
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
        self.run_until(shutdown, CancellationToken::new()).await.map(|_| ())
    }

    /// As [`run`](Self::run); told to freeze, it leaves everything to another process, or to
    /// itself, and no miner notices.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub(crate) async fn run_until(
        self,
        shutdown: CancellationToken,
        freeze: CancellationToken,
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
            ..
        } = self;
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
        let (tell, told) = oneshot::channel();
        let serving = tokio::spawn(Arc::clone(&gate).serve(doors, resumed, Some(tell)));
        // Without it, the task has ended and says why.
        if told.await.is_ok() {
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

/// What runs and must go on running.
struct Tasks {
    serving: JoinHandle<std::io::Result<Vec<Frozen>>>,
    recording: JoinHandle<()>,
    feed: JoinHandle<SequenceState>,
    desk: JoinHandle<()>,
    settling: JoinHandle<()>,
    swapping: JoinHandle<()>,
    /// Whether the end of `serving` was seen.
    served: bool,
}

impl Tasks {
    /// The first part that ends although nobody asked it to, and why.
    async fn first_to_end(&mut self) -> (&'static str, String) {
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
    async fn drain(
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
struct Drained {
    frozen: Vec<Frozen>,
    sequence: Option<SequenceState>,
}

/// What another process needs to go on; the listeners are not in it yet.
fn write_will(
    gate: &Gate,
    settler: &Settler,
    drained: Drained,
    configured: Vec<(String, SocketAddr)>,
) -> Estate {
    let mut jobs = JobList::default();
    let mut connections = Vec::with_capacity(drained.frozen.len());
    let mut sockets = Vec::with_capacity(drained.frozen.len());
    for frozen in drained.frozen {
        let peer = frozen.peer;
        match frozen.state(&mut jobs) {
            Some((state, socket)) => {
                connections.push(state);
                sockets.push(socket);
            }
            // Its socket is closed here: it connects again.
            None => tracing::warn!(%peer, "a connection with an open question is not handed over"),
        }
    }
    let parked = {
        let seats = gate.seats.lock().unwrap_or_else(PoisonError::into_inner);
        seats.parked(Instant::now(), &mut jobs)
    };
    let newest = gate.jobs.borrow().as_ref().map(|line| Arc::clone(line.job()));
    // Without it (the feed hung) numbers begin anew, which a new run makes harmless.
    let sequence = drained.sequence.unwrap_or_else(|| JobSequence::new(0).state());
    let chain = settler.chain.templates();
    let extranonce2_bytes = {
        let seats = gate.seats.lock().unwrap_or_else(PoisonError::into_inner);
        seats.layout().extranonce2_bytes()
    };
    let told = Told { extranonce2_bytes, sequence, newest: newest.as_ref() };
    let will = Will::new(told, chain, parked, connections, configured, jobs);
    Estate { will, listeners: Vec::new(), sockets }
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

/// What can be tried before an upgrade stops anything: components, certificates, and nodes. The
/// ledger and the embedded chain are the old process's until it leaves them.
///
/// # Errors
/// What would fail afterwards as well.
pub(crate) async fn preflight(config: &Config) -> anyhow::Result<()> {
    swap::describe_slots(config).await?;
    for listener in &config.stratum.listeners {
        if let Some((chain, key)) = listener.certificate.clone() {
            Certificate::load(chain, key)?;
        }
    }
    if matches!(config.chain, Chain::Nodes(_)) {
        let layout = NonceLayout::new(4, config.stratum.extranonce2_bytes)?;
        let Config { chain, pool, .. } = config;
        let connected = chain::connect(chain, &pool.data_dir, &pool.name, layout, None).await;
        connected.context("the chain cannot be used")?.close().await;
    }
    Ok(())
}

/// Raises the limit of open files as far as the system lets; the rest is the operator's.
pub(crate) fn raise_open_files(miners_max: u32) -> anyhow::Result<()> {
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
    will: Option<&Will>,
) -> anyhow::Result<(Parts, Probes)> {
    let data_dir = &config.pool.data_dir;
    // Keys, passwords and who was paid lie in it; one that is there keeps its mode.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data_dir)
        .with_context(|| format!("cannot create pool.data_dir = {}", data_dir.display()))?;
    let probe = |name| health.part(name, now_ms());
    let probes = Probes { share_log: probe("share-log") };
    let layout = NonceLayout::new(4, config.stratum.extranonce2_bytes)?;

    let store = Arc::new(open_store(config).await?);
    let run = store.begin_run().await?;
    store.set_all_fees_ppm(&config.account_fees_ppm).await?;
    watch.opened(&store);
    let compiled = data_dir.join("compiled");
    let services = grants::services(&config.capabilities, &store)?;
    let loader = swap::loader(config, Some(&compiled), services)?;
    let chain = chain::connect(
        &config.chain,
        data_dir,
        &config.pool.name,
        layout,
        will.map(|will| will.chain.clone()),
    )
    .await;
    let chain = Arc::new(chain.context("the chain cannot be used")?);
    tracing::info!(run, payout_address = chain.payout_address(), "chain connected");
    // Last of what can fail: a start that comes to nothing puts no generation in force.
    let filled = swap::fill_slots(&store, &loader, config).await?;

    let engines = Arc::clone(&loader.engines);
    let process = SettleProcess::new(&config.settlement, engines, Some(&compiled))
        .context("the engine that checks settlements")?;
    let portable = process.portable();
    let recorder = Arc::new(Recorder::new(store.last_seq().await?));
    let gone = CancellationToken::new();
    let candidates = Arc::new(Candidates {
        chain: Arc::clone(&chain),
        store: Arc::clone(&store),
        tasks: TaskTracker::new(),
        under_way: Mutex::default(),
        gone: gone.clone(),
    });
    let traps = Arc::new(Traps::new(data_dir.join("traps")));
    let (bans, unwritten) = BanList::new(store.bans(now_ms()).await?);
    let (bans, tasks) = (Arc::new(bans), TaskTracker::new());
    tasks.spawn(unwritten.write(Arc::clone(&store)));
    let auth = AuthDesk::new(
        filled.auth,
        Arc::clone(&store),
        config.unknown_users,
        config.stratum.per_account_max,
        Arc::clone(&bans),
        Arc::clone(&traps),
        probe("auth"),
    );
    let difficulty =
        DifficultyDesk::new(filled.difficulty, Arc::clone(&traps), probe("difficulty"));
    let seats = Seats::new(config.stratum.instance, layout, config.stratum.resume);
    let (jobs, newest_job) = watch::channel(None);
    let gate = Arc::new(Gate {
        settings: config.stratum.clone(),
        miners_max: config.pool.miners_max,
        durability: config.pool.durability,
        retarget_ms: u64::try_from(config.retarget_interval.as_millis()).unwrap_or(u64::MAX),
        jobs: newest_job,
        recorder: Arc::clone(&recorder),
        candidates: Arc::clone(&candidates),
        auth: Arc::new(auth),
        difficulty: Arc::new(difficulty),
        leaving: CancellationToken::new(),
        freezing: CancellationToken::new(),
        gone: gone.clone(),
        seats: Arc::new(Mutex::new(seats)),
        tasks,
        totals: Totals::default(),
        addresses: ConnectionCounts::default(),
        logins: Semaphore::new(LOGINS_MAX),
        runtime: tokio::runtime::Handle::current(),
        began: Instant::now(),
        shards: OnceLock::new(),
        penalties: Penalties::default(),
        bans: Arc::clone(&bans),
        probe: probe("stratum"),
        certificates: config
            .stratum
            .listeners
            .iter()
            .any(|listener| listener.certificate.is_some())
            .then(|| probe("certificates")),
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
        Manager::new(config, Arc::clone(&store), loader, portable, slots, bans, probe("plugins"));
    let manager = Arc::new(manager);
    manager.resume(filled.opened).await?;
    let (gate_shown, settler_shown) = (Arc::clone(&gate), Arc::clone(&settler));
    let shown =
        Assembled { run, gate: gate_shown, settler: settler_shown, manager: Arc::clone(&manager) };
    watch.assembled(shown);
    let sequence = match will {
        Some(will) => JobSequence::resume(run, will.sequence()),
        None => JobSequence::new(run),
    };
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
