//! What can be won, and what became of it: rounds come in as templates, solutions go out as
//! blocks, rewards ripen or are orphaned.
//!
//! [`NodeChain`] is the one adapter for every node that speaks getblocktemplate (BIP 22, 23).
//! It asks through [`Rpc`], behind which stands a process across the network ([`HttpRpc`]) or
//! the chain inside this one ([`DevNode`]): both take the same road. How chains of the family
//! differ is a row of the table [`Dialect`].
//!
//! The verb `prepare` of the design has no counterpart here: nobody has to stake or plant
//! anything before mining these chains.
#![forbid(unsafe_code)]

mod block;
mod clock;
mod coinbase;
mod devchain;
mod dialect;
mod gbt;
mod health;
mod http_rpc;
mod merkle;
mod node_chain;
mod payout_script;
mod reward;
mod rounds;
mod rpc;
mod submit;
mod template;
mod templates;
mod transaction;
mod wire;

pub use block::{AssembleError, Block, BlockRef};
pub use clock::{Clock, system_clock};
pub use devchain::{DevChain, DevChainError, DevNode, DevParams, MATURITY_BLOCKS, Tip};
pub use dialect::{BlockId, Dialect};
pub use health::ChainHealth;
pub use http_rpc::{BadUrl, HttpRpc, NodeAuth};
pub use node_chain::{NodeChain, NodeConfig};
pub use payout_script::ConnectError;
pub use reward::RewardState;
pub use rpc::{Rpc, RpcError, RpcFault};
pub use submit::SubmitOutcome;
pub use templates::TemplatesState;

#[cfg(test)]
mod golden;
