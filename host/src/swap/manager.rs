//! Who takes requests, walks them through their steps one at a time per slot, and watches what
//! has taken over.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chimera_api::SwapAnswer;
use chimera_plugin::Engines;
use chimera_store::{Generation, NewSwap, Store, StoreError, Swap, SwapId};
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use super::activation::Slots;
use super::activation::{About, Draining, Order, record};
use super::boot::{BY_SETTINGS, prepared, settings_hash};
use super::directory::Directory;
use super::inheritance::inherit;
use super::opening::OpenedSlot;
use super::probation::{Probation, Verdict, judge};
use super::replay::replay;
use super::request::{Refused, SwapRequest, asked_as, recorded, refusal};
use super::staging::{Staged, load, stage};
use super::trial::{Stage, trials, try_out};
use super::{Candidate, Commands, Loader, SlotName};
use crate::bans::BanList;
use crate::clock::now_ms;
use crate::config::{self, Config};
use crate::health::Probe;

/// How often counts, and the directory, are looked at.
const LOOK: Duration = Duration::from_millis(200);
/// When it is tried again to record the end of a swap.
const RECORD_AGAIN: Duration = Duration::from_secs(1);

/// Exchanges what fills the slots.
pub(crate) struct Manager {
    /// The ledger.
    pub store: Arc<Store>,
    /// Engines and names.
    pub loader: Loader,
    /// The engines that check settlements; their code lies in the same cache.
    pub portable: Arc<Engines>,
    /// Where components decide.
    pub slots: Slots,
    /// Who is banned; asked for through the same doors.
    pub bans: Arc<BanList>,
    /// `[swap]`
    pub rules: config::Swap,
    /// `payout.take_over`
    pub take_over: bool,
    settings: BTreeMap<SlotName, config::Slot>,
    under_way: Mutex<BTreeMap<SlotName, UnderWay>>,
    probations: Mutex<BTreeMap<SlotName, Probation>>,
    /// The names by which components in force were asked for.
    names: Mutex<BTreeMap<SlotName, String>>,
    /// What goes on behind a request's back.
    pub tasks: TaskTracker,
    /// Set when the pool stops: what waits is left as it is on record.
    closing: CancellationToken,
    probe: Probe,
    /// What an operator should know, by slot.
    warnings: Mutex<BTreeMap<SlotName, String>>,
}

/// A swap that has not ended.
#[derive(Debug, Clone)]
struct UnderWay {
    component: String,
    by: String,
    step: &'static str,
    until_ms: Option<u64>,
    withdrawn: CancellationToken,
}

/// Where a slot stands, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Phase {
    /// `active` or `probation`; for the next one its step.
    pub name: &'static str,
    /// What it is about.
    pub detail: String,
    /// When it ends, ms since the Unix epoch.
    pub until_ms: Option<u64>,
}

/// The step of what an operator does not want any more.
const WITHDRAWN: &str = "withdrawn";

/// The right to change a slot; given back when dropped.
pub(super) struct Claim {
    manager: Arc<Manager>,
    slot: SlotName,
    withdrawn: CancellationToken,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.manager.under_way().remove(&self.slot);
    }
}

impl Claim {
    /// Whether somebody, and not the end of the pool, has withdrawn it.
    fn is_withdrawn(&self) -> bool {
        self.manager.under_way().get(&self.slot).is_some_and(|one| one.step == WITHDRAWN)
    }

    fn step(&self, step: &'static str, until_ms: Option<u64>) {
        if let Some(under_way) = self.manager.under_way().get_mut(&self.slot) {
            (under_way.step, under_way.until_ms) = (step, until_ms);
        }
    }
}

/// A swap on its way.
struct Walk {
    claim: Claim,
    swap: SwapId,
    request: SwapRequest,
}

impl Manager {
    /// A manager over filled slots.
    pub(crate) fn new(
        config: &Config,
        store: Arc<Store>,
        loader: Loader,
        portable: Arc<Engines>,
        slots: Slots,
        bans: Arc<BanList>,
        probe: Probe,
    ) -> Self {
        let settings = SlotName::ALL.map(|slot| (slot, slot.settings(config).clone()));
        probe.healthy(now_ms());
        Self {
            store,
            loader,
            portable,
            slots,
            bans,
            rules: config.swap,
            take_over: config.take_over,
            settings: settings.into(),
            under_way: Mutex::default(),
            probations: Mutex::default(),
            names: Mutex::default(),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            probe,
            warnings: Mutex::default(),
        }
    }

    /// Takes over what a start has found: generations still on probation, swaps that were
    /// announced, what the settings want later, and what went wrong.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub(crate) async fn resume(self: &Arc<Self>, opened: Vec<OpenedSlot>) -> anyhow::Result<()> {
        let announced = self.store.open_swaps().await?;
        let mut requests = Vec::new();
        for OpenedSlot { slot, generation, warning, later } in opened {
            let swap = self.store.swap_of(generation.id).await?;
            let name = asked_as(&self.store, &generation).await?;
            lock(&self.names).insert(slot, name);
            self.watch(slot, &generation, swap);
            if let Some(warning) = warning {
                self.warn(slot, warning);
            }
            requests.extend(later);
        }
        for swap in announced.into_iter().filter(|swap| swap.due_ms.is_some()) {
            self.resume_announced(swap).await?;
        }
        for request in requests {
            let manager = Arc::clone(self);
            self.tasks.spawn(async move {
                let slot = request.slot;
                let answer = manager.request(request).await;
                if answer.outcome == chimera_api::SwapOutcome::Refused {
                    let why = answer.message.unwrap_or_default();
                    manager.warn(slot, format!("what the settings name was refused: {why}"));
                }
            });
        }
        self.show_quarantine().await;
        self.tidy();
        Ok(())
    }

    /// Takes requests and watches until stopped.
    pub(crate) async fn run(self: Arc<Self>, mut commands: Commands, stopping: CancellationToken) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        if self.rules.watch {
            // On its own: a swap it asks for holds up neither commands nor probations.
            let manager = Arc::clone(&self);
            self.tasks.spawn(async move { manager.watch_directory().await });
        }
        loop {
            tokio::select! {
                () = stopping.cancelled() => break,
                Some(command) = commands.0.recv() => {
                    let manager = Arc::clone(&self);
                    self.tasks.spawn(async move { manager.obey(command).await });
                }
                _ = looks.tick() => self.look_at_probations().await,
            }
        }
        self.closing.cancel();
        for under_way in self.under_way().values() {
            under_way.withdrawn.cancel();
        }
    }

    async fn watch_directory(self: &Arc<Self>) {
        let mut directory = Directory::default();
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.closing.run_until_cancelled(looks.tick()).await.is_some() {
            directory.look(self).await;
        }
    }

    /// Walks a request through its steps. Answers when it is active or refused, or when it
    /// has to wait: for a trial, or for the announced time.
    pub(crate) async fn request(self: &Arc<Self>, request: SwapRequest) -> SwapAnswer {
        let claim = match self.claim(request.slot, &request.component, &request.by) {
            Ok(claim) => claim,
            Err(refused) => return refusal(refused),
        };
        let swap = match self.begin(&request).await {
            Ok(swap) => swap,
            Err(refused) => return refusal(refused),
        };
        let (answer, waits) = oneshot::channel();
        let walk = Walk { claim, swap, request };
        // On its own: a caller that hangs up stops nothing half-way.
        let manager = Arc::clone(self);
        self.tasks.spawn(async move {
            let mut waiting = Some(answer);
            let walked = manager.walk(&walk, &mut waiting).await;
            manager.ended(&walk, walked).await;
            drop(walk);
            drop(waiting);
            manager.tidy();
        });
        // Answered early, or ended: either way the record says it all.
        let _ = waits.await;
        recorded(&self.store, swap).await
    }

    async fn begin(&self, request: &SwapRequest) -> Result<SwapId, Refused> {
        let asked = NewSwap {
            slot: request.slot.name().to_owned(),
            component: request.component.clone(),
            config: request.config.clone().unwrap_or_default(),
            grants: request.grants.as_ref().map(|grants| grants.texts()).unwrap_or_default(),
            by: request.by.clone(),
            settings: settings_hash(self.settings(request.slot)),
        };
        Ok(self.store.begin_swap(&asked, now_ms()).await?)
    }

    async fn walk(
        self: &Arc<Self>,
        walk: &Walk,
        waiting: &mut Option<oneshot::Sender<()>>,
    ) -> Result<(), Refused> {
        let Walk { claim, swap, request } = walk;
        let slot = request.slot;
        let current = self.current(slot).await?;
        let staged =
            stage(&self.loader, &self.store, request, &current, self.settings(slot)).await?;
        staged.record(&self.store, *swap, &staged.candidate.describe()).await?;
        if staged.is(&current) {
            return Err(Refused(format!("it is in force already: generation {}", current.id.0)));
        }
        let staged = self.prepare(claim, *swap, slot, staged, &current).await?;
        let notice = self.rules.notice;
        if slot == SlotName::Payout && !notice.is_zero() {
            let due_ms = now_ms() + u64::try_from(notice.as_millis()).unwrap_or(0);
            let detail = format!("takes effect in {} s at the earliest", notice.as_secs());
            self.store.announce_swap(*swap, due_ms, &detail, now_ms()).await?;
            if request.by == BY_SETTINGS {
                let hash = settings_hash(self.settings(slot));
                self.store.note_settings(current.id, &hash).await?;
            }
            *waiting = None;
            let keep = (staged.artifact.clone(), config_of(&staged), staged.grants.clone());
            // What waits for hours holds no compiled code.
            drop(staged);
            self.wait_until(claim, due_ms).await?;
            let staged = load(&self.loader, slot, keep.0, keep.1, keep.2).await?;
            return self.activate(walk, staged).await;
        }
        let staged = self.try_out(claim, *swap, slot, staged, waiting).await?;
        self.activate(walk, staged).await
    }

    async fn prepare(
        &self,
        claim: &Claim,
        swap: SwapId,
        slot: SlotName,
        staged: Staged,
        current: &Generation,
    ) -> Result<Staged, Refused> {
        claim.step("prepare", None);
        let (staged, answered) = prepared(&self.loader, slot, staged).await?;
        self.store.swap_step(swap, "prepared", &answered, now_ms()).await?;
        if slot != SlotName::Payout {
            return Ok(staged);
        }
        claim.step("shadow", None);
        let Staged { artifact, candidate, grants } = staged;
        let (candidate, state) = match candidate {
            Candidate::Payout(scheme) => {
                let scheme = Arc::new(scheme);
                let inherited = inherit(&scheme, current).await.map_err(Refused)?;
                let scheme = Arc::into_inner(scheme)
                    .ok_or_else(|| Refused("its state is still being migrated".to_owned()))?;
                (Candidate::Payout(scheme), inherited.state)
            }
            other => (other, Vec::new()),
        };
        let (candidate, told) = replay(&self.store, candidate, state).await?;
        self.store.swap_step(swap, "shadow", &told, now_ms()).await?;
        Ok(Staged { artifact, candidate, grants })
    }

    async fn try_out(
        &self,
        claim: &Claim,
        swap: SwapId,
        slot: SlotName,
        staged: Staged,
        waiting: &mut Option<oneshot::Sender<()>>,
    ) -> Result<Staged, Refused> {
        if trials(slot, &self.rules).is_empty() {
            return Ok(staged);
        }
        let lasts = self.rules.shadow + self.rules.canary;
        let until_ms = now_ms() + u64::try_from(lasts.as_millis()).unwrap_or(0);
        claim.step("trial", Some(until_ms));
        *waiting = None;
        let stage =
            Stage { store: &self.store, swap, settings: &self.rules, withdrawn: &claim.withdrawn };
        let Staged { artifact, candidate, grants } = staged;
        let about = (artifact.origin().to_string(), grants.clone());
        let candidate = try_out(&stage, &self.slots, about, candidate).await?;
        Ok(Staged { artifact, candidate, grants })
    }

    async fn activate(self: &Arc<Self>, walk: &Walk, staged: Staged) -> Result<(), Refused> {
        let Walk { claim, swap, request } = walk;
        claim.step("activate", None);
        // From here on nobody is told any more that it is withdrawn; who was, is believed.
        if claim.withdrawn.is_cancelled() {
            return Err(Refused("it was withdrawn".to_owned()));
        }
        let current = self.current(request.slot).await?;
        let order = Order {
            slot: request.slot,
            by: &request.by,
            settings: settings_hash(self.settings(request.slot)),
            previous: Some(&current),
            heir_of: None,
            rollback: None,
            pays_held: self.take_over,
            swap: *swap,
        };
        let generation = self.put_in_force(&order, staged, &request.component).await?;
        self.watch(request.slot, &generation, Some(*swap));
        self.settled_down(request.slot);
        Ok(())
    }

    /// Puts a staged component on record, then in force; its predecessor drains.
    pub(super) async fn put_in_force(
        self: &Arc<Self>,
        order: &Order<'_>,
        staged: Staged,
        name: &str,
    ) -> Result<Generation, Refused> {
        let (slot, swap) = (order.slot, order.swap);
        let origin = staged.artifact.origin().to_string();
        let about = About { origin, grants: staged.grants.clone() };
        let (taken, ready) = record(&self.store, order, staged).await?;
        let before = self.slots.put(taken.id, about, ready);
        lock(&self.names).insert(slot, name.to_owned());
        tracing::info!(
            %slot, generation = taken.id.0, from_share = taken.from_seq, blocks = taken.blocks,
            by = order.by, "generation in force"
        );
        self.drain(swap, before);
        Ok(self.store.generation(taken.id).await?)
    }

    fn drain(self: &Arc<Self>, swap: SwapId, before: Draining) {
        let manager = Arc::clone(self);
        self.tasks.spawn(async move {
            let told = before.end().await;
            manager.note(swap, "drained", &told).await;
        });
    }

    async fn ended(&self, walk: &Walk, walked: Result<(), Refused>) {
        let Err(refused) = walked else { return };
        let slot = walk.request.slot;
        let stops = self.closing.is_cancelled() && walk.claim.withdrawn.is_cancelled();
        if stops && !walk.claim.is_withdrawn() {
            // What was announced stays so; the next start abandons the rest.
            return;
        }
        let withdrawn = walk.claim.withdrawn.is_cancelled();
        let outcome = if withdrawn { "withdrawn" } else { "refused" };
        tracing::warn!(%slot, component = walk.request.component, %refused, outcome, "no swap");
        // What is not on record as ended would come back with the next start.
        while let Err(error) = self.end(walk.swap, outcome, &refused).await {
            tracing::error!(%slot, %error, "the end of a swap is not recorded yet");
            if self.closing.run_until_cancelled(tokio::time::sleep(RECORD_AGAIN)).await.is_none() {
                return;
            }
        }
    }

    async fn end(&self, swap: SwapId, outcome: &str, why: &Refused) -> Result<(), StoreError> {
        match self.store.end_swap(swap, outcome, &why.0, now_ms()).await {
            // It has ended.
            Err(StoreError::UnknownSwap(_)) => Ok(()),
            ended => ended,
        }
    }

    /// A swap that was announced before the pool was started again.
    async fn resume_announced(self: &Arc<Self>, swap: Swap) -> anyhow::Result<()> {
        let (Some(due_ms), Some(digest)) = (swap.due_ms, swap.digest) else { return Ok(()) };
        let slot: SlotName = swap.asked.slot.parse().map_err(anyhow::Error::msg)?;
        let request = SwapRequest {
            slot,
            component: swap.asked.component.clone(),
            config: Some(swap.asked.config.clone()),
            grants: None,
            digest: None,
            by: swap.asked.by.clone(),
        };
        let Ok(claim) = self.claim(slot, &request.component, &request.by) else { return Ok(()) };
        let walk = Walk { claim, swap: swap.id, request };
        let manager = Arc::clone(self);
        self.tasks.spawn(async move {
            let walked = manager.walk_announced(&walk, due_ms, digest, &swap).await;
            manager.ended(&walk, walked).await;
            manager.tidy();
        });
        Ok(())
    }

    async fn walk_announced(
        self: &Arc<Self>,
        walk: &Walk,
        due_ms: u64,
        digest: [u8; 32],
        swap: &Swap,
    ) -> Result<(), Refused> {
        self.wait_until(&walk.claim, due_ms).await?;
        let as_asked = SwapRequest {
            component: chimera_plugin::Digest::from_bytes(digest).to_string(),
            grants: Some(
                chimera_plugin::Grants::parse(&swap.asked.grants)
                    .map_err(|error| Refused(error.to_string()))?,
            ),
            ..walk.request.clone()
        };
        let slot = walk.request.slot;
        let current = self.current(slot).await?;
        let staged =
            stage(&self.loader, &self.store, &as_asked, &current, self.settings(slot)).await?;
        self.activate(walk, staged).await
    }

    async fn wait_until(&self, claim: &Claim, due_ms: u64) -> Result<(), Refused> {
        claim.step("announced", Some(due_ms));
        while now_ms() < due_ms {
            let left = Duration::from_millis((due_ms - now_ms()).min(1_000));
            let slept = claim.withdrawn.run_until_cancelled(tokio::time::sleep(left)).await;
            slept.ok_or_else(|| Refused("it was withdrawn".to_owned()))?;
        }
        Ok(())
    }

    /// Begins to watch a generation, unless it has proven itself.
    pub(super) fn watch(&self, slot: SlotName, generation: &Generation, swap: Option<SwapId>) {
        let time = u64::try_from(self.rules.probation.as_millis()).unwrap_or(u64::MAX);
        if generation.life.proven_at_ms.is_some() {
            lock(&self.probations).remove(&slot);
            return;
        }
        let until_ms = generation.begun_at_ms.saturating_add(time);
        let probation = Probation { generation: generation.id, swap, until_ms, quiet_until_ms: 0 };
        lock(&self.probations).insert(slot, probation);
    }

    async fn look_at_probations(self: &Arc<Self>) {
        let watched: Vec<(SlotName, Probation)> =
            lock(&self.probations).iter().map(|(slot, probation)| (*slot, *probation)).collect();
        for (slot, probation) in watched {
            let Some(counts) = self.slots.counts(slot, probation.generation) else { continue };
            if now_ms() < probation.quiet_until_ms {
                continue;
            }
            match judge(slot, &probation, counts, &self.rules, now_ms()) {
                Verdict::Watching => {}
                Verdict::Proven(why) => self.proven(slot, &probation, &why).await,
                Verdict::Failed(why) => self.failed(slot, &probation, &why).await,
            }
        }
    }

    async fn proven(&self, slot: SlotName, probation: &Probation, why: &str) {
        match self.store.prove_generation(probation.generation, now_ms()).await {
            Ok(()) => {
                self.forget_probation(slot, probation);
                if let Some(swap) = probation.swap {
                    self.note(swap, "proven", why).await;
                }
                tracing::info!(%slot, generation = probation.generation.0, why, "proven");
            }
            Err(error) => tracing::warn!(%slot, %error, "a proven generation is not recorded yet"),
        }
    }

    pub(super) fn forget_probation(&self, slot: SlotName, probation: &Probation) {
        let mut probations = lock(&self.probations);
        if probations.get(&slot).is_some_and(|now| now.generation == probation.generation) {
            probations.remove(&slot);
        }
    }

    /// Looks at a probation again later.
    pub(super) fn postpone_probation(&self, slot: SlotName, time: Duration) {
        let until_ms = now_ms() + u64::try_from(time.as_millis()).unwrap_or(0);
        if let Some(probation) = lock(&self.probations).get_mut(&slot) {
            probation.quiet_until_ms = until_ms;
        }
    }

    pub(super) fn probation(&self, slot: SlotName) -> Option<Probation> {
        lock(&self.probations).get(&slot).copied()
    }

    /// The right to change a slot, if nobody has it.
    pub(super) fn claim(
        self: &Arc<Self>,
        slot: SlotName,
        component: &str,
        by: &str,
    ) -> Result<Claim, Refused> {
        let mut all = self.under_way();
        if let Some(UnderWay { component, by, step, until_ms, .. }) = all.get(&slot) {
            let waits = until_ms.map_or(String::new(), |until| {
                let left = until.saturating_sub(now_ms()) / 1_000;
                format!(" for {left} s more; `chimera plugin rollback {slot}` withdraws it")
            });
            return Err(Refused(format!(
                "a swap of slot {slot} is under way: {component}, asked for by {by}, is in step \
                 {step}{waits}"
            )));
        }
        let withdrawn = CancellationToken::new();
        let under_way = UnderWay {
            component: component.to_owned(),
            by: by.to_owned(),
            step: "stage",
            until_ms: None,
            withdrawn: withdrawn.clone(),
        };
        all.insert(slot, under_way);
        Ok(Claim { manager: Arc::clone(self), slot, withdrawn })
    }

    /// Whether a swap of a slot is under way.
    pub(super) fn is_busy(&self, slot: SlotName) -> bool {
        self.under_way().contains_key(&slot)
    }

    /// Ends what is tried out or announced in a slot. Says what it was.
    pub(super) fn withdraw(&self, slot: SlotName) -> Option<String> {
        let mut all = self.under_way();
        let waits = all.get_mut(&slot).filter(|under_way| under_way.until_ms.is_some())?;
        waits.step = WITHDRAWN;
        waits.withdrawn.cancel();
        Some(waits.component.clone())
    }

    /// The generation in force.
    pub(super) async fn current(&self, slot: SlotName) -> Result<Generation, Refused> {
        let current = self.store.generation_current(slot.name()).await?;
        current.ok_or_else(|| Refused(format!("nothing is in force in slot {slot}")))
    }

    /// The settings of a slot.
    pub(super) fn settings(&self, slot: SlotName) -> &config::Slot {
        &self.settings[&slot]
    }

    /// The name by which the component in force was asked for.
    pub(super) fn name(&self, slot: SlotName) -> String {
        lock(&self.names).get(&slot).cloned().unwrap_or_default()
    }

    /// Records a step; its failure is only told.
    pub(super) async fn note(&self, swap: SwapId, step: &str, detail: &str) {
        if let Err(error) = self.store.swap_step(swap, step, detail, now_ms()).await {
            tracing::warn!(swap = swap.0, step, %error, "a step is not recorded");
        }
    }

    /// Tells an operator something that needs a look, not an alarm.
    pub(super) fn warn(&self, slot: SlotName, what: String) {
        lock(&self.warnings).insert(slot, what);
        self.show_warnings();
    }

    /// A swap that went well is the answer to the warning before it.
    fn settled_down(&self, slot: SlotName) {
        lock(&self.warnings).remove(&slot);
        self.show_warnings();
    }

    /// What stays quarantined over a restart stays told.
    pub(super) async fn show_quarantine(&self) {
        let Ok(quarantined) = self.store.quarantined().await else { return };
        if let Some(last) = quarantined.last()
            && lock(&self.warnings).is_empty()
        {
            let cause = format!("{} is quarantined: {}", last.name, last.why);
            self.probe.warning(cause, ADVICE, now_ms());
        }
    }

    /// A quarantine was lifted: what was said about it is dealt with.
    pub(super) async fn lifted(&self) {
        lock(&self.warnings).clear();
        self.show_warnings();
        self.show_quarantine().await;
    }

    fn show_warnings(&self) {
        let warnings = lock(&self.warnings);
        if warnings.is_empty() {
            return self.probe.healthy(now_ms());
        }
        let lines: Vec<String> =
            warnings.iter().map(|(slot, warning)| format!("slot {slot}: {warning}")).collect();
        self.probe.warning(lines.join("; "), ADVICE, now_ms());
    }

    /// Where a slot stands, and what is about to take over.
    pub(crate) fn phase(&self, slot: SlotName) -> (Phase, Option<Phase>) {
        let phase = match self.probation(slot) {
            Some(probation) => Phase {
                name: "probation",
                detail: "failures are counted; too many bring back what was before".to_owned(),
                until_ms: Some(probation.until_ms),
            },
            None => Phase { name: "active", detail: String::new(), until_ms: None },
        };
        let next = self.under_way().get(&slot).map(|under_way| Phase {
            name: under_way.step,
            detail: format!("{}, asked for by {}", under_way.component, under_way.by),
            until_ms: under_way.until_ms,
        });
        (phase, next)
    }

    fn under_way(&self) -> MutexGuard<'_, BTreeMap<SlotName, UnderWay>> {
        lock(&self.under_way)
    }
}

const ADVICE: &str = "`chimera plugin history` says what happened; host/SWAPPING.md what to do.";

fn config_of(staged: &Staged) -> String {
    staged.candidate.canonical_config().to_owned()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
