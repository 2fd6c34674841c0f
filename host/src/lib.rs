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
mod chain;
mod clock;
mod connection;
mod gate;
mod health;
mod policy;
mod recorder;
mod schemes;
mod seats;
mod settler;
mod snapshot;
mod work_feed;
