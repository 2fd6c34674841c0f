//! Following one node: what is new there becomes work the moment it is known, and nothing it
//! does or leaves undone ends the following (T27).
//!
//! Four things bring news, whichever is first: announcements over ZMQ, the node's long poll
//! (BIP 22), a poll of its tip, and a timer for new fees and times. Each can fail alone.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep, sleep_until};

use crate::announcements::Subscription;
use crate::board::{Announcements, NodeTip};
use crate::empty_block;
use crate::gbt::Gbt;
use crate::node_chain::Shared;
use crate::payout_script::{check_network, genesis_of};
use crate::rpc::{Rpc, RpcError};
use crate::validate;
use crate::wire::{parse_display_hash, reversed};

/// A node that does not tell its tip in this time is not healthy.
const PROBE_WAIT: Duration = Duration::from_secs(5);

/// A template of 4 MB takes a node a second.
const TEMPLATE_WAIT: Duration = Duration::from_secs(15);

/// Core may hold a long poll as long as nothing happens; the connection is renewed before
/// anything between here and there takes it for dead.
const LONG_POLL_WAIT: Duration = Duration::from_secs(300);

/// Pause after the first failure; doubled after each further one. No chance in it: there is
/// one pool per node, so nothing has to be spread out.
const BACKOFF_FIRST: Duration = Duration::from_millis(250);
/// The longest pause, and so the longest a node can be back unnoticed.
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// A node makes its template a moment after it has a block; how often it is asked again, and
/// after which pause, before it is believed to be stuck.
const STALE_TRIES: u32 = 5;
const STALE_PAUSE: Duration = Duration::from_millis(100);

/// Texts longer than this are read where waiting harms nobody.
const LONG_TEXT_BYTES: usize = 64 * 1024;

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, RpcError>> + Send>>;

/// Runs until it is aborted.
pub(crate) async fn follow(shared: Arc<Shared>, at: usize) {
    let mut node = Follower::new(shared, at);
    loop {
        let cause = match node.meet().await {
            Ok(()) => node.until_it_fails().await,
            Err(cause) => cause,
        };
        node.long_poll = None;
        let failures = node.shared.failed(at, cause);
        sleep(backoff(failures)).await;
    }
}

/// Why the wait for news ended.
enum News {
    /// The node announced a block.
    Announced([u8; 32]),
    /// The long poll brought this.
    Told(Box<RawValue>),
    /// It is time to ask for the tip.
    Poll,
    /// It is time for new fees, or work is to come from this node now.
    Refresh,
}

/// A node, and what was last heard from it.
struct Follower {
    shared: Arc<Shared>,
    at: usize,
    rpc: Rpc,
    subscription: Option<Subscription>,
    /// An unanswered long poll. One at most: Core serves each with a thread of its own until
    /// it is answered.
    long_poll: Option<Answer<Box<RawValue>>>,
    long_poll_id: Option<String>,
    /// With which id the long poll was asked.
    polled_id: Option<String>,
    /// The last block it announced.
    announced: Option<[u8; 32]>,
    /// Its tip when it was last asked.
    seen: Option<[u8; 32]>,
    /// Blocks in a row that were found by asking and had not been announced.
    unannounced: u32,
    refresh_at: Instant,
    poll_at: Instant,
}

impl Follower {
    fn new(shared: Arc<Shared>, at: usize) -> Self {
        let endpoint = &shared.config.nodes[at];
        let subscription = endpoint.zmq.clone().map(Subscription::new);
        if subscription.is_some() {
            shared.board().announces(at, Announcements::Away);
        }
        let now = Instant::now();
        Self {
            rpc: endpoint.rpc.clone(),
            at,
            subscription,
            long_poll: None,
            long_poll_id: None,
            polled_id: None,
            announced: None,
            seen: None,
            unannounced: 0,
            refresh_at: now,
            poll_at: now,
            shared,
        }
    }

    /// First contact, or the first after a failure: is it of this chain, and has it work?
    async fn meet(&mut self) -> Result<(), String> {
        self.check_chain().await?;
        let tip = self.tip().await?;
        self.seen = Some(tip.hash);
        self.fetch(Some(tip.hash)).await
    }

    async fn check_chain(&mut self) -> Result<(), String> {
        let genesis = genesis_of(&self.rpc).await.map_err(|error| self.cause(error))?;
        let profile = &self.shared.plan.profile;
        check_network(&self.rpc, profile, &genesis).map_err(|error| error.to_string())?;
        let expected = self.shared.genesis.get_or_init(|| genesis.clone());
        if *expected != genesis {
            return Err(format!(
                "node {} is of another chain: its first block is {genesis}, that of the others \
                 {expected}",
                self.rpc.name()
            ));
        }
        Ok(())
    }

    /// An error with the name of the node, for people: of several nodes each has its own.
    fn cause(&self, error: RpcError) -> String {
        match error {
            RpcError::Node(fault) => format!("node {} answered: {fault}", self.rpc.name()),
            named => named.to_string(),
        }
    }

    /// Returns the cause.
    async fn until_it_fails(&mut self) -> String {
        self.poll_at = Instant::now() + self.shared.config.poll_interval;
        loop {
            self.keep_long_poll();
            let outcome = match self.news().await {
                News::Announced(block) => self.announced(block).await,
                News::Told(text) => self.told(text).await,
                News::Poll => self.poll().await,
                News::Refresh => self.fetch(None).await,
            };
            if let Err(cause) = outcome {
                return cause;
            }
        }
    }

    async fn news(&mut self) -> News {
        let mut source = self.shared.source.subscribe();
        let is_source = *source.borrow_and_update() == self.at;
        loop {
            tokio::select! {
                heard = heard_of(&mut self.subscription) => {
                    let state = match heard.connected {
                        true => Announcements::Connected,
                        false => Announcements::Away,
                    };
                    let before = self.shared.board().announces(self.at, state);
                    if let Some(block) = heard.block.filter(|_| heard.block != self.announced) {
                        self.announced = Some(block);
                        return News::Announced(block);
                    }
                    if state == Announcements::Away && before != state {
                        return News::Poll;
                    }
                }
                answer = answer_of(&mut self.long_poll) => {
                    self.long_poll = None;
                    // A poll that ended without news is renewed with the next template, so a
                    // node that answers at once is not asked in circles. One that other news
                    // came before has its next template already.
                    if self.long_poll_id == self.polled_id {
                        self.long_poll_id = None;
                    }
                    // A connection that ended may be a node that did.
                    return answer.map_or(News::Poll, News::Told);
                }
                () = sleep_until(self.poll_at) => {
                    self.poll_at = Instant::now() + self.shared.config.poll_interval;
                    return News::Poll;
                }
                () = sleep_until(self.refresh_at), if is_source => return News::Refresh,
                _ = source.changed() => {
                    let now_source = *source.borrow_and_update() == self.at;
                    if now_source != is_source {
                        // Also for the long poll's sake: only the source is asked that way.
                        return if now_source { News::Refresh } else { News::Poll };
                    }
                }
            }
        }
    }

    async fn announced(&mut self, block: [u8; 32]) -> Result<(), String> {
        self.unannounced = 0;
        if self.shared.works_on(block) {
            return Ok(());
        }
        if !self.shared.config.empty_block_first {
            return self.fetch(Some(block)).await;
        }
        // Both at once: whichever is there first is worked on, the full one from then on.
        let (shared, rpc, at) = (Arc::clone(&self.shared), self.rpc.clone(), self.at);
        let mut empty = Box::pin(async move {
            if let Some(gbt) = empty_block::after(&shared, &rpc, block).await {
                // The full one is on its way in any case.
                drop(shared.publish(at, gbt));
            }
        });
        let full = self.fetch(Some(block));
        tokio::pin!(full);
        tokio::select! {
            biased;
            outcome = &mut full => return outcome,
            () = &mut empty => {}
        }
        full.await
    }

    /// The long poll's answer: taken if it is about a new block. New fees wait for the timer.
    async fn told(&mut self, text: Box<RawValue>) -> Result<(), String> {
        let gbt = self.read(text).await?;
        if self.shared.works_on(gbt.previous) {
            return Ok(());
        }
        // It may have been on its way while other news came of a later block.
        if self.shared.board().round().is_some_and(|round| gbt.height <= round.height + 1) {
            return self.poll().await;
        }
        self.take(gbt)
    }

    async fn poll(&mut self) -> Result<(), String> {
        let tip = self.tip().await?;
        self.shared.answered(self.at, tip);
        self.note_silence(tip.hash);
        if self.shared.works_on(tip.hash) {
            self.shared.healthy();
            return Ok(());
        }
        if self.shared.wants(self.at, tip) {
            self.fetch(Some(tip.hash)).await?;
        }
        Ok(())
    }

    /// An announcement may cross the question on its way; a second block without one does not.
    /// Whatever else told of the blocks: the long poll must not hide it.
    fn note_silence(&mut self, tip: [u8; 32]) {
        if self.seen.replace(tip) == Some(tip) || self.announced == Some(tip) {
            return;
        }
        let mut board = self.shared.board();
        if board.announcements(self.at) != Announcements::Connected {
            return;
        }
        self.unannounced += 1;
        if self.unannounced > 1 {
            tracing::warn!(node = self.rpc.name(), "new blocks are not announced over ZMQ");
            board.announces(self.at, Announcements::Silent);
        }
    }

    async fn tip(&mut self) -> Result<NodeTip, String> {
        self.shared.asks(self.at);
        let answer = self.rpc.call_within(PROBE_WAIT, "getblockchaininfo", json!([])).await;
        let answer = answer.map_err(|error| self.cause(error))?;
        let hash = answer["bestblockhash"].as_str().and_then(parse_display_hash);
        let (Some(hash), Some(height)) = (hash, answer["blocks"].as_u64()) else {
            let missing = "bestblockhash and blocks";
            return Err(self.rpc.unexpected("getblockchaininfo", missing).to_string());
        };
        Ok(NodeTip { hash, height })
    }

    /// Asks for work, to be built on `tip` if that is known, else where there is work already.
    async fn fetch(&mut self, tip: Option<[u8; 32]>) -> Result<(), String> {
        self.refresh_at = Instant::now() + self.shared.config.refresh_interval;
        let mut expected = tip.or_else(|| self.shared.board().round().map(|round| round.hash));
        for _ in 0..STALE_TRIES {
            self.shared.asks(self.at);
            let params = self.shared.template_params(None);
            let answer = self.rpc.call_text(TEMPLATE_WAIT, "getblocktemplate", params).await;
            let gbt = self.read(answer.map_err(|error| self.cause(error))?).await?;
            let Some(tip) = expected.filter(|tip| *tip != gbt.previous) else {
                return self.accept(gbt).await;
            };
            // Either the tip has moved on meanwhile, or the node is not through with it.
            let now = self.tip().await?;
            if now.hash == gbt.previous {
                return self.accept(gbt).await;
            }
            tracing::debug!(
                node = self.rpc.name(),
                "its template is of an older block than its tip"
            );
            if now.hash == tip {
                sleep(STALE_PAUSE).await;
            }
            expected = Some(now.hash);
        }
        let tip = expected.map(|tip| hex::encode(reversed(tip))).unwrap_or_default();
        Err(format!(
            "node {} gives work for a chain it has left: its last block is {tip}, its template \
             does not build on it",
            self.rpc.name()
        ))
    }

    /// Reads and checks a template.
    async fn read(&mut self, text: Box<RawValue>) -> Result<Gbt, String> {
        let profile = Arc::clone(&self.shared.plan.profile);
        let is_long = text.get().len() > LONG_TEXT_BYTES;
        let read = move || {
            let gbt = Gbt::parse(text.get(), profile.coinbase.time)?;
            validate::check(&gbt, &profile).map(|()| gbt)
        };
        let gbt = match is_long {
            true => tokio::task::spawn_blocking(read).await.map_err(|error| error.to_string())?,
            false => read(),
        };
        gbt.map_err(|error| format!("node {}: {error}", self.rpc.name()))
    }

    /// A node that was replaced between two questions may be one of another chain: a block
    /// nobody announced is taken for one of this chain after another look at the first.
    async fn accept(&mut self, gbt: Gbt) -> Result<(), String> {
        if self.announced != Some(gbt.previous) && !self.shared.works_on(gbt.previous) {
            self.check_chain().await?;
        }
        self.take(gbt)
    }

    fn take(&mut self, gbt: Gbt) -> Result<(), String> {
        self.long_poll_id.clone_from(&gbt.long_poll_id);
        let tip = NodeTip { hash: gbt.previous, height: gbt.height - 1 };
        self.shared.answered(self.at, tip);
        let published = self.shared.publish(self.at, gbt);
        published.map_err(|error| format!("node {}: {error}", self.rpc.name()))
    }

    /// A long poll at the source, none elsewhere.
    fn keep_long_poll(&mut self) {
        if self.shared.board().source() != self.at {
            self.long_poll = None;
            return;
        }
        let (None, Some(id)) = (&self.long_poll, &self.long_poll_id) else { return };
        let (rpc, params) = (self.rpc.clone(), self.shared.template_params(Some(id)));
        self.polled_id = Some(id.clone());
        self.long_poll = Some(Box::pin(async move {
            rpc.call_text(LONG_POLL_WAIT, "getblocktemplate", params).await
        }));
    }
}

/// Never ends while there is no subscription.
async fn heard_of(subscription: &mut Option<Subscription>) -> crate::announcements::Heard {
    match subscription {
        Some(subscription) => subscription.changed().await,
        None => std::future::pending().await,
    }
}

/// Never ends while there is no long poll. May be dropped and asked again.
async fn answer_of(
    long_poll: &mut Option<Answer<Box<RawValue>>>,
) -> Result<Box<RawValue>, RpcError> {
    match long_poll {
        Some(answer) => answer.as_mut().await,
        None => std::future::pending().await,
    }
}

fn backoff(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    BACKOFF_FIRST.saturating_mul(1 << doublings).min(BACKOFF_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t27_the_pause_grows_to_a_second_and_never_ends() {
        let pauses: Vec<_> = (1..=5).map(|n| backoff(n).as_millis()).collect();
        assert_eq!(pauses, [250, 500, 1000, 1000, 1000]);
        assert_eq!(backoff(u32::MAX), BACKOFF_MAX);
    }
}
