//! From settings to a connected chain, embedded or across the network.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chimera_chain::{
    BadUrl, ConnectError, DevChain, DevChainError, DevNode, DevParams, HttpRpc, NodeChain,
    NodeConfig, NodeEndpoint, Rpc, TemplatesState, system_clock,
};
use chimera_pow::Algorithm;
use chimera_work::NonceLayout;

use crate::config::{Chain, DevChain as DevSettings, NodeAddress, Nodes};

/// The embedded chain answers from memory, so its tip is asked for often; it announces new
/// blocks by itself.
const EMBEDDED_POLL: Duration = Duration::from_secs(1);
/// How often the embedded chain's template is renewed: a new job, with the time of day.
const EMBEDDED_REFRESH: Duration = Duration::from_secs(15);

/// Why there is no chain to mine on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChainError {
    /// The embedded chain cannot be opened.
    #[error(transparent)]
    Embedded(#[from] DevChainError),
    /// A node's address is none.
    #[error(transparent)]
    Url(#[from] BadUrl),
    /// The file of the authority that signed a node's certificate.
    #[error("cannot read ca_file {}: {cause}", path.display())]
    Authority {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// No node lets the pool mine.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

/// Opens an embedded chain kept in a directory.
///
/// # Errors
/// When its rules make no chain, or its file cannot be read or written.
pub(crate) fn open_dev_chain(
    directory: &Path,
    algorithm: Algorithm,
    spacing: Duration,
) -> Result<DevNode, DevChainError> {
    let spacing_s = u32::try_from(spacing.as_secs()).unwrap_or(u32::MAX);
    let params = DevParams { algorithm, spacing_s, ..DevParams::default() };
    Ok(DevNode::new(Arc::new(DevChain::open(directory, params)?), system_clock()))
}

/// Connects the chain the settings name. `tag` goes into the blocks.
///
/// # Errors
/// When the chain cannot be opened or reached, or does not know the payout address (T8).
pub(crate) async fn connect(
    settings: &Chain,
    data_dir: &Path,
    tag: &str,
    layout: NonceLayout,
    handed: Option<TemplatesState>,
) -> Result<NodeChain, ChainError> {
    let profile = settings.profile();
    let config = match settings {
        Chain::Dev(DevSettings { algorithm, spacing, payout_address, .. }) => {
            let node = open_dev_chain(&data_dir.join("devchain"), *algorithm, *spacing)?;
            NodeConfig {
                payout_address: payout_address.clone(),
                poll_interval: EMBEDDED_POLL,
                refresh_interval: EMBEDDED_REFRESH,
                ..NodeConfig::new([Rpc::Embedded(node)], profile)
            }
        }
        Chain::Nodes(settings) => node_config(settings)?,
    };
    let config = NodeConfig { tag: format!("/{tag}/"), layout, ..config };
    Ok(NodeChain::go_on(config, system_clock(), handed).await?)
}

/// The settings as the adapter takes them, without tag.
pub(crate) fn node_config(settings: &Nodes) -> Result<NodeConfig, ChainError> {
    let nodes = settings.nodes.iter().map(endpoint).collect::<Result<Vec<_>, _>>()?;
    Ok(NodeConfig {
        payout_address: Some(settings.payout_address.clone()),
        confirmations: settings.maturity,
        poll_interval: settings.poll,
        refresh_interval: settings.refresh,
        empty_block_first: settings.empty_block_first,
        ..NodeConfig::new(nodes, settings.profile.clone())
    })
}

fn endpoint(node: &NodeAddress) -> Result<NodeEndpoint, ChainError> {
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|cause| ChainError::Authority { path: path.clone(), cause })
    };
    let authority = node.authority.as_ref().map(read).transpose()?;
    let rpc = HttpRpc::new(&node.url, node.auth.clone(), authority.as_deref())?;
    Ok(NodeEndpoint { rpc: Rpc::Http(rpc), zmq: node.zmq.clone() })
}
