//! The command line: what can be asked of the binary.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands::api_url;
use crate::commands::ban::BanCommand;
use crate::commands::load::LoadArgs;
use crate::commands::payout::PayoutCommand;
use crate::commands::plugin::PluginCommand;

/// A mining-pool host whose policy is plugins.
///
/// Exit codes: 0 done, 1 failed, 2 wrong usage, 64 wrong configuration,
/// 69 the pool or node asked is not reachable, 130 interrupted twice.
#[derive(Debug, Parser)]
#[command(name = "chimera", version, about, long_about, max_term_width = 100)]
pub struct Cli {
    /// What to do; without it, run the pool.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options of `run`, which is the default.
    #[command(flatten)]
    pub run: RunArgs,
}

/// What the binary can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the pool (the default)
    Run(RunArgs),
    /// Mine on the CPU, at any Stratum V1 pool
    Mine(MineArgs),
    /// Measure any Stratum V1 pool: shares per second, reply times, storms, new blocks
    Load(Box<LoadArgs>),
    /// Play a pool's whole life in one process: connect, mine, win, mature, pay
    Rehearse(RehearseArgs),
    /// Ask a running pool how it is
    Status(StatusArgs),
    /// Show and change which addresses a running pool lets nobody in from
    #[command(subcommand)]
    Ban(BanCommand),
    /// Replace the running pool by the program as it is now on disk; miners stay connected
    Upgrade(UpgradeArgs),
    /// Check settings without starting anything
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Check, before anybody mines, that nodes, payout address, template, ZMQ and clock are right
    #[command(subcommand)]
    Chain(ChainCommand),
    /// Look again at what the pool paid: export, verify, prove, compare
    #[command(subcommand)]
    Payout(PayoutCommand),
    /// Write, build and try plugins; exchange those of a running pool
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Run the embedded chain as a node of its own, over JSON-RPC
    Devnode(DevnodeArgs),
    /// One settlement, asked on standard input: what the pool starts for each
    #[command(hide = true)]
    Settle {
        /// How long it may compute
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
}

/// How to run the pool.
#[derive(Debug, Args, Clone, Default)]
pub struct RunArgs {
    /// Settings (TOML); without it the embedded default runs on loopback. Given several times:
    /// as many pools in this process, each on its own chain
    #[arg(short, long, env = "CHIMERA_CONFIG", value_name = "FILE")]
    pub config: Vec<PathBuf>,
    /// Print one line of JSON with the bound addresses once miners are served
    #[arg(long)]
    pub json: bool,
}

/// Which pool to replace.
#[derive(Debug, Args)]
pub struct UpgradeArgs {
    /// The settings the pool was started with
    #[arg(short, long, env = "CHIMERA_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// How to mine.
#[derive(Debug, Args)]
pub struct MineArgs {
    /// The pool, e.g. 127.0.0.1:3333 or stratum+tcp://pool.example:3333
    #[arg(short = 'o', long, default_value = "127.0.0.1:3333", value_name = "URL")]
    pub url: String,
    /// Who is paid: account or account.worker
    #[arg(short, long, default_value = "alice.cpu")]
    pub user: String,
    /// Password; some pools read d=DIFFICULTY in it
    #[arg(short, long, default_value = "x")]
    pub password: String,
    /// Proof of work: blake2s, sha256d or keccak256
    #[arg(short, long = "algo", default_value = "blake2s")]
    pub algorithm: chimera_pow::Algorithm,
    /// Threads; all cores if not given
    #[arg(short, long)]
    pub threads: Option<usize>,
    /// Stop after so many accepted shares
    #[arg(long, value_name = "N")]
    pub shares: Option<u64>,
    /// Stop after so many seconds
    #[arg(long, value_name = "SECONDS")]
    pub seconds: Option<u64>,
    /// One JSON object per event instead of the live line
    #[arg(long)]
    pub json: bool,
}

/// How to rehearse.
#[derive(Debug, Args)]
pub struct RehearseArgs {
    /// Where the virtual miners begin in their nonce space
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Virtual miners
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub miners: u32,
    /// Blocks that must be won, matured and paid
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub blocks: u32,
    /// Payout scheme
    #[arg(long, default_value = "payout-pplns")]
    pub scheme: String,
    /// One JSON object at the end instead of the story
    #[arg(long)]
    pub json: bool,
}

/// Whom to ask.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The pool's API
    #[arg(long, default_value = "http://127.0.0.1:8080", value_name = "URL", value_parser = api_url)]
    pub api: String,
    /// The raw answers, as JSON
    #[arg(long)]
    pub json: bool,
}

/// What to do with settings.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check a file, the environment, and that the named plugins accept their configuration
    Check {
        /// Settings (TOML); the embedded default if not given
        #[arg(env = "CHIMERA_CONFIG", value_name = "FILE")]
        config: Option<PathBuf>,
        /// The outcome as JSON
        #[arg(long)]
        json: bool,
    },
}

/// What to do with the chain.
#[derive(Debug, Subcommand)]
pub enum ChainCommand {
    /// Ask every node what the pool will ask, and say what to do about what is wrong
    Check {
        /// Settings (TOML)
        #[arg(short, long, env = "CHIMERA_CONFIG", value_name = "FILE")]
        config: Option<PathBuf>,
        /// The outcome as JSON
        #[arg(long)]
        json: bool,
    },
}

/// How to run the node.
#[derive(Debug, Args)]
pub struct DevnodeArgs {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:18443", value_name = "ADDRESS")]
    pub listen: String,
    /// Where the chain is kept
    #[arg(long, default_value = "devnode-data", value_name = "DIRECTORY")]
    pub data_dir: PathBuf,
    /// Proof of work
    #[arg(long = "algo", default_value = "blake2s")]
    pub algorithm: chimera_pow::Algorithm,
    /// Seconds between blocks it aims at
    #[arg(long, default_value_t = 5)]
    pub spacing_s: u64,
    /// Name callers must log in with
    #[arg(long, requires = "password")]
    pub user: Option<String>,
    /// Password callers must log in with
    #[arg(long, requires = "user")]
    pub password: Option<String>,
    /// Which node it imitates: plain, bitcoin, bitcoin-no-segwit or verge
    #[arg(long, default_value = "plain")]
    pub rules: chimera_chain::DevRules,
    /// Where to publish new tips (hashblock) over ZeroMQ, e.g. 127.0.0.1:28332
    #[arg(long, value_name = "HOST:PORT")]
    pub zmq: Option<String>,
}
