//! What components of all classes have in common: loaded, described, configured, called.

use std::sync::Arc;

use serde::Serialize;
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use crate::bindings::auth::exports::chimera::pool::auth;
use crate::bindings::component::exports::chimera::pool::plugin;
use crate::bindings::difficulty::exports::chimera::pool::difficulty;
use crate::bindings::payout::exports::chimera::pool::payout;
use crate::class::{Budget, Class};
use crate::error::clip;
use crate::granted::Granted;
use crate::host_state::HostState;
use crate::places::Place;
use crate::sandbox::{Sandbox, grant};
use crate::wasi::{Ambient, Moment};
use crate::{
    Artifact, Cause, Diagnostic, Digest, Engines, Grants, PluginError, PostMortem, Services, Trap,
    interface, world,
};

/// Findings about a configuration that are shown; nobody reads more at once.
const FINDINGS_MAX: usize = 64;

/// What a component says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Info {
    /// Its name, e.g. `payout-pplns`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One sentence for people.
    pub description: String,
    /// JSON Schema (draft 2020-12) of its configuration.
    pub config_schema: String,
    /// Version of the state bytes it writes.
    pub state_version: u32,
    /// Oldest state version it can take over.
    pub state_accepts_since: u32,
}

/// A component of a class with a configuration it accepted.
pub(crate) struct Configured {
    name: Arc<str>,
    sandbox: Sandbox,
    digest: Digest,
    grants: Arc<Grants>,
    services: Services,
    pre: InstancePre<HostState>,
    plugin: plugin::GuestIndices,
    /// Whether it meets a shim of a system; otherwise nobody asks for the moment.
    shimmed: bool,
    info: Info,
    canonical: String,
}

/// One instance, alone in its store.
pub(crate) struct Live {
    name: Arc<str>,
    class: Class,
    shimmed: bool,
    interpreted: bool,
    pub(crate) store: Store<HostState>,
    pub(crate) instance: Instance,
    plugin: plugin::Guest,
    /// Given back after the store is gone: fields are dropped in order.
    _place: Option<Place>,
}

impl Configured {
    /// From bytes to a component whose configuration passed its own validation and is
    /// canonical. `config` is JSON; empty text means all defaults.
    pub(crate) fn load(
        engines: &Engines,
        sandbox: &Sandbox,
        artifact: &Artifact,
        config: &str,
        grants: &Grants,
        services: Services,
    ) -> Result<Self, PluginError> {
        let name: Arc<str> = artifact.name().into();
        let fail = |cause| PluginError::new(&name, "load", cause);
        let class = sandbox.class();
        let component = engines.compile(artifact, sandbox, grants.interpreted).map_err(fail)?;
        let asks = world::check_world(&component, sandbox.engine(), class, grants)
            .map_err(|cause| fail(interface::explain_world(artifact.bytes(), cause)))?;
        let wrong_types = |error: wasmtime::Error| {
            fail(interface::explain(artifact.bytes(), format!("{error:#}")))
        };
        let pre = sandbox.link(&component).map_err(wrong_types)?;
        let plugin = plugin::GuestIndices::new(&pre).map_err(wrong_types)?;
        let mut loaded = Self {
            name: Arc::clone(&name),
            sandbox: sandbox.clone(),
            digest: artifact.digest(),
            grants: Arc::new(grants.clone()),
            services,
            pre,
            plugin,
            shimmed: !asks.shimmed.is_empty(),
            // Asked of the first instance, below.
            info: Info::default(),
            canonical: String::new(),
        };
        let mut live = loaded
            .instantiate(config)
            .and_then(|mut live| match check_types(class, &loaded.pre, &mut live) {
                Ok(()) => Ok(live),
                Err(error) => Err(fail(Cause::WrongTypes(format!("{error:#}")))),
            })
            .map_err(|error| match error.cause {
                // In the words of wit/ instead of the runtime's.
                Cause::WrongTypes(why) => fail(interface::explain(artifact.bytes(), why)),
                _ => error,
            })?;
        loaded.info = live.describe()?;
        loaded.canonical =
            live.validate(config).map_err(|error| loaded.info.marked(config, error))?;
        let again = live.validate(&loaded.canonical);
        let twice = again.map_err(|error| loaded.info.marked(&loaded.canonical, error))?;
        if twice != loaded.canonical {
            let once = loaded.canonical;
            let cause = Cause::UnstableConfig { once, twice };
            return Err(PluginError::new(&name, "validate", cause));
        }
        Ok(loaded)
    }

    pub(crate) const fn info(&self) -> &Info {
        &self.info
    }

    pub(crate) fn canonical(&self) -> &str {
        &self.canonical
    }

    pub(crate) const fn digest(&self) -> Digest {
        self.digest
    }

    /// What the operator granted it.
    pub(crate) fn grants(&self) -> &Grants {
        &self.grants
    }

    /// What a record says of it.
    pub(crate) fn subject(&self) -> (&str, Digest, &str, &Grants) {
        (&self.name, self.digest, &self.canonical, &self.grants)
    }

    pub(crate) const fn pre(&self) -> &InstancePre<HostState> {
        &self.pre
    }

    /// Whether it meets a shim of a system.
    pub(crate) const fn shimmed(&self) -> bool {
        self.shimmed
    }

    pub(crate) fn fail(&self, call: &'static str, cause: Cause) -> PluginError {
        PluginError::new(&self.name, call, cause)
    }

    /// Makes an instance and drops it again.
    pub(crate) fn probe(&self) -> Result<(), PluginError> {
        self.instantiate(&self.canonical).map(drop)
    }

    /// A fresh instance that knows its configuration.
    pub(crate) fn start(&self) -> Result<Live, PluginError> {
        let mut live = self.instantiate(&self.canonical)?;
        live.configure(&self.canonical)?;
        Ok(live)
    }

    /// A fresh instance; the calls that set it up happen at the beginning of time, and their
    /// random numbers follow from the configuration.
    fn instantiate(&self, config: &str) -> Result<Live, PluginError> {
        let class = self.sandbox.class();
        let moment = if self.shimmed { Moment::of(0, &config) } else { Moment::default() };
        let granted = Granted::new(Arc::clone(&self.grants), self.services.clone());
        let place = self.sandbox.place();
        let mut store = self.sandbox.store(Arc::clone(&self.name), granted, Ambient::new(moment));
        let instance = self.pre.instantiate(&mut store).map_err(|error| {
            trapped(&self.name, "instantiate", &error, &mut store, class.setup_budget())
        })?;
        let plugin = self
            .plugin
            .load(&mut store, &instance)
            .map_err(|error| self.fail("load", Cause::WrongTypes(format!("{error:#}"))))?;
        Ok(Live {
            name: Arc::clone(&self.name),
            class,
            shimmed: self.shimmed,
            interpreted: self.grants.interpreted,
            store,
            instance,
            plugin,
            _place: place,
        })
    }
}

impl Live {
    /// Whether it could notice its moment.
    pub(crate) const fn shimmed(&self) -> bool {
        self.shimmed
    }

    /// Sets the moment of the next call, in ms since the Unix epoch, for a component that
    /// could notice.
    pub(crate) fn set_moment(&mut self, at_ms: u64, arguments: &impl Serialize) {
        if self.shimmed {
            self.store.data_mut().ambient().set(Moment::of(at_ms, arguments));
        }
    }

    /// Makes one call with its budget; what fails inside becomes a readable cause.
    pub(crate) fn call<T>(
        &mut self,
        function: &'static str,
        budget: Budget,
        call: impl FnOnce(&mut Store<HostState>) -> wasmtime::Result<T>,
    ) -> Result<T, PluginError> {
        let budget = if self.interpreted { budget.interpreted() } else { budget };
        grant(&mut self.store, budget);
        self.store.data_mut().begin_call();
        let answer = call(&mut self.store);
        self.store.data_mut().end_call();
        answer.map_err(|error| trapped(&self.name, function, &error, &mut self.store, budget))
    }

    pub(crate) fn fail(&self, call: &'static str, cause: Cause) -> PluginError {
        PluginError::new(&self.name, call, cause)
    }

    /// Makes room for calls about so many rows; until then there is what setting up takes.
    pub(crate) fn make_room(&mut self, rows: u64) {
        let room = self.class.room(rows);
        self.store.data_mut().set_room(room);
        self.store.set_hostcall_fuel(room.answer_bytes);
    }

    /// Turns state an older build wrote into this build's.
    pub(crate) fn migrate(&mut self, since: u32, state: &[u8]) -> Result<Vec<u8>, PluginError> {
        let plugin = self.plugin.clone();
        self.set_moment(0, &(since, state));
        self.make_room(0);
        let budget = self.class.call_budget(state.len() as u64);
        let migrated =
            self.call("migrate", budget, |store| plugin.call_migrate(store, since, state))?;
        migrated.map_err(|verdict| self.fail("migrate", verdict.into()))
    }

    fn describe(&mut self) -> Result<Info, PluginError> {
        let plugin = self.plugin.clone();
        let budget = self.class.setup_budget();
        let info = self.call("describe", budget, |store| plugin.call_describe(store))?;
        Ok(Info {
            name: clip(info.name),
            version: clip(info.version),
            description: clip(info.description),
            config_schema: info.config_schema,
            state_version: info.state_version,
            state_accepts_since: info.state_accepts_since,
        })
    }

    fn validate(&mut self, config: &str) -> Result<String, PluginError> {
        let plugin = self.plugin.clone();
        let budget = self.class.setup_budget();
        let verdict = self.call("validate", budget, |store| plugin.call_validate(store, config))?;
        verdict.map_err(|found| {
            let findings = found.into_iter().take(FINDINGS_MAX).map(Diagnostic::from).collect();
            self.fail("validate", Cause::Config(findings))
        })
    }

    fn configure(&mut self, canonical: &str) -> Result<(), PluginError> {
        let plugin = self.plugin.clone();
        let budget = self.class.setup_budget();
        let verdict =
            self.call("configure", budget, |store| plugin.call_configure(store, canonical))?;
        verdict.map_err(|verdict| self.fail("configure", verdict.into()))
    }
}

/// Whether the functions of its class have the types this host calls them with. Told before
/// any of them is called.
fn check_types(
    class: Class,
    pre: &InstancePre<HostState>,
    live: &mut Live,
) -> wasmtime::Result<()> {
    let Live { store, instance, .. } = live;
    match class {
        Class::Payout => payout::GuestIndices::new(pre)?.load(store, instance).map(drop),
        Class::Auth => auth::GuestIndices::new(pre)?.load(store, instance).map(drop),
        Class::Difficulty => difficulty::GuestIndices::new(pre)?.load(store, instance).map(drop),
    }
}

/// A call that was stopped: why, and what is left of it.
fn trapped(
    name: &str,
    call: &'static str,
    error: &wasmtime::Error,
    store: &mut Store<HostState>,
    budget: Budget,
) -> PluginError {
    let post_mortem = PostMortem::of(error, store);
    let at = post_mortem.as_ref().and_then(PostMortem::innermost);
    let cause = Trap::read(error, store.data(), budget, at).into();
    PluginError { post_mortem: post_mortem.map(Arc::new), ..PluginError::new(name, call, cause) }
}
