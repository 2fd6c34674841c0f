//! The binary as a process that serves, for tests and benchmarks.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// A running pool; killed when dropped: the next start finds its data as after a crash.
pub(crate) struct Started {
    pub(crate) child: Child,
    /// Where miners connect, address and port.
    pub(crate) stratum: String,
    /// Where the API is, address and port.
    pub(crate) api: String,
}

impl Started {
    /// Runs a pool until it says where it listens. `command` runs the binary, with its settings
    /// in the environment; `run --json` is added. `log` is where its log goes.
    pub(crate) fn run(mut command: Command, log: Stdio) -> Self {
        let mut child = command
            .args(["run", "--json"])
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("readable");
        let bound: Value = serde_json::from_str(&line).expect("one line of JSON when it serves");
        let address = |key: &str| bound[key].as_str().expect("an address").to_owned();
        let (stratum, api) = (address("stratum"), address("api"));
        Self { child, stratum, api }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
