//! What an auth policy answered, kept for the time it said itself: so that a storm of
//! connections costs one call for each identity, and known ones go on when it fails.

use std::net::IpAddr;
use std::sync::{Arc, Weak};

use chimera_plugin::{AuthPolicy, Decision, Digest};

use super::{Filled, recent::Recent};

/// Answers kept; about 1 kB each.
const ANSWERS_MAX: usize = 20_000;
/// While the component is down, an answer lasts so many times longer.
const STALE_TIMES: u64 = 4;

/// Who asked: everything a policy decides by, but the time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    /// The name as it was sent.
    pub user: String,
    /// From where.
    pub address: IpAddr,
    /// Through which door.
    pub listener: Arc<str>,
    /// Whether nobody could listen.
    pub tls: bool,
    /// What the miner calls itself.
    pub user_agent: String,
    /// Of the password, salted; `None` where policies do not see it.
    pub password: Option<Digest>,
}

/// Kept answers.
pub(super) struct Answers(Recent<Identity, Kept>);

struct Kept {
    /// Allow or deny.
    decision: Decision,
    /// Who said so.
    by: Weak<Filled<AuthPolicy>>,
    at_ms: u64,
    ttl_ms: u64,
}

impl Default for Answers {
    fn default() -> Self {
        Self(Recent::new(ANSWERS_MAX))
    }
}

impl Answers {
    /// Keeps an answer, unless it is none or is not to be reused.
    pub(super) fn keep(
        &mut self,
        identity: Identity,
        decision: &Decision,
        by: Weak<Filled<AuthPolicy>>,
        now_ms: u64,
    ) {
        let mut decision = decision.clone();
        let ttl_s = match &mut decision {
            Decision::Allow(grant) => {
                // Without bound, and nobody reads them again.
                grant.tags.clear();
                grant.ttl_s
            }
            Decision::Deny(denial) => denial.ttl_s,
            Decision::NoOpinion => 0,
        };
        if ttl_s == 0 {
            // What it said before no longer holds either.
            self.0.remove(&identity);
            return;
        }
        let ttl_ms = u64::from(ttl_s) * 1_000;
        self.0.put(identity, Kept { decision, by, at_ms: now_ms, ttl_ms });
    }

    /// The answer this very component gave within its time to live.
    pub(super) fn fresh(
        &mut self,
        identity: &Identity,
        by: &Weak<Filled<AuthPolicy>>,
        now_ms: u64,
    ) -> Option<Decision> {
        let kept = self.0.get(identity)?;
        (kept.by.ptr_eq(by) && kept.age(now_ms) < kept.ttl_ms).then(|| kept.decision.clone())
    }

    /// The last answer, whoever gave it, while it is not too old to stand in for one that
    /// cannot be had.
    pub(super) fn stale(&mut self, identity: &Identity, now_ms: u64) -> Option<Decision> {
        let kept = self.0.get(identity)?;
        (kept.age(now_ms) < kept.ttl_ms.saturating_mul(STALE_TIMES)).then(|| kept.decision.clone())
    }
}

impl Kept {
    const fn age(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.at_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chimera_plugin::{Denial, Grant};

    fn identity(user: &str) -> Identity {
        let address = IpAddr::from([192, 0, 2, 1]);
        Identity {
            user: user.to_owned(),
            address,
            listener: "stratum".into(),
            tls: false,
            user_agent: String::new(),
            password: None,
        }
    }

    fn allow(ttl_s: u32) -> Decision {
        Decision::Allow(Grant {
            account: "alice".to_owned(),
            worker: None,
            ttl_s,
            start_difficulty: None,
            max_sessions: None,
            tags: vec![("plan".to_owned(), "gold".to_owned())],
        })
    }

    #[test]
    fn an_answer_is_fresh_for_its_time_and_stands_in_for_four_times_that() {
        let by = Weak::new();
        let deny = Decision::Deny(Denial { public_message: "no".into(), ttl_s: 10, ban_s: 0 });
        for decision in [allow(10), deny] {
            let mut answers = Answers::default();
            answers.keep(identity("alice"), &decision, Weak::clone(&by), 1_000);
            for (at_ms, fresh, stale) in [
                (1_000, true, true),
                (10_999, true, true),
                (11_000, false, true),
                (40_999, false, true),
                (41_000, false, false),
            ] {
                let found = answers.fresh(&identity("alice"), &by, at_ms);
                assert_eq!(found.is_some(), fresh, "{at_ms}");
                assert_eq!(answers.stale(&identity("alice"), at_ms).is_some(), stale, "{at_ms}");
            }
            assert!(answers.stale(&identity("bob"), 1_000).is_none());
        }
    }

    #[test]
    fn an_answer_without_a_time_to_live_is_not_kept_and_ends_the_one_before() {
        let by = Weak::new();
        let mut answers = Answers::default();
        for decision in [allow(0), Decision::NoOpinion] {
            answers.keep(identity("alice"), &allow(10), Weak::clone(&by), 0);
            answers.keep(identity("alice"), &decision, Weak::clone(&by), 1);
            assert!(answers.fresh(&identity("alice"), &by, 1).is_none());
            assert!(answers.stale(&identity("alice"), 1).is_none());
        }
    }

    #[test]
    fn tags_are_not_kept() {
        let by = Weak::new();
        let mut answers = Answers::default();
        answers.keep(identity("alice"), &allow(10), Weak::clone(&by), 0);
        let Some(Decision::Allow(grant)) = answers.fresh(&identity("alice"), &by, 0) else {
            panic!("it was allowed")
        };
        assert!(grant.tags.is_empty());
    }
}
