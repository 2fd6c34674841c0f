//! A component under examination: of which class it is, and loaded with what it asks for.

use std::collections::BTreeSet;

use chimera_plugin::{
    Artifact, AuthPolicy, Class, DifficultyStrategy, Engines, Grants, Info, PayoutScheme,
    PluginError, Services, Surface,
};
use serde_json::Value;

/// A component in the class it is examined as.
pub(crate) enum Loaded {
    Payout(PayoutScheme),
    Auth(AuthPolicy),
    Difficulty(DifficultyStrategy),
}

impl Loaded {
    pub(crate) fn load(
        engines: &Engines,
        artifact: &Artifact,
        class: Class,
        config: &str,
        grants: &Grants,
        services: Services,
    ) -> Result<Self, PluginError> {
        match class {
            Class::Payout => {
                PayoutScheme::load(engines, artifact, config, grants).map(Self::Payout)
            }
            Class::Auth => {
                AuthPolicy::load(engines, artifact, config, grants, services).map(Self::Auth)
            }
            Class::Difficulty => {
                DifficultyStrategy::load(engines, artifact, config, grants).map(Self::Difficulty)
            }
        }
    }

    pub(crate) const fn class(&self) -> Class {
        match self {
            Self::Payout(_) => Class::Payout,
            Self::Auth(_) => Class::Auth,
            Self::Difficulty(_) => Class::Difficulty,
        }
    }

    pub(crate) const fn info(&self) -> &Info {
        match self {
            Self::Payout(scheme) => scheme.info(),
            Self::Auth(policy) => policy.info(),
            Self::Difficulty(strategy) => strategy.info(),
        }
    }

    pub(crate) fn canonical(&self) -> &str {
        match self {
            Self::Payout(scheme) => scheme.canonical_config(),
            Self::Auth(policy) => policy.canonical_config(),
            Self::Difficulty(strategy) => strategy.canonical_config(),
        }
    }
}

/// The classes a component's exports make it one of.
pub(crate) fn classes(surface: &Surface) -> Vec<Class> {
    let exports = surface.exports();
    Class::ALL.into_iter().filter(|class| exports.contains(&class.interface())).collect()
}

/// The class a component is examined as: the one it has, or, of several, the one its name
/// begins with.
pub(crate) fn class_of(surface: &Surface, name: &str) -> Option<Class> {
    let classes = classes(surface);
    let prefix = |class: &Class| match class {
        Class::Payout => "payout",
        Class::Auth => "auth",
        Class::Difficulty => "difficulty",
    };
    classes
        .iter()
        .find(|class| name.starts_with(prefix(class)))
        .or_else(|| classes.first())
        .copied()
}

/// Everything a component asks for by its imports; names are those its configuration
/// mentions, and `check`. What is behind them is made for the examination.
pub(crate) fn grants_for(surface: &Surface, config: &str) -> Grants {
    let imports = |interface: &str| {
        surface.imports().iter().any(|name| name.starts_with(&format!("chimera:pool/{interface}@")))
    };
    let mut names = BTreeSet::from(["check".to_owned()]);
    collect_names(&serde_json::from_str(config).unwrap_or(Value::Null), &mut names);
    let mut grants = Grants::none();
    grants.credential = imports("kv") || imports("fetch") || imports("secrets");
    grants.kv = imports("kv");
    if imports("fetch") {
        grants.endpoints.clone_from(&names);
    }
    if imports("secrets") {
        grants.secrets = names;
    }
    grants
}

/// Texts that could name an endpoint or a secret.
fn collect_names(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if Grants::is_name(text) => {
            names.insert(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| collect_names(item, names)),
        Value::Object(fields) => fields.values().for_each(|value| collect_names(value, names)),
        _ => {}
    }
}
