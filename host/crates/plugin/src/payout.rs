//! Payout schemes: a fresh instance for every settlement, limited by fuel, so that the same
//! request always ends the same way.

use chimera_ledger::{
    Accounts, Allocation, Event, Plan, Proposal, Request, SchemeKind, Slices, WindowSize,
};

use crate::bindings::payout::exports::chimera::pool::payout as wit;
use crate::class::{Budget, Class};
use crate::component::{Configured, Live};
use crate::{Artifact, Cause, Digest, Engines, Grants, Info, PluginError, Services, interface};

/// `wit/0.1/payout.wit`: finer than a thousandth of a window is noise.
const BUCKETS_MAX: u16 = 1024;
/// Kept with every settlement: 32 bytes for each of a million accounts.
const STATE_BYTES_MAX: usize = 32 << 20;
/// For people: more is not read.
const NOTES_MAX: usize = 32;
const NOTE_BYTES_MAX: usize = 512;

/// A loaded payout scheme with its configuration: one generation of payouts.
pub struct PayoutScheme {
    scheme: Configured,
    payout: wit::GuestIndices,
    plan: Plan,
}

/// What one settlement took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Instructions, nearly.
    pub fuel: u64,
    /// How many it might have taken.
    pub fuel_budget: u64,
    /// Linear memory of its instance, at the end and at its most.
    pub memory_bytes: usize,
    /// How much it might have had.
    pub memory_bytes_max: usize,
}

impl PayoutScheme {
    /// Loads a component as a payout scheme. `config` is JSON; empty text means all defaults.
    ///
    /// # Errors
    /// When it is no payout scheme, when it refuses the configuration, or when it misbehaves
    /// while it describes, validates, configures or plans: all before the first settlement.
    pub fn load(
        engines: &Engines,
        artifact: &Artifact,
        config: &str,
        grants: &Grants,
    ) -> Result<Self, PluginError> {
        let (sandbox, services) = (engines.sandbox(Class::Payout), Services::none());
        let scheme = Configured::load(engines, sandbox, artifact, config, grants, services)?;
        let payout = wit::GuestIndices::new(scheme.pre())
            .map_err(|error| format!("{error:#}"))
            .map_err(|why| scheme.fail("load", interface::explain(artifact.bytes(), why)))?;
        let (mut live, guest) = start(&scheme, &payout)?;
        let plan = live
            .call("make-plan", Class::Payout.setup_budget(), |store| guest.call_make_plan(store))?;
        let plan = plan
            .map_err(Cause::from)
            .and_then(checked_plan)
            .map_err(|cause| scheme.fail("make-plan", cause))?;
        Ok(Self { scheme, payout, plan })
    }

    /// What the component says of itself.
    pub const fn info(&self) -> &Info {
        self.scheme.info()
    }

    /// The configuration with all defaults filled in, as settlements record it.
    pub fn canonical_config(&self) -> &str {
        self.scheme.canonical()
    }

    /// The component's digest, as settlements record it.
    pub const fn digest(&self) -> Digest {
        self.scheme.digest()
    }

    /// What it was granted.
    pub fn grants(&self) -> &Grants {
        self.scheme.grants()
    }

    pub(crate) fn subject(&self) -> (&str, Digest, &str, &Grants) {
        self.scheme.subject()
    }

    /// Which events and which window it wants.
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Asks for one settlement. The answer has one entry per account and is otherwise
    /// unchecked: `chimera_ledger::Distribution::check` decides.
    ///
    /// # Errors
    /// When the scheme declines, is stopped, or answers in the wrong shape. The request can
    /// be asked again, of this or another scheme: nothing has changed.
    pub fn settle(&self, request: &Request) -> Result<Proposal, PluginError> {
        let (mut live, guest) = start(&self.scheme, &self.payout)?;
        self.ask(&mut live, &guest, request)
    }

    /// Asks one instance for the same settlement several times, and measures each: for checks
    /// of determinism and cost. Settlements of the pool get a fresh instance each.
    ///
    /// # Errors
    /// As [`Self::settle`], at the first call that fails.
    pub fn settle_repeatedly(
        &self,
        request: &Request,
        times: usize,
    ) -> Result<Vec<(Proposal, Usage)>, PluginError> {
        let (mut live, guest) = start(&self.scheme, &self.payout)?;
        let rows = rows_read(request);
        let budget = Class::Payout.call_budget(rows);
        let interpreted = self.scheme.grants().interpreted;
        let fuel_budget = match if interpreted { budget.interpreted() } else { budget } {
            Budget::Fuel(fuel) => fuel,
            Budget::Ticks(_) => 0,
        };
        let mut answers = Vec::with_capacity(times);
        for _ in 0..times {
            let proposal = self.ask(&mut live, &guest, request)?;
            let left = live.store.get_fuel().unwrap_or(0);
            let usage = Usage {
                fuel: fuel_budget.saturating_sub(left),
                fuel_budget,
                memory_bytes: live.store.data().memory_bytes(),
                memory_bytes_max: Class::Payout.room(rows).memory_bytes,
            };
            answers.push((proposal, usage));
        }
        Ok(answers)
    }

    fn ask(
        &self,
        live: &mut Live,
        guest: &wit::Guest,
        request: &Request,
    ) -> Result<Proposal, PluginError> {
        let work = rows_read(request);
        let budget = Class::Payout.call_budget(work);
        live.make_room(work);
        live.set_moment(moment(&request.event), request);
        let question = question(request);
        let answer = live.call("settle", budget, |store| guest.call_settle(store, &question))?;
        let accounts = request.accounts.key.len();
        answer
            .map_err(Cause::from)
            .and_then(|outcome| proposal(outcome, accounts))
            .map_err(|cause| self.scheme.fail("settle", cause))
    }

    /// Turns state that an older build of the scheme wrote into state for this one.
    ///
    /// # Errors
    /// When the scheme does not know that version, or is stopped.
    pub fn migrate(&self, since: u32, state: &[u8]) -> Result<Vec<u8>, PluginError> {
        let state = self.scheme.start()?.migrate(since, state)?;
        checked_state(state).map_err(|cause| self.scheme.fail("migrate", cause))
    }
}

/// Whatever is read costs; state is mostly rows of accounts that did not work.
fn rows_read(request: &Request) -> u64 {
    let rows = request.accounts.key.len() + request.slices.account.len() + request.state.len() / 16;
    rows as u64
}

fn start(
    scheme: &Configured,
    payout: &wit::GuestIndices,
) -> Result<(Live, wit::Guest), PluginError> {
    let mut live = scheme.start()?;
    let guest = payout
        .load(&mut live.store, &live.instance)
        .map_err(|error| scheme.fail("load", Cause::WrongTypes(format!("{error:#}"))))?;
    Ok((live, guest))
}

fn checked_plan(plan: wit::Plan) -> Result<Plan, Cause> {
    if !(1..=BUCKETS_MAX).contains(&plan.buckets) {
        let buckets = plan.buckets;
        return Err(Cause::BadAnswer(format!("{buckets} buckets; 1 to {BUCKETS_MAX} are allowed")));
    }
    let window = match plan.window {
        wit::WindowSize::None => WindowSize::None,
        wit::WindowSize::NetworkWorkMilli(milli) => WindowSize::NetworkWorkMilli(milli),
        wit::WindowSize::DurationMs(ms) => WindowSize::DurationMs(ms),
        wit::WindowSize::SinceLastBlock => WindowSize::SinceLastBlock,
    };
    if matches!(window, WindowSize::NetworkWorkMilli(0) | WindowSize::DurationMs(0)) {
        return Err(Cause::BadAnswer("a window of nothing".to_owned()));
    }
    let kind = match plan.kind {
        wit::SchemeKind::Distribute => SchemeKind::Distribute,
        wit::SchemeKind::Accrue => SchemeKind::Accrue,
        wit::SchemeKind::Hybrid => SchemeKind::Hybrid,
    };
    Ok(Plan { kind, window, buckets: plan.buckets, carry_max: plan.max_carry })
}

/// What a clock shows during a settlement.
const fn moment(event: &Event) -> u64 {
    match *event {
        Event::Block { found_at_ms, .. } => found_at_ms,
        Event::Interval { ended_at_ms, .. } => ended_at_ms,
    }
}

fn question(request: &Request) -> wit::Request {
    let Accounts { key, work, fee_ppm } = request.accounts.clone();
    let Slices { account, bucket, work: slice_work } = request.slices.clone();
    wit::Request {
        event: event(&request.event),
        accounts: wit::Accounts { key, work, fee_ppm },
        slices: wit::Slices { account, bucket, work: slice_work },
        carry: request.carry,
        state: request.state.clone(),
    }
}

fn event(event: &Event) -> wit::Event {
    match *event {
        Event::Block { height, reward, tx_fees, window_work, found_at_ms, finder } => {
            wit::Event::Block(wit::BlockEvent {
                height,
                reward,
                tx_fees,
                window_work,
                found_at: found_at_ms,
                finder,
            })
        }
        Event::Interval {
            started_at_ms,
            ended_at_ms,
            network_work,
            expected_reward,
            expected_fees,
        } => wit::Event::Interval(wit::IntervalEvent {
            started_at: started_at_ms,
            ended_at: ended_at_ms,
            network_work,
            expected_reward,
            expected_fees,
        }),
    }
}

fn proposal(outcome: wit::Outcome, rows: usize) -> Result<Proposal, Cause> {
    let (what, allocation, found) = match outcome.allocation {
        wit::Allocation::Weights(weights) => {
            let found = weights.len();
            ("weights", Allocation::Weights(weights), found)
        }
        wit::Allocation::Amounts(amounts) => {
            let found = amounts.len();
            ("amounts", Allocation::Amounts(amounts), found)
        }
    };
    if found != rows {
        return Err(Cause::WrongLength { what, expected: rows, found });
    }
    Ok(Proposal {
        allocation,
        pool_fee: outcome.pool_fee,
        carry: outcome.carry,
        state: checked_state(outcome.state)?,
        notes: outcome.notes.into_iter().take(NOTES_MAX).map(shortened).collect(),
    })
}

fn checked_state(state: Vec<u8>) -> Result<Vec<u8>, Cause> {
    if state.len() <= STATE_BYTES_MAX {
        return Ok(state);
    }
    let bytes = state.len();
    Err(Cause::BadAnswer(format!("{bytes} bytes of state; {STATE_BYTES_MAX} are allowed")))
}

fn shortened(mut note: String) -> String {
    note.truncate(note.floor_char_boundary(NOTE_BYTES_MAX));
    note
}
