//! A connection's submits that wait for their answers: each has a slot, and its id names it.

use super::template::ID_FIRST;

/// Ids repeat after so many, long after their answers.
const IDS: u64 = 1 << 29;

/// Why a submit was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Good,
    Bad,
}

/// A submit on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flight {
    id: u64,
    pub(super) sent_ns: u64,
    pub(super) kind: Kind,
}

/// The slots. Answers may come in any order.
#[derive(Debug, Default)]
pub(super) struct Flights {
    slots: Vec<Option<Flight>>,
    free: Vec<u32>,
    bits: u32,
    turn: u64,
}

impl Flights {
    pub(super) fn new(in_flight: u32) -> Self {
        Self {
            slots: vec![None; in_flight as usize],
            free: (0..in_flight).rev().collect(),
            bits: in_flight.max(1).next_power_of_two().trailing_zeros(),
            turn: 0,
        }
    }

    /// A new id, if another submit may be under way.
    #[inline]
    pub(super) fn depart(&mut self, sent_ns: u64, kind: Kind) -> Option<u64> {
        let slot = self.free.pop()?;
        self.turn += 1;
        let id = ID_FIRST + (((self.turn << self.bits) | u64::from(slot)) & (IDS - 1));
        self.slots[slot as usize] = Some(Flight { id, sent_ns, kind });
        Some(id)
    }

    /// The submit an answer belongs to, once.
    #[inline]
    pub(super) fn arrive(&mut self, id: u64) -> Option<Flight> {
        let slot = id.checked_sub(ID_FIRST)? & ((1 << self.bits) - 1);
        let place = self.slots.get_mut(usize::try_from(slot).ok()?)?;
        let flight = place.take_if(|flight| flight.id == id)?;
        self.free.push(slot as u32);
        Some(flight)
    }

    /// Waits for none of them any more.
    pub(super) fn forget(&mut self) {
        self.slots.fill(None);
        self.free = (0..self.slots.len() as u32).rev().collect();
    }

    /// How many wait.
    pub(super) fn count(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// How many more may be sent.
    pub(super) fn room(&self) -> usize {
        self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_finds_its_submit_once_in_any_order() {
        let mut flights = Flights::new(3);
        let ids: Vec<u64> =
            (0..3).map(|at| flights.depart(at, Kind::Good).expect("room")).collect();
        assert!(flights.depart(9, Kind::Good).is_none(), "no more than three");
        for (at, id) in ids.iter().enumerate().rev() {
            assert_eq!(flights.arrive(*id).map(|flight| flight.sent_ns), Some(at as u64));
            assert!(flights.arrive(*id).is_none(), "{id} was answered");
        }
        assert!(flights.arrive(1).is_none() && flights.arrive(ID_FIRST + 99).is_none());
        assert_eq!((flights.count(), flights.room()), (0, 3));
    }

    #[test]
    fn ids_keep_their_digits_and_are_not_used_twice_in_a_row() {
        let mut flights = Flights::new(5);
        let mut last = 0;
        for turn in 0..1000 {
            let id = flights.depart(turn, Kind::Bad).expect("room");
            assert!((ID_FIRST..ID_FIRST + IDS).contains(&id) && id != last);
            assert!(flights.arrive(id).is_some());
            last = id;
        }
    }
}
