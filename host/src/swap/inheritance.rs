//! Which state a payout generation begins with: its predecessor's, if it is another build or
//! configuration of the same scheme.

use std::sync::Arc;

use chimera_plugin::PayoutScheme;
use chimera_store::{Generation, GenerationId};

/// The state a generation begins with, and whose it was.
pub(super) struct Inherited {
    /// The state, as the new build writes it.
    pub state: Vec<u8>,
    /// The generation it is from, and the state that one had: it must not have moved when the
    /// new one takes over.
    pub from: Option<(GenerationId, Vec<u8>)>,
}

impl Inherited {
    /// A scheme that begins anew. Work its predecessor was asked about that one settles.
    pub(super) const fn nothing() -> Self {
        Self { state: Vec::new(), from: None }
    }
}

/// Lets the scheme take over a copy of its predecessor's state, away from the executor.
///
/// # Errors
/// When the component refuses that state.
pub(super) async fn inherit(
    scheme: &Arc<PayoutScheme>,
    from: &Generation,
) -> Result<Inherited, String> {
    let facts = &from.facts;
    if facts.name != scheme.info().name || facts.state.is_empty() {
        return Ok(Inherited::nothing());
    }
    let (scheme, version, state) = (Arc::clone(scheme), facts.state_version, facts.state.clone());
    let before = state.clone();
    let migrated = tokio::task::spawn_blocking(move || scheme.migrate(version, &state)).await;
    match migrated {
        Ok(Ok(state)) => Ok(Inherited { state, from: Some((from.id, before)) }),
        Ok(Err(error)) => Err(format!("it refuses the state of the one before it: {error}")),
        Err(error) => Err(error.to_string()),
    }
}
