//! What becomes of those who send what is refused: nothing, a warning, the end of the
//! connection, a ban of the address. Points are forgiven with time and taken away by accepted
//! shares, so that only somebody who sends little else gets anywhere. Pure: times are passed in,
//! from a clock that never jumps.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Mutex;

use chimera_stratum::Counters;
use serde::{Deserialize, Serialize};

use super::addresses::customer;
use crate::config::Conduct;
use crate::policy::Recent;

/// Points are counted in parts that divide a minute's milliseconds: forgiveness is exact,
/// however often it is looked at.
const PARTS: u64 = 60_000;
/// Drops of an address count for so long.
const DROPS_WINDOW_MS: u64 = 10 * 60_000;
/// Addresses remembered; beyond it the one heard of longest ago starts anew.
const ADDRESSES_MAX: usize = 10_000;

/// What is to be done about a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing.
    Go,
    /// It is told, once.
    Warn,
    /// It is closed.
    Drop,
}

/// One connection's account.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Record {
    parts: u64,
    at_ms: u64,
    warned: bool,
}

/// An account as another process goes on with it.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct RecordState {
    parts: u64,
    /// How long ago forgiveness was last looked at.
    age_ms: u64,
    warned: bool,
}

impl Record {
    /// What another process needs to go on with it.
    pub(super) const fn state(&self, now_ms: u64) -> RecordState {
        let Self { parts, at_ms, warned } = *self;
        RecordState { parts, age_ms: now_ms.saturating_sub(at_ms), warned }
    }

    /// Goes on with it.
    pub(super) const fn restore(state: RecordState, now_ms: u64) -> Self {
        let RecordState { parts, age_ms, warned } = state;
        Self { parts, at_ms: now_ms.saturating_sub(age_ms), warned }
    }

    /// Notes what was answered between two counts, and says what follows from it.
    pub(super) fn note(
        &mut self,
        before: &Counters,
        now: &Counters,
        rules: &Conduct,
        now_ms: u64,
    ) -> Step {
        let since = |count: fn(&Counters) -> u64| count(now).saturating_sub(count(before));
        let points = since(|counters| counters.points).saturating_mul(PARTS);
        let earned = since(|counters| counters.accepted).saturating_mul(PARTS);
        // A clock that went back has let no time pass.
        let passed = now_ms.saturating_sub(self.at_ms);
        let forgiven = passed.saturating_mul(rules.forgiven_per_minute.into());
        self.at_ms = self.at_ms.max(now_ms);
        self.parts = self.parts.saturating_sub(forgiven);
        let forgiven_to = self.points();
        self.parts = self.parts.saturating_add(points).saturating_sub(earned);
        let reached = self.points();
        // Who has come halfway down is warned again on the way up.
        self.warned &= 2 * reached.min(forgiven_to) >= u64::from(rules.warn);
        if points == 0 {
            Step::Go
        } else if reached >= rules.drop.into() {
            Step::Drop
        } else if rules.warn > 0 && reached >= rules.warn.into() && !self.warned {
            self.warned = true;
            Step::Warn
        } else {
            Step::Go
        }
    }

    /// How much stands against it.
    pub(super) const fn points(&self) -> u64 {
        self.parts / PARTS
    }
}

/// What a connection is told, and what is logged: of what kind the refused requests were.
pub(super) fn kinds(counters: &Counters) -> String {
    let Counters { duplicate, low_difficulty, invalid, faults, .. } = counters;
    format!(
        "{duplicate} shares sent twice, {low_difficulty} below their difficulty, {invalid} that \
         fit no job, {faults} other requests"
    )
}

/// What leads to a ban, by address.
#[derive(Debug, Default)]
pub(crate) struct Penalties {
    pub(super) drops: Mutex<Drops>,
}

/// When each address was dropped.
#[derive(Debug)]
pub(super) struct Drops(Recent<IpAddr, VecDeque<u64>>);

impl Default for Drops {
    fn default() -> Self {
        Self(Recent::new(ADDRESSES_MAX))
    }
}

impl Drops {
    /// Notes a drop. True if the address is to be banned, which settles what it did before.
    pub(super) fn note(&mut self, address: IpAddr, rules: &Conduct, now_ms: u64) -> bool {
        if rules.ban_after == 0 {
            return false;
        }
        let customer = customer(address);
        let mut times = self.0.get(&customer).cloned().unwrap_or_default();
        times.retain(|then| now_ms.saturating_sub(*then) < DROPS_WINDOW_MS);
        times.push_back(now_ms);
        if times.len() >= rules.ban_after as usize {
            self.0.remove(&customer);
            return true;
        }
        self.0.put(customer, times);
        false
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const RULES: Conduct = Conduct {
        forgiven_per_minute: 60,
        warn: 10,
        drop: 20,
        ban_after: 3,
        ban: Duration::from_secs(600),
    };

    /// One look after another: at which second, how many more points and accepted shares, what
    /// follows, and what stands against it then.
    fn climb(rules: &Conduct, looks: &[(u64, u64, u64, Step, u64)]) {
        let (mut record, mut before) = (Record::default(), Counters::default());
        for (nth, &(second, points, accepted, step, stands)) in looks.iter().enumerate() {
            let now = Counters {
                points: before.points + points,
                accepted: before.accepted + accepted,
                ..before
            };
            let found = record.note(&before, &now, rules, second * 1_000);
            assert_eq!((found, record.points()), (step, stands), "look {nth} at {second} s");
            before = now;
        }
    }

    #[test]
    fn the_ladder_is_climbed_by_refusals_and_descended_by_time_and_work() {
        use Step::{Drop, Go, Warn};
        // Straight up: warned once, then closed.
        climb(&RULES, &[(0, 9, 0, Go, 9), (0, 1, 0, Warn, 10), (0, 9, 0, Go, 19)]);
        climb(&RULES, &[(0, 10, 0, Warn, 10), (0, 10, 0, Drop, 20)]);
        // A flood between two looks is not warned first.
        climb(&RULES, &[(0, 100_000, 0, Drop, 100_000)]);
        // One point a second is forgiven, and never more than there is.
        climb(&RULES, &[(0, 9, 0, Go, 9), (5, 1, 0, Go, 5), (3600, 1, 0, Go, 1)]);
        climb(&RULES, &[(0, 1, 0, Go, 1), (1, 1, 0, Go, 1), (2, 1, 0, Go, 1), (3, 1, 0, Go, 1)]);
        // Accepted shares take points away, and are no stock for later.
        climb(&RULES, &[(0, 9, 0, Go, 9), (0, 0, 5, Go, 4), (0, 0, 50, Go, 0), (0, 9, 0, Go, 9)]);
        climb(&RULES, &[(0, 50, 50, Go, 0), (0, 5_000, 4_995, Go, 5)]);
        // Warned again only after having come halfway down.
        climb(&RULES, &[(0, 10, 0, Warn, 10), (4, 4, 0, Go, 10), (10, 6, 0, Warn, 10)]);
        // Nothing refused, nothing done: also when rules were crossed before.
        climb(&RULES, &[(0, 25, 0, Drop, 25), (0, 0, 0, Go, 25), (0, 0, 1, Go, 24)]);
    }

    #[test]
    fn forgiveness_is_the_same_however_often_it_is_looked_at() {
        let rules = Conduct { forgiven_per_minute: 7, ..RULES };
        let counted = Counters { points: 15, ..Counters::default() };
        let mut seldom = Record::default();
        seldom.note(&Counters::default(), &counted, &rules, 0);
        let mut often = seldom;
        for ms in 1..=60_000 {
            often.note(&counted, &counted, &rules, ms);
        }
        seldom.note(&counted, &counted, &rules, 60_000);
        assert_eq!((seldom.points(), often.points()), (8, 8));
    }

    #[test]
    fn without_a_warning_and_without_forgiveness() {
        use Step::{Drop, Go};
        let rules = Conduct { forgiven_per_minute: 0, warn: 0, ..RULES };
        climb(&rules, &[(0, 19, 0, Go, 19), (86_400, 1, 0, Drop, 20)]);
    }

    /// What cannot be tried end to end: the pool's clock never jumps, and if it did, nobody
    /// would be forgiven or accused by it for longer than the jump.
    #[test]
    fn a_clock_that_jumps_forgives_at_most_everything_and_never_accuses() {
        use Step::{Go, Warn};
        let looks = [
            (1_000, 9, 0, Go, 9),
            // Back: no time has passed.
            (0, 0, 0, Go, 9),
            (500, 1, 0, Warn, 10),
            // From where it had been before, time goes on.
            (1_001, 0, 0, Go, 9),
            // Far ahead.
            (u64::MAX / 1_000, 1, 0, Go, 1),
        ];
        climb(&RULES, &looks);

        let (mut drops, address) = (Drops::default(), IpAddr::from([192, 0, 2, 1]));
        let far = 1 << 40;
        for (now_ms, banned) in [(far, false), (0, false), (u64::MAX, false), (far, false)] {
            assert_eq!(drops.note(address, &RULES, now_ms), banned, "at {now_ms}");
        }
    }

    #[test]
    fn an_address_dropped_three_times_within_ten_minutes_is_banned() {
        let minutes = |minutes: u64| minutes * 60_000;
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let mut drops = Drops::default();
        for (nth, (address, at, banned)) in [
            (one, 0, false),
            (one, 9, false),
            (other, 9, false),
            // The first is forgotten.
            (one, 10, false),
            (one, 11, true),
            // The ban has settled the others.
            (one, 12, false),
            (other, 12, false),
            (other, 12, true),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(drops.note(address, &RULES, minutes(at)), banned, "drop {nth}");
        }
        let never = Conduct { ban_after: 0, ..RULES };
        let at_once = Conduct { ban_after: 1, ..RULES };
        let mut drops = Drops::default();
        assert!((0..9).all(|at| !drops.note(one, &never, at)));
        assert!(drops.note(one, &at_once, 9));
    }

    #[test]
    fn strangers_cannot_fill_the_memory() {
        let mut drops = Drops::default();
        for n in 0..2 * u32::try_from(ADDRESSES_MAX).expect("few") {
            drops.note(IpAddr::from(n.to_be_bytes()), &RULES, 0);
        }
        assert_eq!(drops.0.len(), ADDRESSES_MAX);
    }
}
