//! A circuit breaker: what fails again and again is left alone for a while, and tried again
//! with one call. Pure; the caller brings the time.

/// How patient a breaker is. Times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patience {
    /// Failures in a row that open it.
    pub failures: u32,
    /// The first back-off; each further one is twice as long.
    pub first_ms: u64,
    /// No back-off is longer.
    pub longest_ms: u64,
    /// Openings in a row after which somebody must act.
    pub openings: u32,
}

impl Patience {
    /// A refused login is retried by the miner within seconds, so five failures are soon
    /// together; one second lets a hiccup of an endpoint pass. A minute at most: that is how
    /// long new miners wait after the component was put right. Five openings are half a
    /// minute of trouble.
    pub(crate) const AUTH: Self =
        Self { failures: 5, first_ms: 1_000, longest_ms: 60_000, openings: 5 };
    /// A settlement is expensive and nobody waits in line for it, so the first failure opens.
    /// What mends itself (a full machine) is over in seconds; after three attempts somebody
    /// must look, and what they do is noticed within five minutes.
    pub(crate) const PAYOUT: Self =
        Self { failures: 1, first_ms: 2_000, longest_ms: 300_000, openings: 3 };
    /// Three failures, as the native strategy takes over then. Nothing is urgent while that
    /// acts, so the first pause is longer.
    pub(crate) const DIFFICULTY: Self =
        Self { failures: 3, first_ms: 2_000, longest_ms: 60_000, openings: 5 };
}

/// What a breaker lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Every call.
    Closed,
    /// None before this time.
    Open {
        /// When it is tried again.
        until_ms: u64,
    },
    /// One call is under way that decides.
    HalfOpen {
        /// If nothing was heard of it by then, another is let through.
        until_ms: u64,
    },
}

impl State {
    /// The word used in answers and metric labels.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen { .. } => "half-open",
        }
    }
}

/// A circuit breaker over one component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Breaker {
    patience: Patience,
    state: State,
    failures: u32,
    openings: u32,
}

impl Breaker {
    /// Closed.
    pub(crate) const fn new(patience: Patience) -> Self {
        Self { patience, state: State::Closed, failures: 0, openings: 0 }
    }

    /// What it lets through now.
    pub(crate) const fn state(&self) -> State {
        self.state
    }

    /// Whether it has opened and no call succeeded since.
    pub(crate) const fn is_tripped(&self) -> bool {
        !matches!(self.state, State::Closed)
    }

    /// Whether somebody must act. It is still tried, at the longest interval.
    pub(crate) const fn needs_somebody(&self) -> bool {
        self.openings >= self.patience.openings
    }

    /// Whether a call may be made now; its outcome must be told. The first one after a
    /// back-off is alone until then.
    pub(crate) fn may_call(&mut self, now_ms: u64) -> bool {
        match self.state {
            State::Closed => true,
            State::Open { until_ms } | State::HalfOpen { until_ms } if now_ms >= until_ms => {
                // Whoever was let through may never tell: its caller can be dropped.
                self.state = State::HalfOpen { until_ms: now_ms.saturating_add(self.back_off()) };
                true
            }
            State::Open { .. } | State::HalfOpen { .. } => false,
        }
    }

    /// A call went well. One that was begun before the breaker opened says nothing about now.
    pub(crate) fn succeeded(&mut self) {
        if !matches!(self.state, State::Open { .. }) {
            *self = Self::new(self.patience);
        }
    }

    /// A call failed.
    pub(crate) fn failed(&mut self, now_ms: u64) {
        match self.state {
            State::Closed => {
                self.failures += 1;
                if self.failures >= self.patience.failures {
                    self.open(now_ms);
                }
            }
            State::HalfOpen { .. } => self.open(now_ms),
            // Begun before it opened.
            State::Open { .. } => {}
        }
    }

    fn open(&mut self, now_ms: u64) {
        self.openings = self.openings.saturating_add(1);
        self.state = State::Open { until_ms: now_ms.saturating_add(self.back_off()) };
    }

    /// How long the current opening lasts.
    fn back_off(&self) -> u64 {
        let doublings = self.openings.saturating_sub(1).min(32);
        self.patience.first_ms.saturating_mul(1 << doublings).min(self.patience.longest_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use State::{Closed, HalfOpen, Open};

    const PATIENCE: Patience =
        Patience { failures: 3, first_ms: 100, longest_ms: 350, openings: 3 };

    #[test]
    fn a_life_of_a_breaker() {
        let mut breaker = Breaker::new(PATIENCE);
        // (at, what happens, whether a call may be made then, what it is afterwards)
        let life: &[(u64, &str, Option<bool>, State)] = &[
            (0, "call", Some(true), Closed),
            (1, "failed", None, Closed),
            (2, "failed", None, Closed),
            (3, "succeeded", None, Closed),
            (4, "failed", None, Closed),
            (5, "failed", None, Closed),
            (6, "failed", None, Open { until_ms: 106 }),
            (7, "failed", None, Open { until_ms: 106 }),
            (8, "succeeded", None, Open { until_ms: 106 }),
            (105, "call", Some(false), Open { until_ms: 106 }),
            (106, "call", Some(true), HalfOpen { until_ms: 206 }),
            (107, "call", Some(false), HalfOpen { until_ms: 206 }),
            (110, "failed", None, Open { until_ms: 310 }),
            (310, "call", Some(true), HalfOpen { until_ms: 510 }),
            // Its caller was dropped: another is let through.
            (510, "call", Some(true), HalfOpen { until_ms: 710 }),
            (511, "failed", None, Open { until_ms: 861 }),
            (861, "call", Some(true), HalfOpen { until_ms: 1211 }),
            (862, "failed", None, Open { until_ms: 1212 }),
            (1212, "call", Some(true), HalfOpen { until_ms: 1562 }),
            (1213, "succeeded", None, Closed),
            (1214, "failed", None, Closed),
        ];
        for (at, event, may, state) in life {
            match *event {
                "call" => assert_eq!(Some(breaker.may_call(*at)), *may, "at {at}"),
                "failed" => breaker.failed(*at),
                _ => breaker.succeeded(),
            }
            assert_eq!(breaker.state(), *state, "at {at}");
            assert_eq!(breaker.is_tripped(), *state != Closed);
            assert_eq!(breaker.needs_somebody(), (511..1213).contains(at), "at {at}");
        }
    }

    proptest::proptest! {
        /// Whatever happens: a component that always fails is asked ever less often, never
        /// less often than the longest back-off says, and one that works again is let in.
        #[test]
        fn it_never_gives_up_and_never_hammers(
            steps in proptest::collection::vec((0_u64..500, 0_u8..3), 1..300),
        ) {
            let mut breaker = Breaker::new(PATIENCE);
            let (mut now, mut calls_in_row) = (0, 0);
            for (wait, event) in steps {
                now += wait;
                let tripped = breaker.is_tripped();
                match event {
                    0 => if breaker.may_call(now) && tripped { calls_in_row += 1 },
                    1 => breaker.failed(now),
                    _ => breaker.succeeded(),
                }
                match breaker.state() {
                    Closed => calls_in_row = 0,
                    Open { until_ms } => {
                        proptest::prop_assert!(until_ms <= now + PATIENCE.longest_ms);
                        calls_in_row = 0;
                    }
                    HalfOpen { until_ms } => {
                        proptest::prop_assert!(until_ms <= now + PATIENCE.longest_ms);
                    }
                }
                // At most one more each time one was never heard of.
                proptest::prop_assert!(calls_in_row <= 1 + now / PATIENCE.first_ms);
            }
            now += PATIENCE.longest_ms;
            proptest::prop_assert!(breaker.may_call(now));
            breaker.succeeded();
            proptest::prop_assert_eq!(breaker, Breaker::new(PATIENCE));
        }
    }
}
