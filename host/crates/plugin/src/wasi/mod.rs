//! The interfaces an ordinary build for `wasm32-wasip1` or `wasm32-wasip2` imports, answered
//! without a world behind them: nothing is read, time stands still at the event's, random
//! numbers follow from the question. So a component stays a function of its arguments.
//!
//! Functions are looked up by name in what the component imports, so that every 0.2.x works;
//! one this list does not know traps with its name.

mod ambient;
mod clocks;
mod environment;
mod files;
mod handles;
mod random;
mod streams;

pub(crate) use ambient::{Ambient, Moment};

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, LinkerInstance, Val};
use wasmtime::{Engine, StoreContextMut};

use crate::host_state::HostState;

/// A function of the shim, by its place in the interfaces.
type Function = (&'static str, &'static str, fn(Call<'_>) -> wasmtime::Result<Option<Val>>);

/// A call from inside a component.
struct Call<'a> {
    store: StoreContextMut<'a, HostState>,
    arguments: &'a [Val],
    /// The resources among the arguments.
    handles: Vec<u32>,
}

/// All interfaces that are answered: what the standard library of Rust needs, and no more.
const INTERFACES: [&str; 20] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:clocks/wall-clock",
    "wasi:clocks/monotonic-clock",
    "wasi:filesystem/types",
    "wasi:filesystem/preopens",
    "wasi:random/random",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
];

/// The interface of this import, without its version, if it is answered.
fn interface(import: &str) -> Option<&'static str> {
    let (name, version) = import.split_once('@')?;
    if !version.starts_with("0.2.") {
        return None;
    }
    INTERFACES.into_iter().find(|interface| *interface == name)
}

/// Whether this import is answered.
pub(crate) fn answers(import: &str) -> bool {
    interface(import).is_some()
}

/// Adds what this component imports of the interfaces that are answered.
pub(crate) fn link(
    linker: &mut Linker<HostState>,
    component: &Component,
    engine: &Engine,
) -> wasmtime::Result<()> {
    for (import, item) in component.component_type().imports(engine) {
        let (Some(interface), ComponentItem::ComponentInstance(instance)) =
            (interface(import), item.ty)
        else {
            continue;
        };
        let mut linked = linker.instance(import)?;
        for (name, item) in instance.exports(engine) {
            match item.ty {
                ComponentItem::ComponentFunc(_) => define(&mut linked, interface, name)?,
                ComponentItem::Resource(_) => handles::define(&mut linked, name)?,
                _ => {}
            }
        }
    }
    Ok(())
}

fn define(
    linked: &mut LinkerInstance<'_, HostState>,
    interface: &'static str,
    name: &str,
) -> wasmtime::Result<()> {
    let known = [environment::ALL, streams::ALL, clocks::ALL, random::ALL, files::ALL]
        .into_iter()
        .flatten()
        .find(|(of, function, _)| (*of, *function) == (interface, name));
    let Some((.., answer)) = known else {
        let unknown = format!("{interface}.{name} is not available to components here");
        return linked.func_new(name, move |_, _, _, _| Err(wasmtime::Error::msg(unknown.clone())));
    };
    let answer = *answer;
    linked.func_new(name, move |mut store, _, arguments, results| {
        let handles = handles::release(&mut store, arguments)?;
        let answered = answer(Call { store, arguments, handles })?;
        if let (Some(result), Some(answered)) = (results.first_mut(), answered) {
            *result = answered;
        }
        Ok(())
    })
}

impl Call<'_> {
    fn ambient(&mut self) -> &mut Ambient {
        self.store.data_mut().ambient()
    }

    /// An argument that is a length.
    fn length(&self, index: usize) -> u64 {
        match self.arguments.get(index) {
            Some(Val::U64(length)) => *length,
            _ => 0,
        }
    }
}

/// A list of bytes.
fn bytes(bytes: Vec<u8>) -> Val {
    Val::List(bytes.into_iter().map(Val::U8).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class::Class;
    use crate::granted::Granted;
    use crate::sandbox::{Sandbox, Target};

    /// Instantiates a component that calls one function at once.
    fn call(interface: &str, function: &str, results: &str) -> String {
        let sandbox = Sandbox::new(Class::Payout, Target::Native).unwrap();
        let text = format!(
            r#"(component
                (import "{interface}" (instance $i (export "{function}" (func {results}))))
                (alias export $i "{function}" (func $f))
                (core func $lowered (canon lower (func $f)))
                (core module $m (import "" "f" (func $f)) (start $f))
                (core instance (instantiate $m (with "" (instance (export "f" (func $lowered)))))))"#
        );
        let component = Component::new(sandbox.engine(), wat::parse_str(text).unwrap()).unwrap();
        let pre = sandbox.link(&component).map_err(|error| format!("{error:#}"));
        let pre = match pre {
            Ok(pre) => pre,
            Err(problem) => return problem,
        };
        let ambient = Ambient::new(Moment::default());
        let mut store = sandbox.store("sample".into(), Granted::default(), ambient);
        match pre.instantiate(&mut store) {
            Ok(_) => "fine".to_owned(),
            Err(error) => error.root_cause().to_string(),
        }
    }

    #[test]
    fn a_function_that_is_not_known_traps_with_its_name_when_it_is_called() {
        for (interface, function, outcome) in [
            (
                "wasi:cli/exit@0.2.3",
                "leave-at-once",
                "wasi:cli/exit.leave-at-once is not available",
            ),
            ("wasi:io/poll@0.2.99", "nap", "wasi:io/poll.nap is not available"),
        ] {
            let found = call(interface, function, "");
            assert!(found.starts_with(outcome), "{found}");
        }
        let found = call("wasi:sockets/tcp@0.2.3", "connect", "");
        assert!(found.contains("wasi:sockets/tcp"), "{found}");
    }

    #[test]
    fn only_what_a_standard_library_needs_is_answered() {
        for (import, answered) in [
            ("wasi:cli/environment@0.2.0", true),
            ("wasi:io/streams@0.2.6", true),
            ("wasi:random/insecure-seed@0.2.4", true),
            ("wasi:cli/environment@0.3.0", false),
            ("wasi:cli/environment", false),
            ("wasi:cli/run@0.2.0", false),
            ("wasi:sockets/network@0.2.0", false),
            ("wasi:http/outgoing-handler@0.2.0", false),
            ("chimera:pool/kv@0.1.0", false),
        ] {
            assert_eq!(answers(import), answered, "{import}");
        }
    }
}
