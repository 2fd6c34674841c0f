//! `chimera rehearse`: a pool's whole life in one process, on real sockets: virtual miners
//! that truly hash connect, mine and win; blocks ripen; the payout component divides them;
//! the ledger is printed and must balance.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chimera_ledger::BlockState;
use chimera_store::{Balance, Block, Store};
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Exit, say};
use crate::cli::RehearseArgs;
use crate::config::Config;
use crate::miner::{self, Endpoint, Engine, MinerConfig, MinerReport, Output};
use crate::pool::Pool;

/// A rehearsal that has not come to its end by now has failed: the usual few blocks well
/// within half a minute, each further one in some seconds.
const TIME_MAX: Duration = Duration::from_secs(30);
const TIME_PER_BLOCK_MAX: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(100);
/// The first virtual miner's pace; each further one is faster, so that shares differ.
const HASHES_PER_S: u64 = 30_000;
const NAMES: [&str; 8] = ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"];

/// Plays the life and prints it.
pub async fn rehearse(args: RehearseArgs, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    let dir = tempfile::tempdir().context("a temporary directory for the rehearsal")?;
    let story = Story { silent: args.json };
    let pool = Pool::bind(settings(&args, dir.path())?).await?;
    let (address, store) = (pool.addresses().stratum, pool.store());
    story.tell("pool", format_args!("listening at {address}, paying by {}", args.scheme));

    let stop = shutdown.child_token();
    let running = tokio::spawn(pool.run(stop.clone()));
    let leave = stop.child_token();
    let mut miners = JoinSet::new();
    for number in 0..args.miners {
        miners.spawn(miner::run(virtual_miner(args.seed, number, address)?, leave.clone()));
    }
    story.tell("miners", format_args!("{} connected, each with its own hashrate", args.miners));

    let time_max = TIME_MAX.max(TIME_PER_BLOCK_MAX * args.blocks);
    let played = tokio::select! {
        played = play(&store, &args, &story) => played,
        () = shutdown.cancelled() => Err(anyhow::anyhow!("interrupted")),
        () = tokio::time::sleep(time_max) => {
            Err(anyhow::anyhow!("no {} settled blocks within {}s", args.blocks, time_max.as_secs()))
        }
    };
    leave.cancel();
    let reports: Vec<MinerReport> =
        miners.join_all().await.into_iter().collect::<Result<_, _>>()?;
    stop.cancel();
    running.await??;
    played?;

    let accepted: u64 = reports.iter().map(|report| report.accepted).sum();
    // The pool has closed its own.
    let books = Store::open_to_read(&dir.path().join("pool.sqlite")).await?;
    print_ledger(&books, &args, accepted).await
}

/// An embedded pool in a directory of its own, with fast blocks and short ripening.
fn settings(args: &RehearseArgs, dir: &std::path::Path) -> anyhow::Result<Config> {
    let dir = dir.to_str().context("the temporary directory's name is no text")?;
    let settings = [
        ("POOL__DATA_DIR", dir),
        ("STRATUM__LISTEN", "127.0.0.1:0"),
        ("API__LISTEN", "127.0.0.1:0"),
        ("CHAIN__SPACING_S", "1"),
        ("CHAIN__MATURITY", "3"),
        ("PAYOUT__SCHEME", &args.scheme),
        ("PAYOUT__SETTLE_INTERVAL_S", "1"),
        ("DIFFICULTY__RETARGET_INTERVAL_S", "1"),
    ];
    let settings = settings.map(|(key, value)| (format!("CHIMERA_{key}"), value.to_owned()));
    Ok(Config::parse("", &settings)?)
}

/// A miner that truly hashes, at its own pace.
pub(super) fn virtual_miner(
    seed: u64,
    number: u32,
    address: std::net::SocketAddr,
) -> anyhow::Result<MinerConfig> {
    let name = NAMES[number as usize % NAMES.len()];
    let pool: Endpoint = address.to_string().parse()?;
    let mut config = MinerConfig::new(pool, format!("{name}.rig{}", number + 1));
    config.engine = Engine::Task;
    config.hashes_per_s_max = Some(HASHES_PER_S * u64::from(number + 1));
    config.seed = seed.wrapping_add(u64::from(number));
    config.output = Output::Silent;
    Ok(config)
}

/// Tells what happens until enough blocks are settled.
async fn play(store: &Store, args: &RehearseArgs, story: &Story) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut told = BTreeSet::new();
    let mut first_share = false;
    loop {
        if !first_share && store.last_seq().await? > 0 {
            first_share = true;
            story.tell("share", "the first one is accepted and on disk");
        }
        let mut blocks = store.blocks(200, None).await?;
        blocks.reverse();
        for block in &blocks {
            if told.insert((block.number, block.state)) {
                story.block(block, started.elapsed());
            }
        }
        let settled = blocks.iter().filter(|block| block.state == BlockState::Settled).count();
        if settled >= args.blocks as usize {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn print_ledger(store: &Store, args: &RehearseArgs, accepted: u64) -> anyhow::Result<Exit> {
    let balances = store.balances().await?;
    let recorded = store.last_seq().await?;
    let blocks = store.blocks(u32::MAX, None).await?;
    let settled = blocks.iter().filter(|block| block.state == BlockState::Settled).count();
    let sum: i128 = balances.iter().map(Balance::units).sum();
    let verified = store.verify_books().await;
    let balanced = sum == 0 && verified.is_ok() && accepted <= recorded;
    if args.json {
        let ledger: serde_json::Map<_, _> = balances
            .iter()
            .map(|line| (line.account.to_string(), json!(line.units().to_string())))
            .collect();
        say::json(&json!({
            "seed": args.seed,
            "scheme": args.scheme,
            "shares_accepted": accepted,
            "shares_recorded": recorded,
            "blocks_settled": settled,
            "ledger": ledger,
            "books_balance": balanced,
        }));
    } else {
        say::line("");
        say::line(format_args!("The ledger after {settled} settled blocks, in base units:"));
        for line in &balances {
            say::field(&line.account, format_args!("{:>20}", line.units()));
        }
        say::field("sum", format_args!("{sum:>20}"));
        if balanced {
            say::done("ledger", format_args!("balanced; {recorded} shares recorded"));
        } else {
            let cause = verified.err().map(|error| error.to_string()).unwrap_or_default();
            say::trouble("ledger", format_args!("out of balance: {cause}"));
        }
    }
    Ok(if balanced { Exit::Done } else { Exit::Failed })
}

/// The story for people; scripts get the end only.
struct Story {
    silent: bool,
}

impl Story {
    fn tell(&self, what: &str, detail: impl std::fmt::Display) {
        if !self.silent {
            say::done(what, detail);
        }
    }

    fn block(&self, block: &Block, at: Duration) {
        let Block { height, account, state, .. } = block;
        let text = match state {
            BlockState::Candidate => format!("{height} found by {account}, handed to the chain"),
            BlockState::Pending => format!("{height} by {account} is on the chain, ripening"),
            BlockState::Mature => format!("{height} is ripe"),
            BlockState::Settled => {
                let reward = block.reward.map(|reward| reward.to_string()).unwrap_or_default();
                format!("{height} is paid: {reward} base units divided")
            }
            BlockState::Orphaned | BlockState::Rejected | BlockState::Reversed => {
                format!("{height} by {account} came to nothing: {state}")
            }
        };
        self.tell("block", format_args!("{text} ({:.1}s)", at.as_secs_f64()));
    }
}
