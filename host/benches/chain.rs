//! How soon a new block is work for miners, told by the node or found out by asking, and what
//! becomes of both while every node is away: the real binary, a node simulator over HTTP and
//! ZMQ, real sockets.
//!
//! `cargo bench -p chimera --bench chain` prints the table; with `-- away=600` the nodes are away
//! for so many seconds. `cargo test` runs it small and checks only that news arrive.
#![expect(clippy::print_stdout, reason = "a benchmark")]

mod common;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use chimera_chain::{
    Action, DevChain, DevNode, DevParams, DevRules, Fault, FaultRule, SimServer, ZmqPublisher,
    system_clock,
};
use serde_json::{Value, json};

use common::Pool;

const POLL_MS: u64 = 200;

fn main() {
    let full = std::env::args().any(|arg| arg == "--bench");
    let away = std::env::args().find_map(|arg| arg.strip_prefix("away=")?.parse().ok());
    let rounds = if full { 300 } else { 3 };
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let network = runtime.block_on(Network::start());
    let dir = tempfile::tempdir().expect("a temporary directory");
    let pool = Pool::start(dir.path(), &borrowed(&network.settings()));
    let news = listen(&pool.stratum);
    let announced = network.measure(&news, rounds);
    network.silence();
    let found_out = network.measure(&news, rounds / 10 + 1);
    let away_s = away.unwrap_or(if full { 15 } else { 1 });
    let back = runtime.block_on(network.go_away(&news, Duration::from_secs(away_s)));
    if full {
        println!("from a node's new block to the first miner's job, {rounds} blocks, loopback");
        print("ZMQ, long poll and polling", announced, "limit p99 20 ms");
        let limit = format!("limit {} ms (poll {POLL_MS} ms + 50)", POLL_MS + 50);
        print("ZMQ silent", found_out, &limit);
        println!(
            "  {:<32} {:>8.1} ms   limit 2000 ms",
            format!("all nodes away {away_s} s: work resumes"),
            ms(back)
        );
        println!("  {:<32} {:>8} kB", "resident afterwards", pool.resident_kb());
    }
}

/// A chain, its node, and what of it stands in the network.
struct Network {
    node: DevNode,
    server: std::sync::Mutex<Option<SimServer>>,
    address: SocketAddr,
    zmq: ZmqPublisher,
    payout: String,
}

impl Network {
    async fn start() -> Self {
        let params = DevParams::regtest(DevRules::Bitcoin);
        let chain = Arc::new(DevChain::in_memory(params).expect("good rules"));
        let node = DevNode::new(chain, system_clock());
        let zmq = ZmqPublisher::bind(&node, "127.0.0.1:0").await.expect("a free port");
        let server = SimServer::start(node.clone(), "127.0.0.1:0", None).await;
        let server = server.expect("a free port");
        let payout = node.call("getnewaddress", json!([])).await.expect("a wallet");
        let payout = payout.as_str().expect("text").to_owned();
        let address = server.address();
        Self { node, server: Some(server).into(), address, zmq, payout }
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let nodes = format!(
            "[{{ url = \"http://{}\", zmq = \"tcp://{}\" }}]",
            self.address,
            self.zmq.address()
        );
        vec![
            ("CHAIN__KIND", "node".to_owned()),
            ("CHAIN__PROFILE", "blake2s".to_owned()),
            ("CHAIN__NODES", nodes),
            ("CHAIN__PAYOUT_ADDRESS", self.payout.clone()),
            ("CHAIN__POLL_MS", POLL_MS.to_string()),
        ]
    }

    /// From the moment a block is the tip until a miner has a job on it.
    fn measure(&self, news: &Receiver<(Instant, String)>, rounds: u32) -> Vec<Duration> {
        (0..rounds).map(|_| self.one_block(news)).collect()
    }

    fn one_block(&self, news: &Receiver<(Instant, String)>) -> Duration {
        std::thread::sleep(Duration::from_millis(20));
        while news.try_recv().is_ok() {}
        let mined = self.node.simulate(Action::Mine { blocks: 1 }).expect("it mines");
        let there = Instant::now();
        let tip = mined["tip"].as_str().expect("a hash");
        let expected = on_the_wire(tip);
        loop {
            let (at, previous) = news.recv_timeout(Duration::from_secs(30)).expect("a job");
            if previous == expected {
                return at.saturating_duration_since(there);
            }
        }
    }

    fn silence(&self) {
        let rule = FaultRule::always(Fault::ZmqSilent);
        self.node.simulate(Action::Fault(rule)).expect("a good rule");
    }

    /// How long after the node's return there is work on its tip.
    async fn go_away(&self, news: &Receiver<(Instant, String)>, time: Duration) -> Duration {
        let server = self.server.lock().expect("one thread").take().expect("it is there");
        server.stop().await;
        tokio::time::sleep(time).await;
        while news.try_recv().is_ok() {}
        let mined = self.node.simulate(Action::Mine { blocks: 1 }).expect("it mines");
        let expected = on_the_wire(mined["tip"].as_str().expect("a hash"));
        let server = SimServer::start(self.node.clone(), self.address, None).await;
        let back = Instant::now();
        *self.server.lock().expect("one thread") = Some(server.expect("its own port"));
        loop {
            let (at, previous) = news.recv_timeout(Duration::from_secs(60)).expect("a job");
            if previous == expected {
                return at.saturating_duration_since(back);
            }
        }
    }
}

/// A miner that only listens: when which job came.
fn listen(stratum: &str) -> Receiver<(Instant, String)> {
    let mut link = TcpStream::connect(stratum).expect("the pool listens");
    link.set_nodelay(true).expect("a socket");
    let hello = "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"bench\"]}\n\
                 {\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"alice.rig\",\"x\"]}\n";
    link.write_all(hello.as_bytes()).expect("the pool reads");
    let (sender, news) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(link).lines().map_while(Result::ok) {
            let at = Instant::now();
            let line: Value = serde_json::from_str(&line).expect("JSON");
            if line["method"] == "mining.notify" {
                let previous = line["params"][1].as_str().expect("a hash").to_owned();
                if sender.send((at, previous)).is_err() {
                    return;
                }
            }
        }
    });
    news
}

/// The hash as mining.notify has it: its words in reverse order.
fn on_the_wire(display: &str) -> String {
    let words: Vec<&str> = (0..8).rev().map(|word| &display[word * 8..word * 8 + 8]).collect();
    words.concat()
}

fn print(what: &str, mut runs: Vec<Duration>, limit: &str) {
    runs.sort_unstable();
    let at = |part: usize| ms(runs[(runs.len() * part / 100).min(runs.len() - 1)]);
    let (p50, p99, most) = (at(50), at(99), at(100));
    println!("  {what:<32} p50 {p50:>7.2}  p99 {p99:>7.2}  max {most:>7.2} ms   {limit}");
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn borrowed<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    settings.iter().map(|(key, value)| (*key, value.as_str())).collect()
}
