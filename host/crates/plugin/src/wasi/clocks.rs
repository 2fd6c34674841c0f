//! `wasi:clocks`: every clock stands at the moment of the event the call is about.

use wasmtime::component::Val;

use super::streams::pollable;
use super::{Call, Function};

/// Events are known to the millisecond.
const RESOLUTION_NS: u64 = 1_000_000;

pub(super) const ALL: &[Function] = &[
    ("wasi:clocks/wall-clock", "now", |mut call| Ok(Some(datetime(call.at_ms())))),
    ("wasi:clocks/wall-clock", "resolution", |_| Ok(Some(datetime(1)))),
    ("wasi:clocks/monotonic-clock", "now", |mut call| {
        Ok(Some(Val::U64(call.at_ms().saturating_mul(RESOLUTION_NS))))
    }),
    ("wasi:clocks/monotonic-clock", "resolution", |_| Ok(Some(Val::U64(RESOLUTION_NS)))),
    ("wasi:clocks/monotonic-clock", "subscribe-instant", |mut call| pollable(&mut call)),
    ("wasi:clocks/monotonic-clock", "subscribe-duration", |mut call| pollable(&mut call)),
];

impl Call<'_> {
    fn at_ms(&mut self) -> u64 {
        self.ambient().moment.at_ms()
    }
}

fn datetime(ms: u64) -> Val {
    let nanoseconds = (ms % 1000) as u32 * RESOLUTION_NS as u32;
    Val::Record(vec![
        ("seconds".to_owned(), Val::U64(ms / 1000)),
        ("nanoseconds".to_owned(), Val::U32(nanoseconds)),
    ])
}
