//! What time brings to a connection.

use super::{Connection, End, Stage, WRITE_MAX_MS};
use crate::gate::desk::Desk;
use crate::gate::slots::Key;

/// The same when the pool is stopping: a slow reader must not use up everybody's time.
const GOODBYE_WRITE_MAX_MS: u64 = 1_000;
/// A miner that has closed its side still gets the answers under way, for so long.
const LAST_ANSWERS_MS: u64 = 5_000;
/// The pool says something at least so often: cpuminer gives it up after 300 s of silence.
const QUIET_MAX_MS: u64 = 120_000;
/// A retarget that was never answered (a desk too busy) is asked for again.
const RETARGET_WAIT_MS: u64 = 10_000;

impl Connection {
    /// What time brings: deadlines, and the question how hard its shares should be.
    pub(in crate::gate) fn sweep(&mut self, key: Key, desk: &mut Desk) -> Result<(), End> {
        let now = desk.now;
        let since = |then: u64| now.saturating_sub(then);
        let write_max = if self.leaving.is_some() { GOODBYE_WRITE_MAX_MS } else { WRITE_MAX_MS };
        if self.blocked_since.is_some_and(|blocked| since(blocked) > write_max) {
            return Err(End::SlowReader);
        }
        match self.stage {
            Stage::Dismissed { until_ms } if now >= until_ms => {
                return Err(End::Dismissed("was told why".to_owned()));
            }
            Stage::Dismissed { .. } => return Ok(()),
            Stage::Opening(_) | Stage::Mining => {}
        }
        if self.may_end() {
            return Err(self.last_end());
        }
        let settings = &desk.gate.settings;
        let (handshake, idle) = (settings.handshake.as_millis(), settings.idle.as_millis());
        if let Some(closed) = self.closed {
            return if since(closed) > LAST_ANSWERS_MS { Err(End::Closed) } else { Ok(()) };
        }
        // Who waits for the pool's own answer is not late.
        let waits = self.logins > 0;
        if !self.authorised && !waits && u128::from(since(self.opened)) > handshake {
            return Err(End::Handshake(settings.handshake.as_secs()));
        }
        if self.authorised && u128::from(since(self.heard)) > idle {
            return Err(End::Silent(settings.idle.as_secs()));
        }
        if self.authorised {
            self.keep_alive(desk)?;
        }
        if self.authorised && now >= self.measure_at {
            self.measure_at = now + desk.gate.retarget_ms;
            self.measure(key, desk);
        }
        if self.unread.bytes.is_empty() && self.unread.bytes.capacity() > 0 {
            self.unread.bytes = Vec::new();
        }
        self.session.rest();
        Ok(())
    }

    /// Says something to a miner that would take the pool for gone, and asks one for a sign of
    /// life that will else be taken for gone: at a low hashrate a share may take very long.
    fn keep_alive(&mut self, desk: &mut Desk) -> Result<(), End> {
        let idle = u64::try_from(desk.gate.settings.idle.as_millis()).unwrap_or(u64::MAX);
        let last = |then: u64| desk.now.saturating_sub(then.max(self.pinged));
        if last(self.spoken) < QUIET_MAX_MS && last(self.heard) < idle / 2 {
            return Ok(());
        }
        self.pinged = desk.now;
        self.session.ping(&mut desk.out);
        self.write(desk)
    }

    /// Why it ends, if it [may](Self::may_end).
    pub(in crate::gate) const fn last_end(&self) -> End {
        if self.leaving.is_some() { End::Leaving } else { End::Closed }
    }

    /// Whether it has closed its side, or was told to come back, and everything is said.
    pub(in crate::gate) fn may_end(&self) -> bool {
        let going = self.closed.is_some() || self.leaving.is_some();
        let answered = self.unanswered == 0
            && self.settled == 0
            && self.logins == 0
            && self.offering.is_none();
        // Who was told to go loses what nobody has looked at yet.
        let heard = !self.more || self.leaving.is_some();
        going && answered && heard && self.wire.is_flushed()
    }

    fn measure(&mut self, key: Key, desk: &Desk) {
        let waits = |since: u64| desk.now.saturating_sub(since) < RETARGET_WAIT_MS;
        if !self.session.is_mining() || self.measuring_since.is_some_and(waits) {
            return;
        }
        let row = self.session.measure(desk.now);
        let memory = self.difficulty_memory.as_deref().cloned().unwrap_or_default();
        let asked = desk.gate.difficulty.ask(self.number, row, memory, desk.reply_to(key));
        self.measuring_since = asked.then_some(desk.now);
    }
}
