//! `chimera devnode`: the embedded chain as a node of its own, over JSON-RPC.

use std::os::unix::fs::DirBuilderExt as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chimera_chain::{
    DevChain, DevNode, DevParams, DevRules, SimServer, ZmqPublisher, system_clock,
};
use tokio_util::sync::CancellationToken;

use super::{Exit, say};
use crate::chain::open_dev_chain;
use crate::cli::DevnodeArgs;

/// Serves getblocktemplate, submitblock, getblock and the rest until interrupted.
pub async fn devnode(args: DevnodeArgs, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    // The wallet's seed lies in it.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&args.data_dir)
        .with_context(|| format!("cannot create --data-dir {}", args.data_dir.display()))?;
    let node = open(&args)?;
    let _publisher = match &args.zmq {
        None => None,
        Some(address) => {
            let bound = ZmqPublisher::bind(&node, address).await;
            Some(bound.with_context(|| format!("cannot publish at --zmq {address}"))?)
        }
    };
    let login = args.user.clone().zip(args.password.clone());
    let server = SimServer::start(node.clone(), &args.listen, login)
        .await
        .with_context(|| format!("cannot listen at --listen {}", args.listen))?;
    greet(&args, &node, &server.url());
    shutdown.cancelled().await;
    server.stop().await;
    Ok(Exit::Done)
}

fn open(args: &DevnodeArgs) -> anyhow::Result<DevNode> {
    let (algorithm, spacing) = (args.algorithm, Duration::from_secs(args.spacing_s));
    if args.rules == DevRules::Plain {
        return Ok(open_dev_chain(&args.data_dir, algorithm, spacing)?);
    }
    // A regtest: the spacing has no meaning where the difficulty never changes.
    let params = DevParams { algorithm, ..DevParams::regtest(args.rules) };
    Ok(DevNode::new(Arc::new(DevChain::open(&args.data_dir, params)?), system_clock()))
}

fn greet(args: &DevnodeArgs, node: &DevNode, url: &str) {
    say::done("devnode", format_args!("{url}, height {}", node.chain().tip().borrow().height));
    say::line("Ask it as you would ask Bitcoin Core:");
    let login = args.user.as_deref().map(|user| format!("--user {user} ")).unwrap_or_default();
    let curl = |body: &str| say::line(format_args!("  curl -s {login}--data '{body}' {url}"));
    curl("{\"id\":1,\"method\":\"getnewaddress\",\"params\":[]}");
    say::line("Let it fail, or let something happen to it:");
    curl("{\"method\":\"simulate\",\"params\":[{\"fault\":\"slow\",\"ms\":500,\"times\":3}]}");
}
