//! What the front door bears, measured by `chimera load` from outside: shares, storms, new
//! blocks, memory, upgrades. `cargo bench -p chimera --bench stratum` measures all of it and
//! writes `host/BENCHMARKS.md`; with `-- shares`, `blocks`, `crowd`, `churn` or `upgrade` behind it, it
//! measures that part and writes nothing. `cargo test` runs it small, and writes nothing.
#![expect(clippy::print_stdout, reason = "a benchmark")]

mod common;

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use common::{Pool, binary};

/// Every hash is a share: the pool judges as always, and the generator need not search.
const EVERY_HASH: &str = "{ difficulty = \"0.00000000023283064365386963\" }";

/// How much is measured.
struct Size {
    full: bool,
    seconds: &'static str,
    rounds: &'static str,
    crowd: u32,
    blocks: u32,
}

type Part = fn(&Size, &mut Report);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let full = arguments.iter().any(|argument| argument == "--bench");
    let parts: [(&str, Part); 5] = [
        ("shares", shares),
        ("blocks", blocks),
        ("crowd", crowd),
        ("churn", cut_and_churn),
        ("upgrade", upgrade),
    ];
    let asked = |name: &str| arguments.iter().any(|argument| argument == name);
    let all = !parts.iter().any(|(name, _)| asked(name));
    let size = match full {
        true => Size { full, seconds: "5", rounds: "3", crowd: 10_000, blocks: 8 },
        false => Size { full, seconds: "1", rounds: "1", crowd: 40, blocks: 2 },
    };
    let mut report = Report::default();
    for (name, measure) in parts {
        if all || asked(name) {
            measure(&size, &mut report);
        }
    }
    if full {
        println!("{}", report.0);
    }
    if full && all {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("BENCHMARKS.md");
        let page = format!("{}{}", HEAD, report.0);
        std::fs::write(file, page).expect("the repository is writable");
    }
}

const HEAD: &str = "\
# Benchmarks of the front door

Written by `cargo bench -p chimera --bench stratum`; do not edit. Pool and generator
(`chimera load`, see [LOAD.md](LOAD.md)) share one machine with two cores. The null server is the
same generator's: it finds the id of each line and says yes, nothing else, for all lines of a read
in one write. The ratio to it is what can be compared between machines; absolute numbers come
second. A null server that writes each answer by itself is slower by several times; the one of the
design's table of prices answered 500,000 lines a second. Embedded SQLite, every answer
durable unless it says `relaxed`, every share hashed and judged by the pool, none searched for by
the generator.

";

#[derive(Default)]
struct Report(String);

impl Report {
    fn section(&mut self, title: &str, command: &str) {
        let _ = write!(
            self.0,
            "\n## {title}\n\n`{command}`\n\n| what | result | limit |\n|---|---|---|\n"
        );
    }

    fn row(&mut self, what: &str, result: &str, limit: &str) {
        let _ = writeln!(self.0, "| {what} | {result} | {limit} |");
    }

    fn raw(&mut self, value: &Value) {
        let _ = write!(
            self.0,
            "\n<details><summary>raw</summary>\n\n```json\n{value}\n```\n\n</details>\n"
        );
    }
}

fn pool(dir: &Path, changes: &[(&str, &str)]) -> Pool {
    let mut all = vec![
        ("POOL__MAX_MINERS", "12000"),
        ("STRATUM__DIFFICULTY_MIN", "0.00000000023283064365386963"),
        ("DIFFICULTY__STRATEGY", "difficulty-fixed"),
        ("DIFFICULTY__CONFIG", EVERY_HASH),
        ("CHAIN__SPACING_S", "60"),
        ("PAYOUT__SETTLE_INTERVAL_S", "3600"),
    ];
    all.extend_from_slice(changes);
    Pool::start(dir, &all)
}

/// Runs the generator at a pool; what it says.
fn load(pool: &str, arguments: &[&str]) -> Value {
    let output = Command::new(binary())
        .args(["load", "-o", pool, "--json"])
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .expect("the binary starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let report = text.lines().last().and_then(|line| serde_json::from_str(line).ok());
    report.unwrap_or_else(|| panic!("no report: {text}"))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// Shares per second, pipelined and one at a time.
fn shares(size: &Size, report: &mut Report) {
    let cases = [
        ("pipelined, 100 connections x 32 in flight", "32", "durable", "0.40 (goal 0.60)"),
        ("one in flight, 100 connections", "1", "durable", "0.40, p99 20 ms"),
        ("one in flight, 100 connections, relaxed", "1", "relaxed", "0.70"),
    ];
    let connections = if size.full { "100" } else { "10" };
    for (title, in_flight, durability, limit) in cases {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let pool = pool(&dir.path().join("data"), &[("POOL__DURABILITY", durability)]);
        let id = pool.id().to_string();
        let arguments = [
            "-c",
            connections,
            "-i",
            in_flight,
            "-s",
            size.seconds,
            "-w",
            "2",
            "--with-null",
            "--rounds",
            size.rounds,
            "--pid",
            &id,
        ];
        let said = load(&pool.stratum, &arguments);
        report.section(
            title,
            &format!("chimera load {}", arguments[..arguments.len() - 2].join(" ")),
        );
        report.row(
            "accepted shares, ratio to the null server's replies",
            &format!("{:.3}", number(&said["null"]["ratio"])),
            limit,
        );
        if in_flight == "32" {
            let plain = load(&pool.stratum, &[&arguments[..], &["--plain-null"]].concat());
            report.row(
                "the same to a null server that writes each answer by itself",
                &format!("{:.3}", number(&plain["null"]["ratio"])),
                "",
            );
        }
        report.row("accepted per second", &format!("{:.0}", number(&said["accepted_per_s"])), "");
        let times = &said["reply_ms"];
        let time = |which: &str| format!("{:.2}", number(&times[which]));
        report.row(
            "reply p50, p99, p99.9, ms",
            &format!("{}, {}, {}", time("p50"), time("p99"), time("p999")),
            "",
        );
        report.row("rejected (a new block was found meanwhile)", &said["rejected"].to_string(), "");
        report.row(
            "CPU of the pool, of the generator, s",
            &format!("{}, {}", said["pool_cpu_s"], said["generator_cpu_s"]),
            "",
        );
        report.raw(&said);
        assert!(number(&said["accepted_per_s"]) > 0.0, "{said}");
        assert_eq!(said["lost_connections"], 0, "{said}");
    }
}

/// Found blocks on their way to the node.
fn blocks(size: &Size, report: &mut Report) {
    for (title, connections, in_flight, limit) in [
        ("found blocks, one miner with 16 in flight", "1", "16", "2"),
        ("found blocks under full load", "100", "32", "p99 20"),
    ] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let changes = [("CHAIN__SPACING_S", "1"), ("LOG__FORMAT", "json")];
        let pool = pool(&dir.path().join("data"), &changes);
        let seconds = if size.full { "40" } else { "4" };
        let arguments = ["-c", connections, "-i", in_flight, "-s", seconds, "-w", "1"];
        let said = load(&pool.stratum, &arguments);
        let lines = pool.log("block leaves");
        let mut after_us: Vec<u64> =
            lines.iter().map(|line| line["after_us"].as_u64().expect("a time")).collect();
        assert_eq!(said["lost_connections"], 0, "{said}");
        if after_us.is_empty() && !size.full {
            // A small run may find none.
            continue;
        }
        after_us.sort_unstable();
        let count = after_us.len();
        let at = |share: usize| after_us[(count * share / 100).min(count - 1)] as f64 / 1_000.0;
        report.section(title, &format!("chimera load {}", arguments.join(" ")));
        report.row(
            "from the bytes of the share to the block's way to the node, recorded and synced \
             between: p50, p99, max, ms",
            &format!("{:.2}, {:.2}, {:.2}", at(50), at(99), at(100)),
            limit,
        );
        report.row("blocks", &count.to_string(), "");
        report.row(
            "accepted shares per second",
            &format!("{:.0}", number(&said["accepted_per_s"])),
            "",
        );
    }
}

/// A crowd that connects at once, and is told of new blocks.
fn crowd(size: &Size, report: &mut Report) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let node = Node::start(dir.path());
    let nodes = format!("[{{ url = \"{}\" }}]", node.url);
    let pool = pool(
        &dir.path().join("data"),
        &[
            ("CHAIN__KIND", "node"),
            ("CHAIN__PROFILE", "devchain"),
            ("CHAIN__PAYOUT_ADDRESS", &node.address),
            ("CHAIN__NODES", &nodes),
        ],
    );
    let (id, crowd) = (pool.id().to_string(), size.crowd.to_string());
    let storm = load(&pool.stratum, &["-c", &crowd, "--storm", "--pid", &id]);
    report.section(
        &format!("{crowd} connections at once"),
        &format!("chimera load -c {crowd} --storm --pid PID"),
    );
    let opening = &storm["opening"];
    let last = |stage: &str| format!("{:.0}", number(&opening[stage]["last_ms"]));
    report.row(
        "last connected, authorised, holding a job, ms",
        &format!("{}, {}, {}", last("connected"), last("authorized"), last("first_job")),
        "3000",
    );
    let memory = &storm["memory"];
    report.row(
        "memory of a connection that holds a job, kB",
        &format!("{:.1}", number(&memory["kb_per_connection"])),
        "5",
    );
    report.row("lost", &storm["lost_connections"].to_string(), "0");
    report.raw(&storm);
    assert_eq!(opening["first_job"]["count"], size.crowd, "{storm}");

    for in_flight in ["0", "1"] {
        let stratum = pool.stratum.clone();
        let (crowd_of_it, blocks) = match in_flight {
            "0" => (crowd.clone(), size.blocks),
            _ => ((size.crowd / 10).to_string(), size.blocks),
        };
        let count = blocks.to_string();
        let arguments =
            ["-c", &crowd_of_it, "-i", in_flight, "-s", "120", "--jobs", &count, "--pid", &id];
        let said = std::thread::scope(|scope| {
            let loading = scope.spawn(|| load(&stratum, &arguments));
            // Until all hold a job; blocks that come earlier do not count.
            std::thread::sleep(Duration::from_secs(if size.full { 12 } else { 2 }));
            while !loading.is_finished() {
                node.find_block();
                std::thread::sleep(Duration::from_millis(700));
            }
            loading.join().expect("the generator ends")
        });
        let jobs = &said["jobs"];
        report.section(
            &format!("new blocks, {crowd_of_it} connections, {in_flight} in flight"),
            &format!(
                "chimera load -c {crowd_of_it} -i {in_flight} -s 120 --jobs {blocks} --pid PID"
            ),
        );
        let first_to_last = &jobs["first_to_last_ms"];
        report.row(
            "notify, from the first connection to the last, p50, max, ms",
            &format!("{:.0}, {:.0}", number(&first_to_last["p50"]), number(&first_to_last["max"])),
            if in_flight == "0" { "80 (goal 40)" } else { "" },
        );
        if in_flight == "0" {
            let null = null_first_to_last(&crowd, &count);
            report.row(
                "the same of a null server with a thread per core, p50, ms",
                &format!("{null:.0}"),
                "",
            );
        } else {
            let (near, all) = (&jobs["near_reply_ms"], &said["reply_ms"]);
            report.row(
                "reply p50, p99 around a new block, ms",
                &format!("{:.2}, {:.2}", number(&near["p50"]), number(&near["p99"])),
                "",
            );
            report.row(
                "reply p50, p99 at all times, ms",
                &format!("{:.2}, {:.2}", number(&all["p50"]), number(&all["p99"])),
                "",
            );
        }
        report.raw(&said);
        assert!(jobs["new_blocks"].as_u64() > Some(0), "{said}");
    }
}

/// How long a server that does nothing else takes to tell everybody of a new block.
fn null_first_to_last(crowd: &str, blocks: &str) -> f64 {
    let mut null = Command::new(binary())
        .args(["load", "null", "--listen", "127.0.0.1:0", "--threads", "2", "--job-every", "1"])
        .arg("--json")
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut line = String::new();
    let stdout = null.stdout.as_mut().expect("piped");
    BufReader::new(stdout).read_line(&mut line).expect("readable");
    let bound: Value = serde_json::from_str(&line).expect("one line of JSON");
    let address = bound["listening"].as_str().expect("an address");
    let said = load(address, &["-c", crowd, "-i", "0", "-s", "120", "--jobs", blocks]);
    let _ = null.kill();
    let _ = null.wait();
    number(&said["jobs"]["first_to_last_ms"]["p50"])
}

/// Sockets that are cut, many at once and all the time.
fn cut_and_churn(size: &Size, report: &mut Report) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let pool = pool(&dir.path().join("data"), &[]);
    let id = pool.id().to_string();
    let (crowd, cut) = if size.full { ("2000", "1000") } else { ("40", "20") };
    let seconds = if size.full { "20" } else { "2" };
    let after = if size.full { "10" } else { "1" };
    let arguments =
        ["-c", crowd, "-i", "1", "-s", seconds, "--cut", cut, "--after", after, "--pid", &id];
    let said = load(&pool.stratum, &arguments);
    report.section(
        &format!("{cut} sockets cut at once"),
        &format!("chimera load {}", arguments.join(" ")),
    );
    report.row(
        "all back and holding a job after, ms",
        &format!("{:.0}", number(&said["cut_back_ms"])),
        "",
    );
    report.row("lost besides", &said["lost_connections"].to_string(), "0");
    report.row(
        "sessions released after the end of a generator with as many, ms",
        &format!("{:.0}", released(&pool, cut).as_secs_f64() * 1_000.0),
        "1000",
    );
    report.raw(&said);

    let seconds = if size.full { "60" } else { "2" };
    let churn = if size.full { "300" } else { "20" };
    // What a long life leaves behind anyway is there before it is measured: as many seats as
    // are kept for those who may come back.
    load(
        &pool.stratum,
        &["-c", "200", "-i", "1", "-s", if size.full { "45" } else { "1" }, "--churn", churn],
    );
    std::thread::sleep(Duration::from_secs(1));
    let before = pool.resident_kb();
    let arguments = ["-c", "200", "-i", "1", "-s", seconds, "--churn", churn];
    let said = load(&pool.stratum, &arguments);
    std::thread::sleep(Duration::from_secs(2));
    let after = pool.resident_kb();
    let left = pool.get("status");
    report
        .section("connect and disconnect churn", &format!("chimera load {}", arguments.join(" ")));
    report.row(
        "memory before, after, kB; ratio",
        &format!("{before}, {after}; {:.3}", after as f64 / before as f64),
        "1.05",
    );
    report.row("reconnections", &said["cut_connections"].to_string(), "");
    report.row("sessions left behind", &left["sessions"]["connected"].to_string(), "0");
    report.raw(&said);
    assert_eq!(left["sessions"]["connected"], 0, "{left}");
}

/// Kills a generator with so many connections; how long the pool takes to see that all are gone.
fn released(pool: &Pool, connections: &str) -> Duration {
    let connected = || pool.get("status")["sessions"]["connected"].as_u64().expect("a count");
    let mut generator = Command::new(binary())
        .args(["load", "-o", &pool.stratum, "-c", connections, "-i", "1", "-s", "600"])
        .stdout(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let all: u64 = connections.parse().expect("a number");
    while connected() != all {
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_secs(1));
    generator.kill().expect("it runs");
    let cut = Instant::now();
    generator.wait().expect("it was ours");
    while connected() != 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
    cut.elapsed()
}

/// The program is replaced under full load.
fn upgrade(size: &Size, report: &mut Report) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let data = dir.path().join("data");
    let pool = pool(&data, &[]);
    let connections = if size.full { "100" } else { "10" };
    let seconds = if size.full { "20" } else { "4" };
    let arguments = ["-c", connections, "-i", "32", "-s", seconds, "-w", "1"];
    let stratum = pool.stratum.clone();
    let said = std::thread::scope(|scope| {
        let loading = scope.spawn(|| load(&stratum, &arguments));
        std::thread::sleep(Duration::from_secs(2));
        for _ in 0..if size.full { 3 } else { 1 } {
            let asked = Command::new(binary())
                .arg("upgrade")
                .env("CHIMERA_POOL__DATA_DIR", &data)
                .output()
                .expect("the binary starts");
            assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
            std::thread::sleep(Duration::from_secs(1));
        }
        loading.join().expect("the generator ends")
    });
    // Totals follow the log; what miners were told is in it already.
    let accepted = said["total"]["accepted"].as_u64().expect("a count");
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut recorded = on_record(&pool, connections);
    while recorded != accepted && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(500));
        recorded = on_record(&pool, connections);
    }
    end(&data);
    report.section(
        "three upgrades under full load",
        &format!("chimera load {}, and chimera upgrade three times", arguments.join(" ")),
    );
    report.row(
        "lost connections, reconnects asked",
        &format!("{}, {}", said["lost_connections"], said["reconnects_asked"]),
        "0, 0",
    );
    report.row(
        "accepted, on record",
        &format!("{}, {recorded}", said["total"]["accepted"]),
        "equal",
    );
    report.row(
        "reply p50, max, ms",
        &format!(
            "{:.2}, {:.0}",
            number(&said["reply_ms"]["p50"]),
            number(&said["reply_ms"]["max"])
        ),
        "",
    );
    report.raw(&said);
    assert_eq!(said["lost_connections"], 0, "{said}");
    assert_eq!(said["reconnects_asked"], 0, "{said}");
    // New blocks are found meanwhile; nothing else may make a share worthless.
    let stale = said["total"]["rejected_by_code"]["21"].as_u64().unwrap_or(0);
    assert_eq!(said["total"]["rejected"], stale, "{said}");
    assert!(stale * 100 < accepted, "{said}");
    assert_eq!(said["total"]["unanswered"], 0, "{said}");
    assert_eq!(accepted, recorded, "{said}");
}

/// Shares of the generator's accounts, as the ledger has them.
fn on_record(pool: &Pool, connections: &str) -> u64 {
    (0..connections.parse::<u32>().expect("a number"))
        .map(|number| pool.get(&format!("miners/load.{number}")))
        .map(|miner| miner["shares"].as_u64().unwrap_or(0))
        .chain([pool.get("miners/load")["shares"].as_u64().unwrap_or(0)])
        .sum()
}

/// Ends the process that serves now: it is no child of this one.
fn end(data: &Path) {
    let lock = std::fs::read_to_string(data.join("pool.sqlite.lock")).expect("a pool ran here");
    let _ = Command::new("kill").args(["-TERM", lock.trim()]).status();
}

/// The embedded chain as a node of its own: blocks are found when asked for.
struct Node {
    child: Child,
    url: String,
    address: String,
}

impl Node {
    fn start(dir: &Path) -> Self {
        let mut child = Command::new(binary())
            .args(["devnode", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(dir.join("node"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("piped"))
            .read_line(&mut line)
            .expect("readable");
        let url = line.split_whitespace().find(|word| word.starts_with("http://"));
        let url = url.expect("it says where it is").trim_end_matches(',').to_owned();
        let mut node = Self { child, url, address: String::new() };
        node.address = node.ask("getnewaddress", &json!([])).as_str().expect("text").to_owned();
        node
    }

    fn find_block(&self) {
        self.ask("generatetoaddress", &json!([1, self.address]));
    }

    fn ask(&self, method: &str, params: &Value) -> Value {
        let body = json!({ "id": 1, "method": method, "params": params }).to_string();
        let address = self.url.trim_start_matches("http://");
        let answer = common::http(
            address,
            &format!(
                "POST / HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
        );
        answer["result"].clone()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
