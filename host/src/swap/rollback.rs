//! Back to the last known good: the latest generation before this one that was neither rolled
//! back nor is quarantined.
//!
//! A generation on probation is taken back: what it has settled stays, what it has not (unpaid
//! work, blocks to divide) is its successor's, which begins with the state of the generation
//! that comes back. One that has proven itself is replaced like by any other swap: what was
//! found in its time it settles.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chimera_api::SwapAnswer;
use chimera_store::{Generation, NewSwap, Quarantined, Rollback, Store};

use super::SlotName;
use super::activation::Order;
use super::boot::settings_hash;
use super::manager::Manager;
use super::probation::Probation;
use super::request::{Refused, asked_as, recorded, refusal};
use super::staging::{find_quarantined, load_kept};
use crate::clock::now_ms;

/// How far back a good one is looked for.
const EARLIER_MAX: u32 = 256;
/// When a rollback that did not go is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(30);
/// How long a withdrawal may take to be on record.
const WITHDRAWAL_MAX: Duration = Duration::from_secs(30);
/// How often that is looked at.
const PAUSE: Duration = Duration::from_millis(20);
/// Who asks when counts do.
const BY_PROBATION: &str = "probation";
/// Who makes the generation that comes back.
pub(super) const BY_ROLLBACK: &str = "rollback";

impl Manager {
    /// A generation failed on probation: what was before comes back, and the component is
    /// quarantined. Tried again at the next look if a swap is under way.
    pub(super) async fn failed(self: &Arc<Self>, slot: SlotName, probation: &Probation, why: &str) {
        if self.withdraw(slot).is_some() {
            return;
        }
        let Ok(claim) = self.claim(slot, "the one before", BY_PROBATION) else { return };
        let why = match self.last_error(slot) {
            Some(error) => format!("{why}; the last: {error}"),
            None => why.to_owned(),
        };
        let taken_back = self.take_back(slot, BY_PROBATION, &why).await;
        drop(claim);
        match taken_back {
            Ok(_) => {
                self.forget_probation(slot, probation);
                tracing::error!(%slot, generation = probation.generation.0, why, "rolled back");
            }
            Err(refused) => {
                tracing::error!(%slot, %refused, why, "failed, and cannot be rolled back");
                self.warn(slot, format!("it fails ({why}) and cannot be rolled back: {refused}"));
                // A ledger that was busy is free then; what cannot be loaded costs little.
                self.postpone_probation(slot, TRY_AGAIN);
            }
        }
    }

    /// An operator wants back what was before, or nothing to come of what waits.
    pub(super) async fn roll_back(self: &Arc<Self>, slot: SlotName, by: &str) -> SwapAnswer {
        if let Some(component) = self.withdraw(slot) {
            let begun = Instant::now();
            while self.is_busy(slot) {
                if begun.elapsed() > WITHDRAWAL_MAX {
                    let message = "it is withdrawn, but that is not on record yet; look at \
                                   `chimera plugin history` before the pool is stopped";
                    return refusal(message);
                }
                tokio::time::sleep(PAUSE).await;
            }
            let message = format!("withdrawn: {component}");
            return SwapAnswer { outcome: chimera_api::SwapOutcome::Active, ..refusal(message) };
        }
        let claim = match self.claim(slot, "the one before", by) {
            Ok(claim) => claim,
            Err(refused) => return refusal(refused),
        };
        let answer = match self.take_back(slot, by, &format!("taken back by {by}")).await {
            Ok(answer) => answer,
            Err(refused) => refusal(refused),
        };
        drop(claim);
        answer
    }

    async fn take_back(
        self: &Arc<Self>,
        slot: SlotName,
        by: &str,
        why: &str,
    ) -> Result<SwapAnswer, Refused> {
        let current = self.current(slot).await?;
        let good = last_known_good(&self.store, &current).await?;
        let staged = load_kept(&self.loader, &self.store, slot, &good).await?;
        let name = asked_as(&self.store, &good).await?;
        let asked = NewSwap {
            slot: slot.name().to_owned(),
            component: name.clone(),
            config: good.facts.config.clone(),
            grants: good.life.grants.clone(),
            by: by.to_owned(),
            settings: settings_hash(self.settings(slot)),
        };
        let swap = self.store.begin_swap(&asked, now_ms()).await?;
        let detail = format!("generation {} comes back: {why}", good.id.0);
        staged.record(&self.store, swap, &detail).await?;
        let unproven = current.life.proven_at_ms.is_none();
        let rollback = Rollback {
            why: why.to_owned(),
            undone: unproven,
            quarantine: (by == BY_PROBATION).then(|| quarantine(&current, &good, why)),
        };
        let order = Order {
            slot,
            by: BY_ROLLBACK,
            settings: asked.settings,
            previous: Some(&current),
            heir_of: unproven.then_some(&good),
            rollback: Some(rollback),
            pays_held: self.take_over,
            swap,
        };
        let generation = match self.put_in_force(&order, staged, &name).await {
            Ok(generation) => generation,
            Err(refused) => {
                self.store.end_swap(swap, "refused", &refused.0, now_ms()).await?;
                return Err(refused);
            }
        };
        self.watch(slot, &generation, Some(swap));
        if by == BY_PROBATION {
            let text = format!(
                "{} {} was rolled back and is quarantined: {why}",
                current.facts.name, current.facts.version
            );
            self.warn(slot, text);
        }
        Ok(recorded(&self.store, swap).await)
    }

    fn last_error(&self, slot: SlotName) -> Option<String> {
        match slot {
            SlotName::Payout => self.slots.schemes.current().calls.read().2,
            SlotName::Auth => self.slots.auth.slot.active().calls.read().2,
            SlotName::Difficulty => self.slots.difficulty.slot.active().calls.read().2,
        }
    }
}

/// The whole component, unless the one that comes back is the same under another
/// configuration.
fn quarantine(failed: &Generation, good: &Generation, why: &str) -> Quarantined {
    let same = failed.facts.digest == good.facts.digest;
    Quarantined {
        digest: failed.facts.digest,
        config: same.then(|| failed.facts.config.clone()),
        name: failed.facts.name.clone(),
        why: why.to_owned(),
        since_ms: now_ms(),
    }
}

async fn last_known_good(store: &Store, current: &Generation) -> Result<Generation, Refused> {
    let quarantined = store.quarantined().await?;
    let slot = &current.facts.slot;
    let earlier = store.generations_before(slot, Some(current.id), EARLIER_MAX).await?;
    let same = |generation: &Generation| {
        generation.facts.digest == current.facts.digest
            && generation.facts.config == current.facts.config
            && generation.life.grants == current.life.grants
    };
    let good = earlier.into_iter().find(|generation| {
        let facts = &generation.facts;
        generation.life.rolled_back.is_none()
            && !same(generation)
            && find_quarantined(&quarantined, &facts.digest, &facts.config).is_none()
    });
    good.ok_or_else(|| Refused(format!("nothing good was in force in slot {slot} before")))
}
