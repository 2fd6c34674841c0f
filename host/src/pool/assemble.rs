//! The one place where all parts meet.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use anyhow::Context as _;
use chimera_store::{Durability as StoreDurability, Store, StoreOptions};
use chimera_work::{JobSequence, NonceLayout};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Parts, Probes};
use crate::bans::BanList;
use crate::candidates::Candidates;
use crate::chain;
use crate::clock::now_ms;
use crate::config::{Chain, Config, Durability};
use crate::gate::{Certificate, ConnectionCounts, Gate, LOGINS_MAX, Penalties, Totals};
use crate::grants;
use crate::health::Health;
use crate::policy::{AuthDesk, DifficultyDesk};
use crate::recorder::Recorder;
use crate::seats::Seats;
use crate::settle_process::SettleProcess;
use crate::settler::Settler;
use crate::snapshot::{Assembled, Watch};
use crate::swap::{self, Commands, Manager, Slots};
use crate::traps::Traps;
use crate::upgrade::Will;
use crate::work_feed::Work;

/// Puts the parts together: store, plugins, chain, then what needs them. The data directory is
/// there ([`swap::doors`]).
pub(super) async fn assemble(
    config: &Config,
    health: &Health,
    watch: &Watch,
    commands: Commands,
    will: Option<&Will>,
) -> anyhow::Result<(Parts, Probes)> {
    let data_dir = &config.pool.data_dir;
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
    let recorder = Arc::new(Recorder::new(store.last_seq().await?, config.pool.durability));
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
    let (work, newest) = watch::channel(Work::Awaited);
    let gate = Arc::new(Gate {
        settings: config.stratum.clone(),
        miners_max: config.pool.miners_max,
        durability: config.pool.durability,
        retarget_ms: u64::try_from(config.retarget_interval.as_millis()).unwrap_or(u64::MAX),
        work: newest,
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
        contradicted: Mutex::default(),
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
    let parts = Parts { store, recorder, gate, settler, manager, commands, work, sequence };
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
