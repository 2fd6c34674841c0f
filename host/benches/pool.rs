//! How soon a pool serves, gives work and answers: the real binary, real sockets.
//!
//! `cargo bench -p chimera` prints the table; `cargo test` runs it small and checks only
//! that everything is answered.
#![expect(clippy::print_stdout, reason = "a benchmark")]

mod common;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use common::Pool;

fn main() {
    let full = std::env::args().any(|arg| arg == "--bench");
    let (starts, connections, requests) = if full { (11, 50, 5_000) } else { (1, 2, 20) };
    let dir = tempfile::tempdir().expect("a temporary directory");
    // The first start compiles the plugins and makes the database.
    drop(Pool::start(dir.path(), &[]));
    let mut cold = Vec::new();
    for _ in 0..starts {
        let begun = Instant::now();
        drop(Pool::start(dir.path(), &[]));
        cold.push(begun.elapsed());
    }
    let pool = Pool::start(dir.path(), &[]);
    let first_jobs = (0..connections).map(|_| Miner::connect(&pool.stratum).first_job()).collect();
    let mut miner = Miner::connect(&pool.stratum);
    miner.first_job();
    let replies = (0..requests).map(|id| miner.ping(100 + id)).collect();
    let echoes = echo_times(requests);
    if full {
        println!("the embedded default, medians on loopback");
        print("cold start, plugins cached", cold, "limit 1 s");
        print("first job after subscribe + authorize", first_jobs, "limit 100 ms");
        let (reply, echo) = (median(replies), median(echoes));
        println!("  {:<40} {:>10.3} ms   limit 1 ms", "protocol reply, one in flight", ms(reply));
        let ratio = ms(reply) / ms(echo);
        println!(
            "  {:<40} {:>10.3} ms   ratio {ratio:.2}",
            "the same to a bare echo server",
            ms(echo)
        );
    }
}

fn print(what: &str, runs: Vec<Duration>, limit: &str) {
    println!("  {what:<40} {:>10.3} ms   {limit}", ms(median(runs)));
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn median(mut runs: Vec<Duration>) -> Duration {
    runs.sort_unstable();
    runs[runs.len() / 2]
}

struct Miner {
    reader: BufReader<TcpStream>,
    line: String,
}

impl Miner {
    fn connect(address: &str) -> Self {
        let socket = TcpStream::connect(address).expect("it listens");
        socket.set_nodelay(true).expect("a socket");
        Self { reader: BufReader::new(socket), line: String::new() }
    }

    fn send(&mut self, line: &str) {
        self.reader.get_mut().write_all(format!("{line}\n").as_bytes()).expect("writable");
    }

    fn read_until(&mut self, met: impl Fn(&Value) -> bool) {
        loop {
            self.line.clear();
            let count = self.reader.read_line(&mut self.line).expect("readable");
            assert!(count > 0, "the pool closed the connection");
            if met(&serde_json::from_str(&self.line).expect("JSON")) {
                return;
            }
        }
    }

    /// From the first byte of subscribe to the first job.
    fn first_job(&mut self) -> Duration {
        let begun = Instant::now();
        let subscribe = json!({ "id": 1, "method": "mining.subscribe", "params": [] });
        let authorize = json!({ "id": 2, "method": "mining.authorize", "params": ["bench", "x"] });
        self.send(&format!("{subscribe}\n{authorize}"));
        self.read_until(|line| line["method"] == "mining.notify");
        begun.elapsed()
    }

    fn ping(&mut self, id: u64) -> Duration {
        let begun = Instant::now();
        self.send(&json!({ "id": id, "method": "mining.ping", "params": [] }).to_string());
        self.read_until(|line| line["id"] == id);
        begun.elapsed()
    }
}

/// The machine's own limit: the same exchange with a server that does nothing.
fn echo_times(requests: u64) -> Vec<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    std::thread::spawn(move || {
        let (socket, _) = listener.accept().expect("one connection");
        socket.set_nodelay(true).expect("a socket");
        let mut writer = socket.try_clone().expect("a socket");
        for line in BufReader::new(socket).lines() {
            let Ok(line) = line else { return };
            if writer.write_all(format!("{line}\n").as_bytes()).is_err() {
                return;
            }
        }
    });
    let mut miner = Miner::connect(&address);
    (0..requests).map(|id| miner.ping(100 + id)).collect()
}
