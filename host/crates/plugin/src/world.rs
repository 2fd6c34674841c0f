//! Is it a component, and of the right kind? Judged by its bytes and names, before it runs.

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::class::Class;
use crate::{Asks, Cause, Grants};

/// Exported by every component.
const PLUGIN: &str = "chimera:pool/plugin@0.1.0";

const MAGIC: &[u8] = b"\0asm";
/// Version 1, layer 0.
const CORE_MODULE: [u8; 4] = [1, 0, 0, 0];

/// Tells the common mistakes apart; the compiler would call them all invalid.
pub(crate) fn check_bytes(bytes: &[u8]) -> Result<(), Cause> {
    if !bytes.starts_with(MAGIC) {
        return Err(Cause::NotWasm(beginning(bytes)));
    }
    if bytes.get(4..8) == Some(&CORE_MODULE) {
        return Err(Cause::CoreModule);
    }
    let mut at = 8;
    while at < bytes.len() {
        // Each section: an id, its length (LEB128), its bytes.
        let Some((length, digits)) = leb128(&bytes[at + 1..]) else {
            return Err(Cause::Truncated { found: bytes.len(), needed: bytes.len() + 1 });
        };
        at = (at + 1 + digits).saturating_add(length);
    }
    if at > bytes.len() {
        return Err(Cause::Truncated { found: bytes.len(), needed: at });
    }
    Ok(())
}

/// The exports its class needs, and no import it is not given or granted. Answers what it
/// asks for.
pub(crate) fn check_world(
    component: &Component,
    engine: &Engine,
    class: Class,
    grants: &Grants,
) -> Result<Asks, Cause> {
    let ty = component.component_type();
    let exports: Vec<String> = ty.exports(engine).map(|(name, _)| name.to_owned()).collect();
    for needed in [class.interface(), PLUGIN] {
        if !exports.iter().any(|export| export == needed) {
            let (world, missing) = (class.world(), needed.to_owned());
            return Err(Cause::WrongWorld { world, missing, exports });
        }
    }
    let imports: Vec<&str> = ty.imports(engine).map(|(name, _)| name).collect();
    let asks = Asks::by_imports(imports);
    asks.check(class, grants)?;
    Ok(asks)
}

fn beginning(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "nothing: it is empty".to_owned();
    }
    let first = &bytes[..bytes.len().min(8)];
    format!("\"{}\"", first.escape_ascii())
}

fn leb128(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}
