//! The binary as a process, for benchmarks.
#![allow(dead_code, reason = "each benchmark uses a part")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

#[path = "../../../tests/it/started.rs"]
mod started;

use started::Started;

/// What is measured: the binary of this build, or `BENCH_BINARY`, to compare with another.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("BENCH_BINARY")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_chimera")), PathBuf::from)
}

const LOG: &str = "bench.log";

/// A running pool, killed when dropped.
pub(crate) struct Pool {
    started: Started,
    data_dir: PathBuf,
    pub(crate) stratum: String,
}

impl Pool {
    /// Starts the binary on free ports, with what is changed of the settings. Its log is with
    /// its data.
    pub(crate) fn start(data_dir: &Path, changes: &[(&str, &str)]) -> Self {
        let changes = changes.iter().map(|(key, value)| (format!("CHIMERA_{key}"), *value));
        let mut command = Command::new(binary());
        command
            .env("CHIMERA_POOL__DATA_DIR", data_dir)
            .env("CHIMERA_STRATUM__LISTEN", "127.0.0.1:0")
            .env("CHIMERA_API__LISTEN", "127.0.0.1:0")
            .envs(changes);
        std::fs::create_dir_all(data_dir).expect("writable");
        let log = std::fs::File::create(data_dir.join(LOG)).expect("writable");
        let started = Started::run(command, log.into());
        Self { data_dir: data_dir.to_path_buf(), stratum: started.stratum.clone(), started }
    }

    /// Memory in use, kB.
    pub(crate) fn resident_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.started.child.id()));
        let status = status.expect("a running process has a status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let digits = line.and_then(|line| line.split_whitespace().next());
        digits.and_then(|digits| digits.parse().ok()).expect("in kB")
    }

    /// The lines of its log that say something.
    pub(crate) fn log(&self, something: &str) -> Vec<Value> {
        let log = std::fs::read_to_string(self.data_dir.join(LOG)).expect("readable");
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["message"] == something).collect()
    }

    /// Asks the API.
    pub(crate) fn get(&self, route: &str) -> Value {
        self.http(&format!("GET /api/v1/{route} HTTP/1.0\r\n\r\n"))
    }

    /// Tells the API, with the token.
    pub(crate) fn post(&self, route: &str, body: &Value) -> Value {
        let token = std::fs::read_to_string(self.data_dir.join("admin.token"));
        let (token, body) = (token.expect("made at the start"), body.to_string());
        self.http(&format!(
            "POST /api/v1/{route} HTTP/1.0\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            token.trim(),
            body.len()
        ))
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.started.child.id()
    }

    fn http(&self, request: &str) -> Value {
        http(&self.started.api, request)
    }
}

/// One request and its JSON answer.
pub(crate) fn http(address: &str, request: &str) -> Value {
    let mut socket = TcpStream::connect(address).expect("it listens");
    socket.write_all(request.as_bytes()).expect("writable");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("readable");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    serde_json::from_str(body).unwrap_or_else(|_| panic!("no JSON: {answer}"))
}
