//! Chimera: a mining-pool host whose policy is plugins.
//!
//! This package is the composition root: it introduces the crates below `host/crates` to
//! each other. `host/ARCHITECTURE.md` is the map.
#![forbid(unsafe_code)]

pub mod cli;
pub mod commands;
pub mod config;
pub mod lifecycle;
pub mod load;
pub mod miner;
pub mod pool;

mod bans;
mod candidates;
mod causes;
mod chain;
mod clock;
mod confine;
mod gate;
mod grants;
mod health;
mod listening;
mod open_files;
mod policy;
mod recorder;
mod reserve;
mod retries;
mod schemes;
mod seats;
mod settle_frame;
mod settle_process;
mod settler;
mod snapshot;
mod swap;
mod totals;
mod traps;
mod upgrade;
mod work_feed;

pub use causes::causes;
