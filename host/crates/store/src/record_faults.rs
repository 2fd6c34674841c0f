//! The chain of records: whole, it is confirmed; whatever somebody changes is found.

use chimera_ledger::{
    Allocation, Body, DecidedBy, Decider, Decision, Distribution, Event, Hash256, Limits, Plan,
    Proposal, Request, SaltedKey, SchemeKind, WindowSize,
};
use chimera_pow::{Difficulty, PowHash, Work};
use tempfile::TempDir;

use crate::{
    Booking, GenerationId, NewGeneration, NewRecord, SettlementRow, ShareRecord, Store, StoreError,
};

const DIGEST: [u8; 32] = [7; 32];
const PLAN: Plan =
    Plan { kind: SchemeKind::Accrue, window: WindowSize::None, buckets: 1, carry_max: 0 };

struct Scene {
    store: Store,
    generation: GenerationId,
    directory: TempDir,
}

impl Scene {
    /// An accruing pool with six shares of ann and bob.
    async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let store = Store::open(&directory.path().join("pool.db")).await.unwrap();
        store.component(&DIGEST, b"wasm").await.unwrap();
        let new = NewGeneration {
            slot: "payout".into(),
            digest: DIGEST,
            name: "payout-test".into(),
            version: "1.0.0".into(),
            config: "{}".into(),
            kind: Some(SchemeKind::Accrue),
            from_seq: 0,
            state_version: 1,
            state: vec![0],
        };
        let generation = store.begin_generation(&new, 0).await.unwrap();
        let ann = store.worker("ann", "rig", 0).await.unwrap();
        let bob = store.worker("bob", "rig", 0).await.unwrap();
        let shares: Vec<ShareRecord> = [ann, bob, ann, ann, bob, ann]
            .map(|worker| ShareRecord {
                worker,
                work: Work::from_hashes(10),
                network_work: Work::from_hashes(100),
                difficulty: Difficulty::ONE,
                height: 1,
                time_ms: 0,
                hash: PowHash([0; 32]),
            })
            .into();
        store.append_shares(1, &shares, 0).await.unwrap();
        Self { store, generation, directory }
    }

    /// Pays the shares after `from` up to `to`, remembering `state`.
    async fn settle(&self, from: u64, to: u64, state: &[u8]) {
        let window = self.store.work_between(from, to).await.unwrap();
        let before = self.store.generation(self.generation).await.unwrap().facts.state;
        let request = Request {
            event: Event::Interval {
                started_at_ms: 0,
                ended_at_ms: 1,
                network_work: chimera_ledger::SCORE_PER_BLOCK,
                expected_reward: 1_000,
                expected_fees: 0,
            },
            accounts: window.accounts,
            slices: window.slices,
            carry: 0,
            state: before,
        };
        let outcome = Proposal {
            allocation: Allocation::Amounts(vec![90; window.names.len()]),
            pool_fee: 1,
            carry: 0,
            state: state.to_vec(),
            notes: Vec::new(),
        };
        let limits = Limits::default();
        let checked = Distribution::check("test", &request, &PLAN, outcome.clone(), &limits);
        let key = format!("interval:{}:{from}-{to}", self.generation.0);
        let transfers = checked.unwrap().transfers(&key, &window.names).unwrap();
        let decider = Decider {
            name: "payout-test".into(),
            version: "1.0.0".into(),
            digest: Hash256::from_bytes(DIGEST),
            wit: "chimera:pool@0.1.0".into(),
            config: "{}".into(),
            config_hash: Hash256::of_config("{}"),
            grants: Vec::new(),
            generation: self.generation.0,
            plan: PLAN,
        };
        let header = Decision {
            key: &key,
            decider: &decider,
            decided_by: DecidedBy::Scheme,
            limits,
            shares: (from, to),
            accounts: &window.salted,
            request: &request,
            outcome: &outcome,
            transfers: &transfers,
            decided_at_ms: 9,
        };
        let header = header.header().unwrap();
        let body = Body { accounts: window.salted, request, outcome, amounts: Vec::new() };
        let row = SettlementRow {
            key,
            generation: self.generation,
            block: None,
            from_seq: from,
            to_seq: to,
            digest: DIGEST,
            config_hash: *Hash256::of_config("{}").as_bytes(),
            notes: "[]".into(),
            state: state.to_vec(),
            carry_in: 0,
            carry_out: 0,
            booked_at_ms: 9,
        };
        let record = NewRecord { header, body };
        for expected in [Booking::Booked, Booking::AlreadyBooked] {
            let booked = self.store.settle_recorded(&row, &transfers, Some(&record)).await;
            assert_eq!(booked.unwrap(), expected);
        }
    }

    async fn three() -> Self {
        let scene = Self::new().await;
        scene.settle(0, 2, b"one").await;
        scene.settle(2, 4, b"two").await;
        scene.settle(4, 6, b"three").await;
        scene
    }

    async fn execute(&self, sql: &'static str) {
        sqlx::query(sql).execute(&self.store.writer).await.unwrap();
    }
}

#[tokio::test]
async fn records_stand_in_one_chain_and_can_be_recomputed() {
    let scene = Scene::three().await;
    let store = &scene.store;
    let chain = store.verify_records().await.unwrap();
    assert_eq!((chain.records, chain.recomputable, chain.unrecorded), (3, 3, 0));
    let (first, second) = (store.record(1).await.unwrap(), store.record(2).await.unwrap());
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.header.previous, Hash256::ZERO);
    assert_eq!(second.header.previous, first.hash);
    assert_eq!(second.differences(), []);
    let body = second.body.unwrap();
    assert_eq!((&body.request.state[..], &body.outcome.state[..]), (&b"one"[..], &b"two"[..]));
    assert_eq!(store.recorded(3).await.unwrap().unwrap().hash, chain.head);
    // An account finds its row by its own salt, which no two accounts share.
    let ann = "ann";
    let ann = chimera_ledger::AccountName::new(ann).unwrap();
    let salt = store.salt(&ann).await.unwrap().unwrap();
    let (keys, _) = store.work_rows(1).await.unwrap().unwrap();
    assert!(keys.contains(&SaltedKey::of(&ann, &salt)));
    let bob = chimera_ledger::AccountName::new("bob").unwrap();
    assert_ne!(store.salt(&bob).await.unwrap(), Some(salt));

    // Another process reads beside the writer, and writes nothing.
    let reader = Store::open_to_read(&scene.directory.path().join("pool.db")).await.unwrap();
    assert_eq!(reader.verify_records().await.unwrap(), chain);
    assert!(reader.begin_run().await.is_err());
    let nowhere = scene.directory.path().join("none.db");
    assert!(matches!(Store::open_to_read(&nowhere).await, Err(StoreError::Missing(_))));
}

#[tokio::test]
async fn every_change_of_the_past_is_found() {
    for (sql, number, why) in [
        (
            "UPDATE settlement_record SET header = replace(header, '\"pool_fee\":1', '\"pool_fee\":2')
             WHERE settlement = 2",
            2,
            "pool fee: the record says 2, recomputed 1",
        ),
        (
            "UPDATE settlement_record
             SET outcome = CAST(substr(outcome, 1, 9) || x'5b' || substr(outcome, 11) AS BLOB)
             WHERE settlement = 2",
            2,
            "credited in all",
        ),
        (
            "UPDATE settlement_record SET accounts = zeroblob(length(accounts))
             WHERE settlement = 1",
            1,
            "key of row",
        ),
        ("DELETE FROM settlement_record WHERE settlement = 2", 2, "it has no record"),
        (
            "UPDATE transfer SET amount = amount + 1 WHERE settlement = 3 AND reason = 'fee'",
            3,
            "its transfers are not those",
        ),
        (
            "UPDATE transfer SET credit = (SELECT id FROM account WHERE name = 'miner:bob')
             WHERE settlement = 2 AND number = (SELECT min(number) FROM transfer
                                                WHERE settlement = 2)",
            2,
            "its transfers are not those",
        ),
        ("UPDATE settlement SET to_seq = 5 WHERE number = 2", 2, "something else than its record"),
        (
            "UPDATE settlement_record SET hash = randomblob(32) WHERE settlement = 1",
            1,
            "hash of the header",
        ),
    ] {
        let scene = Scene::three().await;
        scene.execute(sql).await;
        match scene.store.verify_records().await {
            Err(StoreError::RecordsDisagree { number: found, why: told, .. }) => {
                assert_eq!(found, number, "{sql}: {told}");
                assert!(told.contains(why), "{sql}: {told}");
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
}

/// A record that was replaced with another that agrees with itself breaks the next link.
#[tokio::test]
async fn a_record_that_was_written_anew_breaks_the_chain() {
    let scene = Scene::three().await;
    let header = scene.store.recorded(1).await.unwrap().unwrap().header;
    let forged = chimera_ledger::Header { decided_at_ms: 10, ..header };
    sqlx::query("UPDATE settlement_record SET header = ?1, hash = ?2 WHERE settlement = 1")
        .bind(serde_json::to_string(&forged).unwrap())
        .bind(forged.hash().as_bytes().as_slice())
        .execute(&scene.store.writer)
        .await
        .unwrap();
    let error = scene.store.verify_records().await.unwrap_err();
    assert!(error.to_string().contains("settlement 2 (interval:1:2-4)"), "{error}");
    assert!(error.to_string().contains("does not follow"), "{error}");
}

/// The states of old intervals go; their rows and the chain stay.
#[tokio::test]
async fn old_states_of_intervals_are_let_go_of() {
    let scene = Scene::three().await;
    let mut tx = scene.store.begin().await.unwrap();
    crate::scheme_states::forget_all_but(&mut tx, scene.generation, 1).await.unwrap();
    tx.commit().await.unwrap();
    let chain = scene.store.verify_records().await.unwrap();
    assert_eq!((chain.records, chain.recomputable), (3, 1));
    assert!(scene.store.record(3).await.unwrap().is_some());
    let error = scene.store.record(2).await.unwrap_err();
    assert!(matches!(error, StoreError::StateNotKept(_)), "{error}");
    assert_eq!(scene.store.work_rows(1).await.unwrap().unwrap().0.len(), 2);
    // The generation's own state is not touched by it.
    assert_eq!(scene.store.generation(scene.generation).await.unwrap().facts.state, b"three");
}
