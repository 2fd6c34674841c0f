//! Staging: the bytes are read once, and everything that follows is about those bytes,
//! whatever becomes of the file.

use anyhow::Context as _;
use chimera_plugin::{Artifact, Cause, Digest, Grants, PluginError};
use chimera_store::{Generation, Quarantined, Store, StoreError, SwapId};

use super::directory::BY_DIRECTORY;
use super::request::{Refused, SwapRequest};
use super::{Candidate, Loader, SlotName};
use crate::clock::now_ms;
use crate::config::{self, NotThere};

/// A component that is loaded and decides nothing yet.
pub(crate) struct Staged {
    /// Its bytes, and where they came from.
    pub artifact: Artifact,
    /// The component.
    pub candidate: Candidate,
    /// What it may use.
    pub grants: Grants,
}

impl Staged {
    /// Puts the component on record as what a swap has found.
    pub(crate) async fn record(
        &self,
        store: &Store,
        swap: SwapId,
        detail: &str,
    ) -> Result<(), StoreError> {
        let (digest, shown) = (self.candidate.digest(), self.candidate.shown_config());
        let config = (self.candidate.canonical_config(), shown.as_deref());
        let bytes = (digest.as_bytes(), self.artifact.bytes());
        let grants = self.grants.texts();
        store.stage_swap(swap, bytes, config, &grants, detail, now_ms()).await
    }

    /// Whether it is what a generation is: component, canonical configuration and grants.
    pub(crate) fn is(&self, generation: &Generation) -> bool {
        generation.facts.digest == *self.candidate.digest().as_bytes()
            && generation.facts.config == self.candidate.canonical_config()
            && generation.life.grants == self.grants.texts()
    }
}

/// Finds the component of a request and loads it.
///
/// # Errors
/// Why it is refused; nothing was changed.
pub(crate) async fn stage(
    loader: &Loader,
    store: &Store,
    request: &SwapRequest,
    in_force: &Generation,
    settings: &config::Slot,
) -> Result<Staged, Refused> {
    let artifact = match request.component.parse::<Digest>() {
        Ok(digest) => kept(store, &digest, &request.component).await?,
        Err(_) => find(loader, &request.component).await?,
    };
    let artifact = match request.digest {
        Some(pinned) => artifact.pinned(pinned).map_err(|error| Refused(error.to_string()))?,
        None => artifact,
    };
    if request.by == BY_DIRECTORY
        && let Some(pinned) = settings.digest
        && pinned != artifact.digest()
    {
        return Err(Refused(format!("the settings pin another build: {pinned}")));
    }
    let grants = match &request.grants {
        Some(grants) => grants.clone(),
        // Another component gets nothing it was not given by name.
        None if in_force.facts.name == artifact.name() => {
            Grants::parse(&in_force.life.grants).map_err(|error| Refused(error.to_string()))?
        }
        None if settings.component == artifact.name() => settings.grants.clone(),
        None => Grants::none(),
    };
    let only_interpreted = Grants { interpreted: grants.interpreted, ..Grants::none() };
    if request.slot != SlotName::Auth && grants != only_interpreted {
        let slot = request.slot;
        return Err(Refused(format!(
            "slot {slot} can be granted \"interpreted\" only, not {}",
            grants.texts().join(", ")
        )));
    }
    if let Some(NotThere { grant, right }) = loader.grantable.missing(&grants).first() {
        return Err(Refused(format!(
            "{grant} cannot be granted: {right} and start the pool again"
        )));
    }
    let config = match &request.config {
        Some(config) => config.clone(),
        None => known_config(&artifact, in_force, settings),
    };
    let staged = load(loader, request.slot, artifact, config, grants).await?;
    check_quarantine(&store.quarantined().await?, &staged.candidate)?;
    Ok(staged)
}

/// Loads away from the executor. Why it is refused is shown to everybody, and kept: without
/// what the configuration hides.
///
/// # Errors
/// What is wrong with the component, its configuration or its grants.
pub(crate) async fn load(
    loader: &Loader,
    slot: SlotName,
    artifact: Artifact,
    config: String,
    grants: Grants,
) -> Result<Staged, Refused> {
    let loader = loader.clone();
    let loading = tokio::task::spawn_blocking(move || {
        let candidate = loader.load(slot, &artifact, &config, &grants)?;
        Ok::<_, PluginError>(Staged { artifact, candidate, grants })
    });
    match loading.await {
        Ok(Ok(staged)) => Ok(staged),
        Ok(Err(error)) => Err(Refused(format!("{}{}", error.shown(), how_to_grant(&error)))),
        Err(error) => Err(Refused(error.to_string())),
    }
}

/// What a swap would have to say besides, when a component asks for more than it is granted.
fn how_to_grant(error: &PluginError) -> String {
    match &error.cause {
        Cause::NotGranted { grants, .. } => {
            let flags = grants.iter().map(|grant| format!("--grant {}", grant.trim_matches('"')));
            format!("; or with a swap: {}", flags.collect::<Vec<_>>().join(" "))
        }
        _ => String::new(),
    }
}

/// Loads what a generation on record was, from the bytes that were kept of it.
///
/// # Errors
/// When they are missing, or the component is refused by now.
pub(crate) async fn load_kept(
    loader: &Loader,
    store: &Store,
    slot: SlotName,
    generation: &Generation,
) -> Result<Staged, Refused> {
    let digest = Digest::from_bytes(generation.facts.digest);
    let artifact = kept(store, &digest, &generation.facts.name).await?;
    let grants =
        Grants::parse(&generation.life.grants).map_err(|error| Refused(error.to_string()))?;
    load(loader, slot, artifact, generation.facts.config.clone(), grants).await
}

async fn kept(store: &Store, digest: &Digest, name: &str) -> Result<Artifact, Refused> {
    let bytes = store.component_bytes(digest.as_bytes()).await?;
    let bytes =
        bytes.with_context(|| format!("no component with the digest {digest} is kept here"))?;
    let artifact = Artifact::kept(name, bytes);
    artifact.pinned(*digest).map_err(|error| Refused(error.to_string()))
}

async fn find(loader: &Loader, name: &str) -> Result<Artifact, Refused> {
    let (registry, name) = (loader.registry.clone(), name.to_owned());
    let finding = tokio::task::spawn_blocking(move || registry.find(&name));
    let found = finding.await.map_err(|error| Refused(error.to_string()))?;
    found.map_err(|error| Refused(error.to_string()))
}

/// A component that is asked for without a configuration keeps what it has: in force, or in
/// the settings; else it has its defaults.
fn known_config(artifact: &Artifact, in_force: &Generation, settings: &config::Slot) -> String {
    let same_build = in_force.facts.digest == *artifact.digest().as_bytes();
    if same_build || in_force.facts.name == artifact.name() {
        in_force.facts.config.clone()
    } else if settings.component == artifact.name() {
        settings.config.clone()
    } else {
        String::new()
    }
}

/// # Errors
/// When the candidate failed in force and nobody has lifted its quarantine.
pub(crate) fn check_quarantine(
    quarantined: &[Quarantined],
    candidate: &Candidate,
) -> Result<(), Refused> {
    let digest = candidate.digest();
    match find_quarantined(quarantined, digest.as_bytes(), candidate.canonical_config()) {
        None => Ok(()),
        Some(failed) => Err(Refused(format!(
            "{} is quarantined: {}; `chimera plugin lift {digest}` lets it come back",
            failed.name, failed.why
        ))),
    }
}

/// The quarantine that holds for a component under a configuration.
pub(crate) fn find_quarantined<'a>(
    quarantined: &'a [Quarantined],
    digest: &[u8; 32],
    config: &str,
) -> Option<&'a Quarantined> {
    quarantined.iter().find(|failed| {
        failed.digest == *digest && failed.config.as_deref().is_none_or(|only| only == config)
    })
}
