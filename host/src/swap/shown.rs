//! What the API shows of the slots.

use chimera_api::{Plugin, PluginPhase};
use chimera_plugin::{Digest, Grants, Info};

use super::SlotName;
use super::manager::{Manager, Phase};

/// What fills each slot, how it is doing, and what is about to take over.
pub(crate) fn shown(manager: &Manager) -> Vec<Plugin> {
    let slots = &manager.slots;
    let scheme = slots.schemes.current();
    let (policy, strategy) = (slots.auth.slot.active(), slots.difficulty.slot.active());
    let plugin = |slot: SlotName, component: Component<'_>| {
        let (calls, failures, last_error) = component.calls;
        let (phase, next) = manager.phase(slot);
        Plugin {
            slot: slot.name().to_owned(),
            name: component.info.name.clone(),
            version: component.info.version.clone(),
            digest: component.digest.to_string(),
            origin: component.origin.to_owned(),
            description: component.info.description.clone(),
            config: component.info.shown_config(component.config).unwrap_or_default(),
            calls,
            failures,
            last_error,
            generation: component.generation.unwrap_or_default(),
            grants: component.grants.texts(),
            phase: phase.into(),
            next: next.map(PluginPhase::from),
        }
    };
    vec![
        plugin(
            SlotName::Payout,
            Component {
                info: scheme.info(),
                digest: scheme.digest(),
                config: scheme.config(),
                origin: &scheme.origin,
                grants: &scheme.grants,
                generation: Some(scheme.generation().0),
                calls: scheme.calls.read(),
            },
        ),
        plugin(
            SlotName::Auth,
            Component {
                info: policy.component.info(),
                digest: policy.component.digest(),
                config: policy.component.canonical_config(),
                origin: &policy.origin,
                grants: &policy.grants,
                generation: policy.generation.map(|id| id.0),
                calls: policy.calls.read(),
            },
        ),
        plugin(
            SlotName::Difficulty,
            Component {
                info: strategy.component.info(),
                digest: strategy.component.digest(),
                config: strategy.component.canonical_config(),
                origin: &strategy.origin,
                grants: &strategy.grants,
                generation: strategy.generation.map(|id| id.0),
                calls: strategy.calls.read(),
            },
        ),
    ]
}

/// What all classes have in common.
struct Component<'a> {
    info: &'a Info,
    digest: Digest,
    config: &'a str,
    origin: &'a str,
    grants: &'a Grants,
    generation: Option<u32>,
    calls: (u64, u64, Option<String>),
}

impl From<Phase> for PluginPhase {
    fn from(phase: Phase) -> Self {
        Self { name: phase.name.to_owned(), detail: phase.detail, until_ms: phase.until_ms }
    }
}
