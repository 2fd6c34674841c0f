//! What components of all classes have in common: loaded, described, configured, called.

use std::sync::Arc;

use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use crate::bindings::component::exports::chimera::pool::plugin;
use crate::class::{Budget, Class};
use crate::error::clip;
use crate::host_state::HostState;
use crate::sandbox::{Sandbox, grant};
use crate::{Artifact, Cause, Diagnostic, Digest, Engines, PluginError, Trap, world};

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
    pre: InstancePre<HostState>,
    plugin: plugin::GuestIndices,
    info: Info,
    canonical: String,
}

/// One instance, alone in its store.
pub(crate) struct Live {
    name: Arc<str>,
    class: Class,
    pub(crate) store: Store<HostState>,
    pub(crate) instance: Instance,
    plugin: plugin::Guest,
}

impl Configured {
    /// From bytes to a component whose configuration passed its own validation and is
    /// canonical. `config` is JSON; empty text means all defaults.
    pub(crate) fn load(
        engines: &Engines,
        class: Class,
        artifact: &Artifact,
        config: &str,
    ) -> Result<Self, PluginError> {
        let name: Arc<str> = artifact.name().into();
        let fail = |cause| PluginError { plugin: name.to_string(), call: "load", cause };
        let sandbox = engines.sandbox(class).clone();
        let component = engines.compile(artifact, class).map_err(fail)?;
        world::check_world(&component, sandbox.engine(), class).map_err(fail)?;
        let wrong_types = |error: wasmtime::Error| fail(Cause::WrongTypes(format!("{error:#}")));
        let pre = sandbox.link(&component).map_err(wrong_types)?;
        let plugin = plugin::GuestIndices::new(&pre).map_err(wrong_types)?;
        let mut loaded = Self {
            name: Arc::clone(&name),
            sandbox,
            digest: artifact.digest(),
            pre,
            plugin,
            // Asked of the first instance, below.
            info: Info::default(),
            canonical: String::new(),
        };
        let mut live = loaded.instantiate()?;
        loaded.info = live.describe()?;
        loaded.canonical = live.validate(config)?;
        let twice = live.validate(&loaded.canonical)?;
        if twice != loaded.canonical {
            let once = loaded.canonical;
            let cause = Cause::UnstableConfig { once, twice };
            return Err(PluginError { plugin: name.to_string(), call: "validate", cause });
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

    pub(crate) const fn pre(&self) -> &InstancePre<HostState> {
        &self.pre
    }

    pub(crate) fn fail(&self, call: &'static str, cause: Cause) -> PluginError {
        PluginError { plugin: self.name.to_string(), call, cause }
    }

    /// A fresh instance that knows its configuration.
    pub(crate) fn start(&self) -> Result<Live, PluginError> {
        let mut live = self.instantiate()?;
        live.configure(&self.canonical)?;
        Ok(live)
    }

    fn instantiate(&self) -> Result<Live, PluginError> {
        let class = self.sandbox.class();
        let mut store = self.sandbox.store(Arc::clone(&self.name));
        let instance = self.pre.instantiate(&mut store).map_err(|error| {
            let trap = Trap::read(&error, store.data(), class, class.setup_budget());
            self.fail("instantiate", trap.into())
        })?;
        let plugin = self
            .plugin
            .load(&mut store, &instance)
            .map_err(|error| self.fail("load", Cause::WrongTypes(format!("{error:#}"))))?;
        Ok(Live { name: Arc::clone(&self.name), class, store, instance, plugin })
    }
}

impl Live {
    /// Makes one call with its budget; what fails inside becomes a readable cause.
    pub(crate) fn call<T>(
        &mut self,
        function: &'static str,
        budget: Budget,
        call: impl FnOnce(&mut Store<HostState>) -> wasmtime::Result<T>,
    ) -> Result<T, PluginError> {
        grant(&mut self.store, budget);
        self.store.data_mut().begin_call();
        call(&mut self.store).map_err(|error| {
            let trap = Trap::read(&error, self.store.data(), self.class, budget);
            self.fail(function, trap.into())
        })
    }

    pub(crate) fn fail(&self, call: &'static str, cause: Cause) -> PluginError {
        PluginError { plugin: self.name.to_string(), call, cause }
    }

    /// Turns state an older build wrote into this build's.
    pub(crate) fn migrate(&mut self, since: u32, state: &[u8]) -> Result<Vec<u8>, PluginError> {
        let plugin = self.plugin.clone();
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
