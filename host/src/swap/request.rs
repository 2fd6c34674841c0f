//! What is asked for, and what has become of it.

use chimera_api::{SwapAnswer, SwapOutcome, SwapStep};
use chimera_plugin::{Digest, Grants};
use chimera_store::{Generation, Store, StoreError, SwapId};

use super::SlotName;
use crate::causes;

/// Something shall take over a slot.
#[derive(Debug, Clone)]
pub(crate) struct SwapRequest {
    /// Which.
    pub slot: SlotName,
    /// A component's name, or the digest of one the ledger keeps.
    pub component: String,
    /// Its configuration, JSON; without it what the component has in force or in the settings.
    pub config: Option<String>,
    /// What it may use; without it what is granted now.
    pub grants: Option<Grants>,
    /// It must be exactly this one.
    pub digest: Option<Digest>,
    /// Who asks.
    pub by: String,
}

/// Why nothing was changed, for people.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(pub String);

impl From<anyhow::Error> for Refused {
    fn from(error: anyhow::Error) -> Self {
        Self(causes(&error))
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self(format!("the ledger: {error}"))
    }
}

/// An answer without a record: nothing was begun.
pub(crate) fn refusal(message: impl ToString) -> SwapAnswer {
    SwapAnswer {
        outcome: SwapOutcome::Refused,
        swap: None,
        generation: None,
        message: Some(message.to_string()),
        steps: Vec::new(),
    }
}

/// The name by which a generation's component was asked for: that of its file.
///
/// # Errors
/// When the ledger cannot be read.
pub(super) async fn asked_as(store: &Store, generation: &Generation) -> Result<String, StoreError> {
    Ok(match store.swap_of(generation.id).await? {
        Some(swap) => store.swap(swap).await?.asked.component,
        None => generation.facts.name.clone(),
    })
}

/// The answer as the record has it.
pub(crate) async fn recorded(store: &Store, swap: SwapId) -> SwapAnswer {
    let swap = match store.swap(swap).await {
        Ok(swap) => swap,
        Err(error) => return refusal(error),
    };
    let outcome = match (swap.outcome.as_deref(), swap.due_ms) {
        (Some("active"), _) => SwapOutcome::Active,
        (Some(_), _) => SwapOutcome::Refused,
        (None, Some(_)) => SwapOutcome::Announced,
        (None, None) => SwapOutcome::Trial,
    };
    let last = swap.steps.last().map(|step| step.detail.clone());
    let steps = swap.steps.into_iter();
    SwapAnswer {
        outcome,
        swap: Some(swap.id.0),
        generation: swap.generation.map(|id| id.0),
        message: last.filter(|_| outcome == SwapOutcome::Refused),
        steps: steps
            .map(|step| SwapStep { step: step.step, at_ms: step.at_ms, detail: step.detail })
            .collect(),
    }
}
