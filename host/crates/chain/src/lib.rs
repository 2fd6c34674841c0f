//! What can be won, and what became of it: rounds come in as templates, solutions go out as
//! blocks, rewards ripen or are orphaned.
//!
//! [`NodeChain`] is the one adapter for every node that speaks getblocktemplate (BIP 22, 23).
//! It asks through [`Rpc`], behind which stands a process across the network ([`HttpRpc`]) or
//! the chain inside this one ([`DevNode`]): both take the same road. How chains of the family
//! differ is data: a [`Profile`].
//!
//! The verb `prepare` of the design has no counterpart here: nobody has to stake or plant
//! anything before mining these chains.
#![forbid(unsafe_code)]

mod address;
mod announcements;
mod block;
mod board;
mod clock;
mod coinbase;
mod devchain;
mod empty_block;
mod examine;
mod follow;
mod gbt;
mod health;
mod http_rpc;
mod merkle;
mod node_chain;
mod payout_script;
mod profile;
mod reward;
mod rpc;
mod submit;
mod template;
mod templates;
mod transaction;
mod validate;
mod wire;

pub use address::{BadAddress, Prefixes};
pub use block::{AssembleError, Block, BlockRef};
pub use board::{Announcements, NodeState, NodeView};
pub use clock::{Clock, system_clock};
pub use devchain::{
    Action, DevChain, DevChainError, DevNode, DevParams, DevRules, Fault, FaultRule, Faults,
    MATURITY_BLOCKS, SimServer, Tip, UnknownRules, ZmqPublisher,
};
pub use examine::{Finding, Verdict, examine};
pub use health::ChainHealth;
pub use http_rpc::{BadUrl, HttpRpc, NodeAuth};
pub use node_chain::{Flow, NodeChain, NodeConfig, NodeEndpoint};
pub use payout_script::ConnectError;
pub use profile::{
    BadProfile, BlockId, CoinbaseRules, HeaderRules, PayTo, Profile, Schedule, TemplateRules,
};
pub use reward::RewardState;
pub use rpc::{Rpc, RpcError, RpcFault};
pub use submit::SubmitOutcome;
pub use templates::TemplatesState;

#[cfg(test)]
mod golden;
