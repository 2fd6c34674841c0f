//! Work and its difficulty. A difficulty takes effect with a job: exactly one
//! `set_difficulty` stands directly before the notify it is for, none if nothing changed.

use std::sync::Arc;

use chimera_pow::Difficulty;
use chimera_work::{ExtranonceLease, Job, JobBook};

use super::{REISSUES_MAX, Session};
use crate::{NotifyLine, Outbox, notice};

impl Session {
    /// A new job for everybody. Before the miner is ready it is only kept.
    pub fn new_job(&mut self, notify: &Arc<NotifyLine>, out: &mut Outbox) {
        self.latest = Some(Arc::clone(notify));
        self.reissues_left = REISSUES_MAX;
        if self.told.is_none() {
            return self.settle(out);
        }
        self.update_version_mask(out);
        self.send_shared(notify, notify.job().clean(), out);
    }

    /// There is no work until the next job: what is sent in until then is stale, and the miner
    /// is told why. A block in it is still a block.
    pub fn withdraw_work(&mut self, why: &str, out: &mut Outbox) {
        if self.latest.take().is_none() {
            return;
        }
        if let Some(seat) = &mut self.seat {
            seat.book.end_round();
        }
        if self.told.is_some() {
            self.show_message(&format!("mining pauses: {why}"), out);
        }
    }

    /// A new difficulty, within the limits. It takes effect at once: the current job is
    /// issued again under a new number. Work in flight keeps the old one. In a storm of
    /// changes the latest waits for the next job or [`measured`](Self::measured).
    pub fn retarget(&mut self, difficulty: Difficulty, out: &mut Outbox) {
        self.difficulty.want(difficulty);
        self.settle(out);
    }

    /// Whether the session should be moved with [`set_extranonce`](Self::set_extranonce): it
    /// has found so many shares in this round that its part of the nonce space is nearly
    /// used up, and its miner can follow.
    pub fn wants_extranonce(&self) -> bool {
        let crowded = self.seat.as_ref().is_some_and(|seat| seat.book.is_crowded());
        crowded && self.may_be_moved()
    }

    const fn may_be_moved(&self) -> bool {
        self.greeted && self.extranonce_subscribed
    }

    /// Moves the session to another part of the nonce space; the clean job that follows is
    /// the first over it.
    ///
    /// # Errors
    /// Gives the lease back if the miner has not said that it can follow
    /// (`mining.extranonce.subscribe`), or has no seat yet.
    pub fn set_extranonce(
        &mut self,
        lease: ExtranonceLease,
        out: &mut Outbox,
    ) -> Result<(), ExtranonceLease> {
        let able = self.may_be_moved();
        let Some(seat) = self.seat.as_mut().filter(|_| able) else { return Err(lease) };
        let layout = seat.book.layout();
        seat.book = JobBook::new(lease, layout);
        notice::set_extranonce(seat.extranonce1(), layout, &mut out.bytes);
        if self.told.is_some() {
            self.send_again(true, out);
        }
        Ok(())
    }

    /// Brings the miner up to date: its first job when it is ready, the same job again when
    /// its difficulty has changed.
    pub(super) fn update_work(&mut self, out: &mut Outbox) {
        let Some(latest) = &self.latest else { return };
        let difficulty = self.difficulty.for_job(latest.network_difficulty());
        match self.told {
            None if self.workers.is_empty() => {}
            None => self.send_again(true, out),
            Some(told) if told == difficulty || self.reissues_left == 0 => {}
            Some(_) => {
                self.reissues_left -= u32::from(self.reissue(false, out));
            }
        }
    }

    /// Tells which version bits may be rolled, if that has changed.
    pub(super) fn update_version_mask(&mut self, out: &mut Outbox) {
        if self.version_mask == 0 || !self.version_mask_answered {
            return;
        }
        let mask = self.narrowed_to_template(self.version_mask);
        if self.version_mask_told != Some(mask) {
            self.version_mask_told = Some(mask);
            notice::set_version_mask(mask, &mut out.bytes);
        }
    }

    /// The bits of a mask that the current template lets miners roll.
    pub(super) fn narrowed_to_template(&self, mask: u32) -> u32 {
        self.latest.as_ref().map_or(mask, |latest| mask & latest.job().template().version_mask)
    }

    /// The current job, under a number this seat has not had: a miner that starts over at a
    /// job it knows would repeat its own shares, and ESP-Miner would ignore the job.
    fn send_again(&mut self, clean: bool, out: &mut Outbox) {
        let Some(latest) = self.latest.clone() else { return };
        let known = self.seat.as_ref().is_some_and(|seat| seat.shared == Some(latest.job().id()));
        if !known || !self.reissue(clean, out) {
            self.send_shared(&latest, clean, out);
        }
    }

    /// Issues the current job under another number; false when its numbers are used up, and
    /// what has changed has to wait for the next job.
    fn reissue(&mut self, clean: bool, out: &mut Outbox) -> bool {
        let (Some(latest), Some(seat)) = (&self.latest, &mut self.seat) else { return false };
        let nth = seat.reissues + 1;
        let Some(job) = latest.job().reissue(nth) else { return false };
        seat.reissues = nth;
        self.send(&NotifyLine::new(Arc::new(job)), clean, out);
        true
    }

    fn send_shared(&mut self, notify: &Arc<NotifyLine>, clean: bool, out: &mut Outbox) {
        if let Some(seat) = &mut self.seat
            && seat.shared != Some(notify.job().id())
        {
            seat.shared = Some(notify.job().id());
            seat.reissues = 0;
        }
        self.send(notify, clean, out);
    }

    fn send(&mut self, notify: &NotifyLine, clean: bool, out: &mut Outbox) {
        let Some(seat) = &mut self.seat else { return };
        // The host publishes the newest job only: the one that began the round may have been
        // passed over.
        let previous = |job: &Job| job.template().previous;
        let another_round = seat.book.is_over()
            || seat.book.current().is_some_and(|last| previous(last) != previous(notify.job()));
        let clean = clean || another_round;
        let difficulty = self.difficulty.for_job(notify.network_difficulty());
        if self.told != Some(difficulty) {
            self.told = Some(difficulty);
            notice::set_difficulty(self.config.told(difficulty), &mut out.bytes);
        }
        seat.difficulty = Some(self.difficulty.wanted());
        seat.book.issue(Arc::clone(notify.job()), difficulty);
        notify.write(clean, &mut out.bytes);
    }
}
