//! Whether the chain can be reached, as found by asking it (T20).

use std::fmt;

use tokio::sync::watch;

/// The state of the connection to the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainHealth {
    /// The last question was answered.
    Healthy {
        /// When the first of the answers in a row came, seconds since the Unix epoch.
        since: u64,
    },
    /// The last question was not answered, or not with work.
    Unhealthy {
        /// The last error, for people.
        cause: String,
        /// When the first failure in a row was seen, seconds since the Unix epoch.
        since: u64,
        /// Failures in a row.
        failures: u32,
    },
}

impl ChainHealth {
    /// Whether it is [`ChainHealth::Healthy`].
    pub const fn is_healthy(&self) -> bool {
        matches!(self, Self::Healthy { .. })
    }

    /// What an operator should look at; `None` when nothing is wrong.
    pub const fn recommendation(&self) -> Option<&'static str> {
        match self {
            Self::Healthy { .. } => None,
            Self::Unhealthy { .. } => Some(
                "check that the node runs, is synchronised and reachable at the configured \
                 address with the configured credentials; mining resumes by itself",
            ),
        }
    }
}

impl fmt::Display for ChainHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Healthy { .. } => f.write_str("healthy"),
            Self::Unhealthy { cause, .. } => write!(f, "unhealthy: {cause}"),
        }
    }
}

/// The side that probes.
#[derive(Debug)]
pub(crate) struct HealthProbe(watch::Sender<ChainHealth>);

impl HealthProbe {
    pub(crate) fn new(now: u64) -> Self {
        let cause = "no work was received yet".to_owned();
        Self(watch::Sender::new(ChainHealth::Unhealthy { cause, since: now, failures: 0 }))
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<ChainHealth> {
        self.0.subscribe()
    }

    pub(crate) fn succeeded(&self, now: u64) {
        self.0.send_if_modified(|health| {
            let changed = !health.is_healthy();
            if changed {
                tracing::info!("chain healthy");
                *health = ChainHealth::Healthy { since: now };
            }
            changed
        });
    }

    /// Returns the failures in a row, this one included.
    pub(crate) fn failed(&self, cause: String, now: u64) -> u32 {
        let mut count = 1;
        self.0.send_modify(|health| {
            let since = match health {
                ChainHealth::Unhealthy { since, failures, .. } => {
                    count = failures.saturating_add(1);
                    *since
                }
                ChainHealth::Healthy { .. } => now,
            };
            if count == 1 {
                tracing::warn!(cause, "chain unhealthy");
            }
            *health = ChainHealth::Unhealthy { cause, since, failures: count };
        });
        count
    }
}
