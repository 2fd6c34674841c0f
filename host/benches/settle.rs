//! A settlement from the request in memory to the booked transfers and their record, against
//! the process of its own alone, and that against the same in this process. `cargo bench -p chimera
//! --bench settle` prints the table; `cargo test` runs it small and checks the answers.
//!
//! The number to stay below: 1.5 s for 1,000,000 accounts.
#![expect(clippy::print_stdout, reason = "a benchmark")]

#[allow(dead_code, unused_imports, reason = "each side writes one half and reads the other")]
#[path = "../src/settle_frame.rs"]
mod settle_frame;

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use chimera_ledger::{
    AccountName, Accounts, Amount, BlockState, Decided, Decider, Decision, Distribution, Event,
    Hash256, Limits, Premises, Proposal, Request, SCORE_PER_BLOCK, SaltedKey, Slices, Transfer,
};
use chimera_plugin::{Artifact, Engines, Grants, PayoutScheme, Registry};
use chimera_pow::{PowHash, Target};
use chimera_store::{
    BlockChange, BlockRow, Booking, GenerationId, NewGeneration, NewRecord, SettlementRow, Store,
};
use chimera_work::WorkerId;
use settle_frame::{Answer, Failure, Question, QuestionHead};
use tempfile::TempDir;

fn main() {
    let full = std::env::args().any(|arg| arg == "--bench");
    let (accounts, runs) = if full { (1_000_000, 5) } else { (1_000, 1) };
    let request = window(accounts);
    let artifact =
        Registry::new(None).expect("no directory").find("payout-pplns").expect("shipped");
    let engines = Engines::new(None).expect("this machine runs components");
    let scheme =
        PayoutScheme::load(&engines, &artifact, "", &Grants::none()).expect("its defaults");
    let native = engines.compiled_payout(&artifact).expect("it compiles");
    let interpreting = Engines::portable(None).expect("this machine interprets them");
    let portable = interpreting.compiled_payout(&artifact).expect("it compiles");

    let tokio = tokio::runtime::Runtime::new().expect("threads");
    let books = tokio.block_on(Books::new(&artifact, &scheme, accounts));

    let mut times: [Vec<Duration>; 6] = Default::default();
    for run in 0..runs {
        let begun = Instant::now();
        let here = scheme.settle(&request).expect("a full window settles");
        let checked = check(&scheme, &request, here.clone());
        times[0].push(begun.elapsed());
        let code = || (native.clone(), portable.clone());
        let begun = Instant::now();
        let there = in_a_process(&scheme, &artifact, code(), false, &request);
        assert_eq!(check(&scheme, &request, there), checked, "both ways pay the same");
        times[1].push(begun.elapsed());
        // The road of the pool: what of the record needs no answer is made beside the process.
        let road = Instant::now();
        let (outcome, premises) = std::thread::scope(|scope| {
            let premises = scope.spawn(|| {
                let begun = Instant::now();
                (Premises::of(&books.salted, &request).expect("it fits"), begun.elapsed())
            });
            let outcome = in_a_process(&scheme, &artifact, code(), true, &request);
            (outcome, premises.join().expect("it computes"))
        });
        let distribution = check(&scheme, &request, outcome.clone());
        assert_eq!(distribution, checked, "both ways pay the same");
        times[2].push(road.elapsed());
        let begun = Instant::now();
        let settled = books.settled(run, &request, &outcome, &distribution, premises.0);
        times[3].push(premises.1 + begun.elapsed());
        times[4].push(road.elapsed());
        tokio.block_on(books.book(run, settled));
        times[5].push(road.elapsed());
    }
    for number in 1..=runs as u64 {
        let record = tokio.block_on(books.store.record(number)).expect("readable");
        assert_eq!(record.expect("on record").differences(), [], "it agrees with itself");
    }
    if full {
        let [here, there, twice, record, recorded, booked] =
            times.map(median).map(|time| time.as_secs_f64() * 1e3);
        let line = |what: &str, time: f64| {
            println!("  {what:<36}{time:>9.1} ms   {:.2} x the process", time / there);
        };
        println!("settlement of {accounts} accounts by payout-pplns, median of {runs} runs");
        line("in this process", here);
        line("in a process of its own", there);
        line("the same, checked by interpretation", twice);
        line("its record, tree and transfers alone", record);
        line("all of that: the record beside", recorded);
        line("and booked", booked);
        println!("  limit of the process                  1500.0 ms");
    }
}

/// A ledger with a block to settle in every run.
struct Books {
    store: Store,
    decider: Decider,
    generation: GenerationId,
    worker: WorkerId,
    names: Vec<AccountName>,
    salted: Vec<SaltedKey>,
    _directory: TempDir,
}

type Settled = (SettlementRow, Vec<Transfer>, NewRecord);

impl Books {
    async fn new(artifact: &Artifact, scheme: &PayoutScheme, accounts: usize) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let store = Store::open(&directory.path().join("pool.sqlite")).await.expect("a ledger");
        let digest = *scheme.digest().as_bytes();
        store.component(&digest, artifact.bytes()).await.expect("kept");
        let (info, config) = (scheme.info(), scheme.canonical_config().to_owned());
        let new = NewGeneration {
            slot: "payout".to_owned(),
            digest,
            name: info.name.clone(),
            version: info.version.clone(),
            config: config.clone(),
            kind: Some(scheme.plan().kind),
            from_seq: 0,
            state_version: 1,
            state: Vec::new(),
        };
        let generation = store.begin_generation(&new, 0).await.expect("begun");
        let worker = store.worker("finder", "", 0).await.expect("registered");
        let decider = Decider {
            name: info.name.clone(),
            version: info.version.clone(),
            digest: Hash256::from_bytes(digest),
            wit: "chimera:pool@0.1.0".to_owned(),
            config_hash: Hash256::of_config(&config),
            config,
            grants: Vec::new(),
            generation: generation.0,
            plan: *scheme.plan(),
        };
        // As long as an address; the order of their salted keys is none of their names.
        let mut names = Vec::with_capacity(accounts);
        for row in 0..accounts as u64 {
            let name = format!("D{:033}", row.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            names.push(AccountName::new(name).expect("visible"));
        }
        let salted = (0..accounts as u64).map(|row| SaltedKey::from_bytes(salted(row * 7 + 1)));
        let salted = salted.collect();
        Self { store, decider, generation, worker, names, salted, _directory: directory }
    }

    /// All that is written, made ready.
    fn settled(
        &self,
        run: usize,
        request: &Request,
        outcome: &Proposal,
        distribution: &Distribution,
        premises: Premises,
    ) -> Settled {
        let key = format!("block:{run:064}");
        let decision = Decision {
            key: &key,
            decider: &self.decider,
            decided: Decided::Scheme(distribution),
            limits: Limits::default(),
            shares: (0, 0),
            accounts: &self.salted,
            request,
            outcome,
            premises,
            decided_at_ms: 1,
        };
        let header = decision.header().expect("a scheme was asked");
        let record = NewRecord::new(header, &self.salted, request, outcome);
        let transfers = distribution.transfers(&key, &self.names).expect("one name per row");
        let row = SettlementRow {
            key,
            generation: self.generation,
            block: Some(format!("{run:064}")),
            from_seq: 0,
            to_seq: 0,
            digest: *self.decider.digest.as_bytes(),
            config_hash: *self.decider.config_hash.as_bytes(),
            notes: serde_json::to_string(&outcome.notes).expect("texts are JSON"),
            state: outcome.state.clone(),
            carry_in: distribution.carry_in(),
            carry_out: distribution.carry_out(),
            booked_at_ms: 1,
        };
        (row, transfers, record)
    }

    /// Books it, of a block that is found and ripe.
    async fn book(&self, run: usize, (row, transfers, record): Settled) {
        let id = format!("{run:064}");
        let found = BlockRow {
            id: id.clone(),
            height: 1,
            seq: 0,
            worker: self.worker,
            found_at_ms: 0,
            pow_hash: PowHash([0; 32]),
            target: Target::MAX,
            tx_fees: Amount::ZERO,
            bytes: vec![0],
        };
        self.store.record_candidate(&found).await.expect("recorded");
        for (to, reward) in
            [(BlockState::Pending, None), (BlockState::Mature, Some(Amount::from_units(REWARD)))]
        {
            let change = BlockChange { to, reward, detail: String::new() };
            self.store.set_block_state(&id, &change, 0).await.expect("a legal move");
        }
        let booked = self.store.settle_recorded(&row, &transfers, Some(&record)).await;
        assert_eq!(booked.expect("it balances"), Booking::Booked);
    }
}

/// What every block pays, in base units.
const REWARD: u64 = 500_000_000_000;

fn in_a_process(
    scheme: &PayoutScheme,
    artifact: &Artifact,
    (native, portable): (Vec<u8>, Vec<u8>),
    cross_check: bool,
    request: &Request,
) -> Proposal {
    let head = QuestionHead {
        component: artifact.name().to_owned(),
        config: scheme.canonical_config().to_owned(),
        grants: Vec::new(),
        cross_check,
    };
    let wasm = artifact.bytes().to_vec();
    let question = Question { head, wasm, native, portable, request: request.to_bytes() };
    let mut child = Command::new(env!("CARGO_BIN_EXE_chimera"))
        .args(["settle", "--seconds", "60"])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(&question.to_bytes()).expect("it reads");
    drop(input);
    let mut output = Vec::new();
    child.stdout.take().expect("piped").read_to_end(&mut output).expect("it writes");
    assert!(child.wait().expect("our child").success());
    let answer = Answer::read(&output[..]).expect("an answer");
    if let Some(Failure { message }) = answer.failure {
        panic!("{message} {}", String::from_utf8_lossy(&answer.bundle));
    }
    Proposal::from_bytes(&answer.outcome).expect("an outcome")
}

fn check(scheme: &PayoutScheme, request: &Request, proposal: Proposal) -> Distribution {
    let limits = Limits::default();
    Distribution::check("pplns", request, scheme.plan(), proposal, &limits).expect("it balances")
}

/// A full window; work spread over four orders of magnitude, as pools see it.
fn window(accounts: usize) -> Request {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let work: Vec<u64> = (0..accounts).map(|_| random() >> (32 + random() % 14)).collect();
    let filled: u64 = work.iter().sum();
    assert!(filled < 2 * SCORE_PER_BLOCK, "the window holds it");
    Request {
        event: Event::Block {
            height: 1,
            reward: REWARD,
            tx_fees: 0,
            window_work: filled,
            found_at_ms: 0,
            finder: Some(0),
        },
        accounts: Accounts {
            key: (0..accounts as u64).map(|row| row * 7 + 1).collect(),
            work,
            fee_ppm: vec![0; accounts],
        },
        slices: Slices::default(),
        carry: 0,
        state: Vec::new(),
    }
}

fn salted(key: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    // The row's key is all but the last bit of it.
    bytes[..8].copy_from_slice(&(key << 1).to_be_bytes());
    bytes
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
