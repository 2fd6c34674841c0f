//! The same load at the null server and at the pool, in turns: a ratio that does not depend on
//! how fast the machine is, nor much on how busy it was.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use super::{LoadError, LoadPlan, LoadReport, run};

/// A null server in a process of its own; it ends with this.
struct NullChild {
    child: Child,
    address: SocketAddr,
}

impl NullChild {
    fn start(program: &Path, threads: u32, plain: bool) -> Result<Self, LoadError> {
        let failed = |why: String| LoadError::Null(why);
        let threads = threads.to_string();
        let mut child = Command::new(program)
            .args(["load", "null", "--listen", "127.0.0.1:0", "--child", "--json"])
            .args(["--threads", &threads])
            .args(plain.then_some("--plain"))
            // It ends when this pipe does, however we end.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| failed(format!("{}: {error}", program.display())))?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            let read = BufReader::new(stdout).read_line(&mut line);
            read.map_err(|error| failed(error.to_string()))?;
        }
        let said: Value = serde_json::from_str(&line).unwrap_or_default();
        let address = said["listening"].as_str().and_then(|text| text.parse().ok());
        let Some(address) = address else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(failed("it did not say where it listens".to_owned()));
        };
        Ok(Self { child, address })
    }
}

impl Drop for NullChild {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The pool and the null server side by side.
#[derive(Debug)]
pub struct Compared {
    /// Accepted per second, by round.
    pub null_per_s: Vec<f64>,
    /// Accepted per second, by round.
    pub pool_per_s: Vec<f64>,
    /// The null server's round with the median rate.
    pub null: LoadReport,
    /// The pool's round with the median rate.
    pub pool: LoadReport,
}

impl Compared {
    /// The pool's median over the null server's.
    pub fn ratio(&self) -> Option<f64> {
        let null = self.null.accepted_per_s();
        (null > 0.0).then(|| self.pool.accepted_per_s() / null)
    }
}

/// Runs a plan in turns against a null server, which `program` can become, and the pool. A
/// `plain` one writes each answer by itself.
///
/// # Errors
/// As [`run`]; and when the null server does not start.
pub fn compare(
    plan: &LoadPlan,
    rounds: u32,
    program: &Path,
    plain: bool,
    stop: &AtomicBool,
) -> Result<Compared, LoadError> {
    let child = NullChild::start(program, plan.threads, plain)?;
    let null_plan = LoadPlan { pool: child.address, pid: Some(child.child.id()), ..plan.clone() };
    let (mut nulls, mut pools) = (Vec::new(), Vec::new());
    for round in 0..rounds.max(1) {
        if round > 0 && stop.load(Ordering::Relaxed) {
            break;
        }
        nulls.push(run(&null_plan, stop)?);
        pools.push(run(plan, stop)?);
    }
    let rates = |reports: &[LoadReport]| reports.iter().map(LoadReport::accepted_per_s).collect();
    Ok(Compared {
        null_per_s: rates(&nulls),
        pool_per_s: rates(&pools),
        null: median(nulls, true),
        pool: median(pools, false),
    })
}

/// Of an even number the upper or the lower one: for the null server the upper, for the pool the
/// lower, or the ratio would be better than it was.
fn median(mut reports: Vec<LoadReport>, upper: bool) -> LoadReport {
    reports.sort_by(|a, b| a.accepted_per_s().total_cmp(&b.accepted_per_s()));
    let place = if upper { reports.len() / 2 } else { (reports.len() - 1) / 2 };
    reports.swap_remove(place)
}
