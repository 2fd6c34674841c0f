//! A connection's socket, plain or with TLS on it. Reading and writing never wait: what the
//! miner does not take now is kept, and bounded by whoever writes.

use std::io::{self, ErrorKind, Read, Write as _};
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::{ServerConfig, ServerConnection};

/// What rustls may hold of what is written; the rest waits here, where it is counted.
const TLS_HELD_MAX: usize = 64 * 1024;
/// Records looked at in one turn that bring nothing to read: handshakes have fewer.
const EMPTY_RECORDS_A_TURN: usize = 16;

/// Reads of what nobody wants; who sends more loses the last words.
const DISCARDS_MAX: usize = 16;

/// What carries a connection's bytes.
#[derive(Debug)]
pub(super) struct Wire {
    socket: TcpStream,
    tls: Option<Box<ServerConnection>>,
    /// Written and not yet taken by the socket, or by TLS.
    unsent: Vec<u8>,
}

impl Wire {
    /// A plain connection.
    pub(super) fn new(socket: TcpStream) -> Self {
        Self { socket, tls: None, unsent: Vec::new() }
    }

    /// From here on the connection speaks TLS; `begun` are the bytes of it already read.
    ///
    /// # Errors
    /// When they are no TLS.
    pub(super) fn begin_tls(
        &mut self,
        config: Arc<ServerConfig>,
        mut begun: &[u8],
    ) -> io::Result<()> {
        let mut tls = ServerConnection::new(config).map_err(io::Error::other)?;
        tls.set_buffer_limit(Some(TLS_HELD_MAX));
        let tls = self.tls.insert(Box::new(tls));
        let mut outcome = Ok(());
        while !begun.is_empty() && outcome.is_ok() {
            outcome = tls
                .read_tls(&mut begun)
                .and_then(|_| tls.process_new_packets().map_err(io::Error::other))
                .map(drop);
        }
        // The alert that says why is sent also when it failed.
        let sent = self.flush();
        outcome.and(sent)
    }

    /// Whether TLS is on it.
    pub(super) const fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// The socket.
    pub(super) const fn socket(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    /// Gives the socket away, with what it has not taken yet.
    pub(super) fn into_parts(self) -> (TcpStream, Vec<u8>) {
        (self.socket, self.unsent)
    }

    /// Goes on with a connection of which something was still to be sent.
    pub(super) fn with_unsent(self, unsent: Vec<u8>) -> Self {
        Self { unsent, ..self }
    }

    /// Reads what is there. 0 is the end.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there, `Interrupted` when more may be; anything else ends the
    /// connection.
    pub(super) fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        for _ in 0..EMPTY_RECORDS_A_TURN {
            let Some(tls) = &mut self.tls else { return self.socket.read(space) };
            match tls.reader().read(space) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // Many close without the goodbye TLS asks for; a line is whole by its newline.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                read => return read,
            }
            if tls.read_tls(&mut self.socket)? == 0 {
                return Ok(0);
            }
            let processed = tls.process_new_packets().map_err(io::Error::other);
            // An answer of the handshake, or the alert that says why it failed.
            let sent = self.flush();
            processed.and(sent)?;
        }
        // It may go on for ever: others have their turn first.
        Err(ErrorKind::Interrupted.into())
    }

    /// Sends bytes, or keeps what the socket does not take.
    ///
    /// # Errors
    /// When the connection is broken.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.tls.is_some() || !self.unsent.is_empty() {
            self.unsent.extend_from_slice(bytes);
            return self.flush();
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.socket.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.unsent.extend_from_slice(rest);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sends what was kept, as far as the socket takes it.
    ///
    /// # Errors
    /// When the connection is broken.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let mut sent = 0;
        let outcome = loop {
            let rest = &self.unsent[sent..];
            let taken = match &mut self.tls {
                Some(tls) if tls.wants_write() => tls.write_tls(&mut self.socket).map(|_| 0),
                _ if rest.is_empty() => break Ok(()),
                // Until the handshake is over it takes no more than it may hold.
                Some(tls) => match tls.writer().write(rest) {
                    Ok(0) => break Ok(()),
                    taken => taken,
                },
                None => match self.socket.write(rest) {
                    Ok(0) => break Err(ErrorKind::WriteZero.into()),
                    taken => taken,
                },
            };
            match taken {
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.unsent.drain(..sent);
        if self.unsent.is_empty() {
            // Buffers only while bytes are in flight.
            self.unsent = Vec::new();
        }
        outcome
    }

    /// Whether everything written was taken.
    pub(super) fn is_flushed(&self) -> bool {
        self.unsent.is_empty() && self.tls.as_ref().is_none_or(|tls| !tls.wants_write())
    }

    /// How much was not taken; what TLS holds has a bound of its own.
    pub(super) fn unsent(&self) -> usize {
        self.unsent.len()
    }

    /// Drops some of what came and nobody will read.
    pub(super) fn discard(&mut self) {
        let mut heard = [0; 2048];
        for _ in 0..DISCARDS_MAX {
            if !self.socket.read(&mut heard).is_ok_and(|count| count > 0) {
                return;
            }
        }
    }

    /// Says that nothing more will be written.
    pub(super) fn close_write(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
        // Best effort: the socket is closed next.
        let _ = self.flush();
        // A socket that is gone already needs no goodbye.
        let _ = self.socket.shutdown(std::net::Shutdown::Write);
    }
}
