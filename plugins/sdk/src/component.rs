//! What every component says of itself.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Diagnostic, PluginError};

/// A component, whatever its world.
pub trait Component {
    /// Its configuration. Every field needs a default, `deny_unknown_fields` keeps typing
    /// errors from passing silently, and serializing must lose nothing.
    type Config: DeserializeOwned + Serialize + 'static;

    /// Its name, as operators write it, e.g. `payout-pplns`.
    const NAME: &'static str;
    /// Its version: `env!("CARGO_PKG_VERSION")`.
    const VERSION: &'static str;
    /// One sentence for people.
    const DESCRIPTION: &'static str;
    /// JSON Schema (draft 2020-12) of the configuration; the descriptions of its
    /// properties are the hints of diagnostics.
    const CONFIG_SCHEMA: &'static str;
    /// Version of the state bytes this build writes.
    const STATE_VERSION: u32 = 1;
    /// Oldest state version [`Component::migrate`] accepts.
    const STATE_ACCEPTS_SINCE: u32 = Self::STATE_VERSION;

    /// What is wrong with a configuration of the right shape; nothing if it is good.
    fn check(config: &Self::Config) -> Vec<Diagnostic> {
        let _ = config;
        Vec::new()
    }

    /// Turns state written by an older build into this build's.
    ///
    /// # Errors
    /// When the version is not one this build knows.
    fn migrate(since: u32, state: Vec<u8>) -> Result<Vec<u8>, PluginError> {
        if since == Self::STATE_VERSION {
            return Ok(state);
        }
        Err(PluginError::Unsupported(format!(
            "state of version {since}; {} {} reads version {}",
            Self::NAME,
            Self::VERSION,
            Self::STATE_VERSION
        )))
    }
}
