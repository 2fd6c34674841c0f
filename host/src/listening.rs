//! The sockets the pool listens at: opened anew, or taken over from another process.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use chimera_pow::Difficulty;
use chimera_stratum::{DifficultyLimits, SessionConfig};

use crate::config::Config;
use crate::gate::{Certificate, Door};
use crate::upgrade::Estate;

/// What a session starts at before the difficulty component has said anything.
const DIFFICULTY_INITIAL: f64 = 1e-4;
/// Connections the system keeps until they are accepted: an accept storm of a whole farm.
const BACKLOG: i32 = 4096;

pub(crate) fn open_doors(
    config: &Config,
    estate: Option<&Estate>,
) -> anyhow::Result<Vec<(Arc<Door>, std::net::TcpListener)>> {
    let mut doors = Vec::new();
    for settings in &config.stratum.listeners {
        let bound = match handed_listener(estate, &door_key(&settings.name), settings.listen)? {
            Some(handed) => Ok(handed),
            None => listen(settings.listen),
        };
        let listener = bound.with_context(|| {
            cannot_listen(&format!("stratum listener {:?}", settings.name), settings.listen)
        })?;
        let certificate = settings.certificate.clone();
        let certificate = certificate
            .map(|(chain, key)| Certificate::load(chain, key))
            .transpose()
            .with_context(|| format!("the stratum listener {:?} speaks TLS", settings.name))?;
        let session = SessionConfig {
            version_mask: config.stratum.version_mask,
            difficulty: DifficultyLimits {
                initial: Difficulty::new(DIFFICULTY_INITIAL)?,
                min: settings.difficulty_min,
                max: settings.difficulty_max,
            },
            multiplier: config.chain.profile().difficulty_multiplier,
        };
        let settings = settings.clone();
        let certificate = certificate.map(Arc::new);
        doors.push((Arc::new(Door { settings, session, certificate }), listener));
    }
    Ok(doors)
}

/// How the API's listener is called in an estate.
pub(crate) const API_KEY: &str = "api";

pub(crate) fn door_key(name: &str) -> String {
    format!("stratum {name}")
}

/// The listener another process had for the same at the same address.
pub(crate) fn handed_listener(
    estate: Option<&Estate>,
    key: &str,
    address: SocketAddr,
) -> std::io::Result<Option<std::net::TcpListener>> {
    let Some(estate) = estate else { return Ok(None) };
    let mut all = estate.will.listening.iter().zip(&estate.listeners);
    // A door that has only another name is the same; a port of any number is not.
    let found = all.find(|((what, at), _)| *at == address && (what == key || at.port() != 0));
    found.map(|(_, listener)| Ok(listener.try_clone()?.into())).transpose()
}

pub(crate) fn listen(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the connections of before to be forgotten.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

pub(crate) fn cannot_listen(key: &str, address: SocketAddr) -> String {
    format!("cannot listen at {key} = {address}: is it in use by another program?")
}
