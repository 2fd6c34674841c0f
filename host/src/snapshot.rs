//! What the pool shows of itself: gathered here four times a second, published as one value.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chimera_api::{
    Addresses as ApiAddresses, Admin, Chain, Coin, ComponentHealth, ComponentState, Live,
    MinersWork, Node, Policies, Sessions, ShareLog, Snapshot, TrialCounts,
};
use chimera_chain::{ChainHealth, NodeState, NodeView};
use chimera_store::Store;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::now_ms;
use crate::config::Config;
use crate::gate::Gate;
use crate::health::{Health, Probe};
use crate::lifecycle::{LifecycleCell, Moment};
use crate::policy::Report;
use crate::pool::Addresses;
use crate::settler::Settler;
use crate::swap::{self, Manager};
use crate::work_feed;

const INTERVAL: Duration = Duration::from_millis(250);
const LEDGER_ADVICE: &str = "Check the disk of pool.data_dir; shares wait in memory until the \
                             ledger answers.";

/// The parts that exist only once the pool is put together.
pub(crate) struct Assembled {
    /// Which start of this pool it is.
    pub run: u32,
    /// The door.
    pub gate: Arc<Gate>,
    /// Settlements, and with them the chain and the payout slot.
    pub settler: Arc<Settler>,
    /// Who exchanges what fills the slots.
    pub manager: Arc<Manager>,
}

/// Gathers and publishes.
pub(crate) struct Watch {
    begun: Instant,
    lifecycle: Arc<LifecycleCell>,
    health: Health,
    ledger: Probe,
    constant: Snapshot,
    network: String,
    assembled: Mutex<Option<Assembled>>,
    admin: Admin,
    snapshot: watch::Sender<Arc<Snapshot>>,
    /// The state the snapshot shows.
    shown: watch::Sender<Moment>,
    store: watch::Sender<Option<Arc<Store>>>,
}

impl Watch {
    /// What is known before anything is put together.
    pub(crate) fn new(
        config: &Config,
        addresses: Addresses,
        lifecycle: Arc<LifecycleCell>,
        health: Health,
        admin: Admin,
    ) -> Self {
        let constant = Snapshot {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            coin: Coin { ticker: config.coin.ticker.clone(), decimals: config.coin.decimals },
            sessions: Sessions { max_miners: config.pool.miners_max.into(), ..Sessions::default() },
            addresses: ApiAddresses {
                stratum: std::iter::once(&addresses.stratum)
                    .chain(&addresses.more_doors)
                    .map(ToString::to_string)
                    .collect(),
                api: Some(addresses.api.to_string()),
            },
            ..Snapshot::default()
        };
        let network = config.chain.profile().name;
        Self {
            begun: Instant::now(),
            shown: watch::Sender::new(*lifecycle.watch().borrow()),
            lifecycle,
            ledger: health.part("ledger", now_ms()),
            health,
            snapshot: watch::Sender::new(Arc::new(constant.clone())),
            constant,
            admin,
            network,
            assembled: Mutex::default(),
            store: watch::Sender::new(None),
        }
    }

    /// Follows the state as the API shows it: who hears of it here and asks there is not told of
    /// an older one.
    pub(crate) fn states(&self) -> watch::Receiver<Moment> {
        self.shown.subscribe()
    }

    /// The ledger is open.
    pub(crate) fn opened(&self, store: &Arc<Store>) {
        self.store.send_replace(Some(Arc::clone(store)));
    }

    /// The pool is put together.
    pub(crate) fn assembled(&self, parts: Assembled) {
        *self.assembled.lock().unwrap_or_else(PoisonError::into_inner) = Some(parts);
        self.publish();
    }

    /// Serves the API, in every state of the pool, until told to stop.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener, stop: CancellationToken) {
        self.publish();
        let (snapshot, store) = (self.snapshot.subscribe(), self.store.subscribe());
        let live = Live { snapshot, store, admin: Some(self.admin.clone()) };
        let ended = stop.clone().cancelled_owned();
        let serving = tokio::spawn(chimera_api::serve(listener, chimera_api::router(live), ended));
        let mut states = self.lifecycle.watch();
        while !stop.is_cancelled() {
            self.probe_ledger().await;
            self.publish();
            tokio::select! {
                () = stop.cancelled() => {}
                _ = states.changed() => {}
                () = tokio::time::sleep(INTERVAL) => {}
            }
        }
        // A reader that keeps its connection open must not keep the pool from ending.
        serving.abort();
        let _ = serving.await;
        // Nor the ledger from being closed: its connection would hold it a moment longer.
        self.store.send_replace(None);
        *self.assembled.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn probe_ledger(&self) {
        let store = self.store.borrow().clone();
        let Some(store) = store else { return };
        match store.last_seq().await {
            Ok(_) => self.ledger.healthy(now_ms()),
            Err(error) => self.ledger.unhealthy(error, LEDGER_ADVICE, now_ms()),
        }
    }

    fn publish(&self) {
        let moment = *self.lifecycle.watch().borrow();
        let mut snapshot = Snapshot {
            taken_at_ms: now_ms(),
            lifecycle: moment.state,
            since_ms: moment.since_ms,
            uptime_ms: u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            components: self.health.reports(),
            ..self.constant.clone()
        };
        let assembled = self.assembled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(parts) = &*assembled {
            self.add_running(&mut snapshot, parts);
        }
        self.snapshot.send_replace(Arc::new(snapshot));
        self.shown.send_if_modified(|shown| std::mem::replace(shown, moment) != moment);
    }

    fn add_running(&self, snapshot: &mut Snapshot, parts: &Assembled) {
        let Assembled { run, gate, settler, manager } = parts;
        snapshot.run = *run;
        let template = settler.chain.rounds().borrow().clone();
        snapshot.chain = template.map(|template| Chain {
            network: self.network.clone(),
            algorithm: template.algorithm.name().to_owned(),
            height: template.height,
            difficulty: template.target.difficulty().get(),
            work: template.target.work(),
        });
        snapshot.nodes = settler.chain.nodes().into_iter().map(node).collect();
        snapshot.miners_work = miners_work(&gate.work.borrow());
        let totals = &gate.totals;
        snapshot.sessions.connected = totals.connected.load(Ordering::Relaxed).into();
        snapshot.sessions.authorised = totals.authorised.load(Ordering::Relaxed).into();
        snapshot.verdicts = totals.by_verdict();
        snapshot.conduct = totals.conduct.by_step();
        let log = &gate.recorder.counters;
        snapshot.accepted_work = gate.recorder.recorded_work().hashes();
        snapshot.share_log = ShareLog {
            shares: log.shares.load(Ordering::Relaxed),
            commits: log.commits.load(Ordering::Relaxed),
            failures: log.failures.load(Ordering::Relaxed),
            seconds: Duration::from_micros(log.commit_us.load(Ordering::Relaxed)).as_secs_f64(),
            batch_max: log.batch_max.load(Ordering::Relaxed),
        };
        snapshot.components.push(chain_health(&settler.chain.health().borrow()));
        snapshot.plugins = swap::shown(manager);
        snapshot.policies = policies(gate, settler);
    }
}

fn node(view: NodeView) -> Node {
    let cause = match &view.state {
        NodeState::Failing { cause, .. } => Some(cause.clone()),
        NodeState::Unasked | NodeState::Answering => None,
    };
    Node {
        name: view.name,
        state: view.state.name().to_owned(),
        cause,
        since_ms: view.since * 1_000,
        source: view.source,
        height: view.height,
        announcements: view.announcements.name().to_owned(),
    }
}

fn miners_work(work: &work_feed::Work) -> MinersWork {
    let (state, why) = match work {
        work_feed::Work::Awaited => ("awaited", None),
        work_feed::Work::Job(_) => ("flowing", None),
        work_feed::Work::Withdrawn(why) => ("withdrawn", Some(why.to_string())),
    };
    MinersWork { state: state.to_owned(), why }
}

fn chain_health(health: &ChainHealth) -> ComponentHealth {
    let (state, cause, since) = match health {
        ChainHealth::Healthy { since } => (ComponentState::Healthy, None, *since),
        ChainHealth::Unhealthy { cause, since, .. } => {
            (ComponentState::Unhealthy, Some(cause.clone()), *since)
        }
    };
    ComponentHealth {
        name: "chain".to_owned(),
        state,
        cause,
        since_ms: since * 1_000,
        recommendation: health.recommendation().map(str::to_owned),
    }
}

fn policies(gate: &Gate, settler: &Settler) -> Policies {
    let (auth, difficulty) = (&gate.auth, &gate.difficulty);
    let trials = [
        ("auth", auth.slot.trial().map(|trial| trial.report())),
        ("difficulty", difficulty.slot.trial().map(|trial| trial.report())),
    ];
    let breakers = [
        ("payout", settler.schemes.retries().state()),
        ("auth", auth.breaker().state().name()),
        ("difficulty", difficulty.breaker().state().name()),
    ];
    let figures = &auth.figures;
    let answers = [
        ("reused", &figures.reused),
        ("stale", &figures.stale),
        ("unknown-refused", &figures.unknown_refused),
        ("quarantined", &figures.quarantined),
        ("banned", &figures.banned),
        ("crowded", &figures.crowded),
    ];
    Policies {
        breakers: breakers.map(|(slot, state)| (slot.to_owned(), state.to_owned())).into(),
        trials: trials
            .into_iter()
            .filter_map(|(slot, report)| {
                let Report { decisions, differed, failed, dropped, .. } = report?;
                Some((slot.to_owned(), TrialCounts { decisions, differed, failed, dropped }))
            })
            .collect(),
        auth_answers: answers.map(|(reason, count)| (reason.to_owned(), count.read())).into(),
        native_retargets: difficulty.native_decisions(),
    }
}
