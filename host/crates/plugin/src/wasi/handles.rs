//! Resources of the shim: names without anything behind them, so a number tells all.

use wasmtime::StoreContextMut;
use wasmtime::component::{LinkerInstance, ResourceAny, ResourceDynamic, ResourceType, Val};

use super::Call;
use crate::host_state::HostState;

/// Held at once by one instance; they live in the host's memory.
const HANDLES_MAX: u32 = 10_000;

/// The resources of the interfaces; what a kind is called.
const KINDS: [&str; 8] = [
    "error",
    "pollable",
    "input-stream",
    "output-stream",
    "descriptor",
    "directory-entry-stream",
    "terminal-input",
    "terminal-output",
];

/// The same name is the same resource in all interfaces.
fn kind(name: &str) -> u32 {
    KINDS.iter().position(|kind| *kind == name).unwrap_or(KINDS.len()) as u32
}

pub(super) fn define(
    linked: &mut LinkerInstance<'_, HostState>,
    name: &str,
) -> wasmtime::Result<()> {
    linked.resource(name, ResourceType::host_dynamic(kind(name)), |mut store, _| {
        let handles = &mut store.data_mut().ambient().handles;
        *handles = handles.saturating_sub(1);
        Ok(())
    })
}

impl Call<'_> {
    /// A new handle of this kind.
    pub(super) fn handle(&mut self, name: &str, number: u32) -> wasmtime::Result<Val> {
        let handles = &mut self.ambient().handles;
        *handles += 1;
        if *handles > HANDLES_MAX {
            return Err(wasmtime::Error::msg(format!("more than {HANDLES_MAX} handles")));
        }
        let handle = ResourceDynamic::new_own(number, kind(name));
        Ok(Val::Resource(handle.try_into_resource_any(&mut self.store)?))
    }
}

/// Gives all resources among the arguments back, and tells their numbers.
pub(super) fn release(
    store: &mut StoreContextMut<'_, HostState>,
    arguments: &[Val],
) -> wasmtime::Result<Vec<u32>> {
    let mut number = |handle: &ResourceAny| -> wasmtime::Result<u32> {
        Ok(ResourceDynamic::try_from_resource_any(*handle, &mut *store)?.rep())
    };
    let mut numbers = Vec::new();
    for argument in arguments {
        match argument {
            Val::Resource(handle) => numbers.push(number(handle)?),
            Val::List(entries) => {
                for entry in entries {
                    // Lists are of one kind.
                    let Val::Resource(handle) = entry else { break };
                    numbers.push(number(handle)?);
                }
            }
            _ => {}
        }
    }
    Ok(numbers)
}
