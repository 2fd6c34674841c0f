//! The moment a generation takes over: first on record, in one transaction, then in the slot.
//! A crash between the two changes nothing that matters: the next start reads the record.

use std::sync::Arc;
use std::time::Duration;

use chimera_plugin::Digest;
use chimera_store::{
    Generation, GenerationId, Rollback, Store, StoreError, SwapId, TakenOver, Takeover,
};

use super::inheritance::{Inherited, inherit};
use super::request::Refused;
use super::rollback::BY_ROLLBACK;
use super::staging::Staged;
use super::{Candidate, SlotName};
use crate::clock::now_ms;
use crate::policy::{AuthDesk, Calls, DifficultyDesk, Filled};
use crate::schemes::{Scheme, Schemes};

/// Settlements move a scheme's state while its successor takes a copy; so often that is tried.
const COPIES_MAX: u32 = 5;
/// How often it is looked whether the calls of the one before have ended.
const DRAIN_PAUSE: Duration = Duration::from_millis(20);

/// Where components decide.
#[derive(Clone)]
pub(crate) struct Slots {
    /// Payout.
    pub schemes: Arc<Schemes>,
    /// Auth.
    pub auth: Arc<AuthDesk>,
    /// Difficulty.
    pub difficulty: Arc<DifficultyDesk>,
}

/// What shall be put on record.
pub(super) struct Order<'a> {
    /// Which slot.
    pub slot: SlotName,
    /// Who wants it.
    pub by: &'a str,
    /// Hash of the slot's settings.
    pub settings: [u8; 32],
    /// The generation in force.
    pub previous: Option<&'a Generation>,
    /// Whose state a payout scheme takes over; by default the previous one's.
    pub heir_of: Option<&'a Generation>,
    /// What is taken back, if the previous one is.
    pub rollback: Option<Rollback>,
    /// Whether it pays work the previous one cannot, `payout.take_over`.
    pub pays_held: bool,
    /// The swap that ends with it.
    pub swap: SwapId,
}

/// A component that is on record and not yet in its slot.
#[expect(clippy::large_enum_variant, reason = "there is one for a moment")]
pub(super) enum Ready {
    /// For the payout slot.
    Payout(Arc<chimera_plugin::PayoutScheme>),
    /// For the others.
    Other(Candidate),
}

/// Puts a staged component on record as the generation in force.
///
/// # Errors
/// When its state is refused, or the ledger cannot be written. Then nothing has changed.
pub(super) async fn record(
    store: &Store,
    order: &Order<'_>,
    staged: Staged,
) -> Result<(TakenOver, Ready), Refused> {
    let facts = staged.candidate.facts(order.slot, Vec::new());
    let ready = match staged.candidate {
        Candidate::Payout(scheme) => Ready::Payout(Arc::new(scheme)),
        other => Ready::Other(other),
    };
    store.component(&facts.digest, staged.artifact.bytes()).await?;
    let mut takeover = Takeover {
        generation: facts,
        grants: staged.grants.texts(),
        by: order.by.to_owned(),
        settings: order.settings,
        previous: order.previous.map(|generation| generation.id),
        inherits: None,
        rollback: order.rollback.clone(),
        pays_held: order.pays_held,
        swap: Some(order.swap),
        detail: String::new(),
    };
    for copy in 1..=COPIES_MAX {
        let inherited = match (&ready, order.heir_of.or(order.previous)) {
            // The last time without: what it does not know its predecessor settles.
            (Ready::Payout(scheme), Some(from)) if copy < COPIES_MAX => {
                let from = store.generation(from.id).await?;
                match inherit(scheme, &from).await {
                    Ok(inherited) => inherited,
                    // An older build need not read what a newer one wrote; what is wanted back
                    // comes back all the same.
                    Err(why) if order.by == BY_ROLLBACK => {
                        tracing::warn!(why, "a scheme comes back without its state");
                        Inherited::nothing()
                    }
                    Err(why) => return Err(Refused(why)),
                }
            }
            _ => Inherited::nothing(),
        };
        takeover.detail = match &inherited.from {
            Some((from, _)) => format!("takes over the state of generation {}", from.0),
            None => String::new(),
        };
        (takeover.generation.state, takeover.inherits) = (inherited.state, inherited.from);
        match store.take_over(&takeover, now_ms()).await {
            Err(StoreError::GenerationMoved { .. }) if takeover.inherits.is_some() => {}
            taken => return Ok((taken?, ready)),
        }
    }
    Err(Refused("the generation in force changed all the time; try again".to_owned()))
}

impl Slots {
    /// Lets a recorded generation decide from now on. Gives back how its predecessor ends.
    pub(super) fn put(&self, id: GenerationId, about: About, ready: Ready) -> Draining {
        match ready {
            Ready::Payout(scheme) => Draining::Settling(self.schemes.put(Scheme::new(
                id,
                scheme,
                about.origin,
                about.grants,
            ))),
            Ready::Other(other) => match other {
                Candidate::Auth(policy) => {
                    Draining::Auth(self.auth.slot.activate(Arc::new(fill(id, about, policy))))
                }
                Candidate::Difficulty(strategy) => Draining::Difficulty(
                    self.difficulty.slot.activate(Arc::new(fill(id, about, strategy))),
                ),
                Candidate::Payout(_) => unreachable!("record() tells them apart"),
            },
        }
    }

    /// Calls and failures of what is in force in a slot, if it is that generation.
    pub(super) fn counts(&self, slot: SlotName, id: GenerationId) -> Option<(u64, u64)> {
        let (found, calls) = match slot {
            SlotName::Payout => {
                let scheme = self.schemes.current();
                (Some(scheme.generation()), scheme.calls.read())
            }
            SlotName::Auth => {
                let filled = self.auth.slot.active();
                (filled.generation, filled.calls.read())
            }
            SlotName::Difficulty => {
                let filled = self.difficulty.slot.active();
                (filled.generation, filled.calls.read())
            }
        };
        (found == Some(id)).then_some((calls.0, calls.1))
    }

    /// The digest of what is in force.
    pub(super) fn digest(&self, slot: SlotName) -> Digest {
        match slot {
            SlotName::Payout => self.schemes.current().digest(),
            SlotName::Auth => self.auth.slot.active().component.digest(),
            SlotName::Difficulty => self.difficulty.slot.active().component.digest(),
        }
    }
}

/// What is shown of a component beside what it says of itself.
pub(crate) struct About {
    /// Where it came from.
    pub origin: String,
    /// What it may use.
    pub grants: chimera_plugin::Grants,
}

/// A component with its place in the records.
pub(crate) fn fill<T>(id: GenerationId, about: About, component: T) -> Filled<T> {
    Filled {
        generation: Some(id),
        component,
        origin: about.origin,
        grants: about.grants,
        calls: Calls::default(),
    }
}

/// What was in force and may still be at work.
pub(super) enum Draining {
    /// Payout: it stays to settle what was found in its time.
    Settling(Arc<Scheme>),
    /// Auth.
    Auth(Arc<Filled<chimera_plugin::AuthPolicy>>),
    /// Difficulty.
    Difficulty(Arc<Filled<chimera_plugin::DifficultyStrategy>>),
}

impl Draining {
    /// Waits until its calls have ended, then lets go of it away from the executor: unmapping
    /// and zeroing take a while. Says what has become of it.
    pub(super) async fn end(self) -> String {
        match self {
            Self::Settling(scheme) => format!(
                "generation {} settles the blocks that were found in its time",
                scheme.generation().0
            ),
            Self::Auth(filled) => drain(filled).await,
            Self::Difficulty(filled) => drain(filled).await,
        }
    }
}

async fn drain<T: Send + Sync + 'static>(mut filled: Arc<Filled<T>>) -> String {
    let (calls, failures, _) = filled.calls.read();
    let filled = loop {
        match Arc::try_unwrap(filled) {
            Ok(last) => break last,
            Err(shared) => filled = shared,
        }
        tokio::time::sleep(DRAIN_PAUSE).await;
    };
    let generation = filled.generation.map_or(0, |id| id.0);
    // Nobody waits for it.
    drop(tokio::task::spawn_blocking(move || drop(filled)));
    format!("generation {generation} has ended after {calls} calls, {failures} failed")
}
