//! The payout generations: which component decided from when on, loaded when needed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use chimera_ledger::{Decider, Hash256, Plan, Proposal, Request};
use chimera_plugin::{Artifact, Digest, Engines, Grants, Info, PayoutScheme};
use chimera_store::{GenerationId, Store};

use crate::policy::Calls;
use crate::retries::Retries;
use crate::settle_process::{SettleFailure, SettleProcess, WIT};

/// Earlier generations that stay loaded: they settle what was found in their time. One that
/// is not among them is loaded again, from the compiled cache.
const EARLIER_MAX: usize = 8;

/// A payout component under one configuration, in force since some share.
pub(crate) struct Scheme {
    generation: GenerationId,
    payout: Arc<PayoutScheme>,
    /// Where it came from, for people.
    pub origin: String,
    /// What it may use.
    pub grants: Grants,
    /// How it went so far.
    pub calls: Calls,
}

impl Scheme {
    /// A generation on record.
    pub(crate) fn new(
        generation: GenerationId,
        payout: Arc<PayoutScheme>,
        origin: String,
        grants: Grants,
    ) -> Self {
        Self { generation, payout, origin, grants, calls: Calls::default() }
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

    /// Asks the component, in a process of its own. `wasm` is the component's bytes.
    ///
    /// # Errors
    /// When the component or its process fails; the call has no effect then.
    pub(crate) async fn settle(
        &self,
        process: &SettleProcess,
        wasm: Vec<u8>,
        request: Arc<Request>,
    ) -> Result<Proposal, SettleFailure> {
        self.calls.made();
        let answer = process.settle(&self.payout, self.grants.texts(), wasm, request).await;
        answer.inspect_err(|error| {
            // The host's own trouble with processes is no fault of the component.
            use SettleFailure::{Died, Process};
            if !matches!(error, Process { .. } | Died { .. }) {
                self.calls.failed(&error.to_string());
            }
        })
    }

    /// What it is, as records say it.
    pub(crate) fn decider(&self) -> Decider {
        let info = self.info();
        Decider {
            name: info.name.clone(),
            version: info.version.clone(),
            digest: Hash256::from_bytes(*self.digest().as_bytes()),
            wit: WIT.to_owned(),
            config: self.config().to_owned(),
            config_hash: Hash256::of_config(self.config()),
            grants: self.grants.texts(),
            generation: self.generation.0,
            plan: *self.plan(),
        }
    }
}

/// All generations of the payout slot.
pub(crate) struct Schemes {
    store: Arc<Store>,
    engines: Arc<Engines>,
    current: ArcSwap<Scheme>,
    /// The most recently used last.
    earlier: Mutex<Vec<Arc<Scheme>>>,
    retries: Mutex<Retries>,
}

impl Schemes {
    /// A slot with the generation in force.
    pub(crate) fn new(store: Arc<Store>, engines: Arc<Engines>, current: Scheme) -> Self {
        let current = ArcSwap::from_pointee(current);
        Self { store, engines, current, earlier: Mutex::default(), retries: Mutex::default() }
    }

    /// The one in force.
    pub(crate) fn current(&self) -> Arc<Scheme> {
        self.current.load_full()
    }

    /// Puts a recorded generation in force. What was in force settles what was found in its
    /// time.
    pub(crate) fn put(&self, next: Scheme) -> Arc<Scheme> {
        let before = self.current.swap(Arc::new(next));
        self.keep(Arc::clone(&before));
        before
    }

    /// Any of them; earlier ones are loaded from the component kept in the store.
    ///
    /// # Errors
    /// When the store cannot be read, or the kept component is refused.
    pub(crate) async fn of(&self, id: GenerationId) -> anyhow::Result<Arc<Scheme>> {
        let current = self.current();
        if id == current.generation {
            return Ok(current);
        }
        if let Some(scheme) = self.find(id) {
            return Ok(scheme);
        }
        let generation = self.store.generation(id).await?;
        let facts = &generation.facts;
        let wasm = self.store.component_bytes(&facts.digest).await?;
        let wasm = wasm.with_context(|| format!("the component of {} is not kept", facts.name))?;
        let artifact = Artifact::kept(&facts.name, wasm);
        let origin = artifact.origin().to_string();
        let grants = Grants::parse(&generation.life.grants)?;
        let (engines, config, granted) =
            (Arc::clone(&self.engines), facts.config.clone(), grants.clone());
        let loaded = tokio::task::spawn_blocking(move || {
            PayoutScheme::load(&engines, &artifact, &config, &granted)
        });
        let scheme = Arc::new(Scheme::new(id, Arc::new(loaded.await??), origin, grants));
        self.keep(Arc::clone(&scheme));
        Ok(scheme)
    }

    /// Settlements that failed, and when they are tried again.
    pub(crate) fn retries(&self) -> MutexGuard<'_, Retries> {
        self.retries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state after a generation's latest settlement.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn state_of(&self, scheme: &Scheme) -> anyhow::Result<Vec<u8>> {
        Ok(self.store.generation(scheme.generation).await?.facts.state)
    }

    fn find(&self, id: GenerationId) -> Option<Arc<Scheme>> {
        let mut earlier = self.earlier();
        let place = earlier.iter().position(|scheme| scheme.generation == id)?;
        let scheme = earlier.remove(place);
        earlier.push(Arc::clone(&scheme));
        Some(scheme)
    }

    fn keep(&self, scheme: Arc<Scheme>) {
        let mut earlier = self.earlier();
        earlier.retain(|kept| kept.generation != scheme.generation);
        earlier.push(scheme);
        let forgotten = (earlier.len() > EARLIER_MAX).then(|| earlier.remove(0));
        drop(earlier);
        // Unmapping takes a while, and this may be an async thread.
        drop(tokio::task::spawn_blocking(move || drop(forgotten)));
    }

    fn earlier(&self) -> MutexGuard<'_, Vec<Arc<Scheme>>> {
        self.earlier.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
