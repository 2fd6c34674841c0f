//! Who is let in, and what those are told who are not.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chimera_store::BanSource;
use mio::net::TcpStream;

use super::addresses::AddressPlace;
use super::door::{Arrival, Door};
use super::{Gate, lock};
use crate::clock::now_ms;

/// A vanished peer is noticed after about this even if nothing is sent to it.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// Who is refused may have said a few requests already; who says more loses the reason.
const REFUSED_READS_MAX: usize = 8;

impl Gate {
    /// Lets a socket in, or refuses it with a word.
    pub(super) fn admit(
        self: &Arc<Self>,
        socket: TcpStream,
        peer: SocketAddr,
        door: Arc<Door>,
    ) -> Option<Arrival> {
        let Some(place) = Place::take(self) else {
            tracing::debug!(%peer, "refused: pool full");
            refuse(socket, &format!("pool full: {} miners are connected", self.miners_max));
            return None;
        };
        let address = match door.counts(peer.ip()) {
            false => None,
            true => match self.place_for(peer.ip(), &door) {
                Ok(address) => Some(address),
                Err(why) => {
                    tracing::debug!(%peer, why, "refused");
                    refuse(socket, &why);
                    return None;
                }
            },
        };
        tune(&socket);
        self.probe.healthy(now_ms());
        Some(Arrival { socket, peer, door, place, address })
    }

    /// A place for one more connection of an address, or why there is none.
    pub(super) fn place_for(&self, address: IpAddr, door: &Door) -> Result<AddressPlace, String> {
        if let Some(why) = self.bans.refusal(address) {
            self.totals.conduct.refused.fetch_add(1, Ordering::Relaxed);
            return Err(why);
        }
        let most = door.settings.per_address_max;
        let place = self.addresses.take(address, most);
        place.ok_or_else(|| format!("your address has all the connections it may have ({most})"))
    }

    /// A connection was closed for its conduct; an address of which that is said too often is
    /// banned.
    pub(super) fn dropped_for_conduct(&self, address: Option<IpAddr>) {
        let rules = &self.settings.conduct;
        self.totals.conduct.dropped.fetch_add(1, Ordering::Relaxed);
        let Some(address) = address else { return };
        if lock(&self.penalties.drops).note(address, rules, self.now_ms()) {
            let reason = format!("closed {} times for refused requests", rules.ban_after);
            self.totals.conduct.banned.fetch_add(1, Ordering::Relaxed);
            self.bans.ban(address, rules.ban.as_secs(), &reason, BanSource::Conduct);
        }
    }
}

/// One of the places `pool.max_miners` grants; free again when dropped.
pub(crate) struct Place(Arc<Gate>);

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Place")
    }
}

impl Place {
    pub(super) fn take(gate: &Arc<Gate>) -> Option<Self> {
        let connected = &gate.totals.connected;
        connected
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| {
                (count < gate.miners_max).then_some(count + 1)
            })
            .ok()
            .map(|_| Self(Arc::clone(gate)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.totals.connected.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Tells a miner that there is no place: every miner reads one line as the answer to its
/// first request. Nothing is waited for.
fn refuse(mut socket: TcpStream, why: &str) {
    let text = serde_json::to_string(why).expect("a text is JSON");
    let line = format!("{{\"id\":1,\"result\":null,\"error\":[20,{text},null]}}\n");
    // Closing on bytes nobody has read would take the line back from the peer.
    let mut heard = [0; 2048];
    let mut more = || socket.read(&mut heard).is_ok_and(|count| count == heard.len());
    let _ = (0..REFUSED_READS_MAX).find(|_| !more());
    // A peer that does not take its line is closed all the same.
    let _ = socket.write(line.as_bytes());
    let _ = socket.shutdown(std::net::Shutdown::Write);
}

fn tune(socket: &TcpStream) {
    let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE);
    // Neither is worth refusing a miner for.
    let _ = socket.set_nodelay(true);
    let _ = socket2::SockRef::from(socket).set_tcp_keepalive(&keepalive);
}
