//! One engine per class, and the only place where stores are made: every instance starts
//! with its limits on.

use std::sync::Arc;

use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Config, Engine, Store, UpdateDeadline, WasmBacktraceDetails};

use crate::bindings::component::chimera::pool::{log, types};
use crate::bindings::granted::chimera::pool::{fetch, kv, secrets};
use crate::class::{Budget, Class};
use crate::granted::Granted;
use crate::host_state::HostState;
use crate::places::{Place, Places};
use crate::wasi::{self, Ambient};
use crate::{fuel, pool, ticker};

/// The engine of a class with the imports it grants.
#[derive(Clone)]
pub(crate) struct Sandbox {
    class: Class,
    engine: Engine,
    linker: Linker<HostState>,
    /// Of a pool of instances, where there is one.
    places: Option<Places>,
}

/// What code is compiled to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// This machine's instructions (Cranelift).
    Native,
    /// Instructions that are interpreted (Pulley).
    Portable,
}

impl Sandbox {
    /// The engine components of this class run on, for the code they are compiled to.
    pub(crate) fn new(class: Class, target: Target) -> wasmtime::Result<Self> {
        let mut config = config(class);
        if target == Target::Portable {
            config.target("pulley64")?;
        }
        let engine = Engine::new(&config)?;
        ticker::start(&engine).map_err(wasmtime::Error::new)?;
        let mut linker = Linker::new(&engine);
        log::add_to_linker::<_, HostState>(&mut linker, |state| state)?;
        types::add_to_linker::<_, HostState>(&mut linker, |state| state)?;
        if class == Class::Auth {
            // Who has no grant for one of these is refused before it is linked.
            kv::add_to_linker::<_, HostState>(&mut linker, |state| state)?;
            fetch::add_to_linker::<_, HostState>(&mut linker, |state| state)?;
            secrets::add_to_linker::<_, HostState>(&mut linker, |state| state)?;
        }
        let places = (class == Class::Auth).then(|| Places::new(pool::PLACES));
        Ok(Self { class, engine, linker, places })
    }

    pub(crate) const fn class(&self) -> Class {
        self.class
    }

    pub(crate) const fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn link(&self, component: &Component) -> wasmtime::Result<InstancePre<HostState>> {
        let mut linker = self.linker.clone();
        wasi::link(&mut linker, component, &self.engine)?;
        linker.instantiate_pre(component)
    }

    /// Waits for a place in the pool of instances, where there is one.
    pub(crate) fn place(&self) -> Option<Place> {
        self.places.as_ref().map(Places::take)
    }

    /// A store for one instance of one component. After a trap it is good for nothing:
    /// the runtime's rule, so stores are dropped with the error.
    pub(crate) fn store(
        &self,
        plugin: Arc<str>,
        granted: Granted,
        ambient: Ambient,
    ) -> Store<HostState> {
        let room = self.class.setup_room();
        let state = HostState::new(room, plugin, granted, ambient);
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| state);
        if self.class == Class::Auth {
            store.epoch_deadline_callback(|mut store| {
                Ok(match store.data_mut().granted().waiting.take_ticks() {
                    0 => UpdateDeadline::Interrupt,
                    ticks => UpdateDeadline::Continue(ticks),
                })
            });
        }
        store.set_hostcall_fuel(room.answer_bytes);
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
    // Failed settlements are rare and precious.
    config.coredump_on_trap(class == Class::Payout);
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
    if class.uses_fuel() {
        config.operator_cost(fuel::costs());
    }
    if class == Class::Auth {
        config.allocation_strategy(pool::strategy(class));
        // A place reserves what it may use, not the 4 GiB that save some checks.
        config.memory_reservation(class.room(0).memory_bytes as u64);
        config.memory_reservation_for_growth(0);
        config.memory_guard_size(64 << 10);
    }
    config
}
