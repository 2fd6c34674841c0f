//! What the host keeps beside one instance: how much it has taken, and what it said.

use std::sync::Arc;

use wasmtime::ResourceLimiter;
use wasmtime::component::HasData;

use crate::bindings::component::chimera::pool::{log, types};
use crate::class::Class;
use crate::log::Voice;

/// wit-component makes three core instances and two tables; composed components a few more.
const INSTANCES_MAX: usize = 64;
const TABLES_MAX: usize = 64;
const MEMORIES_MAX: usize = 8;
/// Function tables hold one entry per function whose address is taken.
const TABLE_ELEMENTS_MAX: usize = 100_000;

/// The data of a store.
pub(crate) struct HostState {
    class: Class,
    memory_bytes: usize,
    /// The memory size that was refused, if one was.
    refused_bytes: Option<usize>,
    voice: Voice,
}

impl HostState {
    pub(crate) fn new(class: Class, plugin: Arc<str>) -> Self {
        Self { class, memory_bytes: 0, refused_bytes: None, voice: Voice::new(plugin) }
    }

    /// A new call: it may log again.
    pub(crate) fn begin_call(&mut self) {
        self.voice.begin_call();
    }

    pub(crate) fn refused_bytes(&self) -> Option<usize> {
        self.refused_bytes
    }

    /// The last error the component logged in this call: a panic's text, with the SDK.
    pub(crate) fn last_error(&self) -> Option<&str> {
        self.voice.last_error()
    }
}

impl HasData for HostState {
    type Data<'a> = &'a mut Self;
}

impl types::Host for HostState {}

impl log::Host for HostState {
    fn write(&mut self, level: log::Level, message: String) {
        self.voice.write(level, &message);
    }
}

/// Refusing memory is a trap, so that no component can answer differently for want of it.
impl ResourceLimiter for HostState {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let bytes = self.memory_bytes.saturating_add(desired.saturating_sub(current));
        if bytes > self.class.memory_bytes_max() {
            self.refused_bytes = Some(bytes);
            wasmtime::bail!("memory of {bytes} bytes refused");
        }
        self.memory_bytes = bytes;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused_bytes = Some(self.memory_bytes);
        Err(error)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > TABLE_ELEMENTS_MAX {
            wasmtime::bail!("a table of {desired} elements; {TABLE_ELEMENTS_MAX} are allowed");
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}
