//! One socket with what is on its way: a line that came in part, and bytes it did not take yet.

use std::io::{self, ErrorKind, Read as _, Write as _};

use mio::net::TcpStream;

/// A line is some hundred bytes, a job some thousand; more is no Stratum.
const LINE_BYTES_MAX: usize = 1 << 20;

/// A connection's socket. Its buffers are empty nearly always: reading is done in the thread's
/// buffer, and only what is left over is kept here.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) stream: TcpStream,
    partial: Vec<u8>,
    pending: Vec<u8>,
}

/// What reading brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Got {
    /// So many bytes are in the buffer, and maybe more in the socket.
    More(usize),
    /// So many bytes are in the buffer, and the socket is empty.
    Last(usize),
    /// The other side has closed.
    Closed,
}

impl Link {
    pub(super) const fn new(stream: TcpStream) -> Self {
        Self { stream, partial: Vec::new(), pending: Vec::new() }
    }

    /// Fills the thread's buffer, with the line kept from last time at its beginning.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Got> {
        let kept = self.partial.len();
        buffer[..kept].copy_from_slice(&self.partial);
        loop {
            return match self.stream.read(&mut buffer[kept..]) {
                Ok(0) => Ok(Got::Closed),
                Ok(read) if kept + read == buffer.len() => Ok(Got::More(kept + read)),
                // On Linux a short read has emptied the socket; the next bytes are an event.
                Ok(read) => Ok(Got::Last(kept + read)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Got::Last(kept)),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
        }
    }

    /// Keeps the line the buffer ended in.
    pub(super) fn keep(&mut self, rest: &[u8]) -> io::Result<()> {
        if rest.len() > LINE_BYTES_MAX.min(READ_BYTES / 2) {
            return Err(io::Error::other("a line without an end"));
        }
        self.partial.clear();
        if !rest.is_empty() {
            self.partial.extend_from_slice(rest);
        } else if self.partial.capacity() > 0 {
            self.partial = Vec::new();
        }
        Ok(())
    }

    /// Sends, behind what is still on its way.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.pending.is_empty() {
            self.pending.extend_from_slice(bytes);
            return self.flush();
        }
        let sent = send(&mut self.stream, bytes)?;
        self.pending.extend_from_slice(&bytes[sent..]);
        Ok(())
    }

    /// Sends what is on its way; the socket has room again.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let sent = send(&mut self.stream, &self.pending)?;
        if sent == self.pending.len() {
            self.pending = Vec::new();
        } else {
            self.pending.drain(..sent);
        }
        Ok(())
    }

    /// Whether the socket did not take all.
    pub(super) const fn is_full(&self) -> bool {
        !self.pending.is_empty()
    }
}

/// A thread's buffer for reading, shared by all its connections.
pub(super) const READ_BYTES: usize = 256 * 1024;

fn send(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut sent = 0;
    while sent < bytes.len() {
        match stream.write(&bytes[sent..]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(more) => sent += more,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}
