//! A door: one listener with its own policy, and who comes through it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use chimera_stratum::{Session, SessionConfig};
use mio::net::TcpStream;

use super::Place;
use super::addresses::AddressPlace;
use super::tls::Certificate;
use crate::config::Listener;
use crate::upgrade::ConnectionState;

/// A listener's policy, shared by all shards.
#[derive(Debug)]
pub(crate) struct Door {
    /// As the operator wrote it.
    pub settings: Listener,
    /// What its sessions begin with.
    pub session: SessionConfig,
    /// Present if the door speaks TLS.
    pub certificate: Option<Arc<Certificate>>,
}

impl Door {
    /// Whether an address is a miner's, and not a proxy's, whose miners have others.
    pub(crate) fn counts(&self, address: IpAddr) -> bool {
        !self.settings.proxies.iter().any(|network| network.contains(address))
    }
}

/// A socket that was let in, on its way to its shard.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// The connection.
    pub socket: TcpStream,
    /// The other side, as far as known before a PROXY header.
    pub peer: SocketAddr,
    /// Which door.
    pub door: Arc<Door>,
    /// Counted in the pool.
    pub place: Place,
    /// Counted for its address; a proxy's connections are counted once their header is read.
    pub address: Option<AddressPlace>,
}

/// A connection of another process, on its way to its shard.
#[derive(Debug)]
pub(crate) struct Resumed {
    /// The connection.
    pub socket: TcpStream,
    /// What it was like.
    pub state: ConnectionState,
    /// Its session, going on.
    pub session: Session,
    /// Its door, or the first one if that is gone.
    pub door: Arc<Door>,
    /// Counted in the pool.
    pub place: Place,
    /// Counted for its address.
    pub address: Option<AddressPlace>,
}
