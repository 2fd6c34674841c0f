//! Connections of another process, and those another one goes on with.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chimera_stratum::{NotifyLine, Seat, Session};
use mio::net::TcpStream;

use super::Gate;
use super::admission::Place;
use super::door::{Arrival, Door, Resumed};
use super::inbox::Message;
use super::opening::Opening;
use crate::upgrade::{Estate, Frozen, Handed};

impl Gate {
    /// What another process left, ready to be served.
    ///
    /// # Errors
    /// When its jobs are none.
    pub(crate) fn resume(
        self: &Arc<Self>,
        estate: Estate,
        doors: &[(Arc<Door>, std::net::TcpListener)],
    ) -> anyhow::Result<Vec<Resumed>> {
        let Estate { will, sockets, .. } = estate;
        let Handed { jobs, newest } = will.jobs().context("the jobs cannot be read")?;
        let (found, own) = (will.extranonce2_bytes, self.seats().layout().extranonce2_bytes());
        anyhow::ensure!(
            found == own,
            "miners were told an extranonce2 of {found} bytes and stratum.extranonce2_bytes is \
             {own}: restart the pool instead"
        );
        let newest = newest.map(|job| Arc::new(NotifyLine::new(job)));
        let now = Instant::now();
        for (state, age_ms) in will.parked {
            let mut seats = self.seats();
            let since = now.checked_sub(Duration::from_millis(age_ms)).unwrap_or(now);
            let lease = seats.lease_again(state.extranonce1());
            let seat = lease.and_then(|lease| Seat::restore(state, lease, seats.layout(), &jobs));
            if let Some(seat) = seat {
                seats.park(seat, since);
            }
        }
        let mut resumed = Vec::with_capacity(sockets.len());
        for (state, socket) in will.connections.into_iter().zip(sockets) {
            let named = |door: &&(Arc<Door>, _)| *door.0.settings.name == *state.door;
            let Some((door, _)) = doors.iter().find(named).or_else(|| doors.first()) else { break };
            let seat = {
                let mut seats = self.seats();
                let layout = seats.layout();
                state.session.seat().cloned().map(|seat| {
                    let lease = seats.lease_again(seat.extranonce1());
                    lease.and_then(|lease| Seat::restore(seat, lease, layout, &jobs))
                })
            };
            // Without what it had, it is better off connecting again.
            let (Some(place), Some(seat)) =
                (Place::take(self), seat.map_or(Some(None), |seat| seat.map(Some)))
            else {
                tracing::warn!(peer = %state.peer, "a connection could not be taken over");
                continue;
            };
            let session = Session::restore(
                door.session,
                state.session.clone(),
                seat,
                newest.clone(),
                self.now_ms(),
            );
            let address = state.counted.then(|| self.addresses.take(state.peer.ip(), 0)).flatten();
            let socket = TcpStream::from(socket);
            resumed.push(Resumed {
                socket,
                state,
                session,
                door: Arc::clone(door),
                place,
                address,
            });
        }
        Ok(resumed)
    }

    /// Connections that were on their way from one shard to another.
    pub(super) fn collect_stragglers(&self, frozen: &mut Vec<Frozen>) {
        let mut messages = Vec::new();
        self.inboxes().for_each(|inbox| {
            inbox.take(&mut messages);
            for message in messages.drain(..) {
                if let Message::Arrived(Arrival { socket, peer, door, address, .. }) = message {
                    let session = Session::new(door.session, self.now_ms());
                    let awaits_header = Opening::new(&door, peer).awaits_header();
                    let door = Arc::clone(&door.settings.name);
                    let fresh = Frozen::fresh(socket.into(), peer, door, session);
                    let counted = address.is_some();
                    frozen.push(Frozen { awaits_header, counted, ..fresh });
                }
            }
        });
    }
}
