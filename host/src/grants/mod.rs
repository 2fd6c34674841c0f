//! What the operator lets auth policies use: values kept for them, endpoints and secrets, by
//! name. Which of them a component sees, its grants decide.
//!
//! While a component is on trial nothing of it reaches the outside: see `rehearsal`.

mod address;
mod fetch;
mod kv;
mod rehearsal;
mod request;

use std::collections::BTreeMap;
use std::sync::Arc;

use chimera_plugin::{Secrets, Services};
use chimera_store::Store;

use crate::config::{Capabilities, Secret};

pub(crate) use fetch::may_be_at;
pub(crate) use rehearsal::{Overlay, rehearse};

/// The services of the auth slot.
///
/// # Errors
/// When TLS cannot be set up.
pub(crate) fn services(
    capabilities: &Capabilities,
    store: &Arc<Store>,
) -> anyhow::Result<Services> {
    Ok(Services {
        kv: Some(Arc::new(kv::SlotValues::new("auth", store))),
        fetch: Some(Arc::new(fetch::Endpoints::new(&capabilities.endpoints)?)),
        secrets: Some(Arc::new(Kept(capabilities.secrets.clone()))),
    })
}

/// The operator's secrets.
struct Kept(BTreeMap<String, Secret>);

impl Secrets for Kept {
    fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.0.get(name).map(|secret| secret.bytes().to_vec())
    }
}
