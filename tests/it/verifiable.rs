//! Payouts anybody can recompute, from settlements in a process of their own: what is
//! exported says equal, what is forged is named, and a process that hangs or dies costs a
//! delay.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Miner, PATIENCE, TestPool};

const BINARY: &str = env!("CARGO_BIN_EXE_chimera");

/// Mines with two accounts until a block of theirs is settled; its height.
async fn settled_block(pool: &TestPool) -> u64 {
    let mut alice = Miner::start(pool.stratum, "alice.rig").await;
    let mut bob = Miner::start(pool.stratum, "bob.rig").await;
    loop {
        alice.mine(3).await;
        bob.mine(1).await;
        let payouts = pool.get("payouts?limit=50").await;
        let items = payouts["items"].as_array().expect("a list");
        let both = items.iter().find(|item| item["accounts"] == 2 && item["block"].is_string());
        if let Some(settlement) = both {
            let blocks = pool.get("blocks?limit=200").await;
            let blocks = blocks["items"].as_array().expect("a list");
            let block = blocks.iter().find(|block| block["id"] == settlement["block"]);
            return block.expect("on record")["height"].as_u64().expect("a height");
        }
    }
}

/// Runs `chimera payout ...`; its exit code and what it said.
fn payout(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = Command::new(BINARY)
        .arg("payout")
        .args(arguments)
        .env_remove("CHIMERA_CONFIG")
        .output()
        .expect("the binary runs");
    let said = [stdout, stderr].concat();
    (status.code(), String::from_utf8(said).expect("text"))
}

/// What only a record and a component take, in an empty directory.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(TempDir::new().expect("a temporary directory"))
    }

    fn file(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("a plain path").to_owned()
    }

    fn read(&self, name: &str) -> Value {
        let text = std::fs::read(self.file(name)).expect("written");
        serde_json::from_slice(&text).expect("JSON")
    }

    fn write(&self, name: &str, value: &Value) -> String {
        std::fs::write(self.file(name), value.to_string()).expect("writable");
        self.file(name)
    }
}

/// The road of the issue: a third person verifies a payout from the exported record alone;
/// whatever is forged is found and named; a miner proves that its work is counted.
#[tokio::test(flavor = "multi_thread")]
async fn a_third_person_verifies_a_payout_from_the_record_alone() {
    let pool = TestPool::start(&[]).await;
    let height = settled_block(&pool).await.to_string();
    let data_dir = pool.dir.path().to_str().expect("a plain path").to_owned();
    let desk = Desk::new();
    let record = desk.file("record.json");
    // Beside the running pool.
    let (code, said) = payout(&["export", &height, "-o", &record, "--data-dir", &data_dir]);
    assert_eq!(code, Some(0), "{said}");
    assert!(!std::fs::read_to_string(&record).expect("written").contains("alice"), "no names");
    let (code, said) = payout(&["verify", &record, "--component", "payout-pplns"]);
    assert_eq!(code, Some(0), "{said}");
    for engine in ["cranelift  equal", "pulley     equal", "equal: this is what"] {
        assert!(said.contains(engine), "{engine}: {said}");
    }

    let honest = desk.read("record.json");
    type Forge = fn(&mut Value);
    let forgeries: [(&str, Forge, &str); 5] = [
        (
            "one unit moved",
            |record| {
                let amounts = &mut record["body"]["amounts"];
                let (one, other) = (amounts[0].as_u64().unwrap(), amounts[1].as_u64().unwrap());
                (amounts[0], amounts[1]) = ((one + 1).into(), (other - 1).into());
            },
            "amount of row 0, account ",
        ),
        (
            "one account dropped",
            |record| {
                record["body"]["accounts"].as_array_mut().unwrap().pop();
            },
            "rows: the record says 2, recomputed 1",
        ),
        (
            "work moved",
            |record| {
                let work = &mut record["body"]["request"]["accounts"]["work"];
                let (one, other) = (work[0].as_u64().unwrap(), work[1].as_u64().unwrap());
                (work[0], work[1]) = ((one - 1).into(), (other + 1).into());
            },
            "root over the work",
        ),
        (
            "another configuration",
            |record| record["header"]["decider"]["config"] = "{\"fee-ppm\":1}".into(),
            "hash of the configuration",
        ),
        (
            "a weight the component never gave",
            |record| {
                let weights = &mut record["body"]["outcome"]["allocation"]["weights"];
                weights[1] = (weights[1].as_u64().unwrap() * 2).into();
            },
            "weights of row 1, account ",
        ),
    ];
    for (what, forge, named) in forgeries {
        let mut forged = honest.clone();
        forge(&mut forged);
        let forged = desk.write("forged.json", &forged);
        let (code, said) = payout(&["verify", &forged, "--component", "payout-pplns"]);
        assert_eq!(code, Some(1), "{what}: {said}");
        assert!(said.contains(named) && said.contains("NOT equal"), "{what}: {said}");
    }
    let (code, said) = payout(&["verify", &record, "--component", "payout-prop"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("digest: the record says"), "{said}");

    // Alice is shown her row; nobody is shown more work than was counted.
    let (proof, sums) = (desk.file("proof.json"), desk.file("sums.json"));
    let block = ["--block", &height, "--data-dir", &data_dir];
    let (code, said) = payout(&[&["prove", "alice", "-o", &proof][..], &block].concat());
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = payout(&["export", &height, "--sums", "-o", &sums, "--data-dir", &data_dir]);
    assert_eq!(code, Some(0), "{said}");
    for record in [&record, &sums] {
        let (code, said) = payout(&["verify-proof", &proof, "--record", record]);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("included") && said.contains("for alice"), "{said}");
    }
    let mut more = desk.read("proof.json");
    more["work"] = (more["work"].as_u64().unwrap() + 1).into();
    let more = desk.write("more.json", &more);
    let (code, said) = payout(&["verify-proof", &more, "--record", &sums]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("not in the record's tree"), "{said}");
    let (code, said) = payout(&[&["prove", "carol"][..], &block].concat());
    assert_eq!(code, Some(1));
    assert!(said.contains("nobody named \"carol\" ever mined here"), "{said}");

    // What the API publishes is what the record commits to.
    let payouts = pool.get("payouts?limit=50").await;
    let items = payouts["items"].as_array().expect("a list");
    let shown = items.iter().find(|item| item["key"] == honest["header"]["key"]);
    let shown = &shown.expect("listed")["record"];
    assert_eq!(shown["hash"], honest["hash"]);
    assert_eq!(shown["work_root"], honest["header"]["work"]["hash"]);
    let number = honest["header"]["number"].as_u64().expect("a number");
    let published = pool.get(&format!("payouts/{number}/record")).await;
    assert_eq!(published, desk.read("sums.json"));

    // And without the pool. The chain of records holds, until somebody edits the past.
    let dir = pool.stop().await;
    let (code, said) = payout(&["export", &height, "--data-dir", &data_dir]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = payout(&["recheck", "--data-dir", &data_dir]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("in one chain") && said.contains("recomputed"), "{said}");
    for (from, to, told) in [
        // A transfer's key, in the table and in its index.
        ("/miner:alice", "/miner:alicf", "its transfers are not those of its record: transfer"),
        // A record's header.
        ("\"fee_max_ppm\":1000000", "\"fee_max_ppm\":1000001", "hash of the header"),
        // The component that is asked again: who made it.
        ("wit-component", "wit-Component", "its component: "),
    ] {
        let forged = TempDir::new().expect("a temporary directory");
        edit(&dir.path().join("pool.sqlite"), &forged.path().join("pool.sqlite"), from, to);
        let forged = forged.path().to_str().expect("a plain path");
        let (code, said) = payout(&["recheck", "--data-dir", forged]);
        assert_eq!(code, Some(1), "{from}: {said}");
        assert!(said.contains("settlement ") && said.contains(told), "{from}: {said}");
    }
}

/// Copies a ledger with a text of it changed wherever it stands.
fn edit(ledger: &Path, copy: &Path, from: &str, to: &str) {
    assert_eq!(from.len(), to.len(), "a page keeps its layout");
    let mut bytes = std::fs::read(ledger).expect("readable");
    let found: Vec<usize> = (0..bytes.len() - from.len())
        .filter(|&at| bytes[at..].starts_with(from.as_bytes()))
        .collect();
    assert!(!found.is_empty(), "{from} is in the ledger");
    for at in found {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    std::fs::write(copy, bytes).expect("writable");
}

/// A program that settles only after it has misbehaved `times` times in this way.
fn unreliable(directory: &Path, times: u32, misdeed: &str) -> PathBuf {
    let path = directory.join("settles-at-last");
    let count = directory.join("count");
    let script = format!(
        "#!/bin/sh\n\
         n=$(cat {count} 2>/dev/null || echo 0)\n\
         echo $((n + 1)) > {count}\n\
         if [ $n -lt {times} ]; then {misdeed}; fi\n\
         exec {BINARY} \"$@\"\n",
        count = count.display(),
    );
    // Its cleared environment has no search path.
    let script = script.replace("$(cat ", "$(/bin/cat ");
    std::fs::write(&path, script).expect("writable");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("ours");
    path
}

fn payout_part(health: &Value) -> &Value {
    let parts = health["components"].as_array().expect("a list");
    parts.iter().find(|part| part["name"] == "payout").expect("every part is listed")
}

/// A process that hangs is killed at its deadline, one that is killed in the middle is
/// noticed: the settlement is held and told, shares go on, and the next try pays, once.
#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_whose_process_hangs_or_dies_is_held_and_tried_again() {
    for (misdeed, told) in [
        ("exec /bin/sleep 1000", "killed after payout.settle_timeout_s = 1"),
        ("kill -KILL $$", "SIGKILL"),
        ("echo CHSETTA1 gibberish; exit 0", "no answer"),
    ] {
        let scripts = TempDir::new().expect("a temporary directory");
        let program = unreliable(scripts.path(), 3, misdeed);
        let pool = TestPool::start(&[
            ("PAYOUT__SETTLE_PROGRAM", program.to_str().expect("a plain path")),
            ("PAYOUT__SETTLE_TIMEOUT_S", "1"),
        ])
        .await;
        let mut miner = Miner::start(pool.stratum, "alice.rig").await;
        let deadline = Instant::now() + PATIENCE;
        let health = loop {
            miner.mine(3).await;
            let health = pool.get("health").await;
            if payout_part(&health)["state"] == "error" {
                break health;
            }
            assert!(Instant::now() < deadline, "{misdeed}: it is told");
        };
        let cause = payout_part(&health)["cause"].as_str().expect("a cause").to_owned();
        assert!(cause.contains(told), "{misdeed}: {cause}");
        miner.mine(3).await;
        let paid = |alice: &Value| alice["balance"]["units"] != "0";
        pool.wait_for("miners/alice", paid).await;
        pool.wait_for("health", |health| payout_part(health)["state"] == "healthy").await;
        pool.stop().await;
    }
}

/// The process stops with the pool, also one that would never end.
#[tokio::test(flavor = "multi_thread")]
async fn stopping_the_pool_ends_the_settlement_under_way() {
    let scripts = TempDir::new().expect("a temporary directory");
    let marker = scripts.path().join("pid");
    let misdeed = format!("echo $$ > {}; exec /bin/sleep 1000", marker.display());
    let program = unreliable(scripts.path(), 1_000, &misdeed);
    let pool = TestPool::start(&[
        ("PAYOUT__SETTLE_PROGRAM", program.to_str().expect("a plain path")),
        ("POOL__GRACE_S", "5"),
    ])
    .await;
    let mut miner = Miner::start(pool.stratum, "alice.rig").await;
    let pid = loop {
        miner.mine(3).await;
        let pid = std::fs::read_to_string(&marker).unwrap_or_default();
        if pid.ends_with('\n') {
            break pid.trim().to_owned();
        }
    };
    drop(miner);
    pool.stop().await;
    let deadline = Instant::now() + PATIENCE;
    let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    while !state().is_empty() && !state().contains(") Z") {
        assert!(Instant::now() < deadline, "the process goes on: {}", state());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What the process that settles holds while it waits for its question: no privileges to
/// gain, the filter, and three streams.
#[cfg(target_os = "linux")]
#[test]
fn the_process_that_settles_is_locked_in_before_it_is_asked() {
    let mut child = Command::new(BINARY)
        .args(["settle", "--seconds", "5"])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let deadline = Instant::now() + PATIENCE;
    let status = format!("/proc/{}/status", child.id());
    loop {
        let status = std::fs::read_to_string(&status).expect("it waits for its question");
        if status.contains("Seccomp:\t2") {
            assert!(status.contains("NoNewPrivs:\t1"), "{status}");
            break;
        }
        assert!(Instant::now() < deadline, "{status}");
        std::thread::sleep(Duration::from_millis(10));
    }
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).expect("alive");
    let limit = |name: &str| {
        let line = limits.lines().find(|line| line.starts_with(name)).expect("listed");
        line[name.len()..].split_whitespace().next().expect("a number").to_owned()
    };
    assert_eq!(limit("Max core file size"), "0");
    assert_eq!(limit("Max file size"), "0");
    assert_eq!(limit("Max open files"), "16");
    // No question, no answer.
    child.stdin.take().expect("piped").write_all(b"hello, who are you?").expect("it reads");
    let ended = child.wait_with_output().expect("our child");
    assert_eq!((ended.status.code(), ended.stdout.len()), (Some(1), 0));
}

/// Work beyond what the operator stands for is recorded, told, and paid when blocks have
/// refilled the reserve.
#[tokio::test(flavor = "multi_thread")]
async fn the_reserve_does_not_fall_below_what_the_operator_stands_for() {
    let pool = TestPool::start(&[
        ("PAYOUT__SCHEME", "payout-pps"),
        ("PAYOUT__RESERVE", "0.00000001"),
        ("CHAIN__MATURITY", "6"),
    ])
    .await;
    let mut miner = Miner::start(pool.stratum, "alice.rig").await;
    let mut held = false;
    let deadline = Instant::now() + PATIENCE;
    loop {
        miner.mine(5).await;
        let stats = pool.get("stats").await;
        let reserve = stats["books"]["reserve"]["units"].as_str().expect("units").to_owned();
        let reserve: i128 = reserve.parse().expect("a number");
        assert!(reserve >= -1, "the reserve fell to {reserve}");
        let health = pool.get("health").await;
        let cause = payout_part(&health)["cause"].as_str().unwrap_or_default();
        if cause.contains("payout.reserve lets it fall to -1: held") {
            let advice = payout_part(&health)["recommendation"].as_str().unwrap_or_default();
            assert!(advice.contains("raise payout.reserve"), "{health:#}");
            held = true;
        }
        let alice = pool.get("miners/alice").await;
        if held && alice["balance"]["units"] != "0" {
            break;
        }
        assert!(Instant::now() < deadline, "held: {held}, {alice:#}");
    }
    pool.stop().await;
}
