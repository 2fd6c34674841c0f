//! One file per command of the command line.

pub mod config_check;
pub mod devnode;
pub mod mine;
pub mod payout;
pub mod plugin;
pub mod rehearse;
pub mod run;
pub mod settle;
pub mod status;

mod arguments;
mod exit;
mod pool_api;
mod say;

pub use exit::Exit;
pub(crate) use pool_api::api_url;
