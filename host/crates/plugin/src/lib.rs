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
mod auth;
mod bindings;
mod cache;
mod class;
mod component;
mod config;
mod difficulty;
mod digest;
mod engines;
mod error;
mod host_state;
mod log;
mod payout;
mod registry;
mod sandbox;
mod shipped;
mod ticker;
mod trap;
mod world;

pub use artifact::{Artifact, ArtifactError, Origin};
pub use auth::{Attempt, AuthPolicy, Decision, Denial, Grant, Protocol};
pub use component::Info;
pub use config::{Diagnostic, Severity};
pub use difficulty::{Batch, DifficultyStrategy, Hello, Verdicts};
pub use digest::{BadDigest, Digest};
pub use engines::{EngineError, Engines};
pub use error::{Cause, PluginError, Refusal};
pub use payout::PayoutScheme;
pub use registry::Registry;
pub use trap::Trap;
