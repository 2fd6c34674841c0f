//! Seats between connections: a miner that comes back in time finds its nonce space, its
//! jobs and its difficulty again, and cannot be paid twice for a share.

use std::collections::{HashMap, VecDeque};
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
    /// Who was parked when, the longest absent first. Some have come back since.
    order: VecDeque<(SessionId, Instant)>,
}

impl Seats {
    /// No seat is taken yet; parked ones are kept for `keep`.
    pub(crate) fn new(instance: u8, layout: NonceLayout, keep: Duration) -> Self {
        let space = ExtranonceSpace::new(instance);
        Self { space, layout, keep, parked: HashMap::new(), order: VecDeque::new() }
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

    /// Takes back a part of the nonce space no job was issued over.
    pub(crate) fn give_back(&mut self, lease: ExtranonceLease) {
        self.space.give_back(lease);
    }

    /// Keeps a seat whose connection ended, if anything was done on it.
    pub(crate) fn park(&mut self, seat: Seat, now: Instant) {
        if !seat.is_used() {
            return self.give_back(seat.into_lease());
        }
        let id = seat.id();
        self.parked.insert(id, (seat, now));
        self.order.push_back((id, now));
        // Those who came back are passed over; who comes and goes must not make it longer.
        while self.parked.len() > PARKED_MAX || self.order.len() > 2 * PARKED_MAX {
            self.let_go_of_the_first();
        }
    }

    fn let_go_of_the_first(&mut self) {
        let Some((id, then)) = self.order.pop_front() else { return };
        if self.parked.get(&id).is_some_and(|(_, since)| *since == then) {
            self.parked.remove(&id);
        }
    }

    /// Leases again what a session of another process of this instance had.
    pub(crate) fn lease_again(&mut self, extranonce1: Extranonce1) -> Option<ExtranonceLease> {
        self.space.lease_again(extranonce1)
    }

    /// The seats nobody sits on, as data, with how long each has been empty, the longest first.
    pub(crate) fn parked(&self, now: Instant, jobs: &mut impl Jobs) -> Vec<(SeatState, Duration)> {
        let mut parked: Vec<_> = self.parked.values().collect();
        parked.sort_unstable_by_key(|(_, since)| *since);
        let state =
            |(seat, since): &(Seat, Instant)| (seat.state(jobs), now.duration_since(*since));
        parked.into_iter().map(state).collect()
    }

    /// Sizes of the nonce space.
    pub(crate) const fn layout(&self) -> NonceLayout {
        self.layout
    }

    /// Lets go of seats kept long enough.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some((_, since)) = self.order.front()
            && now.duration_since(*since) > self.keep
        {
            self.let_go_of_the_first();
        }
    }

    /// A new round began: nonce space given back before it may be used again.
    pub(crate) fn round_changed(&mut self, now: Instant) {
        self.expire(now);
        self.parked.values_mut().for_each(|(seat, _)| seat.end_round());
        self.space.round_changed();
    }
}

#[cfg(test)]
#[path = "../crates/stratum/tests/mine/mod.rs"]
mod mine;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chimera_stratum::{AuthAnswer, Effect, NotifyLine, Outbox, Session};
    use chimera_work::WorkerId;

    use super::*;

    const KEEP: Duration = Duration::from_secs(600);

    fn seats(capacity: u32) -> Seats {
        let space = ExtranonceSpace::with_capacity(1, capacity);
        Seats { space, ..Seats::new(1, NonceLayout::DEFAULT, KEEP) }
    }

    /// A seat somebody was sent work at.
    fn used(seat: Seat) -> Seat {
        let (mut session, mut out) = (Session::new(mine::config(), 0), Outbox::default());
        let job = mine::job(0x100, mine::template(1, 1e12), true);
        session.new_job(&Arc::new(NotifyLine::new(job)), &mut out);
        session.handle_line(br#"{"id":1,"method":"mining.subscribe"}"#, &mut out);
        session.subscribed(seat, &mut out);
        session.handle_line(br#"{"id":2,"method":"mining.authorize","params":["a"]}"#, &mut out);
        let Some(Effect::Authorize(login)) = out.effects.pop() else { panic!("a login") };
        let answer = AuthAnswer::Allow { worker: WorkerId(7), difficulty: None };
        session.authorized(login.ticket, answer, &mut out);
        session.park().expect("it has one")
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
        seats.park(used(alice), now);
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
        seats.park(used(alice), now);
        seats.round_changed(now + KEEP);
        assert!(seats.take(None, SessionId(2), now + KEEP).is_err(), "it is kept for her");
        seats.round_changed(now + KEEP + Duration::from_millis(1));
        let later = now + KEEP + Duration::from_millis(1);
        assert!(seats.take(Some(SessionId(1)), SessionId(3), later).is_ok());
    }
    #[test]
    fn a_seat_nobody_worked_at_is_free_at_once() {
        let (mut seats, now) = (seats(1), Instant::now());
        let stranger = seats.take(None, SessionId(1), now).expect("the only part");
        seats.park(stranger, now);
        let alice = seats.take(None, SessionId(2), now).expect("it is free");
        seats.park(used(alice), now);
        assert!(seats.take(None, SessionId(3), now).is_err(), "hers is kept");
    }

    #[test]
    fn who_comes_and_goes_all_the_time_makes_nothing_grow() {
        let (mut seats, mut now) = (Seats::new(1, NonceLayout::DEFAULT, KEEP), Instant::now());
        let alice = used(seats.take(None, SessionId(1), now).expect("a part"));
        seats.park(alice, now);
        for _ in 0..3 * PARKED_MAX {
            now += Duration::from_millis(1);
            let alice = seats.take(Some(SessionId(1)), SessionId(2), now).expect("it was kept");
            assert_eq!(alice.id(), SessionId(1));
            seats.park(alice, now);
        }
        assert!(seats.order.len() <= 2 * PARKED_MAX);
        assert_eq!(seats.parked.len(), 1);
    }
}
