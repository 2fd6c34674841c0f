//! Replacing the running program without a miner noticing.
//!
//! ```text
//! old                                    new ("heir"), the same arguments, its stdin a socket
//!  starts it ──────────────────────────▶ reads its settings
//!       ◀──────────────────────────────── ready
//!  freezes: nothing is read any more,
//!  every share is answered, the ledger
//!  and the chain are closed
//!  estate: sessions, jobs, sockets ─────▶ opens the ledger and the chain, goes on
//!       ◀──────────────────────────────── healthy
//!  yours ───────────────────────────────▶ serves
//!  ends
//! ```
//!
//! What miners send meanwhile waits in their sockets. Whatever goes wrong on the right side
//! before `yours`, the left side ends it and goes on with its own estate, as the heir would
//! have. TLS cannot be handed over: such miners are told to come back, and find their seats.

mod estate;
mod heir;
mod record;
mod serve;
mod transfer;

pub(crate) use estate::{ConnectionState, Estate, Frozen, Handed, JobList, Told, Will};
pub(crate) use heir::Testator;
pub(crate) use record::{Outcome, Record};
pub(crate) use serve::{Next, serve};
