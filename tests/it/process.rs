//! The real binary, as an operator runs it: started, killed, drained, on a full disk.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Miner, PATIENCE, TestPool, settings};
use crate::started::Started;

const BINARY: &str = env!("CARGO_BIN_EXE_chimera");

/// A pool in a process of its own; killed when dropped.
pub(crate) struct Process {
    started: Started,
    pub(crate) stratum: SocketAddr,
    pub(crate) api: String,
}

impl Process {
    pub(crate) fn start(data_dir: &Path, changes: &[(&str, &str)]) -> Self {
        Self::spawn(Command::new(BINARY), data_dir, changes)
    }

    /// `command` must run the binary with the arguments at its end.
    pub(crate) fn spawn(mut command: Command, data_dir: &Path, changes: &[(&str, &str)]) -> Self {
        let changes = changes.iter().map(|(key, value)| (format!("CHIMERA_{key}"), *value));
        command.envs(settings(data_dir)).envs(changes);
        let started = Started::run(command, Stdio::null());
        let stratum = started.stratum.parse().expect("an address");
        Self { stratum, api: format!("http://{}", started.api), started }
    }

    pub(crate) fn signal(&self, signal: &str) {
        let id = self.started.child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().expect("kill is there");
        assert!(sent.success());
    }

    /// Waits for the end; the exit code.
    async fn ended(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.started.child.try_wait().expect("our child") {
                return status.code();
            }
            assert!(Instant::now() < deadline, "the process goes on");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn get(&self, route: &str) -> Value {
        let url = format!("{}/api/v1/{route}", self.api);
        reqwest::get(&url).await.expect("the API answers").json().await.expect("in JSON")
    }
}

/// Shares of an account, as the ledger has them.
async fn recorded(pool: &TestPool, account: &str) -> u64 {
    pool.get(&format!("miners/{account}")).await["shares"].as_u64().unwrap_or(0)
}

/// T23: every share that was answered `true` is in the log exactly once, after SIGKILL in
/// the middle of mining, several times over.
#[tokio::test(flavor = "multi_thread")]
async fn t23_sigkill_loses_nothing_acknowledged() {
    let dir = tempfile::TempDir::new().expect("a temporary directory");
    let mut acknowledged = 0;
    let mut sent = 0;
    for round in 0..4_u64 {
        let pool = Process::start(dir.path(), &[]);
        let mut miner = Miner::start(pool.stratum, "alice.rig").await;
        for _ in 0..10 + 7 * round {
            sent += 1;
            acknowledged += u64::from(miner.mine_share().await["result"] == true);
        }
        // Some more whose answers nobody waits for: in flight when the process dies.
        for id in 0..20 {
            let (job, found) = miner.find_share();
            let line = miner.submit_line(100 + id, &job, &found);
            miner.send(&line).await;
            sent += 1;
        }
        pool.signal("-KILL");
        while let Some(line) = miner.line().await {
            acknowledged += u64::from(line["id"].as_u64() >= Some(100) && line["result"] == true);
        }
    }
    let pool = TestPool::start_in(dir, &[]).await;
    let shares = recorded(&pool, "alice").await;
    assert!(shares >= acknowledged, "{acknowledged} were acknowledged, {shares} are recorded");
    assert!(shares <= sent, "{sent} were sent, {shares} are recorded: some twice");
    pool.stop().await;
}

/// SIGTERM under load: every credited share is answered, miners are told to come back, the
/// process ends with 0 within the grace time.
#[tokio::test(flavor = "multi_thread")]
async fn sigterm_drains_and_tells_miners_to_reconnect() {
    let dir = tempfile::TempDir::new().expect("a temporary directory");
    let mut pool = Process::start(dir.path(), &[("POOL__GRACE_S", "10")]);
    let mut miner = Miner::start(pool.stratum, "alice.rig").await;
    miner.mine(5).await;
    for id in 0..50 {
        let (job, found) = miner.find_share();
        let line = miner.submit_line(100 + id, &job, &found);
        miner.send(&line).await;
    }
    pool.signal("-TERM");
    let (mut accepted, mut told) = (5, false);
    while let Some(line) = miner.line().await {
        accepted += u64::from(line["id"].as_u64() >= Some(100) && line["result"] == true);
        told |= line["method"] == "client.reconnect";
    }
    assert!(told, "the miner was told to reconnect");
    assert_eq!(pool.ended().await, Some(0));
    let pool = TestPool::start_in(dir, &[]).await;
    assert_eq!(recorded(&pool, "alice").await, accepted, "answered and recorded are the same");
    pool.stop().await;
}

/// A client that never reads, in the middle of a flood: the stop is not held up by it.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_reads_does_not_hold_up_a_stop() {
    let dir = tempfile::TempDir::new().expect("a temporary directory");
    let mut pool = Process::start(dir.path(), &[("POOL__GRACE_S", "6")]);
    let flood = std::net::TcpStream::connect(pool.stratum).expect("it listens");
    flood.set_write_timeout(Some(Duration::from_millis(500))).expect("a socket");
    let pings = b"{\"id\":1,\"method\":\"mining.ping\",\"params\":[]}\n".repeat(1_000);
    // Until both directions are full: the pool's answers, and then our own requests.
    while std::io::Write::write_all(&mut &flood, &pings).is_ok() {}
    pool.signal("-TERM");
    assert_eq!(pool.ended().await, Some(0));
}

/// A full disk (a file size limit, as the kernel enforces it): no share is ever answered
/// `true` that is not in the log, the pool says what is wrong and does not die.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_shares_and_says_so() {
    let dir = tempfile::TempDir::new().expect("a temporary directory");
    // One start without the limit makes the database and the chain.
    let mut first = Process::start(dir.path(), &[]);
    first.signal("-TERM");
    first.ended().await;
    let limit = largest_file_bytes(dir.path()) + 64 * 1024;
    let mut shell = Command::new("sh");
    // With SIGXFSZ ignored, writes beyond the limit fail as on a full disk.
    let script = format!("trap '' XFSZ; exec prlimit --fsize={limit} \"$0\" \"$@\"");
    shell.args(["-c", &script, BINARY]);
    let pool = Process::spawn(shell, dir.path(), &[]);
    let mut miner = Miner::start(pool.stratum, "alice.rig").await;
    let mut accepted = 0;
    let mut refusal = Value::Null;
    for _ in 0..20_000 {
        let answer = miner.mine_share().await;
        if answer["result"] == true {
            accepted += 1;
        } else if answer["error"][1].as_str().is_some_and(|text| text.contains("stored")) {
            refusal = answer;
            break;
        }
    }
    assert_eq!(refusal["error"][0], 20, "in the end a share is refused: {refusal}");
    let health = pool.get("health").await;
    let log = health["components"]
        .as_array()
        .and_then(|parts| parts.iter().find(|part| part["name"] == "share-log"))
        .expect("the share log is a part");
    assert_ne!(log["state"], "healthy", "{log}");
    assert!(log["recommendation"].as_str().is_some_and(|hint| hint.contains("space")), "{log}");
    drop(pool);
    let pool = TestPool::start_in(dir, &[]).await;
    let shares = recorded(&pool, "alice").await;
    assert!(shares >= accepted, "{accepted} were answered true, {shares} are recorded");
    pool.stop().await;
}

fn largest_file_bytes(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir).expect("readable");
    let bytes = files.map(|entry| entry.expect("readable").metadata().expect("there").len());
    bytes.max().expect("the pool left files")
}

pub(crate) fn chimera(arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = Command::new(BINARY)
        .args(arguments)
        .envs(environment.iter().copied())
        .output()
        .expect("the binary starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

/// The README's first screen, on other ports: a pool, a miner in a second terminal, money.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_runs_a_pool_and_mines() {
    let dir = tempfile::TempDir::new().expect("a temporary directory");
    let pool = Process::start(dir.path(), &[]);
    let stratum = pool.stratum.to_string();
    let (code, output) = chimera(
        &["mine", "--url", &stratum, "--user", "alice.cpu", "--shares", "200", "--json"],
        &[],
    );
    assert_eq!(code, Some(0), "{output}");
    for line in output.lines().filter(|line| !line.is_empty()) {
        let event: Value = serde_json::from_str(line).expect("one JSON object per line");
        assert!(event["event"].is_string(), "{line}");
    }
    // Totals follow the log within a second.
    let deadline = Instant::now() + PATIENCE;
    while pool.get("miners/alice").await["shares"].as_u64() < Some(200) {
        assert!(Instant::now() < deadline, "they are not on record");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    while pool.get("health").await["status"] != "healthy" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (code, output) = chimera(&["status", "--api", &pool.api], &[]);
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("running"), "{output}");
    // What fills the slots: component, version, generation, phase.
    for (slot, name) in
        [("payout", "payout-pplns"), ("auth", "auth-open"), ("difficulty", "difficulty-fixed")]
    {
        let line = output.lines().find(|line| line.trim_start().starts_with(&format!("{slot} ")));
        let line = line.unwrap_or_else(|| panic!("{slot} is not shown: {output}"));
        let version = env!("CARGO_PKG_VERSION");
        let (what, generation) = (format!("{name} {version}, generation "), ", active");
        assert!(line.contains(&what) && line.contains(generation), "{line}");
    }
}

/// `chimera devnode` is a node: it answers those who log in.
#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_chain_is_a_node_of_its_own() {
    let dir = tempfile::TempDir::new().expect("a temporary directory");
    let mut child = Command::new(BINARY)
        .args(["devnode", "--listen", "127.0.0.1:0", "--user", "pool", "--password", "secret"])
        .arg("--data-dir")
        .arg(dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("piped");
    BufReader::new(stdout).read_line(&mut line).expect("readable");
    let url = line.split_whitespace().find(|word| word.starts_with("http://"));
    let url = url.expect("it says where").trim_end_matches(',').to_owned();
    let question =
        json!({ "id": 1, "method": "getblocktemplate", "params": [{ "rules": ["segwit"] }] });
    let client = reqwest::Client::new();
    let stranger = client.post(&url).json(&question).send().await.expect("it answers");
    assert_eq!(stranger.status(), 401);
    let ours = client.post(&url).basic_auth("pool", Some("secret")).json(&question);
    let answer: Value = ours.send().await.expect("it answers").json().await.expect("JSON");
    assert_eq!(answer["result"]["height"], 1, "{answer}");
    child.kill().expect("our child");
    child.wait().expect("our child");
}

/// Each command's ends, as `chimera --help` documents them.
#[test]
fn exit_codes_are_as_documented() {
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/");
    let (sample, node) = (format!("{config}chimera.toml"), format!("{config}node.toml"));
    let nobody = "http://127.0.0.1:1";
    for (arguments, environment, code, expected) in [
        (&["config", "check", &sample][..], &[][..], 0, "payout-pplns"),
        (&["config", "check", &node], &[], 0, "node"),
        (&["config", "check"], &[("CHIMERA_PAYOUT__SCHEME", "payout-pps")], 0, "payout-pps"),
        (&["config", "check"], &[("CHIMERA_POOL__MAX_MINER", "3")], 64, "CHIMERA_POOL__MAX_MINER"),
        (&["config", "check"], &[("CHIMERA_PAYOUT__CONFIG", "{ n = 3 }")], 64, "/n"),
        (&["config", "check"], &[("CHIMERA_PAYOUT__SCHEME", "payout-none")], 64, "payout-none"),
        (&["config", "check", "/no/such.toml"], &[], 64, "/no/such.toml"),
        (&["status", "--api", nobody], &[], 69, "Is the pool running?"),
        (&["status", "--api", "127.0.0.1:1"], &[], 69, "no answer from http://127.0.0.1:1/"),
        (&["status", "--api", "ftp://x"], &[], 2, "e.g. http://127.0.0.1:8080"),
        (&["plugin", "history", "--api", "127.0.0.1:1"], &[], 69, "Connection refused"),
        (&["mine", "--url", "127.0.0.1:1", "--seconds", "1"], &[], 69, "is the pool running"),
        (&["run"], &[("CHIMERA_POOL__MAX_MINERS", "0")], 64, "must be at least 1"),
        (&["no-such-command"], &[], 2, "unrecognized subcommand"),
    ] {
        let (found, output) = chimera(arguments, environment);
        assert_eq!(found, Some(code), "{arguments:?} {environment:?}: {output}");
        assert!(output.contains(expected), "{arguments:?}: {output}");
    }
}

/// A cause that is in an error's text was printed once more behind it.
#[test]
fn a_cause_is_told_once() {
    for arguments in [
        &["plugin", "inspect", "./no-such.wasm"][..],
        &["plugin", "check", "./no-such.wasm"],
        &["payout", "verify", "./no-such.json", "--component", "payout-pplns"],
    ] {
        let (code, output) = chimera(arguments, &[]);
        assert_eq!(code, Some(1), "{output}");
        assert_eq!(output.matches("No such file").count(), 1, "{output}");
    }
    let environment = [
        ("CHIMERA_AUTH__GRANTS", "[\"fetch:users\"]"),
        ("CHIMERA_AUTH__ENDPOINTS", "{ users = { url = \"http://h.example/\" } }"),
    ];
    let (code, output) = chimera(&["config", "check"], &environment);
    assert_eq!(code, Some(64), "{output}");
    assert_eq!(output.matches("users").count(), 1, "{output}");
}

/// Other programs' variables need not be text. (Found by review: it panicked.)
#[test]
fn strange_variables_of_others_are_none_of_our_business() {
    use std::os::unix::ffi::OsStrExt as _;
    let strange = std::ffi::OsStr::from_bytes(b"\xff\xfe");
    let output = Command::new(BINARY)
        .args(["config", "check"])
        .env("SOMETHING_ELSE", strange)
        .output()
        .expect("the binary starts");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A start that fails half-way says why, and leaves nothing behind (PM1).
#[test]
fn a_failed_start_names_the_cause() {
    let dir = tempfile::TempDir::new().expect("a temporary directory");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").to_string();
    let data = dir.path().to_str().expect("a plain path");
    for (key, value, expected) in [
        ("CHIMERA_STRATUM__LISTEN", port.as_str(), "in use"),
        // T8: an address this network does not know.
        ("CHIMERA_CHAIN__PAYOUT_ADDRESS", "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "payout address"),
        ("CHIMERA_PAYOUT__SCHEME", "auth-open", "payout"),
        ("CHIMERA_POOL__MAX_MINERS", "4000000000", "open files"),
        ("CHIMERA_PAYOUT__DIGEST", &"00".repeat(32), "is pinned"),
    ] {
        let environment = [
            ("CHIMERA_POOL__DATA_DIR", data),
            ("CHIMERA_STRATUM__LISTEN", "127.0.0.1:0"),
            ("CHIMERA_API__LISTEN", "127.0.0.1:0"),
            (key, value),
        ];
        let (code, output) = chimera(&["run"], &environment);
        assert_eq!(code, Some(1), "{key}={value}: {output}");
        assert!(output.contains(expected), "{key}={value}: {output}");
    }
}

/// Every shipped scheme pays a pool's life to the end, and the books balance.
#[test]
fn a_rehearsal_of_every_scheme_ends_with_a_balanced_ledger() {
    let registry = chimera_plugin::Registry::new(None).expect("nothing to read");
    let names = registry.names().expect("nothing to read");
    for scheme in names.iter().filter(|name| name.starts_with("payout-")) {
        let blocks = if scheme == "payout-pplns" { "2" } else { "1" };
        let arguments =
            ["rehearse", "--scheme", scheme, "--blocks", blocks, "--seed", "7", "--json"];
        let (code, output) = chimera(&arguments, &[]);
        assert_eq!(code, Some(0), "{scheme}: {output}");
        let last = output.lines().last().expect("one line");
        let report: Value = serde_json::from_str(last).expect("of JSON");
        assert_eq!(report["books_balance"], json!(true), "{report:#}");
        assert!(report["blocks_settled"].as_u64() >= blocks.parse().ok(), "{report:#}");
    }
}

/// The scheme that paid would have paid the same; another one would have divided the same
/// rewards otherwise. All beside the pool that is running.
#[tokio::test(flavor = "multi_thread")]
async fn a_backtest_shows_what_another_scheme_would_have_paid() {
    let dir = tempfile::TempDir::new().expect("a temporary directory");
    let mut pool = Process::start(dir.path(), &[]);
    let mut alice = Miner::start(pool.stratum, "alice.rig").await;
    let mut bob = Miner::start(pool.stratum, "bob.rig").await;
    loop {
        alice.mine(6).await;
        bob.mine(2).await;
        let payouts = pool.get("payouts").await;
        let items = payouts["items"].as_array().expect("a list");
        let both = |item: &Value| item["credits"].as_array().is_some_and(|all| all.len() == 2);
        if items.len() >= 3 && items.iter().any(both) {
            break;
        }
    }
    let data = dir.path().to_str().expect("a plain path");
    let (csv, svg) = (dir.path().join("backtest.csv"), dir.path().join("backtest.svg"));
    let units = |value: &Value| -> i128 { value.as_str().expect("text").parse().expect("digits") };
    for scheme in ["payout-pplns", "payout-pps", "payout-pps-plus", "payout-score", "payout-solo"] {
        let mut arguments = vec!["payout", "backtest", scheme, "--data-dir", data, "--json"];
        arguments.extend([
            "--csv",
            csv.to_str().expect("plain"),
            "--svg",
            svg.to_str().expect("plain"),
        ]);
        let (code, output) = chimera(&arguments, &[]);
        assert_eq!(code, Some(0), "{scheme}: {output}");
        let report: Value = serde_json::from_str(output.trim()).expect("one line of JSON");
        let accounts = report["accounts"].as_array().expect("a list");
        assert_eq!(accounts.len(), 2, "{report:#}");
        for side in ["paid", "would_be"] {
            let sum: i128 = accounts.iter().map(|account| units(&account[side])).sum();
            assert_eq!(sum + units(&report["pool"][side]), units(&report["reward"]), "{report:#}");
        }
        let same = accounts.iter().all(|account| account["difference"] == "0");
        assert_eq!(same, scheme == "payout-pplns", "{scheme}: {report:#}");
        let picture = std::fs::read_to_string(&svg).expect("written");
        assert!(picture.starts_with("<svg") && picture.contains("alice"), "{picture}");
        let table = std::fs::read_to_string(&csv).expect("written");
        assert!(table.starts_with("height,found_at_ms,account,paid,would_be\n"), "{table}");
        assert!(table.contains(",bob,"), "{table}");
    }
    // Where the environment says the pool's data is, as for every other command.
    let arguments = ["payout", "backtest", "payout-prop"];
    let (code, output) = chimera(&arguments, &[("CHIMERA_POOL__DATA_DIR", data)]);
    assert_eq!(code, Some(0), "{output}");
    // The last block alone; a scheme that is none; a time nothing was found in.
    for (arguments, expected, text) in [
        (["payout-prop", "--since", "1"], 0, "1 settled blocks"),
        (["payout-none", "--since", "1"], 1, "no component \"payout-none\""),
        (["payout-prop", "--since", "2999-12-31"], 1, "no settled block is on record since then"),
        (["payout-prop", "--since", "once"], 2, "neither a day"),
        (["payout-prop", "--config", "{\"n\":1}"], 1, "unknown field `n`"),
    ] {
        let arguments = ["payout", "backtest", "--data-dir", data].into_iter().chain(arguments);
        let (code, output) = chimera(&arguments.collect::<Vec<_>>(), &[]);
        assert_eq!(code, Some(expected), "{output}");
        assert!(output.contains(text), "{output}");
    }
    pool.signal("-TERM");
    assert_eq!(pool.ended().await, Some(0), "the pool never noticed");
}
