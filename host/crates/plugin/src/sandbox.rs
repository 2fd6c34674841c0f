//! One engine per class, and the only place where stores are made: every instance starts
//! with its limits on.

use std::sync::Arc;

use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Config, Engine, Store, WasmBacktraceDetails};

use crate::bindings::component::chimera::pool::{log, types};
use crate::class::{Budget, Class};
use crate::host_state::HostState;
use crate::ticker;

/// The engine of a class with the imports it grants.
#[derive(Clone)]
pub(crate) struct Sandbox {
    class: Class,
    engine: Engine,
    linker: Linker<HostState>,
}

impl Sandbox {
    pub(crate) fn new(class: Class) -> wasmtime::Result<Self> {
        let engine = Engine::new(&config(class))?;
        ticker::start(&engine).map_err(wasmtime::Error::new)?;
        let mut linker = Linker::new(&engine);
        log::add_to_linker::<_, HostState>(&mut linker, |state| state)?;
        types::add_to_linker::<_, HostState>(&mut linker, |state| state)?;
        Ok(Self { class, engine, linker })
    }

    pub(crate) const fn class(&self) -> Class {
        self.class
    }

    pub(crate) const fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn link(&self, component: &Component) -> wasmtime::Result<InstancePre<HostState>> {
        self.linker.instantiate_pre(component)
    }

    /// A store for one instance of one component. After a trap it is good for nothing:
    /// the runtime's rule, so stores are dropped with the error.
    pub(crate) fn store(&self, plugin: Arc<str>) -> Store<HostState> {
        let mut store = Store::new(&self.engine, HostState::new(self.class, plugin));
        store.limiter(|state| state);
        store.set_hostcall_fuel(self.class.answer_bytes_max());
        grant(&mut store, self.class.setup_budget());
        store
    }
}

/// Gives a store time for its next call.
pub(crate) fn grant(store: &mut Store<HostState>, budget: Budget) {
    match budget {
        Budget::Fuel(fuel) => {
            store.set_fuel(fuel).expect("the class's engine counts fuel");
            if let Budget::Ticks(ticks) = Class::LAST_RESORT {
                store.set_epoch_deadline(ticks);
            }
        }
        Budget::Ticks(ticks) => store.set_epoch_deadline(ticks),
    }
}

fn config(class: Class) -> Config {
    let mut config = Config::new();
    // Costs every synchronous call two to four times its price (wasmtime 43 to 48).
    config.concurrency_support(false);
    config.consume_fuel(class.uses_fuel());
    config.epoch_interruption(true);
    // The same answer on every machine: what differs between them is off or canonical.
    config.cranelift_nan_canonicalization(class == Class::Payout);
    config.wasm_relaxed_simd(false);
    config.wasm_memory64(false);
    config.wasm_multi_memory(false);
    config.wasm_gc(false);
    config.wasm_tail_call(false);
    config.wasm_wide_arithmetic(false);
    // Names of functions are enough to find a trap; files and lines would cost a parser.
    config.wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config
}
