//! A settlement in a process of its own, from the request in memory to the checked
//! distribution and its record, against the same in this process. `cargo bench -p chimera
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
    Accounts, Distribution, Event, Limits, Proposal, Request, SCORE_PER_BLOCK, SaltedKey, Slices,
    WorkTree,
};
use chimera_plugin::{Artifact, Engines, Grants, PayoutScheme, Registry};
use settle_frame::{Answer, Failure, Question, QuestionHead};

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

    let mut times: [Vec<Duration>; 4] = Default::default();
    for _ in 0..runs {
        let begun = Instant::now();
        let here = scheme.settle(&request).expect("a full window settles");
        let checked = check(&scheme, &request, here.clone());
        times[0].push(begun.elapsed());
        for (column, cross_check) in [(1, false), (2, true)] {
            let begun = Instant::now();
            let code = (native.clone(), portable.clone());
            let there = in_a_process(&scheme, &artifact, code, cross_check, &request);
            assert_eq!(check(&scheme, &request, there), checked, "both ways pay the same");
            times[column].push(begun.elapsed());
        }
        let begun = Instant::now();
        let salted: Vec<SaltedKey> =
            request.accounts.key.iter().map(|key| SaltedKey::from_bytes(salted(*key))).collect();
        let tree = WorkTree::of(&salted, &request.accounts.work).expect("it fits");
        assert_eq!(tree.root().work, request.accounts.work.iter().sum::<u64>());
        assert_ne!(request.digest(), here.digest());
        times[3].push(begun.elapsed());
    }
    if full {
        let [here, there, twice, record] = times.map(median).map(|time| time.as_secs_f64() * 1e3);
        println!("settlement of {accounts} accounts by payout-pplns, median of {runs} runs");
        println!("  in this process                     {here:>9.1} ms");
        println!(
            "  in a process of its own             {there:>9.1} ms   ratio {:.2}",
            there / here
        );
        println!(
            "  the same, checked by interpretation {twice:>9.1} ms   ratio {:.2}",
            twice / here
        );
        println!("  its digests and Merkle-sum tree     {record:>9.1} ms");
        println!("  limit                                  1500.0 ms");
    }
}

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
            reward: 500_000_000_000,
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
    bytes[..8].copy_from_slice(&key.to_be_bytes());
    bytes
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
