//! `wasi:cli`, `wasi:io/error` and `wasi:io/poll`: no arguments, no variables, no terminal;
//! whatever is waited for has happened.

use wasmtime::component::Val;

use super::streams::{ERR, IN, OUT};
use super::{Call, Function};

pub(super) const ALL: &[Function] = &[
    ("wasi:cli/environment", "get-environment", |_| Ok(Some(Val::List(Vec::new())))),
    ("wasi:cli/environment", "get-arguments", |_| Ok(Some(Val::List(Vec::new())))),
    ("wasi:cli/environment", "initial-cwd", |_| Ok(Some(Val::Option(None)))),
    ("wasi:cli/exit", "exit", |_| exit()),
    ("wasi:cli/exit", "exit-with-code", |_| exit()),
    ("wasi:cli/stdin", "get-stdin", |mut call| call.handle("input-stream", IN).map(Some)),
    ("wasi:cli/stdout", "get-stdout", |mut call| call.handle("output-stream", OUT).map(Some)),
    ("wasi:cli/stderr", "get-stderr", |mut call| call.handle("output-stream", ERR).map(Some)),
    ("wasi:cli/terminal-stdin", "get-terminal-stdin", |_| Ok(Some(Val::Option(None)))),
    ("wasi:cli/terminal-stdout", "get-terminal-stdout", |_| Ok(Some(Val::Option(None)))),
    ("wasi:cli/terminal-stderr", "get-terminal-stderr", |_| Ok(Some(Val::Option(None)))),
    ("wasi:io/error", "[method]error.to-debug-string", |_| Ok(Some(Val::String(String::new())))),
    ("wasi:io/poll", "[method]pollable.ready", |_| Ok(Some(Val::Bool(true)))),
    ("wasi:io/poll", "[method]pollable.block", |_| Ok(None)),
    ("wasi:io/poll", "poll", |call| Ok(Some(all_ready(&call)))),
];

fn exit() -> wasmtime::Result<Option<Val>> {
    Err(wasmtime::Error::msg("the component exited; it must return from the call instead"))
}

fn all_ready(call: &Call<'_>) -> Val {
    Val::List((0..call.handles.len() as u32).map(Val::U32).collect())
}
