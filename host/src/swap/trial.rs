//! Auth and difficulty components on trial: first beside the one in force, then for a part of
//! all identities. Payout schemes are never on trial in earnest: a block is settled by one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chimera_store::{Store, SwapId};
use tokio_util::sync::CancellationToken;

use super::activation::Slots;
use super::probation::{Probation, Verdict, judge};
use super::request::Refused;
use super::{Candidate, SlotName};
use crate::clock::now_ms;
use crate::config;
use crate::policy::{Calls, Filled, Mode, Slot, Trial};

/// How often a trial is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Which trials a slot has, and how long each takes.
pub(super) fn trials(slot: SlotName, settings: &config::Swap) -> Vec<(Mode, Duration)> {
    if slot == SlotName::Payout {
        return Vec::new();
    }
    [(Mode::Shadow, settings.shadow), (Mode::Canary(settings.canary_ppm), settings.canary)]
        .into_iter()
        .filter(|(_, time)| !time.is_zero())
        .collect()
}

/// What a trial is about.
pub(super) struct Stage<'a> {
    /// Where steps are recorded.
    pub store: &'a Store,
    /// The swap.
    pub swap: SwapId,
    /// The rules.
    pub settings: &'a config::Swap,
    /// Ends the trial early.
    pub withdrawn: &'a CancellationToken,
}

/// Tries a component out and gives it back; it decides nothing any more then.
///
/// # Errors
/// When it fails too often, or is withdrawn.
pub(super) async fn try_out(
    stage: &Stage<'_>,
    slots: &Slots,
    about: (String, chimera_plugin::Grants),
    candidate: Candidate,
) -> Result<Candidate, Refused> {
    Ok(match candidate {
        Candidate::Auth(policy) => {
            let slot = (SlotName::Auth, &slots.auth.slot);
            Candidate::Auth(run(stage, slot, about, policy).await?)
        }
        Candidate::Difficulty(strategy) => {
            let slot = (SlotName::Difficulty, &slots.difficulty.slot);
            Candidate::Difficulty(run(stage, slot, about, strategy).await?)
        }
        Candidate::Payout(scheme) => Candidate::Payout(scheme),
    })
}

async fn run<T: Send + Sync + 'static>(
    stage: &Stage<'_>,
    (name, slot): (SlotName, &Slot<T>),
    (origin, grants): (String, chimera_plugin::Grants),
    component: T,
) -> Result<T, Refused> {
    let calls = Calls::default();
    let mut filled = Arc::new(Filled { generation: None, component, origin, grants, calls });
    for (mode, time) in trials(name, stage.settings) {
        let step = match mode {
            Mode::Shadow => "shadow",
            Mode::Canary(_) => "canary",
        };
        let detail = match mode {
            Mode::Shadow => format!("beside the one in force for {} s", time.as_secs()),
            Mode::Canary(ppm) => {
                format!("for {ppm} of a million identities for {} s", time.as_secs())
            }
        };
        stage.store.swap_step(stage.swap, step, &detail, now_ms()).await?;
        let trial = Arc::new(Trial::new(Arc::clone(&filled), mode));
        slot.try_out(Some(Arc::clone(&trial)));
        let tried = watch(stage, name, &filled, time).await;
        slot.try_out(None);
        let counted = trial.report().to_string();
        drop(trial);
        let (_, _, last_error) = filled.calls.read();
        match tried {
            Ok(()) => {
                let step = format!("{step}-ended");
                stage.store.swap_step(stage.swap, &step, &counted, now_ms()).await?;
            }
            Err(why) => {
                let last = last_error.map(|error| format!(": {error}")).unwrap_or_default();
                return Err(Refused(format!("{why} in {step} ({counted}){last}")));
            }
        }
    }
    // Calls under way end first; then it is the only one left.
    loop {
        match Arc::try_unwrap(filled) {
            Ok(last) => return Ok(last.component),
            Err(shared) => filled = shared,
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn watch<T>(
    stage: &Stage<'_>,
    name: SlotName,
    filled: &Filled<T>,
    time: Duration,
) -> Result<(), String> {
    let begun = Instant::now();
    let rules = Probation {
        generation: chimera_store::GenerationId(0),
        swap: Some(stage.swap),
        until_ms: u64::MAX,
        quiet_until_ms: 0,
    };
    while begun.elapsed() < time {
        let left = time.saturating_sub(begun.elapsed()).min(LOOK);
        if stage.withdrawn.run_until_cancelled(tokio::time::sleep(left)).await.is_none() {
            return Err("it was withdrawn".to_owned());
        }
        let (calls, failures, _) = filled.calls.read();
        if let Verdict::Failed(why) =
            judge(name, &rules, (calls, failures), stage.settings, now_ms())
        {
            return Err(why);
        }
    }
    Ok(())
}
