//! Chimera: a mining-pool host whose policy is plugins.
//!
//! This package is the composition root: it introduces the crates below `host/crates` to
//! each other. `host/ARCHITECTURE.md` is the map.
#![forbid(unsafe_code)]

pub mod cli;
pub mod commands;
pub mod config;
pub mod lifecycle;
pub mod miner;
pub mod pool;

mod candidates;
mod causes;
mod chain;
mod clock;
mod confine;
mod connection;
mod gate;
mod grants;
mod health;
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
mod traps;
mod work_feed;

pub use causes::causes;
