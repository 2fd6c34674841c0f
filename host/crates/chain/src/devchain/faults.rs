//! The ways a real node fails, on demand.

use std::sync::{Mutex, MutexGuard};

use serde_json::Value;

/// A way to fail. Those of the connection are seen over HTTP ([`SimServer`](super::SimServer));
/// a caller in the same process gets an error instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The answer comes late, in milliseconds.
    Slow {
        /// How late.
        ms: u64,
    },
    /// The answer never comes.
    Hang,
    /// This HTTP status and a line of text: 401, 403, 500 or 503.
    Status(u16),
    /// HTTP 500 and error -28, "Loading block index...".
    WarmUp,
    /// More is announced than sent, then the connection is closed.
    HalfReply,
    /// Half a JSON document, with the right length.
    HalfJson,
    /// `getblocktemplate` goes on answering what it would have answered when this was set.
    Stale,
    /// The connection is closed without an answer.
    Closed,
    /// This JSON-RPC error.
    Error {
        /// Its code.
        code: i32,
        /// Its words.
        message: String,
    },
    /// New tips are not published.
    ZmqSilent,
}

/// A fault, and whom it meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultRule {
    /// What happens.
    pub fault: Fault,
    /// To which calls; `None`: to all.
    pub methods: Option<Vec<String>>,
    /// How often; `None`: until cleared.
    pub times: Option<u32>,
}

impl FaultRule {
    /// A fault of every call until it is cleared.
    pub const fn always(fault: Fault) -> Self {
        Self { fault, methods: None, times: None }
    }

    /// The same for these methods only.
    #[must_use]
    pub fn of(mut self, methods: &[&str]) -> Self {
        self.methods = Some(methods.iter().map(|method| (*method).to_owned()).collect());
        self
    }

    /// The same so many times only.
    #[must_use]
    pub const fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    fn meets(&self, methods: &[&str]) -> bool {
        let listed = |all: &Vec<String>| all.iter().any(|one| methods.contains(&one.as_str()));
        self.methods.as_ref().is_none_or(listed)
    }
}

/// The faults of one node; all its faces share them. Of several that meet a call the one set
/// first happens.
#[derive(Debug, Default)]
pub struct Faults {
    rules: Mutex<Vec<Set>>,
}

#[derive(Debug)]
struct Set {
    rule: FaultRule,
    /// The template of a stale node.
    template: Option<Value>,
}

impl Faults {
    /// Ends all faults.
    pub fn clear(&self) {
        self.rules().clear();
    }

    /// Those still to come, with the times left.
    pub fn active(&self) -> Vec<FaultRule> {
        self.rules().iter().map(|set| set.rule.clone()).collect()
    }

    pub(super) fn set(&self, rule: FaultRule, template: Option<Value>) {
        if rule.times != Some(0) {
            self.rules().push(Set { rule, template });
        }
    }

    /// The fault these calls (more than one in a batch) meet now.
    pub(super) fn take(&self, methods: &[&str]) -> Option<Fault> {
        // A simulation must be possible to end.
        if methods.contains(&"simulate") {
            return None;
        }
        let of_calls = |fault: &Fault| !matches!(fault, Fault::Stale | Fault::ZmqSilent);
        self.take_where(|rule| of_calls(&rule.fault) && rule.meets(methods)).map(|(it, _)| it)
    }

    /// The template of a stale node.
    pub(super) fn take_stale(&self) -> Option<Value> {
        self.take_where(|rule| rule.fault == Fault::Stale)?.1
    }

    /// The same, to be taken later.
    pub(super) fn stale(&self) -> Option<Value> {
        let rules = self.rules();
        rules.iter().find(|set| set.rule.fault == Fault::Stale)?.template.clone()
    }

    pub(super) fn take_zmq_silence(&self) -> bool {
        self.take_where(|rule| rule.fault == Fault::ZmqSilent).is_some()
    }

    fn take_where(&self, wanted: impl Fn(&FaultRule) -> bool) -> Option<(Fault, Option<Value>)> {
        let mut rules = self.rules();
        let at = rules.iter().position(|set| wanted(&set.rule))?;
        let set = &mut rules[at];
        let taken = (set.rule.fault.clone(), set.template.clone());
        if let Some(left) = &mut set.rule.times {
            *left -= 1;
            if *left == 0 {
                rules.remove(at);
            }
        }
        Some(taken)
    }

    fn rules(&self) -> MutexGuard<'_, Vec<Set>> {
        self.rules.lock().expect("nothing panics while it holds the faults")
    }
}
