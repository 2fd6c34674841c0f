//! The chain of records: whole, it is confirmed; whatever somebody changes is found.

use chimera_ledger::{
    Allocation, Decided, Decider, Decision, Distribution, Event, Hash256, Limits, Plan, Premises,
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
        let checked = checked.unwrap();
        let transfers = checked.transfers(&key, &window.names).unwrap();
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
            decided: Decided::Scheme(&checked),
            limits,
            shares: (from, to),
            accounts: &window.salted,
            request: &request,
            outcome: &outcome,
            premises: Premises::of(&window.salted, &request).unwrap(),
            decided_at_ms: 9,
        };
        let header = header.header().unwrap();
        let record = NewRecord::new(header, &window.salted, &request, &outcome);
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
        let mut tx = self.store.begin().await.unwrap();
        sqlx::query(sql).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn records_stand_in_one_chain_and_can_be_recomputed() {
    let scene = Scene::three().await;
    let store = &scene.store;
    let chain = store.verify_records().await.unwrap();
    assert_eq!((chain.records, chain.unrecorded), (3, 0));
    assert_eq!((&chain.recomputable[..], &chain.by_hash[..]), (&[1, 2, 3][..], &[][..]));
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
        ("DELETE FROM settlement_record", 1, "it has no record"),
        (
            "UPDATE transfer SET amount = amount + 1 WHERE settlement = 3 AND reason = 'fee'",
            3,
            "transfer 3 is 2 from pool:reserve to pool:fee as fee (interval:1:4-6/pool:fee), but \
             should be 1",
        ),
        (
            "UPDATE transfer SET credit = (SELECT id FROM account WHERE name = 'miner:bob')
             WHERE settlement = 2 AND credit = (SELECT id FROM account WHERE name = 'miner:ann')",
            2,
            "should be 90 from pool:reserve to miner:ann",
        ),
        (
            "UPDATE transfer SET debit = (SELECT id FROM account WHERE name = 'chain:reward')
             WHERE settlement = 1 AND reason = 'fee'",
            1,
            "transfer 3 is 1 from chain:reward",
        ),
        (
            "UPDATE transfer SET key = 'x' WHERE settlement = 1 AND reason = 'fee'",
            1,
            "as fee (x), but should be 1",
        ),
        (
            "UPDATE transfer SET reason = 'reserve' WHERE settlement = 1 AND reason = 'fee'",
            1,
            "to pool:fee as reserve",
        ),
        ("UPDATE transfer SET reason = 'fe' WHERE reason = 'fee'", 1, "unknown reason \"fe\""),
        (
            "UPDATE transfer SET booked_ms = 8 WHERE settlement = 3 AND reason = 'fee'",
            3,
            "1 of its transfers were booked at another time",
        ),
        (
            "DELETE FROM transfer WHERE settlement = 3 AND reason = 'fee'",
            3,
            "transfer 3 is nothing, but should be 1",
        ),
        (
            "INSERT INTO transfer (key, debit, credit, amount, reason, settlement, booked_ms)
             SELECT 'y', debit, credit, amount, 'reversal', settlement, booked_ms FROM transfer
             WHERE settlement = 2 AND reason = 'fee'",
            2,
            "leg 1 is 1 from pool:reserve to pool:fee as reversal (y), but should be nothing",
        ),
        ("UPDATE settlement SET to_seq = 5 WHERE number = 2", 2, "than its record: key"),
        ("UPDATE settlement SET key = 'z' WHERE number = 2", 2, "than its record: key"),
        ("UPDATE settlement SET digest = zeroblob(32) WHERE number = 2", 2, "its record: digest"),
        (
            "UPDATE settlement SET config_hash = zeroblob(32) WHERE number = 2",
            2,
            "its record: config_hash",
        ),
        ("UPDATE settlement SET notes = '[1]' WHERE number = 1", 1, "its record: notes"),
        (
            "UPDATE settlement SET state_hash = zeroblob(32) WHERE number = 1",
            1,
            "its record: state_hash",
        ),
        ("UPDATE settlement SET carry_in = 1 WHERE number = 1", 1, "its record: carry_in"),
        ("UPDATE settlement SET carry_out = 1 WHERE number = 1", 1, "its record: carry_out"),
        ("UPDATE settlement SET booked_ms = 1 WHERE number = 1", 1, "its record: booked_ms"),
        (
            "UPDATE settlement SET reversed_ms = 1 WHERE number = 1",
            1,
            "it is said to be reversed: at 1; by its legs: not",
        ),
        ("INSERT INTO settlement_leg VALUES (1, 1, 'so', 1)", 1, "leg 1 is nothing"),
        ("INSERT INTO settlement_leg VALUES (1, 2, 'so', 1)", 1, "leg 1 of settlement 1 is miss"),
        ("UPDATE generation SET config = '{ }'", 1, "generation 1 is another than its record says"),
        ("UPDATE generation SET version = '1.0.1'", 1, "generation 1 is another"),
        ("UPDATE generation SET grants = 'kv'", 1, "generation 1 is another"),
        (
            "UPDATE generation SET from_seq = 1",
            1,
            "its interval begins behind share 0, but the one before it ended at 1",
        ),
        ("UPDATE generation SET first_state = zeroblob(32)", 1, "but its generation had 00000"),
        ("UPDATE generation SET state = x'00'", 3, "but its last settlement left"),
        ("UPDATE scheme_state SET bytes = x'21' WHERE bytes = CAST('one' AS BLOB)", 1, "state after"),
        ("UPDATE account SET salt = zeroblob(16) WHERE name = 'miner:bob'", 1, "is nobody's"),
        ("UPDATE account SET name = 'miner:bot' WHERE name = 'miner:bob'", 1, "is nobody's"),
        (
            "UPDATE settlement_record SET request = CAST(x'02' || substr(request, 2) AS BLOB)
             WHERE settlement = 2",
            2,
            "the rows of a record: no event",
        ),
        (
            "UPDATE settlement_record
             SET header = replace(header, '\"decided_at_ms\":9', '\"decided_at_ms\":8')
             WHERE settlement = 3",
            3,
            "hash of the header",
        ),
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

/// Defect: records that agreed with themselves could leave out shares, or begin with a state
/// nobody left.
#[tokio::test]
async fn an_interval_goes_on_where_the_one_before_it_ended() {
    let scene = Scene::new().await;
    scene.settle(0, 2, b"one").await;
    scene.execute("UPDATE settlement SET to_seq = 3").await;
    scene.settle(3, 5, b"two").await;
    scene.execute("UPDATE settlement SET to_seq = 2 WHERE number = 1").await;
    let error = scene.store.verify_records().await.unwrap_err().to_string();
    let told = "settlement 2 (interval:1:3-5): its interval begins behind share 3, but the one \
                before it ended at 2";
    assert!(error.contains(told), "{error}");

    let scene = Scene::new().await;
    scene.settle(0, 2, b"one").await;
    scene.execute("UPDATE generation SET state = x'66'").await;
    scene.settle(2, 4, b"two").await;
    let error = scene.store.verify_records().await.unwrap_err().to_string();
    assert!(error.contains("settlement 2 (interval:1:2-4): it began with state"), "{error}");
}

/// Without its states a record is compared in all but them.
#[tokio::test]
async fn a_forged_row_is_found_also_where_the_states_are_gone() {
    let scene = Scene::three().await;
    let mut tx = scene.store.begin().await.unwrap();
    crate::scheme_states::forget_all_but(&mut tx, scene.generation, 1).await.unwrap();
    tx.commit().await.unwrap();
    scene
        .execute(
            "UPDATE settlement_record
             SET outcome = CAST(substr(outcome, 1, 9) || x'5b' || substr(outcome, 11) AS BLOB)
             WHERE settlement = 1",
        )
        .await;
    let error = scene.store.verify_records().await.unwrap_err().to_string();
    assert!(error.contains("settlement 1 (interval:1:0-2): credited in all"), "{error}");
}

/// A record that was replaced with another that agrees with itself breaks the next link.
#[tokio::test]
async fn a_record_that_was_written_anew_breaks_the_chain() {
    let scene = Scene::three().await;
    let header = scene.store.recorded(1).await.unwrap().unwrap().header;
    let decider = Decider { wit: "chimera:pool@0.2.0".into(), ..header.decider.clone() };
    let forged = chimera_ledger::Header { decider, ..header };
    let mut tx = scene.store.begin().await.unwrap();
    sqlx::query("UPDATE settlement_record SET header = ?1, hash = ?2 WHERE settlement = 1")
        .bind(serde_json::to_string(&forged).unwrap())
        .bind(forged.hash().as_bytes().as_slice())
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
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
    assert_eq!((chain.records, &chain.recomputable[..]), (3, &[3][..]));
    assert_eq!(chain.by_hash, [1, 2], "their states are gone, all else is compared");
    assert!(scene.store.record(3).await.unwrap().is_some());
    let error = scene.store.record(2).await.unwrap_err();
    assert!(matches!(error, StoreError::StateNotKept(_)), "{error}");
    assert_eq!(scene.store.work_rows(1).await.unwrap().unwrap().0.len(), 2);
    // The generation's own state is not touched by it.
    assert_eq!(scene.store.generation(scene.generation).await.unwrap().facts.state, b"three");
}
