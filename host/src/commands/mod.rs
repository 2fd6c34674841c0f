//! One file per command of the command line.

pub mod ban;
pub mod chain_check;
pub mod config_check;
pub mod devnode;
pub mod load;
pub mod mine;
pub mod payout;
pub mod plugin;
pub mod rehearse;
pub mod run;
pub mod settle;
pub mod status;
pub mod upgrade;

mod admin;
mod arguments;
mod exit;
mod pool_api;
mod run_many;
mod say;

pub use exit::Exit;
pub(crate) use pool_api::api_url;
