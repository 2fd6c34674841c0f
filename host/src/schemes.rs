//! The payout generations: which component decided from when on, loaded when needed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use chimera_ledger::{Plan, Proposal, Request, SchemeKind};
use chimera_plugin::{Artifact, Digest, Engines, Info, PayoutScheme, PluginError};
use chimera_store::{Generation, GenerationId, NewGeneration, Store};

use crate::clock::now_ms;
use crate::policy::Calls;

/// A payout component under one configuration, in force since some share.
pub(crate) struct Scheme {
    generation: GenerationId,
    payout: Arc<PayoutScheme>,
    settled_at_ms: AtomicU64,
    /// How it went so far.
    pub calls: Calls,
}

impl Scheme {
    fn new(generation: &Generation, payout: Arc<PayoutScheme>) -> Self {
        Self {
            generation: generation.id,
            payout,
            settled_at_ms: AtomicU64::new(generation.begun_at_ms),
            calls: Calls::default(),
        }
    }

    /// Its number.
    pub(crate) const fn generation(&self) -> GenerationId {
        self.generation
    }

    /// What the component says of itself.
    pub(crate) fn plan(&self) -> &Plan {
        self.payout.plan()
    }

    /// The component's own description.
    pub(crate) fn info(&self) -> &Info {
        self.payout.info()
    }

    /// The component's digest.
    pub(crate) fn digest(&self) -> Digest {
        self.payout.digest()
    }

    /// Its canonical configuration.
    pub(crate) fn config(&self) -> &str {
        self.payout.canonical_config()
    }

    /// Asks the component. Blocks for as long as it takes.
    ///
    /// # Errors
    /// When the component fails; the call has no effect then.
    pub(crate) fn settle(&self, request: &Request) -> Result<Proposal, PluginError> {
        self.calls.made();
        self.payout.settle(request).inspect_err(|error| self.calls.failed(&error.to_string()))
    }

    /// When it last settled something in this run, or took over; ms since the Unix epoch.
    pub(crate) fn settled_at_ms(&self) -> u64 {
        self.settled_at_ms.load(Ordering::Relaxed)
    }

    /// Something was booked.
    pub(crate) fn settled(&self, now_ms: u64) {
        self.settled_at_ms.store(now_ms, Ordering::Relaxed);
    }
}

/// The generation whose state a new one takes over: another build or configuration of the
/// same scheme, if it has paid all its work. What it still has to pay it pays by its own
/// state, and two must not count from the same.
async fn inheritance(
    store: &Store,
    before: Option<Generation>,
    info: &Info,
) -> anyhow::Result<Option<Generation>> {
    let same = |facts: &NewGeneration| facts.name == info.name && !facts.state.is_empty();
    let Some(before) = before.filter(|generation| same(&generation.facts)) else {
        return Ok(None);
    };
    let accrues = before.facts.kind == Some(SchemeKind::Accrue);
    let paid = !accrues || store.interval_start(before.id).await? == store.last_seq().await?;
    Ok(paid.then_some(before))
}

/// Lets the component take over state, away from the executor.
async fn migrate(payout: &Arc<PayoutScheme>, from: NewGeneration) -> anyhow::Result<Vec<u8>> {
    let payout = Arc::clone(payout);
    let migrated =
        tokio::task::spawn_blocking(move || payout.migrate(from.state_version, &from.state));
    Ok(migrated.await??)
}

/// All generations of the payout slot.
pub(crate) struct Schemes {
    store: Arc<Store>,
    engines: Arc<Engines>,
    current: Arc<Scheme>,
    earlier: Mutex<HashMap<GenerationId, Arc<Scheme>>>,
}

impl Schemes {
    /// What the slot is called in the store.
    pub(crate) const SLOT: &str = "payout";

    /// Puts a component in force. If it is the one that was, with the same configuration,
    /// the generation goes on; else a new one begins behind the last share.
    ///
    /// # Errors
    /// When the store cannot be used, or the component refuses the state of its predecessor.
    pub(crate) async fn begin(
        store: Arc<Store>,
        engines: Arc<Engines>,
        artifact: &Artifact,
        payout: PayoutScheme,
    ) -> anyhow::Result<Self> {
        let payout = Arc::new(payout);
        let digest = *payout.digest().as_bytes();
        let before = store.generation_current(Self::SLOT).await?;
        let goes_on = before.as_ref().is_some_and(|generation| {
            generation.facts.digest == digest
                && generation.facts.config == payout.canonical_config()
        });
        if !goes_on {
            let info = payout.info();
            store.component(&digest, artifact.bytes()).await?;
            let state = match inheritance(&store, before, info).await? {
                Some(Generation { facts, .. }) => migrate(&payout, facts)
                    .await
                    .context("the payout component refuses the state of the one before it")?,
                None => Vec::new(),
            };
            let new = NewGeneration {
                slot: Self::SLOT.to_owned(),
                digest,
                name: info.name.clone(),
                version: info.version.clone(),
                config: payout.canonical_config().to_owned(),
                kind: Some(payout.plan().kind),
                from_seq: store.last_seq().await?,
                state_version: info.state_version,
                state,
            };
            tracing::info!(
                scheme = new.name, version = new.version, digest = %payout.digest(),
                from_share = new.from_seq, "payout generation begins"
            );
            store.begin_generation(&new, now_ms()).await?;
        }
        let generation = store.generation_current(Self::SLOT).await?;
        let generation = generation.context("the payout generation is not on record")?;
        let current = Arc::new(Scheme::new(&generation, payout));
        Ok(Self { store, engines, current, earlier: Mutex::default() })
    }

    /// The one in force.
    pub(crate) const fn current(&self) -> &Arc<Scheme> {
        &self.current
    }

    /// Any of them; earlier ones are loaded from the component kept in the store.
    ///
    /// # Errors
    /// When the store cannot be read, or the kept component is refused.
    pub(crate) async fn of(&self, id: GenerationId) -> anyhow::Result<Arc<Scheme>> {
        if id == self.current.generation {
            return Ok(Arc::clone(&self.current));
        }
        if let Some(scheme) = self.earlier().get(&id) {
            return Ok(Arc::clone(scheme));
        }
        let generation = self.store.generation(id).await?;
        let facts = &generation.facts;
        let wasm = self.store.component_bytes(&facts.digest).await?;
        let wasm = wasm.with_context(|| format!("the component of {} is not kept", facts.name))?;
        let artifact = Artifact::kept(&facts.name, wasm);
        let (engines, config) = (Arc::clone(&self.engines), facts.config.clone());
        let loaded =
            tokio::task::spawn_blocking(move || PayoutScheme::load(&engines, &artifact, &config));
        let scheme = Arc::new(Scheme::new(&generation, Arc::new(loaded.await??)));
        self.earlier().insert(id, Arc::clone(&scheme));
        Ok(scheme)
    }

    /// The state after a generation's latest settlement.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn state_of(&self, scheme: &Scheme) -> anyhow::Result<Vec<u8>> {
        Ok(self.store.generation(scheme.generation).await?.facts.state)
    }

    fn earlier(&self) -> std::sync::MutexGuard<'_, HashMap<GenerationId, Arc<Scheme>>> {
        self.earlier.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
