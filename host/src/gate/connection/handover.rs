//! A connection goes over to another process, or comes from one.

use std::sync::Arc;

use chimera_work::WorkerId;

use super::{Connection, Stage};
use crate::gate::conduct::Record;
use crate::gate::desk::Desk;
use crate::gate::door::{Arrival, Resumed};
use crate::gate::opening::Opening;
use crate::upgrade::Frozen;

impl Connection {
    /// A connection another process served until now.
    pub(in crate::gate) fn resume(resumed: Resumed, desk: &Desk) -> Self {
        let Resumed { socket, state, session, door, place, address } = resumed;
        let (now, peer) = (desk.now, state.peer);
        let arrival = Arrival { socket, peer, door, place, address };
        let fresh = Self::new(arrival, desk);
        let unread = state.unread();
        if state.authorised {
            desk.gate.totals.authorised_one_more();
        }
        let number = fresh.number;
        let accounts = state.accounts.iter();
        Self {
            wire: fresh.wire.with_unsent(state.unsent()),
            stage: match state.mining {
                true => Stage::Mining,
                false => Stage::Opening(Opening::resume(&fresh.door, state.awaits_header)),
            },
            // Whole lines may be among it.
            more: !unread.bytes.is_empty(),
            unread,
            opened: now.saturating_sub(state.opened_ms),
            heard: now.saturating_sub(state.heard_ms),
            authorised: state.authorised,
            worker: state.worker.map(WorkerId),
            places: accounts.filter_map(|name| desk.gate.auth.place_again(name, number)).collect(),
            counted: *session.counters(),
            conduct: Record::restore(state.conduct, now),
            difficulty_memory: state.difficulty_memory.map(Box::new),
            session,
            ..fresh
        }
    }

    /// Whether nothing of it is under way that only this process can finish.
    pub(in crate::gate) fn is_settled(&self) -> bool {
        self.unanswered == 0 && self.settled == 0 && self.logins == 0 && self.offering.is_none()
    }

    /// Whether another process can go on with it.
    pub(in crate::gate) fn may_freeze(&self) -> bool {
        !self.wire.is_tls() && !matches!(self.stage, Stage::Dismissed { .. })
    }

    /// Takes it apart for another process.
    pub(in crate::gate) fn freeze(self, desk: &Desk) -> Frozen {
        if self.authorised {
            desk.gate.totals.authorised_one_less();
        }
        let (socket, unsent) = self.wire.into_parts();
        Frozen {
            socket: socket.into(),
            peer: self.peer,
            door: Arc::clone(&self.door.settings.name),
            mining: matches!(self.stage, Stage::Mining),
            counted: self.address.is_some(),
            awaits_header: matches!(&self.stage, Stage::Opening(opening) if opening.awaits_header()),
            session: self.session,
            now_ms: desk.now,
            unread: self.unread,
            unsent,
            opened_ms: desk.now.saturating_sub(self.opened),
            heard_ms: desk.now.saturating_sub(self.heard),
            authorised: self.authorised,
            worker: self.worker,
            accounts: self.places.iter().map(|place| place.account().to_owned()).collect(),
            conduct: self.conduct.state(desk.now),
            difficulty_memory: self.difficulty_memory,
        }
    }
}
