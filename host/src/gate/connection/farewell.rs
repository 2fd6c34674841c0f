//! Why a connection must go, and how it is told.

use std::sync::atomic::Ordering;

use chimera_stratum::{Reconnect, Unread};

use super::{Connection, End, Stage};
use crate::gate::conduct;
use crate::gate::desk::Desk;

/// Whoever was told to go may read why, for so long.
const LAST_WORDS_MS: u64 = 2_000;

impl Connection {
    /// Tells a miner why it must go; it may read that for a moment.
    pub(in crate::gate) fn dismiss(&mut self, why: &str, desk: &mut Desk) -> Result<(), End> {
        let text = serde_json::to_string(why).expect("a text is JSON");
        let line = format!("{{\"id\":1,\"result\":null,\"error\":[20,{text},null]}}\n");
        self.wire.write(line.as_bytes())?;
        self.last_words(why.to_owned(), desk);
        Ok(())
    }

    /// What was read is not heard; else a full buffer would take nothing more.
    pub(super) fn ignore(&mut self, desk: &mut Desk) {
        let heard = desk.lines.unread().len();
        desk.lines.pass_over(heard);
        self.unread = Unread::default();
        self.more = false;
    }

    pub(super) fn last_words(&mut self, why: String, desk: &mut Desk) {
        tracing::debug!(peer = %self.peer, why, "refused");
        self.wire.close_write();
        self.ignore(desk);
        self.stage = Stage::Dismissed { until_ms: desk.now + LAST_WORDS_MS };
    }

    /// Tells a miner, once, that much of what it sends is refused.
    pub(super) fn warn(&mut self, desk: &mut Desk) {
        let (kinds, points) = (conduct::kinds(&self.counted), self.conduct.points());
        let agent = self.session.user_agent();
        tracing::info!(peer = %self.peer, worker = ?self.worker, agent, points, kinds, "warned");
        desk.gate.totals.conduct.warned.fetch_add(1, Ordering::Relaxed);
        let most = desk.gate.settings.conduct.drop;
        let text = format!(
            "much of what you send is refused ({kinds}): the connection is closed at {most} \
             points, now there are {points}"
        );
        // Who has not subscribed reads no messages.
        self.session.show_message(&text, &mut desk.out);
    }

    /// Closes the connection of somebody who sends little but what is refused.
    pub(super) fn drop_for_conduct(&mut self, desk: &mut Desk) -> Result<(), End> {
        let (kinds, points) = (conduct::kinds(&self.counted), self.conduct.points());
        let agent = self.session.user_agent();
        tracing::info!(peer = %self.peer, worker = ?self.worker, agent, points, kinds, "dropped");
        // A proxy's address is everybody's who comes through it.
        desk.gate.dropped_for_conduct(self.address.is_some().then_some(self.peer.ip()));
        let why = format!("closed: too much of what you send is refused ({kinds})");
        self.send_away(why, desk)
    }

    /// Closes it if the operator has banned its address since it was let in. The pool's own bans
    /// are about who comes: behind one address there may be many.
    pub(in crate::gate) fn heed_bans(&mut self, desk: &mut Desk) -> Result<(), End> {
        // A proxy's own connections, and those whose header has not come, are nobody's.
        if self.address.is_none() || matches!(self.stage, Stage::Dismissed { .. }) {
            return Ok(());
        }
        match desk.gate.bans.operators_refusal(self.peer.ip()) {
            Some(why) => self.send_away(why, desk),
            None => Ok(()),
        }
    }

    /// Tells whoever speaks Stratum already why it must go.
    fn send_away(&mut self, why: String, desk: &mut Desk) -> Result<(), End> {
        if !self.session.show_message(&why, &mut desk.out) {
            self.write(desk)?;
            return self.dismiss(&why, desk);
        }
        self.write(desk)?;
        self.last_words(why, desk);
        Ok(())
    }

    /// Tells the miner to come back; the shares it was credited are still answered.
    pub(in crate::gate) fn say_goodbye(&mut self, desk: &mut Desk) -> Result<(), End> {
        if self.leaving.is_none() {
            self.leaving = Some(desk.now);
            self.session.reconnect(&Reconnect::default(), &mut desk.out);
        }
        self.send(desk)
    }

    /// Its end: what it had of the pool is given back. The seat is parked for its return.
    pub(in crate::gate) fn end(mut self, end: &End, desk: &mut Desk) {
        tracing::debug!(peer = %self.peer, %end, "connection ended");
        if matches!(end, End::Leaving | End::Dismissed(_)) {
            // Closing on bytes nobody has read would take the last lines back from the miner.
            self.wire.discard();
            self.wire.close_write();
        }
        desk.gate.totals.add(&self.counted, self.session.counters());
        if self.authorised {
            desk.gate.totals.authorised_one_less();
        }
        if let Some(worker) = self.worker {
            desk.gate.difficulty.ended(worker, self.session.measure(desk.now).current);
        }
        if let Some((_, record)) = self.offering.take() {
            // Its miner is gone; its work is not.
            desk.credit_of_nobody(*record);
        }
        if let Some(seat) = self.session.park() {
            desk.gate.park(seat);
        }
    }
}
