//! Exchanging a slot's component, configuration or grants while the pool runs.
//!
//! | step | what | file |
//! |---|---|---|
//! | requested | by the API, the directory, the configuration; one at a time per slot | `manager.rs` |
//! | staged | found, read once, compiled off the executor, kept in the ledger | `staging.rs` |
//! | prepared | answered the host's questions of its class | `examine.rs` |
//! | shadow | payout: recent settlements again; auth, difficulty: beside the one in force | `replay.rs`, `trial.rs` |
//! | canary | auth, difficulty: decides for some | `trial.rs` |
//! | announced | payout: takes effect later | `manager.rs` |
//! | active | one transaction writes the generation, then the slot turns | `activation.rs` |
//! | drained | the one before is let go of when its calls have ended | `activation.rs` |
//! | proven, or rolled back | its failures are counted | `probation.rs`, `rollback.rs` |
//!
//! Until `active` nothing has changed; after it everything has. Which generation a start goes
//! on with is decided in `boot.rs`.

mod activation;
mod admin;
mod boot;
mod candidate;
mod directory;
mod examine;
mod inheritance;
mod manager;
mod opening;
mod probation;
mod replay;
mod request;
mod rollback;
mod shown;
mod slot_name;
mod staging;
mod tidying;
mod token;
mod trial;

pub(crate) use admin::Commands;
pub(crate) use candidate::{Candidate, Loader};
pub(crate) use manager::{Manager, Slots};
pub(crate) use opening::{describe_slots, doors, fill_slots, loader};
pub(crate) use shown::shown;
pub(crate) use slot_name::SlotName;
pub(crate) use token::token_path;
