//! What native unit tests of components are written with: a host in memory for what auth
//! policies ask of theirs, and miners for difficulty strategies. Not there on WebAssembly.
//!
//! ```
//! use chimera_plugin_sdk::{kv, testing::Host};
//!
//! let host = Host::new().with_kv().with_secret("jwt", b"key").install();
//! assert_eq!(kv::add("logins", 1, 60).unwrap(), 1);
//! host.pass_s(60);
//! assert_eq!(kv::add("logins", 1, 60).unwrap(), 1);
//! ```

mod auth;
mod host;
mod miner;
mod sessions;
mod store;

pub use auth::{attempt, grant};
pub use host::{Host, Installed};
pub use miner::{Miner, Tick};
pub use sessions::{Sessions, hello};

pub(crate) use host::{kv, log, secret, send};
