//! A loaded component of any class, and what loading one takes.

use std::sync::Arc;

use chimera_ledger::SchemeKind;
use chimera_plugin::{
    Artifact, ArtifactError, AuthPolicy, DifficultyStrategy, Digest, Engines, Grants, Info,
    PayoutScheme, PluginError, Registry, Services,
};
use chimera_store::NewGeneration;

use super::SlotName;
use crate::config;
use crate::grants::{Overlay, rehearse};

/// What loading a component takes.
#[derive(Clone)]
pub(crate) struct Loader {
    /// The engines, with the compiled components of earlier.
    pub engines: Arc<Engines>,
    /// Where components are found by name.
    pub registry: Registry,
    /// What the host does for an auth policy that was granted it.
    pub services: Services,
    /// What there is to be granted to one.
    pub grantable: Arc<config::Grantable>,
}

/// A component that has accepted its configuration.
pub(crate) enum Candidate {
    /// For the payout slot.
    Payout(PayoutScheme),
    /// For the auth slot.
    Auth(AuthPolicy),
    /// For the difficulty slot.
    Difficulty(DifficultyStrategy),
}

impl Loader {
    /// The component settings name.
    ///
    /// # Errors
    /// When there is none, or it is not the one that is pinned.
    pub(crate) fn find(&self, slot: &config::Slot) -> Result<Artifact, ArtifactError> {
        match slot.digest {
            Some(pinned) => self.registry.find_pinned(&slot.component, pinned),
            None => self.registry.find(&slot.component),
        }
    }

    /// Loads a component for a slot. Compiles it if it was not compiled before: not for an
    /// async thread.
    ///
    /// # Errors
    /// When it is none of that class, asks for more than it is granted, refuses the
    /// configuration, or misbehaves.
    pub(crate) fn load(
        &self,
        slot: SlotName,
        artifact: &Artifact,
        config: &str,
        grants: &Grants,
    ) -> Result<Candidate, PluginError> {
        let engines = &self.engines;
        Ok(match slot {
            SlotName::Payout => {
                Candidate::Payout(PayoutScheme::load(engines, artifact, config, grants)?)
            }
            SlotName::Auth => {
                let services = self.services.clone();
                let load = || AuthPolicy::load(engines, artifact, config, grants, services);
                // What is only being loaded changes nothing outside.
                let (policy, _) = rehearse(&Arc::new(Overlay::default()), load);
                Candidate::Auth(policy?)
            }
            SlotName::Difficulty => {
                Candidate::Difficulty(DifficultyStrategy::load(engines, artifact, config, grants)?)
            }
        })
    }
}

impl Candidate {
    /// What the component says of itself.
    pub(crate) const fn info(&self) -> &Info {
        match self {
            Self::Payout(scheme) => scheme.info(),
            Self::Auth(policy) => policy.info(),
            Self::Difficulty(strategy) => strategy.info(),
        }
    }

    /// The configuration with all defaults filled in.
    pub(crate) fn canonical_config(&self) -> &str {
        match self {
            Self::Payout(scheme) => scheme.canonical_config(),
            Self::Auth(policy) => policy.canonical_config(),
            Self::Difficulty(strategy) => strategy.canonical_config(),
        }
    }

    /// The component's digest.
    pub(crate) const fn digest(&self) -> Digest {
        match self {
            Self::Payout(scheme) => scheme.digest(),
            Self::Auth(policy) => policy.digest(),
            Self::Difficulty(strategy) => strategy.digest(),
        }
    }

    /// Of a payout scheme, what kind.
    pub(crate) const fn kind(&self) -> Option<SchemeKind> {
        match self {
            Self::Payout(scheme) => Some(scheme.plan().kind),
            Self::Auth(_) | Self::Difficulty(_) => None,
        }
    }

    /// What goes on record of it, beginning with this state. Its place is decided there.
    pub(crate) fn facts(&self, slot: SlotName, state: Vec<u8>) -> NewGeneration {
        let info = self.info();
        NewGeneration {
            slot: slot.name().to_owned(),
            digest: *self.digest().as_bytes(),
            name: info.name.clone(),
            version: info.version.clone(),
            config: self.canonical_config().to_owned(),
            kind: self.kind(),
            from_seq: 0,
            state_version: info.state_version,
            state,
        }
    }

    /// What everybody may see of the configuration, JSON; `None` if nothing.
    pub(crate) fn shown_config(&self) -> Option<String> {
        self.info().shown_config(self.canonical_config()).map(|config| config.to_string())
    }

    /// One line for people. It is shown to everybody, and kept.
    pub(crate) fn describe(&self) -> String {
        let info = self.info();
        let config = self.shown_config().unwrap_or_else(|| "(configuration hidden)".to_owned());
        format!("{} {} {config}", info.name, info.version)
    }
}
