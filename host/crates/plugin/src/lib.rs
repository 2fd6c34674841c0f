//! Policy in a sandbox: payout schemes, auth policies and difficulty strategies as
//! WebAssembly components (`wit/`), and everything that keeps a bad one from hurting.
//!
//! The only crate that names wasmtime. It never waits on anything but the component
//! itself: callers on an async runtime call it from a blocking thread.
//!
//! ```text
//! Registry -> Artifact -> PayoutScheme::load(&Engines, &Artifact, config) -> settle(&Request)
//!                         AuthPolicy::load(..)                            -> authorize(&Attempt)
//!                         DifficultyStrategy::load(..)                    -> initial, retarget
//! ```

mod artifact;
mod asks;
mod auth;
mod bindings;
mod bundle;
mod cache;
mod class;
mod component;
mod config;
mod difficulty;
mod digest;
mod engines;
mod error;
mod fuel;
mod granted;
mod grants;
mod host_state;
mod interface;
mod log;
mod payout;
mod places;
mod pool;
mod post_mortem;
mod redaction;
mod registry;
mod replay;
mod sandbox;
mod services;
mod shipped;
mod ticker;
mod trap;
mod units;
mod waiting;
mod wasi;
mod world;

pub use artifact::{Artifact, ArtifactError, Origin};
pub use asks::Asks;
pub use auth::{Attempt, AuthPolicy, Decision, Denial, Grant, Protocol};
pub use bundle::{Answer, BadBundle, CallBundle, Failure, Outcome, Question};
pub use class::Class;
pub use component::Info;
pub use config::{Diagnostic, Severity};
pub use difficulty::{Batch, DifficultyStrategy, Hello, Verdicts};
pub use digest::{BadDigest, Digest};
pub use engines::{EngineError, Engines};
pub use error::{Cause, PluginError, Refusal};
pub use grants::{BadGrant, Grants};
pub use interface::{InterfaceDiff, Mismatch, Surface};
pub use payout::{PayoutScheme, Usage};
pub use post_mortem::{CoreDump, Frame, PostMortem};
pub use registry::Registry;
pub use replay::ReplayOutcome;
pub use services::{
    Fetch, FetchCall, FetchError, FetchReply, KeyValue, KvError, Secrets, Services,
};
pub use trap::Trap;
