//! One connection of the generator: how far it has come, and what it holds.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use chimera_pow::Difficulty;
use mio::net::TcpStream;
use socket2::{Domain, SockRef, Socket, Type};

use super::flights::Flights;
use super::link::Link;
use super::plan::LoadPlan;
use super::shares::Work;
use crate::miner::Subscription;

/// A reader that never reads shall fill up soon.
const SLOW_RECEIVE_BYTES: usize = 4096;

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// No socket.
    Closed,
    Connecting,
    /// Asked for its part of the nonce space.
    Subscribing,
    Authorizing,
    /// May submit; has a job or waits for one.
    Ready,
}

/// One connection, over all its sockets.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) number: u32,
    pub(super) user: String,
    /// Submits and never reads.
    pub(super) slow: bool,
    pub(super) stage: Stage,
    pub(super) link: Option<Link>,
    pub(super) address: SocketAddr,
    pub(super) subscription: Option<Subscription>,
    pub(super) difficulty: Difficulty,
    /// The newest block it was told of.
    pub(super) block: Option<u64>,
    pub(super) work: Work,
    pub(super) flights: Flights,
    pub(super) opened_ns: u64,
    /// Since when it does not read.
    pub(super) silent_ns: Option<u64>,
    /// Failed attempts in a row.
    pub(super) attempts: u32,
    /// Whether each step was ever reached: connected, subscribed, authorised, job.
    pub(super) reached: [bool; 4],
    /// Cut with many others: back when it works again.
    pub(super) cut: bool,
    /// It has more to hash for its next submit.
    pub(super) hungry: bool,
}

impl Connection {
    pub(super) fn new(number: u32, slow: bool, plan: &LoadPlan) -> Self {
        Self {
            number,
            user: plan.user(number),
            slow,
            stage: Stage::Closed,
            link: None,
            address: plan.pool,
            subscription: None,
            difficulty: Difficulty::ONE,
            block: None,
            work: Work::default(),
            flights: Flights::default(),
            opened_ns: 0,
            silent_ns: None,
            attempts: 0,
            reached: [false; 4],
            cut: false,
            hungry: false,
        }
    }

    /// Whether it may submit and has a job.
    pub(super) const fn is_working(&self) -> bool {
        matches!(self.stage, Stage::Ready) && !self.work.is_empty()
    }

    /// Whether it is one of those opened at the same time.
    pub(super) const fn is_opening(&self) -> bool {
        matches!(self.stage, Stage::Connecting | Stage::Subscribing)
    }

    /// A socket on its way to the pool.
    pub(super) fn socket(&self, plan: &LoadPlan) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(self.address), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if self.slow {
            socket.set_recv_buffer_size(SLOW_RECEIVE_BYTES)?;
        }
        if let Some(sources) = plan.sources {
            socket.bind(&sources.of(self.number).into())?;
        }
        match socket.connect(&self.address.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
            Err(error) => return Err(error),
        }
        Ok(TcpStream::from_std(socket.into()))
    }

    /// Forgets everything that belonged to the socket, which is closed; how many submits were
    /// not answered.
    pub(super) fn close(&mut self, reset: bool) -> u64 {
        if let Some(link) = &self.link
            && reset
        {
            // Without this the pool would be told in order.
            let _ = SockRef::from(&link.stream).set_linger(Some(Duration::ZERO));
        }
        let unanswered = self.flights.count() as u64;
        self.link = None;
        self.stage = Stage::Closed;
        self.subscription = None;
        self.block = None;
        self.work.clear();
        self.flights = Flights::default();
        self.silent_ns = None;
        unanswered
    }
}
