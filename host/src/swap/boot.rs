//! What a start goes on with.
//!
//! | the slot's settings | the generation in force | the start |
//! |---|---|---|
//! | any | none | takes what the settings name, or fails |
//! | unchanged | brought by a swap while the pool ran | goes on with it |
//! | unchanged | brought by the settings | goes on, or takes the other build they now name |
//! | changed | any | takes what the settings name; a payout scheme with notice is announced |
//!
//! What cannot be taken (it does not load, it is quarantined) is refused on the record, and the
//! start goes on with the last generation that can be. With none it fails.

use std::sync::Arc;

use chimera_kit::vectors::run_carried;
use chimera_plugin::{Artifact, Digest};
use chimera_store::{Generation, NewSwap, Store, SwapId};

use super::activation::{About, Order, Ready, record};
use super::examine::examine;
use super::request::{Refused, SwapRequest, asked_as};
use super::staging::{Staged, check_quarantine, find_quarantined, load, load_kept};
use super::{Candidate, Loader, SlotName};
use crate::clock::now_ms;
use crate::config::{self, Config};

/// Generations that are tried when the latest ones cannot be loaded.
const EARLIER_MAX: u32 = 64;
/// Who asks when the settings do.
pub(super) const BY_SETTINGS: &str = "configuration";

/// Who asks when nothing better can be loaded.
const BY_START: &str = "start";

/// What fills a slot when the pool starts.
pub(crate) struct Opened {
    /// Its generation, as recorded.
    pub generation: Generation,
    /// The component.
    pub ready: Ready,
    /// What is shown of it beside.
    pub about: About,
    /// What the operator should know.
    pub warning: Option<String>,
    /// What the settings want and may only have later.
    pub later: Option<SwapRequest>,
}

/// What a start does about the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    /// The generation in force goes on.
    GoOn,
    /// What the settings name takes over.
    Settings,
}

/// Fills all slots.
///
/// # Errors
/// Which slot cannot be filled, and why.
pub(crate) async fn open_slots(
    store: &Store,
    loader: &Loader,
    config: &Config,
) -> anyhow::Result<[Opened; 3]> {
    abandon(store).await?;
    let mut opened = Vec::with_capacity(SlotName::ALL.len());
    for slot in SlotName::ALL {
        let settings = slot.settings(config);
        let filled = open(store, loader, slot, settings, config).await;
        opened.push(
            filled.map_err(|refused| anyhow::anyhow!(refused.0).context(format!("slot {slot}")))?,
        );
    }
    opened.try_into().map_err(|_| anyhow::anyhow!("three slots are filled"))
}

impl SlotName {
    /// Its part of the settings.
    pub(crate) const fn settings(self, config: &Config) -> &config::Slot {
        match self {
            Self::Payout => &config.payout,
            Self::Auth => &config.auth,
            Self::Difficulty => &config.difficulty,
        }
    }
}

/// What the settings of a slot are recognised by.
pub(super) fn settings_hash(slot: &config::Slot) -> [u8; 32] {
    let digest = slot.digest.map(|digest| digest.to_string());
    let text = serde_json::json!([slot.component, digest, slot.config, slot.grants.texts()]);
    *Digest::of(text.to_string().as_bytes()).as_bytes()
}

/// Swaps a crash or a stop interrupted: what they had not put on record has not happened.
async fn abandon(store: &Store) -> anyhow::Result<()> {
    for swap in store.open_swaps().await? {
        // What was announced stays announced.
        if swap.due_ms.is_none() {
            let detail = "the pool stopped before it was active; nothing had changed";
            store.end_swap(swap.id, "abandoned", detail, now_ms()).await?;
        }
    }
    Ok(())
}

fn course(current: &Generation, settings: [u8; 32], named: Option<&[u8; 32]>) -> Course {
    let unchanged = current.life.settings.is_none_or(|before| before == settings);
    let of_settings = current.life.begun_by == BY_SETTINGS;
    match (unchanged, of_settings) {
        (false, _) => Course::Settings,
        (true, false) => Course::GoOn,
        // Another build of the component by the same name.
        (true, true) if named.is_some_and(|digest| *digest != current.facts.digest) => {
            Course::Settings
        }
        (true, true) => Course::GoOn,
    }
}

async fn open(
    store: &Store,
    loader: &Loader,
    slot: SlotName,
    settings: &config::Slot,
    config: &Config,
) -> Result<Opened, Refused> {
    let current = store.generation_current(slot.name()).await?;
    let (finder, named) = (loader.clone(), settings.clone());
    let found = tokio::task::spawn_blocking(move || finder.find(&named)).await;
    let found = found.map_err(|error| Refused(error.to_string()))?;
    let named = found.as_ref().ok().map(|artifact| *artifact.digest().as_bytes());
    let hash = settings_hash(settings);
    let course = match &current {
        Some(current) => course(current, hash, named.as_ref()),
        None => Course::Settings,
    };
    let mut warning = None;
    if course == Course::Settings {
        let artifact = found.as_ref().map_err(|error| Refused(error.to_string()));
        let taken = match artifact {
            Ok(artifact) => {
                let place = Place { store, loader, slot, settings, hash, config };
                place.take(artifact.clone(), current.as_ref()).await
            }
            Err(refused) => Err(refused),
        };
        match (taken, &current) {
            (Ok(opened), _) => return Ok(opened),
            (Err(refused), None) => return Err(refused),
            (Err(refused), Some(_)) => {
                tracing::error!(%slot, %refused, "the settings cannot be followed");
                warning = Some(format!("what the settings name was refused: {refused}"));
            }
        }
    }
    let Some(current) = current else {
        return Err(Refused("nothing was ever in force".to_owned()));
    };
    let place = Place { store, loader, slot, settings, hash, config };
    place.go_on(current, found.ok(), warning).await
}

/// A slot that is being filled.
struct Place<'a> {
    store: &'a Store,
    loader: &'a Loader,
    slot: SlotName,
    settings: &'a config::Slot,
    hash: [u8; 32],
    config: &'a Config,
}

impl Place<'_> {
    /// Lets what the settings name take over, as a swap on record.
    async fn take(
        &self,
        artifact: Artifact,
        current: Option<&Generation>,
    ) -> Result<Opened, Refused> {
        let (slot, settings) = (self.slot, self.settings);
        self.withdraw_announced().await?;
        let about =
            About { origin: artifact.origin().to_string(), grants: settings.grants.clone() };
        let loaded =
            load(self.loader, slot, artifact, settings.config.clone(), settings.grants.clone());
        let staged = match loaded.await {
            Ok(staged) => staged,
            Err(refused) => {
                self.refuse(&refused).await?;
                return Err(refused);
            }
        };
        if let Some(current) = current.filter(|current| staged.is(current)) {
            // The settings say in other words what is in force.
            self.store.note_settings(current.id, &self.hash).await?;
            return Ok(Opened {
                generation: self.store.generation(current.id).await?,
                ready: ready(staged),
                about,
                warning: None,
                later: None,
            });
        }
        if let Some(current) = current.filter(|_| self.must_wait()) {
            return self.take_later(current).await;
        }
        let swap = self.begin().await?;
        match self.put(swap, staged, current).await {
            Ok((generation, ready)) => {
                Ok(Opened { generation, ready, about, warning: None, later: None })
            }
            Err(refused) => {
                self.store.end_swap(swap, "refused", &refused.0, now_ms()).await?;
                Err(refused)
            }
        }
    }

    /// The settings have changed: what they announced before is not wanted any more.
    async fn withdraw_announced(&self) -> Result<(), Refused> {
        let open = self.store.open_swaps().await?;
        let mine = open.into_iter().filter(|swap| {
            swap.due_ms.is_some()
                && swap.asked.slot == self.slot.name()
                && swap.asked.by == BY_SETTINGS
        });
        for swap in mine {
            let why = "the settings have changed since";
            self.store.end_swap(swap.id, "withdrawn", why, now_ms()).await?;
        }
        Ok(())
    }

    fn must_wait(&self) -> bool {
        self.slot == SlotName::Payout && !self.config.swap.notice.is_zero()
    }

    /// Goes on with what is in force until the notice has passed. Once it is announced, the
    /// settings are followed; until then another start asks again.
    async fn take_later(&self, current: &Generation) -> Result<Opened, Refused> {
        let kept = load_kept(self.loader, self.store, self.slot, current).await?;
        let about =
            About { origin: kept.artifact.origin().to_string(), grants: kept.grants.clone() };
        let later = SwapRequest {
            slot: self.slot,
            component: self.settings.component.clone(),
            config: Some(self.settings.config.clone()),
            grants: Some(self.settings.grants.clone()),
            digest: self.settings.digest,
            by: BY_SETTINGS.to_owned(),
        };
        let generation = self.store.generation(current.id).await?;
        let ready = ready(kept);
        Ok(Opened { generation, ready, about, warning: None, later: Some(later) })
    }

    async fn put(
        &self,
        swap: SwapId,
        staged: Staged,
        current: Option<&Generation>,
    ) -> Result<(Generation, Ready), Refused> {
        check_quarantine(&self.store.quarantined().await?, &staged.candidate)?;
        staged.record(self.store, swap, &staged.candidate.describe()).await?;
        let staged = if current.is_some() {
            let (staged, answered) = prepared(self.loader, self.slot, staged).await?;
            self.store.swap_step(swap, "prepared", &answered, now_ms()).await?;
            staged
        } else {
            // With nothing to fall back on, the operator's word is enough.
            staged
        };
        let order = Order {
            slot: self.slot,
            by: BY_SETTINGS,
            settings: self.hash,
            previous: current,
            heir_of: None,
            rollback: None,
            pays_held: self.config.take_over,
            swap,
        };
        let (taken, ready) = record(self.store, &order, staged).await?;
        if current.is_none() {
            self.store.prove_generation(taken.id, now_ms()).await?;
        }
        tracing::info!(
            slot = %self.slot, generation = taken.id.0, from_share = taken.from_seq,
            "generation begins"
        );
        Ok((self.store.generation(taken.id).await?, ready))
    }

    /// Goes on with the generation in force, or with the latest before it that can be loaded.
    async fn go_on(
        &self,
        current: Generation,
        named: Option<Artifact>,
        mut warning: Option<String>,
    ) -> Result<Opened, Refused> {
        let quarantined = self.store.quarantined().await?;
        let before =
            self.store.generations_before(self.slot.name(), Some(current.id), EARLIER_MAX).await?;
        let mut first_refusal = None;
        for generation in std::iter::once(current.clone()).chain(before) {
            let facts = &generation.facts;
            let failed = find_quarantined(&quarantined, &facts.digest, &facts.config).is_some();
            let earlier = generation.id != current.id;
            if generation.life.rolled_back.is_some() || (failed && earlier) {
                continue;
            }
            let staged = match load_kept(self.loader, self.store, self.slot, &generation).await {
                Ok(staged) => staged,
                Err(refused) => {
                    tracing::error!(slot = %self.slot, generation = generation.id.0, %refused,
                        "a generation cannot be loaded any more");
                    first_refusal.get_or_insert(refused);
                    continue;
                }
            };
            let about =
                About { origin: origin_of(&staged, named.as_ref()), grants: staged.grants.clone() };
            if !earlier {
                return Ok(Opened {
                    generation,
                    ready: ready(staged),
                    about,
                    warning,
                    later: None,
                });
            }
            let why = first_refusal.map(|refused: Refused| refused.0).unwrap_or_default();
            warning.get_or_insert(format!("what was in force cannot be loaded: {why}"));
            let swap = self.begin_again(&generation).await?;
            let order = Order {
                slot: self.slot,
                by: BY_START,
                settings: self.hash,
                previous: Some(&current),
                heir_of: Some(&generation),
                rollback: None,
                pays_held: self.config.take_over,
                swap,
            };
            let (taken, ready) = record(self.store, &order, staged).await?;
            let generation = self.store.generation(taken.id).await?;
            return Ok(Opened { generation, ready, about, warning, later: None });
        }
        Err(first_refusal.unwrap_or_else(|| Refused("nothing can be loaded".to_owned())))
    }

    /// An earlier generation comes back, under the name it was asked for by.
    async fn begin_again(&self, generation: &Generation) -> Result<SwapId, Refused> {
        let asked = NewSwap {
            slot: self.slot.name().to_owned(),
            component: asked_as(self.store, generation).await?,
            config: generation.facts.config.clone(),
            grants: generation.life.grants.clone(),
            by: BY_START.to_owned(),
            settings: self.hash,
        };
        Ok(self.store.begin_swap(&asked, now_ms()).await?)
    }

    async fn begin(&self) -> Result<SwapId, Refused> {
        let asked = NewSwap {
            slot: self.slot.name().to_owned(),
            component: self.settings.component.clone(),
            config: self.settings.config.clone(),
            grants: self.settings.grants.texts(),
            by: BY_SETTINGS.to_owned(),
            settings: self.hash,
        };
        Ok(self.store.begin_swap(&asked, now_ms()).await?)
    }

    async fn refuse(&self, refused: &Refused) -> Result<(), Refused> {
        let swap = self.begin().await?;
        Ok(self.store.end_swap(swap, "refused", &refused.0, now_ms()).await?)
    }
}

fn ready(staged: Staged) -> Ready {
    match staged.candidate {
        Candidate::Payout(scheme) => Ready::Payout(Arc::new(scheme)),
        other => Ready::Other(other),
    }
}

/// The operator knows the file, not what the ledger keeps of it.
fn origin_of(staged: &Staged, named: Option<&Artifact>) -> String {
    match named {
        Some(named) if named.digest() == staged.artifact.digest() => named.origin().to_string(),
        _ => staged.artifact.origin().to_string(),
    }
}

/// Asks a staged component the questions of its class, and those it carries, away from the
/// executor.
///
/// # Errors
/// What it got wrong.
pub(super) async fn prepared(
    loader: &Loader,
    slot: SlotName,
    staged: Staged,
) -> Result<(Staged, String), Refused> {
    let engines = Arc::clone(&loader.engines);
    let asked = tokio::task::spawn_blocking(move || {
        let answered = examine(&staged.candidate).and_then(|answered| {
            let cases = run_carried(&engines, &staged.artifact, slot.class(), &staged.grants)?;
            Ok(if cases == 0 {
                answered
            } else {
                format!("{answered}; its own cases hold: {cases}")
            })
        });
        (staged, answered)
    });
    let (staged, answered) = asked.await.map_err(|error| Refused(error.to_string()))?;
    Ok((staged, answered.map_err(Refused)?))
}

#[cfg(test)]
mod tests {
    use chimera_store::{GenerationId, Life, NewGeneration};

    use super::*;

    #[test]
    fn settings_win_when_they_changed_and_swaps_stay_when_they_did_not() {
        let generation = |by: &str| Generation {
            id: GenerationId(1),
            facts: NewGeneration {
                slot: "auth".to_owned(),
                digest: [1; 32],
                name: "auth-open".to_owned(),
                version: "1".to_owned(),
                config: "{}".to_owned(),
                kind: None,
                from_seq: 0,
                state_version: 0,
                state: Vec::new(),
            },
            begun_at_ms: 0,
            life: Life {
                grants: Vec::new(),
                begun_by: by.to_owned(),
                settings: Some([7; 32]),
                proven_at_ms: None,
                ended_at_ms: None,
                rolled_back: None,
            },
        };
        for (by, settings, named, expected) in [
            ("configuration", [7; 32], Some([1; 32]), Course::GoOn),
            ("configuration", [7; 32], Some([2; 32]), Course::Settings),
            ("configuration", [7; 32], None, Course::GoOn),
            ("configuration", [8; 32], Some([1; 32]), Course::Settings),
            ("operator", [7; 32], Some([2; 32]), Course::GoOn),
            ("operator", [8; 32], Some([2; 32]), Course::Settings),
            ("rollback", [7; 32], Some([2; 32]), Course::GoOn),
            ("directory", [8; 32], None, Course::Settings),
        ] {
            let found = course(&generation(by), settings, named.as_ref());
            assert_eq!(found, expected, "{by} {settings:?} {named:?}");
        }
    }
}
