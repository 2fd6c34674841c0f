//! What the host keeps beside one instance: how much it has taken, and what it said.

use std::sync::Arc;

use wasmtime::ResourceLimiter;
use wasmtime::component::HasData;

use crate::bindings::component::chimera::pool::{log, types};
use crate::class::Room;
use crate::granted::Granted;
use crate::log::Voice;
use crate::wasi::Ambient;

/// wit-component makes three core instances and two tables; composed components a few more.
const INSTANCES_MAX: usize = 64;
const TABLES_MAX: usize = 64;
const MEMORIES_MAX: usize = 8;
/// Function tables hold one entry per function whose address is taken.
pub(crate) const TABLE_ELEMENTS_MAX: usize = 100_000;

/// The data of a store.
pub(crate) struct HostState {
    room: Room,
    memory_bytes: usize,
    /// The memory size that was refused, if one was.
    refused_bytes: Option<usize>,
    voice: Voice,
    granted: Granted,
    ambient: Ambient,
}

impl HostState {
    pub(crate) fn new(room: Room, plugin: Arc<str>, granted: Granted, ambient: Ambient) -> Self {
        let voice = Voice::new(plugin);
        Self { room, memory_bytes: 0, refused_bytes: None, voice, granted, ambient }
    }

    /// A new call: it may log, wait and ask again.
    pub(crate) fn begin_call(&mut self) {
        self.voice.begin_call();
        self.granted.begin_call();
    }

    /// The call is over: what it printed last may lack its end of line.
    pub(crate) fn end_call(&mut self) {
        let [out, err] = self.ambient.rest();
        for (level, rest) in [(log::Level::Info, out), (log::Level::Warn, err)] {
            if let Some(line) = rest {
                self.printed(level, &line);
            }
        }
    }

    /// What an ordinary program of WASI meets instead of a system.
    pub(crate) const fn ambient(&mut self) -> &mut Ambient {
        &mut self.ambient
    }

    /// A line on standard output or standard error.
    pub(crate) fn printed(&mut self, level: log::Level, line: &str) {
        self.voice.print(level, line);
    }

    /// What it has by grant.
    pub(crate) const fn granted(&mut self) -> &mut Granted {
        &mut self.granted
    }

    pub(crate) const fn room(&self) -> Room {
        self.room
    }

    pub(crate) const fn set_room(&mut self, room: Room) {
        self.room = room;
    }

    /// All linear memories together.
    pub(crate) const fn memory_bytes(&self) -> usize {
        self.memory_bytes
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
        if bytes > self.room.memory_bytes {
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
