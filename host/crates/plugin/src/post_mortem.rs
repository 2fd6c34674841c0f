//! What is left of a call that trapped: where it was, and how much it held. For the author's
//! eyes; nothing here decides anything.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use wasmtime::{Store, WasmBacktrace, WasmCoreDump};

use crate::host_state::HostState;

/// Innermost first; a deep recursion shows the same frames over and over.
const FRAMES_MAX: usize = 32;
/// More memory is not searched for what is in it.
const DUMPED_MEMORY_BYTES_MAX: u64 = 32 << 20;
/// Debuggers read larger ones; records do not carry them.
const DUMP_BYTES_MAX: usize = 1 << 20;

/// Where a component was when it trapped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostMortem {
    /// The functions it was in, innermost first.
    pub backtrace: Vec<Frame>,
    /// What it held, for classes that keep it (payouts).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core: Option<CoreDump>,
}

/// One function of a backtrace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Its name, demangled, if the component kept its name section.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// Its number in its core module.
    pub index: u32,
    /// Where in it, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<usize>,
}

/// A component's memory at its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoreDump {
    /// Sizes of its linear memories, in bytes.
    pub memory_bytes: Vec<u64>,
    /// Number of its globals.
    pub globals: usize,
    /// A WebAssembly core dump (tool-conventions, Coredump.md) in base64, if it is small.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

impl PostMortem {
    /// Reads what a failed call left. `None` if it left nothing.
    pub(crate) fn of(error: &wasmtime::Error, store: &mut Store<HostState>) -> Option<Self> {
        let core = error.downcast_ref::<WasmCoreDump>();
        let frames = match (core, error.downcast_ref::<WasmBacktrace>()) {
            (Some(core), _) => core.frames(),
            (None, Some(backtrace)) => backtrace.frames(),
            (None, None) => return None,
        };
        let backtrace = frames.iter().take(FRAMES_MAX).map(Frame::of).collect();
        let core = core.map(|core| CoreDump::of(core, store));
        Some(Self { backtrace, core })
    }

    /// The innermost function that has a name.
    pub(crate) fn innermost(&self) -> Option<&str> {
        self.backtrace.first()?.function.as_deref()
    }
}

impl Frame {
    fn of(frame: &wasmtime::FrameInfo) -> Self {
        // The alternate form leaves the hash out.
        let function =
            frame.func_name().map(|name| format!("{:#}", rustc_demangle::demangle(name)));
        Self { function, index: frame.func_index(), offset: frame.func_offset() }
    }
}

impl CoreDump {
    fn of(core: &WasmCoreDump, store: &mut Store<HostState>) -> Self {
        let memory_bytes: Vec<u64> =
            core.memories().iter().map(|memory| memory.data_size(&*store) as u64).collect();
        let globals = core.globals().len();
        let small = memory_bytes.iter().sum::<u64>() <= DUMPED_MEMORY_BYTES_MAX;
        let file = small
            .then(|| core.serialize(&mut *store, "component"))
            .filter(|file| file.len().div_ceil(3) * 4 < DUMP_BYTES_MAX)
            .map(|file| BASE64_STANDARD.encode(file));
        Self { memory_bytes, globals, file }
    }
}
