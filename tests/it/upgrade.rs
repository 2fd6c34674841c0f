//! The running program is replaced: miners keep their sockets, their jobs and their shares.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Miner, PATIENCE, TestPool, settings};
use crate::process::Process;

const BINARY: &str = env!("CARGO_BIN_EXE_chimera");

/// A pool that runs from a file of its own, which a test can replace.
struct Replaceable {
    dir: TempDir,
    pool: Process,
}

impl Replaceable {
    fn start(changes: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let program = dir.path().join("chimera");
        std::fs::copy(BINARY, &program).expect("the binary can be copied");
        let pool = Process::spawn(Command::new(&program), &dir.path().join("data"), changes);
        Self { dir, pool }
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Puts another file in the place of the program.
    fn replace_by(&self, script: &str) {
        let new = self.dir.path().join("new");
        std::fs::write(&new, script).expect("writable");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&new, mode).expect("ours");
        std::fs::rename(new, self.dir.path().join("chimera")).expect("writable");
    }

    /// Runs `chimera upgrade`; whether it went well, and what was said.
    async fn upgrade(&self) -> (bool, String) {
        upgrade(self.data()).await
    }
}

impl Drop for Replaceable {
    fn drop(&mut self) {
        // The process that serves now is no child of the test.
        let lock = std::fs::read_to_string(self.data().join("pool.sqlite.lock"));
        if let Ok(process) = lock {
            let _ = Command::new("kill").args(["-KILL", process.trim()]).status();
        }
    }
}

async fn upgrade(data: PathBuf) -> (bool, String) {
    let asked = tokio::task::spawn_blocking(move || {
        Command::new(BINARY).arg("upgrade").envs(settings(&data)).output()
    });
    let output = asked.await.expect("no panic").expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

async fn status(pool: &Process) -> Value {
    let url = format!("{}/api/v1/status", pool.api);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Ok(answer) = reqwest::get(&url).await
            && let Ok(status) = answer.json::<Value>().await
            && status["state"] == "running"
        {
            return status;
        }
        assert!(tokio::time::Instant::now() < deadline, "the API does not answer");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Ends whatever process serves a data directory.
fn end(data: &Path) {
    let lock = std::fs::read_to_string(data.join("pool.sqlite.lock")).expect("a pool ran here");
    let ended = Command::new("kill").args(["-TERM", lock.trim()]).status().expect("kill is there");
    assert!(ended.success());
}

async fn recorded(dir: &TempDir, account: &str) -> u64 {
    // The process that was told to end needs a moment to let go.
    let data = dir.path().join("data");
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while let Ok(file) = std::fs::File::open(data.join("pool.sqlite.lock"))
        && file.try_lock().is_err()
    {
        assert!(tokio::time::Instant::now() < deadline, "the pool goes on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let moved = TempDir::new().expect("a temporary directory");
    std::fs::remove_dir(moved.path()).expect("empty");
    std::fs::rename(&data, moved.path()).expect("the same disk");
    let pool = TestPool::start_in(moved, &[]).await;
    let shares = pool.get(&format!("miners/{account}")).await["shares"].as_u64().unwrap_or(0);
    pool.stop().await;
    shares
}

/// Miners mine on through three upgrades: nobody is disconnected or told to come back, and
/// every accepted share is on record once.
#[tokio::test(flavor = "multi_thread")]
async fn miners_notice_nothing_of_upgrades_under_load() {
    const MINERS: usize = 6;
    let replaceable = Replaceable::start(&[]);
    let over = Arc::new(AtomicBool::new(false));
    let mut mining = Vec::new();
    for number in 0..MINERS {
        let mut miner = Miner::start(replaceable.pool.stratum, &format!("alice.rig{number}")).await;
        let over = Arc::clone(&over);
        mining.push(tokio::spawn(async move {
            let mut accepted = 0_u64;
            while !over.load(Ordering::Relaxed) {
                // Panics if the connection ends.
                let answer = miner.mine_share().await;
                accepted += u64::from(answer["result"] == true);
                // A block was found meanwhile; a job nobody knows any more would be another text.
                assert!(answer["result"] == true || answer["error"][1] == "stale job", "{answer}");
            }
            accepted
        }));
    }
    let before = status(&replaceable.pool).await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let (well, said) = replaceable.upgrade().await;
        assert!(well, "{said}");
        assert!(said.contains("upgraded"), "{said}");
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let after = status(&replaceable.pool).await;
    assert_eq!(after["sessions"]["authorised"], MINERS, "{before:#} {after:#}");
    over.store(true, Ordering::Relaxed);
    let mut accepted = 0;
    for miner in mining {
        accepted += miner.await.expect("no miner was disconnected");
    }
    end(&replaceable.data());
    assert!(accepted > 0);
    assert_eq!(recorded(&replaceable.dir, "alice").await, accepted);
}

/// What a session was goes over: its shares are known, its job is live, its difficulty stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_goes_over_whole() {
    let replaceable = Replaceable::start(&[("CHAIN__SPACING_S", "600")]);
    let mut miner = Miner::connect(replaceable.pool.stratum, "alice.rig").await;
    let extranonce1 = miner.subscribe(None).await["result"][1].clone();
    assert_eq!(miner.authorize().await["result"], true);
    miner.wait_for_job().await;
    let stranger = Miner::connect(replaceable.pool.stratum, "bob.rig").await;
    miner.catch_up().await;
    let (job, found) = miner.find_share();
    let line = |id: u64, miner: &Miner| miner.submit_line(id, &job, &found);
    let answer = async |id: u64, miner: &mut Miner| {
        let line = line(id, miner);
        miner.send(&line).await;
        loop {
            let said = miner.line().await.expect("the connection stays");
            if said["id"] == id {
                return said;
            }
        }
    };
    let (_, another) = miner.find_share();
    assert_eq!(answer(10, &mut miner).await["result"], true);
    // Half a line is under way when the program is replaced.
    let later = json!({ "id": 12, "method": "mining.ping", "params": [] }).to_string();
    let (half, rest) = later.split_at(9);
    miner.send_raw(half.as_bytes()).await;
    let (well, said) = replaceable.upgrade().await;
    assert!(well, "{said}");
    miner.send(rest).await;
    loop {
        let said = miner.line().await.expect("the connection stays");
        assert_ne!(said["method"], "client.reconnect", "nobody is sent away");
        if said["id"] == 12 {
            assert_eq!(said["result"], "pong");
            break;
        }
    }
    assert_eq!(answer(13, &mut miner).await["error"][0], 22, "it was credited before");
    // The job of before is live: its round is not over.
    let submit = miner.submit_line(14, &job, &another);
    miner.send(&submit).await;
    loop {
        let said = miner.line().await.expect("the connection stays");
        if said["id"] == 14 {
            assert_eq!(said["result"], true, "{said}");
            break;
        }
    }
    // Who had said nothing yet is served as well.
    let mut bob = stranger;
    let greeting = bob.subscribe(None).await;
    assert_eq!(bob.authorize().await["result"], true);
    bob.wait_for_job().await;
    assert_ne!(greeting["result"][1], extranonce1, "the nonce space is not leased twice");
    end(&replaceable.data());
}

/// A new binary that does not run, or ends while it takes over, changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_binary_changes_nothing() {
    let replaceable = Replaceable::start(&[]);
    let mut miner = Miner::start(replaceable.pool.stratum, "alice.rig").await;
    let mut accepted = 0_u64;
    let mut mine = async |miner: &mut Miner| {
        for _ in 0..5 {
            accepted += u64::from(miner.mine_share().await["result"] == true);
        }
    };
    mine(&mut miner).await;
    replaceable.replace_by("this is no program");
    let (well, said) = replaceable.upgrade().await;
    assert!(!well && said.contains("cannot be started"), "{said}");
    mine(&mut miner).await;

    replaceable.replace_by("#!/bin/sh\nexit 3\n");
    let (well, said) = replaceable.upgrade().await;
    assert!(!well && said.contains("did not get ready"), "{said}");
    mine(&mut miner).await;

    // It gets ready, inherits, and then cannot go on: the chain is another one.
    let script = format!("#!/bin/sh\nCHIMERA_CHAIN__ALGORITHM=sha256d exec {BINARY} \"$@\"\n");
    replaceable.replace_by(&script);
    let (well, said) = replaceable.upgrade().await;
    assert!(!well && said.contains("the chain cannot be used"), "{said}");
    mine(&mut miner).await;

    // And one that works still can.
    std::fs::copy(BINARY, replaceable.dir.path().join("good")).expect("copied");
    std::fs::rename(replaceable.dir.path().join("good"), replaceable.dir.path().join("chimera"))
        .expect("writable");
    let (well, said) = replaceable.upgrade().await;
    assert!(well, "{said}");
    mine(&mut miner).await;
    end(&replaceable.data());
    assert_eq!(recorded(&replaceable.dir, "alice").await, accepted);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_pool_there_is_nothing_to_upgrade() {
    let dir = TempDir::new().expect("a temporary directory");
    let (well, said) = upgrade(dir.path().to_owned()).await;
    assert!(!well && said.contains("no pool runs"), "{said}");
}
