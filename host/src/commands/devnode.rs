//! `chimera devnode`: the embedded chain as a node of its own, over JSON-RPC.

use std::os::unix::fs::DirBuilderExt as _;
use std::time::Duration;

use anyhow::Context as _;
use chimera_api::{BasicAuth, RpcAnswer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Exit, say};
use crate::chain::open_dev_chain;
use crate::cli::DevnodeArgs;

/// Serves getblocktemplate, submitblock, getblock and the rest until interrupted.
pub async fn devnode(args: DevnodeArgs, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    let DevnodeArgs { listen, data_dir, algorithm, spacing_s, user, password } = args;
    // The wallet's seed lies in it.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&data_dir)
        .with_context(|| format!("cannot create --data-dir {}", data_dir.display()))?;
    let node = open_dev_chain(&data_dir, algorithm, Duration::from_secs(spacing_s))?;
    let listener = TcpListener::bind(&listen)
        .await
        .with_context(|| format!("cannot listen at --listen {listen}"))?;
    let address = listener.local_addr()?;
    say::done(
        "devnode",
        format_args!("http://{address}, height {}", node.chain().tip().borrow().height),
    );
    say::line("Ask it as you would ask Bitcoin Core:");
    let login = user.as_deref().map(|user| format!("--user {user} ")).unwrap_or_default();
    say::line(format_args!(
        "  curl -s {login}--data '{{\"id\":1,\"method\":\"getnewaddress\",\"params\":[]}}' http://{address}"
    ));
    let login = user.zip(password).map(|(user, password)| BasicAuth::new(&user, &password));
    let handler = move |request| -> RpcAnswer {
        let node = node.clone();
        Box::pin(async move { node.serve(request).await })
    };
    let router = chimera_api::json_rpc_router(login, handler);
    chimera_api::serve(listener, router, shutdown.cancelled_owned()).await?;
    Ok(Exit::Done)
}
