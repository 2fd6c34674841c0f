//! Where a login comes from.

use std::net::SocketAddr;
use std::sync::Arc;

use chimera_stratum::DifficultyLimits;

/// A connection as policies see it.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// The miner's address.
    pub peer: SocketAddr,
    /// The door it came through.
    pub listener: Arc<str>,
    /// Whether TLS is on the connection.
    pub tls: bool,
    /// The difficulties the door allows.
    pub limits: DifficultyLimits,
}
