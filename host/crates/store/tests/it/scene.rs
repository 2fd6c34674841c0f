//! A pool's database in a temporary directory, and words to set it up with.

use std::collections::BTreeMap;

use chimera_ledger::{Account, AccountName, Amount, BlockState, Reason, SchemeKind, Transfer};
use chimera_pow::{Difficulty, PowHash, Target, Work};
use chimera_store::{
    BlockChange, BlockRow, Booking, GenerationId, NewGeneration, SettlementRow, ShareRecord, Store,
    StoreError,
};
use chimera_work::WorkerId;
use tempfile::TempDir;

pub(crate) const DIGEST: [u8; 32] = [7; 32];

pub(crate) struct Scene {
    pub(crate) directory: TempDir,
    pub(crate) store: Store,
    pub(crate) workers: BTreeMap<String, WorkerId>,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let store = Store::open(&directory.path().join("pool.db")).await.unwrap();
        store.component(&DIGEST, b"wasm").await.unwrap();
        Self { directory, store, workers: BTreeMap::new() }
    }

    /// The database's file.
    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("pool.db")
    }

    /// As after `kill -9`: nothing is said to the old store but that it is gone.
    pub(crate) async fn crash(self) -> Self {
        let Self { directory, store, workers } = self;
        drop(store);
        let store = Store::open(&directory.path().join("pool.db")).await.unwrap();
        Self { directory, store, workers }
    }

    pub(crate) async fn worker(&mut self, account: &str) -> WorkerId {
        let id = self.store.worker(account, "rig", 0).await.unwrap();
        self.workers.insert(account.to_owned(), id);
        id
    }

    /// Appends shares written as `account work/network-work@time`, batches apart by `|`.
    pub(crate) async fn log(&mut self, text: &str) {
        for batch in text.split('|') {
            let mut shares = Vec::new();
            for word in batch.split(',').map(str::trim).filter(|word| !word.is_empty()) {
                shares.push(self.share(word).await);
            }
            let first = self.store.last_seq().await.unwrap() + 1;
            self.store.append_shares(first, &shares, 0).await.unwrap();
        }
    }

    async fn share(&mut self, word: &str) -> ShareRecord {
        let (account, rest) = word.split_once(' ').unwrap();
        let (work, rest) = rest.split_once('/').unwrap();
        let (network_work, time) = rest.split_once('@').unwrap_or((rest, "0"));
        let worker = self.worker(account).await;
        share(worker, work.parse().unwrap(), network_work.parse().unwrap(), time.parse().unwrap())
    }

    pub(crate) async fn generation(&self, kind: SchemeKind) -> GenerationId {
        let from_seq = self.store.last_seq().await.unwrap();
        self.store.begin_generation(&scheme(kind, from_seq), 0).await.unwrap()
    }

    /// A candidate found after the last durable share.
    pub(crate) async fn found(&mut self, id: &str, account: &str) {
        let seq = self.store.last_seq().await.unwrap();
        let worker = self.worker(account).await;
        self.store.record_candidate(&candidate(id, seq, worker)).await.unwrap();
    }

    pub(crate) async fn moved(&self, id: &str, to: BlockState) -> Result<Booking, StoreError> {
        let reward = (to == BlockState::Mature).then_some(Amount::from_units(1_000));
        let change = BlockChange { to, reward, detail: format!("now {to}") };
        self.store.set_block_state(id, &change, 5).await
    }

    /// Accepted and ripe, worth 1000.
    pub(crate) async fn ripen(&self, id: &str) {
        self.moved(id, BlockState::Pending).await.unwrap();
        self.moved(id, BlockState::Mature).await.unwrap();
    }

    pub(crate) async fn balance(&self, account: &str) -> i128 {
        self.store.balance(&account.parse().unwrap()).await.unwrap().units()
    }
}

pub(crate) fn share(worker: WorkerId, work: u128, network_work: u128, time_ms: u64) -> ShareRecord {
    ShareRecord {
        worker,
        work: Work::from_hashes(work),
        network_work: Work::from_hashes(network_work),
        difficulty: Difficulty::ONE,
        height: 9,
        time_ms,
        hash: PowHash([1; 32]),
    }
}

pub(crate) fn scheme(kind: SchemeKind, from_seq: u64) -> NewGeneration {
    NewGeneration {
        slot: "payout".into(),
        digest: DIGEST,
        name: "payout-test".into(),
        version: "1.0.0".into(),
        config: "{}".into(),
        kind: Some(kind),
        from_seq,
        state_version: 1,
        state: vec![0],
    }
}

/// The target a block of so much work has: a power of two.
pub(crate) fn target_of_work(work: u32) -> Target {
    let mut bytes = [0xff; 32];
    let free = 256 - work.ilog2() as usize;
    for bit in free..256 {
        bytes[31 - bit / 8] &= !(1 << (bit % 8));
    }
    Target::from_be_bytes(bytes)
}

pub(crate) fn candidate(id: &str, seq: u64, worker: WorkerId) -> BlockRow {
    BlockRow {
        id: id.into(),
        height: 9,
        seq,
        worker,
        found_at_ms: 100_000,
        pow_hash: PowHash([2; 32]),
        target: target_of_work(256),
        tx_fees: Amount::from_units(10),
        bytes: vec![1, 2, 3],
    }
}

/// The settlement of a block.
pub(crate) fn settlement(block: &str, generation: GenerationId) -> SettlementRow {
    SettlementRow {
        key: format!("block:{block}"),
        generation,
        block: Some(block.into()),
        from_seq: 0,
        to_seq: 0,
        digest: DIGEST,
        config_hash: [8; 32],
        notes: "[]".into(),
        state: vec![1],
        carry_in: 0,
        carry_out: 0,
        booked_at_ms: 7,
    }
}

pub(crate) fn interval(from_seq: u64, to_seq: u64, generation: GenerationId) -> SettlementRow {
    SettlementRow {
        key: format!("interval:{}:{from_seq}-{to_seq}", generation.0),
        block: None,
        from_seq,
        to_seq,
        ..settlement("", generation)
    }
}

/// Transfers written as `debit -> credit amount`.
pub(crate) fn transfers(settlement: &SettlementRow, lines: &[&str]) -> Vec<Transfer> {
    let transfer = |(line, text): (usize, &&str)| {
        let words: Vec<&str> = text.split(' ').collect();
        Transfer {
            key: format!("{}/{line}", settlement.key),
            debit: words[0].parse().unwrap(),
            credit: words[2].parse().unwrap(),
            amount: Amount::from_units(words[3].parse().unwrap()),
            reason: Reason::Reward,
        }
    };
    lines.iter().enumerate().map(transfer).collect()
}

pub(crate) fn miner(name: &str) -> AccountName {
    AccountName::new(name).unwrap()
}

pub(crate) fn account(name: &str) -> Account {
    Account::Miner(miner(name))
}
