//! Windows into the pool: REST, health, Prometheus metrics; and the few doors of [`Admin`].
//! The only crate that names axum.
//!
//! Two sources, no locks: the [`Snapshot`] the host publishes about once per second, and
//! the ledger in the store. Status and health answer in every state of the pool, also
//! before there is a store. Every number is finite; amounts are whole base units in
//! decimal text, with the same in coins beside them for people.
#![forbid(unsafe_code)]

mod admin;
mod amount;
mod bans;
mod blocks;
mod error;
mod health;
mod history;
mod luck;
mod metrics;
mod miners;
mod page;
mod payouts;
mod plugins;
mod prometheus;
mod rate;
mod router;
mod serve;
mod snapshot;
mod stats;
mod status;

pub use admin::{
    Admin, AdminAnswer, AdminCommand, AdminRequest, SwapAnswer, SwapBody, SwapOutcome, SwapStep,
};
pub use prometheus::{Kind, METRICS, Metric};
pub use router::{Live, ROUTES, Route, router};
pub use serve::serve;
pub use snapshot::{
    Addresses, Chain, Coin, ComponentHealth, ComponentState, Lifecycle, MinersWork, Node, Plugin,
    PluginPhase, Policies, ReplyLatency, Sessions, ShareLog, Snapshot, TrialCounts,
};
