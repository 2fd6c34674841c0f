//! Seats between connections: a miner that comes back in time finds its nonce space, its
//! jobs and its difficulty again, and cannot be paid twice for a share.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chimera_stratum::{Jobs, Seat, SeatState, SessionId};
use chimera_work::{Extranonce1, ExtranonceLease, ExtranonceSpace, NonceLayout, SpaceExhausted};

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

    /// Leases again what a session of another process of this instance had.
    pub(crate) fn lease_again(&mut self, extranonce1: Extranonce1) -> Option<ExtranonceLease> {
        self.space.lease_again(extranonce1)
    }

    /// The seats nobody sits on, as data, with how long each has been empty.
    pub(crate) fn parked(&self, now: Instant, jobs: &mut impl Jobs) -> Vec<(SeatState, Duration)> {
        let parked = self.parked.values();
        parked.map(|(seat, since)| (seat.state(jobs), now.duration_since(*since))).collect()
    }

    /// Sizes of the nonce space.
    pub(crate) const fn layout(&self) -> NonceLayout {
        self.layout
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

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Duration = Duration::from_secs(600);

    fn seats(capacity: u32) -> Seats {
        let space = ExtranonceSpace::with_capacity(1, capacity);
        Seats { space, ..Seats::new(1, NonceLayout::DEFAULT, KEEP) }
    }

    #[test]
    fn without_nonce_space_a_seat_is_refused_and_the_reason_is_told() {
        let (mut seats, now) = (seats(2), Instant::now());
        let alice = seats.take(None, SessionId(1), now).expect("the first part");
        let bob = seats.take(None, SessionId(2), now).expect("the second part");
        assert_ne!(alice.extranonce1(), bob.extranonce1());
        let why = seats.take(None, SessionId(3), now).expect_err("there is no third").to_string();
        assert_eq!(
            why,
            "all 2 extranonces of this instance are in use or resting until the next block"
        );
        assert!(seats.lease().is_err());

        // Who had a seat finds it again, also now.
        let space = alice.extranonce1();
        seats.park(alice, now);
        let alice = seats.take(Some(SessionId(1)), SessionId(4), now).expect("it was kept");
        assert_eq!(alice.extranonce1(), space);

        // What was given back rests until the round is over.
        drop(alice);
        assert!(seats.take(None, SessionId(5), now).is_err());
        seats.round_changed(now);
        let carol = seats.take(None, SessionId(5), now).expect("it has rested");
        assert_eq!(carol.extranonce1(), space);
    }

    #[test]
    fn a_seat_nobody_comes_back_for_is_given_back() {
        let (mut seats, now) = (seats(1), Instant::now());
        let alice = seats.take(None, SessionId(1), now).expect("the only part");
        seats.park(alice, now);
        seats.round_changed(now + KEEP);
        assert!(seats.take(None, SessionId(2), now + KEEP).is_err(), "it is kept for her");
        seats.round_changed(now + KEEP + Duration::from_millis(1));
        let later = now + KEEP + Duration::from_millis(1);
        assert!(seats.take(Some(SessionId(1)), SessionId(3), later).is_ok());
    }
}
