//! `wasi:io/streams`: standard input is at its end, standard output and error are the log.

use wasmtime::component::Val;

use super::{Call, Function};
use crate::bindings::component::chimera::pool::log::Level;

/// What the handles of streams are numbered by.
pub(super) const IN: u32 = 0;
pub(super) const OUT: u32 = 1;
pub(super) const ERR: u32 = 2;

/// Asked to write no more than this at once; well-behaved libraries obey.
const WRITE_BYTES: u64 = 4096;
/// A longer line is cut by the log anyway.
const LINE_BYTES_MAX: usize = 1024;

pub(super) const ALL: &[Function] = &[
    ("wasi:io/streams", "[method]input-stream.read", |_| Ok(closed())),
    ("wasi:io/streams", "[method]input-stream.blocking-read", |_| Ok(closed())),
    ("wasi:io/streams", "[method]input-stream.skip", |_| Ok(closed())),
    ("wasi:io/streams", "[method]input-stream.blocking-skip", |_| Ok(closed())),
    ("wasi:io/streams", "[method]input-stream.subscribe", |mut call| pollable(&mut call)),
    ("wasi:io/streams", "[method]output-stream.check-write", |_| {
        Ok(Some(Val::Result(Ok(Some(Box::new(Val::U64(WRITE_BYTES)))))))
    }),
    ("wasi:io/streams", "[method]output-stream.write", |mut call| print(&mut call)),
    ("wasi:io/streams", "[method]output-stream.blocking-write-and-flush", |mut call| {
        print(&mut call)
    }),
    ("wasi:io/streams", "[method]output-stream.flush", |_| Ok(done())),
    ("wasi:io/streams", "[method]output-stream.blocking-flush", |_| Ok(done())),
    ("wasi:io/streams", "[method]output-stream.subscribe", |mut call| pollable(&mut call)),
    ("wasi:io/streams", "[method]output-stream.write-zeroes", |_| Ok(done())),
    ("wasi:io/streams", "[method]output-stream.blocking-write-zeroes-and-flush", |_| Ok(done())),
    ("wasi:io/streams", "[method]output-stream.splice", |_| Ok(closed())),
    ("wasi:io/streams", "[method]output-stream.blocking-splice", |_| Ok(closed())),
];

/// Of every subscription: it is ready.
pub(super) fn pollable(call: &mut Call<'_>) -> wasmtime::Result<Option<Val>> {
    call.handle("pollable", 0).map(Some)
}

fn done() -> Option<Val> {
    Some(Val::Result(Ok(None)))
}

fn closed() -> Option<Val> {
    let closed = Val::Variant("closed".to_owned(), None);
    Some(Val::Result(Err(Some(Box::new(closed)))))
}

/// Bytes for a stream go to the log, line by line.
fn print(call: &mut Call<'_>) -> wasmtime::Result<Option<Val>> {
    let Some(Val::List(bytes)) = call.arguments.get(1) else { return Ok(done()) };
    let bytes: Vec<u8> =
        bytes.iter().map(|byte| if let Val::U8(byte) = byte { *byte } else { 0 }).collect();
    let to = call.handles.first().copied();
    let state = call.store.data_mut();
    let (level, lines) = match to {
        Some(ERR) => (Level::Warn, state.ambient().err.take(&bytes)),
        _ => (Level::Info, state.ambient().out.take(&bytes)),
    };
    for line in lines {
        state.printed(level, &line);
    }
    Ok(done())
}

/// Bytes as they come, given on as lines.
#[derive(Default)]
pub(crate) struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    fn take(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ended) = match part.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (part, false),
            };
            let room = LINE_BYTES_MAX - self.begun.len().min(LINE_BYTES_MAX);
            self.begun.extend_from_slice(&text[..text.len().min(room)]);
            if ended {
                lines.extend(self.rest());
            }
        }
        lines
    }

    /// What has no end of line yet.
    pub(super) fn rest(&mut self) -> Option<String> {
        let line = String::from_utf8_lossy(&self.begun).trim_end().to_owned();
        self.begun.clear();
        (!line.is_empty()).then_some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together_and_cut_at_their_greatest_length() {
        let mut lines = Lines::default();
        assert!(lines.take(b"one ").is_empty());
        assert_eq!(lines.take(b"line\n\nanother\r\nhalf"), ["one line", "another"]);
        assert_eq!(lines.rest().as_deref(), Some("half"));
        assert_eq!(lines.rest(), None);
        for _ in 0..100 {
            assert!(lines.take(&[b'x'; 100]).is_empty());
        }
        assert_eq!(lines.take(b"y\nz\n"), ["x".repeat(LINE_BYTES_MAX), "z".to_owned()]);
    }
}
