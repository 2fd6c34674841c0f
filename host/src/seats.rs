//! Seats between connections: a miner that comes back in time finds its nonce space, its
//! jobs and its difficulty again, and cannot be paid twice for a share.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chimera_stratum::{Seat, SessionId};
use chimera_work::{ExtranonceLease, ExtranonceSpace, NonceLayout, SpaceExhausted};

/// Seats kept for absent miners. Beyond it the longest absent miner starts anew. The shares a
/// seat remembers are most of its memory, and are let go when their round is over.
const PARKED_MAX: usize = 10_000;

/// The nonce space of this instance, and the seats nobody sits on.
#[derive(Debug)]
pub(crate) struct Seats {
    space: ExtranonceSpace,
    layout: NonceLayout,
    keep: Duration,
    parked: HashMap<SessionId, (Seat, Instant)>,
}

impl Seats {
    /// No seat is taken yet; parked ones are kept for `keep`.
    pub(crate) fn new(instance: u8, layout: NonceLayout, keep: Duration) -> Self {
        Self { space: ExtranonceSpace::new(instance), layout, keep, parked: HashMap::new() }
    }

    /// The seat to be resumed if it is still kept, else a new one under `fresh`.
    ///
    /// # Errors
    /// When the nonce space is exhausted.
    pub(crate) fn take(
        &mut self,
        resume: Option<SessionId>,
        fresh: SessionId,
        now: Instant,
    ) -> Result<Seat, SpaceExhausted> {
        let kept = resume.and_then(|id| self.parked.remove(&id));
        match kept.filter(|(_, since)| now.duration_since(*since) <= self.keep) {
            Some((seat, _)) => Ok(seat),
            None => Ok(Seat::new(fresh, self.space.lease()?, self.layout)),
        }
    }

    /// Another part of the nonce space, for a session that has used up its own.
    ///
    /// # Errors
    /// When the nonce space is exhausted.
    pub(crate) fn lease(&mut self) -> Result<ExtranonceLease, SpaceExhausted> {
        self.space.lease()
    }

    /// Keeps a seat whose connection ended.
    pub(crate) fn park(&mut self, seat: Seat, now: Instant) {
        if self.parked.len() >= PARKED_MAX {
            self.expire(now);
        }
        if self.parked.len() >= PARKED_MAX {
            let longest_absent =
                self.parked.iter().min_by_key(|(_, (_, since))| *since).map(|(id, _)| *id);
            longest_absent.map(|id| self.parked.remove(&id));
        }
        self.parked.insert(seat.id(), (seat, now));
    }

    /// Lets go of seats kept long enough.
    pub(crate) fn expire(&mut self, now: Instant) {
        let keep = self.keep;
        self.parked.retain(|_, (_, since)| now.duration_since(*since) <= keep);
    }

    /// A new round began: nonce space given back before it may be used again.
    pub(crate) fn round_changed(&mut self, now: Instant) {
        self.expire(now);
        self.parked.values_mut().for_each(|(seat, _)| seat.end_round());
        self.space.round_changed();
    }
}
