//! `chimera load`: measures a Stratum V1 pool, ours or any other.

use std::io::Read as _;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use chimera_pow::Algorithm;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{Exit, say};
use crate::load::{
    self, Compared, LoadError, LoadPlan, LoadReport, NullPlan, NullServer, Shares, Sources,
};
use crate::miner::Endpoint;

/// How to load a pool.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct LoadArgs {
    /// Another thing than loading
    #[command(subcommand)]
    pub command: Option<LoadCommand>,
    /// The pool, e.g. 127.0.0.1:3333 or stratum+tcp://pool.example:3333
    #[arg(short = 'o', long, default_value = "127.0.0.1:3333", value_name = "URL")]
    pub url: Endpoint,
    /// Connections
    #[arg(short, long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections: u32,
    /// Submits each connection has under way; 0 holds them idle
    #[arg(short = 'i', long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(..=65_536))]
    pub in_flight: u32,
    /// Seconds to measure
    #[arg(short, long, default_value_t = 10.0, value_parser = seconds, value_name = "SECONDS")]
    pub seconds: f64,
    /// Seconds of the same load before that, not counted
    #[arg(short, long, default_value_t = 0.0, value_parser = seconds, value_name = "SECONDS")]
    pub warmup: f64,
    /// User name; {n} becomes the number of the connection
    #[arg(short, long, default_value = "load.{n}")]
    pub user: String,
    /// Password; some pools read d=DIFFICULTY in it
    #[arg(short, long, default_value = "x")]
    pub password: String,
    /// Canned: never hashed, for pools where every hash is a share. Mined: hashed
    #[arg(long, default_value = "canned")]
    pub shares: SharesArg,
    /// Proof of work of mined shares: blake2s, sha256d or keccak256
    #[arg(short, long = "algo", default_value = "blake2s")]
    pub algorithm: Algorithm,
    /// So many of a million submits are bad on purpose: unknown job, duplicate, low if mined
    #[arg(long, default_value_t = 0, value_name = "PPM", value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub bad_ppm: u32,
    /// Only open all connections, and end when every one holds its first job
    #[arg(long, conflicts_with_all = ["seconds", "warmup", "in_flight", "jobs", "churn", "cut"])]
    pub storm: bool,
    /// Connections opened at the same time, connect() to the answer to subscribe; 0: all
    #[arg(long, default_value_t = 256, value_name = "N")]
    pub at_once: u32,
    /// Seconds until all must hold a job
    #[arg(long, default_value_t = 60.0, value_parser = seconds, value_name = "SECONDS")]
    pub open_timeout: f64,
    /// End after so many new blocks that came to all connections, or after --seconds
    #[arg(long, value_name = "N")]
    pub jobs: Option<u32>,
    /// Further connections that submit and never read
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub slow_readers: u32,
    /// Connections cut and opened again per second, half by reset, half by closing
    #[arg(long, default_value_t = 0, value_name = "PER_SECOND")]
    pub churn: u32,
    /// Connections cut all at once
    #[arg(long, value_name = "N", requires = "after")]
    pub cut: Option<u32>,
    /// Seconds from the beginning of the measurement to --cut
    #[arg(long, value_name = "SECONDS", value_parser = seconds, requires = "cut")]
    pub after: Option<f64>,
    /// Lost and cut connections stay away
    #[arg(long)]
    pub no_reconnect: bool,
    /// Local addresses to connect from, in turn, e.g. 127.0.1.0/24
    #[arg(long, value_name = "NETWORK")]
    pub source: Option<Sources>,
    /// Event loops
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub threads: u32,
    /// The pool's process: reports its memory and CPU time
    #[arg(long)]
    pub pid: Option<u32>,
    /// The same load at a null server too, in turns; reports the ratio
    #[arg(long, conflicts_with = "storm")]
    pub with_null: bool,
    /// The null server of --with-null writes each answer by itself, as a simple server would
    #[arg(long, requires = "with_null")]
    pub plain_null: bool,
    /// Turns of --with-null
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    /// One JSON object instead of the table
    #[arg(long)]
    pub json: bool,
}

/// What there is besides loading.
#[derive(Debug, Subcommand)]
pub enum LoadCommand {
    /// A server that says yes to every line: the machine's own limit
    Null(NullArgs),
}

/// How to say yes.
#[derive(Debug, Args)]
pub struct NullArgs {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:3333", value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// Event loops
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub threads: u32,
    /// A new block for everybody every so many seconds
    #[arg(long, value_parser = seconds, value_name = "SECONDS")]
    pub job_every: Option<f64>,
    /// Share difficulty
    #[arg(long, default_value_t = 1e-10)]
    pub difficulty: f64,
    /// Write each answer by itself, and not all that a read brought at once
    #[arg(long)]
    pub plain: bool,
    /// Say where it listens as JSON
    #[arg(long)]
    pub json: bool,
    /// End with standard input
    #[arg(long, hide = true)]
    pub child: bool,
}

/// Where shares come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SharesArg {
    /// Never hashed
    Canned,
    /// Hashed to the share target
    Mined,
}

/// A year is more than anybody waits, and bounds the arithmetic.
fn seconds(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    let fits = (0.0..=31_536_000.0).contains(&number);
    fits.then_some(number).ok_or_else(|| "not from 0 to a year".to_owned())
}

/// Loads a pool, or runs the null server, until done or interrupted.
pub async fn load(args: LoadArgs, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    tokio::spawn(async move {
        shutdown.cancelled().await;
        asked.store(true, Ordering::Relaxed);
    });
    // The event loops are ordinary threads; so is the one that steers them.
    let work = tokio::task::spawn_blocking(move || match args.command {
        Some(LoadCommand::Null(args)) => null(&args, &stop),
        None => measured(&args, &stop),
    });
    work.await.context("the load generator broke")?
}

fn measured(args: &LoadArgs, stop: &AtomicBool) -> anyhow::Result<Exit> {
    let found = match plan(args) {
        Ok(plan) if args.with_null => {
            let program = std::env::current_exe().context("this program cannot find itself")?;
            load::compare(&plan, args.rounds, &program, args.plain_null, stop)
                .map(|both| Found::Compared(Box::new(both)))
        }
        Ok(plan) => load::run(&plan, stop).map(|report| Found::One(Box::new(report))),
        Err(error) => {
            say::trouble("load", format_args!("{error:#}"));
            return Ok(Exit::Unreachable);
        }
    };
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            say::trouble("load", &error);
            return Ok(match error {
                LoadError::Unreachable { .. } | LoadError::NotAPool { .. } => Exit::Unreachable,
                LoadError::Files { .. } => Exit::BadConfig,
                LoadError::Closed { .. }
                | LoadError::Refused { .. }
                | LoadError::NoJob { .. }
                | LoadError::Null(_)
                | LoadError::System(_) => Exit::Failed,
            });
        }
    };
    if args.json {
        say::json(&found.to_json());
    } else {
        found.show();
    }
    let (held, asked) = found.pool().held();
    if held < u64::from(asked) {
        if !args.json {
            say::trouble("load", format_args!("only {held} of {asked} connections came to a job"));
        }
        return Ok(Exit::Failed);
    }
    Ok(Exit::Done)
}

enum Found {
    One(Box<LoadReport>),
    Compared(Box<Compared>),
}

impl Found {
    const fn pool(&self) -> &LoadReport {
        match self {
            Self::One(report) => report,
            Self::Compared(compared) => &compared.pool,
        }
    }

    fn to_json(&self) -> serde_json::Value {
        let mut json = self.pool().to_json();
        json["null"] = match self {
            Self::One(_) => json!(null),
            Self::Compared(compared) => json!({
                "ratio": compared.ratio(),
                "null_per_s": compared.null_per_s,
                "pool_per_s": compared.pool_per_s,
                "report": compared.null.to_json(),
            }),
        };
        json
    }

    fn show(&self) {
        for (name, value) in self.pool().lines() {
            say::field(name, value);
        }
        if let Self::Compared(compared) = self {
            let rates = |rates: &[f64]| {
                let rates: Vec<String> = rates.iter().map(|rate| format!("{rate:.0}")).collect();
                rates.join(" ")
            };
            say::field("null/s", rates(&compared.null_per_s));
            say::field("pool/s", rates(&compared.pool_per_s));
            say::field("ratio", format_args!("{:.3}", compared.ratio().unwrap_or(0.0)));
        }
    }
}

fn plan(args: &LoadArgs) -> anyhow::Result<LoadPlan> {
    let Endpoint { host, port } = &args.url;
    let found = (host.as_str(), *port).to_socket_addrs();
    let mut found = found.with_context(|| format!("cannot find {host}"))?;
    let pool = found.next().with_context(|| format!("{host} has no address"))?;
    let time = Duration::from_secs_f64;
    Ok(LoadPlan {
        connections: args.connections,
        in_flight: if args.storm { 0 } else { args.in_flight },
        seconds: time(args.seconds),
        warmup: time(args.warmup),
        user: args.user.clone(),
        password: args.password.clone(),
        shares: match args.shares {
            SharesArg::Canned => Shares::Canned,
            SharesArg::Mined => Shares::Mined(args.algorithm),
        },
        bad_ppm: args.bad_ppm,
        storm: args.storm,
        at_once: args.at_once,
        open_timeout: time(args.open_timeout),
        jobs: args.jobs,
        slow_readers: args.slow_readers,
        churn: args.churn,
        cut: args.cut.zip(args.after.map(time)),
        reconnect: !args.no_reconnect,
        sources: args.source,
        threads: args.threads,
        pid: args.pid,
        ..LoadPlan::new(pool)
    })
}

fn null(args: &NullArgs, stop: &Arc<AtomicBool>) -> anyhow::Result<Exit> {
    let plan = NullPlan {
        plain: args.plain,
        threads: args.threads,
        job_every: args.job_every.map(Duration::from_secs_f64).filter(|every| !every.is_zero()),
        difficulty: args.difficulty,
        ..NullPlan::new(args.listen)
    };
    let server = NullServer::start(&plan)
        .with_context(|| format!("cannot listen at {}: is it in use?", args.listen))?;
    let address = server.address();
    if args.json {
        say::json(&json!({ "listening": address.to_string() }));
    } else {
        say::line(format_args!("the null server listens at {address}"));
    }
    if args.child {
        let stop = Arc::clone(stop);
        std::thread::spawn(move || {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            stop.store(true, Ordering::Relaxed);
        });
    }
    while !stop.load(Ordering::Relaxed) && server.is_running() {
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(if server.is_running() { Exit::Done } else { Exit::Failed })
}
