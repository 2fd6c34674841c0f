//! A served API over a ledger in a temporary directory, and words to fill it with.

use std::sync::Arc;

use chimera_api::{
    Addresses, Admin, AdminCommand, Chain, Coin, ComponentHealth, ComponentState, Lifecycle, Live,
    Plugin, PluginPhase, ReplyLatency, Sessions, ShareLog, Snapshot, router, serve,
};
use chimera_ledger::{Amount, BlockState, Reason, SchemeKind, Transfer};
use chimera_pow::{Difficulty, PowHash, Target, Work};
use chimera_store::{
    BlockChange, BlockRow, GenerationId, NewGeneration, SettlementRow, ShareRecord, Store,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

/// "Now" in these tests: far enough from zero that a day fits before it.
pub(crate) const NOW_MS: u64 = 1_800_000_000_000;
/// Who shows it may change something.
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const DIGEST: [u8; 32] = [7; 32];

pub(crate) struct Scene {
    pub(crate) store: Arc<Store>,
    pub(crate) snapshot: watch::Sender<Arc<Snapshot>>,
    pub(crate) ledger: watch::Sender<Option<Arc<Store>>>,
    pub(crate) base: String,
    /// What arrives through the doors; closed, they would answer otherwise.
    _commands: mpsc::Receiver<AdminCommand>,
    _directory: TempDir,
}

impl Scene {
    /// An empty pool, running and well.
    pub(crate) async fn new() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let store = Store::open(&directory.path().join("pool.db")).await.expect("a new ledger");
        let store = Arc::new(store);
        let snapshot = watch::Sender::new(Arc::new(running()));
        let ledger = watch::Sender::new(Some(Arc::clone(&store)));
        let (commands, received) = mpsc::channel(4);
        let admin = Some(Admin::new(TOKEN.to_owned(), commands));
        let live = Live { snapshot: snapshot.subscribe(), store: ledger.subscribe(), admin };
        let base = listening(router(live)).await;
        Self { store, snapshot, ledger, base, _commands: received, _directory: directory }
    }

    /// Two miners, three blocks: settled, orphaned, ripening.
    pub(crate) async fn filled() -> Self {
        let scene = Self::new().await;
        let store = &scene.store;
        store.component(&DIGEST, b"wasm").await.expect("kept");
        let ann = store.worker("ann", "rig", NOW_MS - 90_000).await.expect("registered");
        let bob = store.worker("bob", "", NOW_MS - 90_000).await.expect("registered");
        let share = |worker, work| ShareRecord {
            worker,
            work: Work::from_hashes(work),
            network_work: Work::from_hashes(1_000_000),
            difficulty: Difficulty::ONE,
            height: 9,
            time_ms: NOW_MS - 60_000,
            hash: PowHash([1; 32]),
        };
        let shares = [share(ann, 600_000), share(bob, 300_000), share(ann, 0)];
        store.append_shares(1, &shares, NOW_MS - 60_000).await.expect("appended");
        store.count_shares().await.expect("counted");
        let generation = store.begin_generation(&scheme(), 0).await.expect("begun");
        for (id, states) in [
            ("b1", &[BlockState::Pending, BlockState::Mature][..]),
            ("b2", &[BlockState::Orphaned]),
            ("b3", &[BlockState::Pending]),
        ] {
            let row = BlockRow {
                id: id.to_owned(),
                height: 9,
                seq: 3,
                worker: ann,
                found_at_ms: NOW_MS - 50_000,
                pow_hash: PowHash([2; 32]),
                target: Target::DIFFICULTY_ONE,
                tx_fees: Amount::from_units(1),
                bytes: vec![1],
            };
            store.record_candidate(&row).await.expect("recorded");
            for to in states {
                let reward = Amount::from_units(5_000_000_000);
                let reward = (*to == BlockState::Mature).then_some(reward);
                let change = BlockChange { to: *to, reward, detail: format!("now {to}") };
                store.set_block_state(id, &change, NOW_MS - 40_000).await.expect("a legal move");
            }
        }
        scene.settle("b1", generation).await;
        scene
    }

    async fn settle(&self, block: &str, generation: GenerationId) {
        let row = SettlementRow {
            key: format!("block:{block}"),
            generation,
            block: Some(block.to_owned()),
            from_seq: 0,
            to_seq: 3,
            digest: DIGEST,
            config_hash: [8; 32],
            notes: r#"["window half full"]"#.to_owned(),
            state: vec![],
            carry_in: 0,
            carry_out: 1,
            booked_at_ms: NOW_MS - 30_000,
        };
        let lines = [
            ("miner:ann", 3_300_000_000, Reason::Reward),
            ("miner:bob", 1_650_000_000, Reason::Reward),
            ("pool:fee", 49_999_999, Reason::Fee),
            ("pool:carry", 1, Reason::CarryOut),
        ];
        let transfers = lines.map(|(credit, units, reason)| Transfer {
            key: format!("block:{block}/{credit}"),
            debit: "chain:reward".parse().expect("an account"),
            credit: credit.parse().expect("an account"),
            amount: Amount::from_units(units),
            reason,
        });
        self.store.settle(&row, &transfers).await.expect("settled");
    }

    /// A share of ann's, counted.
    pub(crate) async fn mine(&self, work: u128) {
        let seq = self.store.last_seq().await.expect("readable") + 1;
        let share = ShareRecord {
            worker: self.store.worker("ann", "rig", NOW_MS).await.expect("registered"),
            work: Work::from_hashes(work),
            network_work: Work::from_hashes(1_000_000),
            difficulty: Difficulty::ONE,
            height: 9,
            time_ms: NOW_MS,
            hash: PowHash([1; 32]),
        };
        self.store.append_shares(seq, &[share], NOW_MS).await.expect("appended");
        self.store.count_shares().await.expect("counted");
    }

    /// Pays the share before `end` to so many accounts: 1, 2, 3, ... base units.
    pub(crate) async fn pay_many(&self, end: u64, accounts: u64) {
        let row = SettlementRow {
            key: format!("interval:1:{}-{end}", end - 1),
            generation: GenerationId(1),
            block: None,
            from_seq: end - 1,
            to_seq: end,
            digest: DIGEST,
            config_hash: [8; 32],
            notes: "[]".to_owned(),
            state: vec![],
            carry_in: 0,
            carry_out: 0,
            booked_at_ms: NOW_MS,
        };
        let transfers: Vec<Transfer> = (1..=accounts)
            .map(|units| Transfer {
                key: format!("{}/{units}", row.key),
                debit: "pool:reserve".parse().expect("an account"),
                credit: format!("miner:m{units}").parse().expect("an account"),
                amount: Amount::from_units(units),
                reason: Reason::Accrual,
            })
            .collect();
        self.store.settle(&row, &transfers).await.expect("settled");
    }

    /// Publishes another snapshot.
    pub(crate) fn publish(&self, change: impl FnOnce(&mut Snapshot)) {
        let mut snapshot = running();
        change(&mut snapshot);
        self.snapshot.send_replace(Arc::new(snapshot));
    }

    pub(crate) async fn text(&self, path: &str) -> (u16, String) {
        let answer = reqwest::get(format!("{}{path}", self.base)).await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a body"))
    }

    pub(crate) async fn json(&self, path: &str) -> (u16, Value) {
        let (status, text) = self.text(path).await;
        (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}")))
    }

    /// An answer that must be good.
    pub(crate) async fn good(&self, path: &str) -> Value {
        let (status, body) = self.json(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }
}

/// Serves a router on a free port until the test ends.
pub(crate) async fn listening(router: axum::Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(serve(listener, router, std::future::pending()));
    format!("http://{address}")
}

fn running() -> Snapshot {
    Snapshot {
        taken_at_ms: NOW_MS,
        lifecycle: Lifecycle::Running,
        since_ms: NOW_MS - 1_000,
        version: "0.1.0".to_owned(),
        run: 3,
        uptime_ms: 1_500,
        coin: Coin { ticker: "DEV".to_owned(), decimals: 8 },
        chain: Some(Chain {
            network: "devchain".to_owned(),
            algorithm: "blake2s".to_owned(),
            height: 10,
            difficulty: 0.001,
            work: Work::from_hashes(4_000_000),
        }),
        sessions: Sessions { connected: 3, authorised: 2, max_miners: 1000 },
        verdicts: [("accepted".to_owned(), 40), ("stale".to_owned(), 2)].into(),
        accepted_work: 1 << 90,
        share_log: ShareLog { shares: 40, commits: 7, failures: 0, seconds: 0.25, batch_max: 9 },
        reply_latency: Some(ReplyLatency {
            bounds_s: vec![0.001, 0.01],
            counts: vec![30, 9, 1],
            sum_s: 0.5,
        }),
        components: vec![healthy("chain"), healthy("store")],
        plugins: vec![Plugin {
            slot: "payout".to_owned(),
            name: "payout-pplns".to_owned(),
            version: "1.0.0".to_owned(),
            digest: "07".repeat(32),
            origin: "embedded".to_owned(),
            description: "pays the last N shares".to_owned(),
            config: serde_json::json!({ "window": 2 }),
            calls: 5,
            failures: 1,
            last_error: Some("out of fuel".to_owned()),
            generation: 1,
            grants: vec![],
            phase: PluginPhase { name: "active".to_owned(), ..PluginPhase::default() },
            next: None,
        }],
        addresses: Addresses {
            stratum: vec!["127.0.0.1:3333".to_owned()],
            api: Some("127.0.0.1:8080".to_owned()),
        },
        ..Snapshot::default()
    }
}

pub(crate) fn healthy(name: &str) -> ComponentHealth {
    ComponentHealth {
        name: name.to_owned(),
        state: ComponentState::Healthy,
        cause: None,
        since_ms: NOW_MS - 900,
        recommendation: None,
    }
}

fn scheme() -> NewGeneration {
    NewGeneration {
        slot: "payout".to_owned(),
        digest: DIGEST,
        name: "payout-test".to_owned(),
        version: "1.0.0".to_owned(),
        config: "{}".to_owned(),
        kind: Some(SchemeKind::Distribute),
        from_seq: 0,
        state_version: 1,
        state: vec![],
    }
}
