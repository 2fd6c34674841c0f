//! Following the chain: new work the moment there is a new block, fresh work now and then,
//! and never giving up (T27).
//!
//! Three things ask for new work: the node's long poll (BIP 22), which is told at once of a
//! new block; a poll of the tip, for nodes without long poll and as a probe of their health;
//! and a timer, for new fees and times.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chimera_work::Template;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use crate::gbt::Gbt;
use crate::node_chain::Shared;
use crate::rpc::{Rpc, RpcError};
use crate::wire::parse_display_hash;

/// A node that does not tell its tip in this time is not healthy.
const PROBE_WAIT: Duration = Duration::from_secs(5);

/// Core may hold a long poll as long as nothing happens; the connection is renewed before
/// anything between here and there takes it for dead.
const LONG_POLL_WAIT: Duration = Duration::from_secs(300);

/// Pause after the first failure; doubled after each further one. No chance in it: there is
/// one pool per node, so nothing has to be spread out.
const BACKOFF_FIRST: Duration = Duration::from_millis(250);
/// The longest pause, and so the longest a node can be back unnoticed.
const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// An unanswered long poll. One per node at most: Core serves each with a thread of its own
/// until it is answered, and has four.
struct LongPoll {
    node: usize,
    answer: Pin<Box<dyn Future<Output = Result<Value, RpcError>> + Send>>,
}

/// Work, and where it came from.
struct Fetched {
    node: usize,
    template: Arc<Template>,
    long_poll_id: Option<String>,
}

/// Why the wait for news ended.
enum News {
    /// Something may have changed: ask.
    Ask,
    /// The node said so, with the new work.
    Told(usize, Value),
}

/// Runs until it is aborted.
pub(crate) async fn follow(shared: Arc<Shared>) {
    let mut long_poll: Option<LongPoll> = None;
    let mut news = News::Ask;
    loop {
        let fetched = match news {
            News::Ask => shared.fetch().await,
            News::Told(node, answer) => shared.take(node, &answer),
        };
        match fetched {
            Ok(fetched) => {
                shared.health.succeeded((shared.clock)());
                long_poll = long_poll.filter(|waiting| waiting.node == fetched.node);
                if long_poll.is_none() {
                    long_poll = shared.long_poll(&fetched);
                }
                let previous = fetched.template.previous;
                shared.rounds.send_replace(Some(fetched.template));
                news = shared.wait_for_news(&mut long_poll, previous).await;
            }
            Err(cause) => {
                long_poll = None;
                let failures = shared.health.failed(cause, (shared.clock)());
                sleep(backoff(failures)).await;
                news = News::Ask;
            }
        }
    }
}

impl Shared {
    /// All nodes, the one that answered last first.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (usize, &Rpc)> {
        let nodes = &self.config.nodes;
        let first = self.preferred.load(Ordering::Relaxed);
        (0..nodes.len()).map(move |nth| (first + nth) % nodes.len()).map(|at| (at, &nodes[at]))
    }

    /// Asks the nodes in turn for work; the error tells of each.
    async fn fetch(&self) -> Result<Fetched, String> {
        let mut causes = Vec::new();
        for (at, node) in self.nodes() {
            let params = self.template_params(None);
            let answer = node.call("getblocktemplate", params).await;
            match answer.map_err(|error| error.to_string()).and_then(|it| self.take(at, &it)) {
                Ok(fetched) => {
                    if self.preferred.swap(at, Ordering::Relaxed) != at {
                        tracing::warn!(node = node.name(), "work now comes from another node");
                    }
                    return Ok(fetched);
                }
                Err(cause) => causes.push(cause),
            }
        }
        Err(causes.join("; "))
    }

    fn take(&self, node: usize, answer: &Value) -> Result<Fetched, String> {
        let gbt = Gbt::parse(answer).map_err(|error| error.to_string())?;
        let long_poll_id = gbt.long_poll_id.clone();
        let mut templates = self.templates.lock().expect("nothing panics while it holds these");
        let template = templates.add(&self.plan, gbt).map_err(|error| error.to_string())?;
        Ok(Fetched { node, template, long_poll_id })
    }

    fn template_params(&self, long_poll_id: Option<&str>) -> Value {
        let mut request = json!({ "rules": ["segwit"], "capabilities": ["longpoll"] });
        if let Some(id) = long_poll_id {
            request["longpollid"] = id.into();
        }
        match &self.config.template_algorithm {
            None => json!([request]),
            Some(algorithm) => json!([request, algorithm]),
        }
    }

    fn long_poll(&self, fetched: &Fetched) -> Option<LongPoll> {
        let id = fetched.long_poll_id.as_deref()?;
        let node = self.config.nodes[fetched.node].clone();
        let params = self.template_params(Some(id));
        let answer =
            Box::pin(
                async move { node.call_within(LONG_POLL_WAIT, "getblocktemplate", params).await },
            );
        Some(LongPoll { node: fetched.node, answer })
    }

    async fn wait_for_news(&self, long_poll: &mut Option<LongPoll>, previous: [u8; 32]) -> News {
        let refresh_at = Instant::now() + self.config.refresh_interval;
        loop {
            tokio::select! {
                (node, answer) = answer_of(long_poll) => {
                    *long_poll = None;
                    // Of a new block; new fees wait for the timer. A poll that ended
                    // without news is renewed then too, so a node that answers at once
                    // is not asked in circles.
                    if let Ok(answer) = answer
                        && previous_of(&answer).is_some_and(|found| found != previous)
                    {
                        return News::Told(node, answer);
                    }
                }
                () = sleep(self.config.poll_interval) => {
                    if self.tip().await != Some(previous) {
                        return News::Ask;
                    }
                    self.health.succeeded((self.clock)());
                }
                () = sleep_until(refresh_at) => return News::Ask,
            }
        }
    }

    /// The tip of the node work comes from; `None` if it does not tell.
    async fn tip(&self) -> Option<[u8; 32]> {
        let (_, node) = self.nodes().next()?;
        let answer = node.call_within(PROBE_WAIT, "getbestblockhash", json!([])).await.ok()?;
        parse_display_hash(answer.as_str()?)
    }
}

/// Never ends while there is no long poll. May be dropped and asked again.
async fn answer_of(long_poll: &mut Option<LongPoll>) -> (usize, Result<Value, RpcError>) {
    match long_poll {
        Some(LongPoll { node, answer }) => (*node, answer.as_mut().await),
        None => std::future::pending().await,
    }
}

fn previous_of(answer: &Value) -> Option<[u8; 32]> {
    parse_display_hash(answer["previousblockhash"].as_str()?)
}

fn backoff(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    BACKOFF_FIRST.saturating_mul(1 << doublings).min(BACKOFF_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t27_the_pause_grows_to_ten_seconds_and_never_ends() {
        let pauses: Vec<_> = (1..=8).map(|n| backoff(n).as_millis()).collect();
        assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
        assert_eq!(backoff(u32::MAX), BACKOFF_MAX);
    }
}
