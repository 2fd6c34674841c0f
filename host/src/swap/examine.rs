//! The host's questions of each class, asked before a component may decide anything: a small
//! fixed set, answered sanely or the component is refused. They cost a few milliseconds and
//! prove little; what they catch is what would have failed at its first call.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use chimera_ledger::{
    Accounts, Distribution, Event, Limits, Plan, Request, SCORE_PER_BLOCK, Slices,
};
use chimera_plugin::{
    Attempt, AuthPolicy, Batch, DifficultyStrategy, Hello, PayoutScheme, Protocol,
};
use chimera_pow::Difficulty;

use super::Candidate;
use crate::grants::{Overlay, rehearse};

/// Questions are the same for ever, so they are of a day in 2020.
const THEN_MS: u64 = 1_600_000_000_000;
const REWARD: u64 = 5_000_000_000;

/// Asks a candidate what its class is asked. Blocks for a few calls. Says what was asked.
///
/// # Errors
/// The question and what was wrong with the answer.
pub(super) fn examine(candidate: &Candidate) -> Result<String, String> {
    match candidate {
        Candidate::Payout(scheme) => examine_payout(scheme),
        Candidate::Auth(policy) => examine_auth(policy),
        Candidate::Difficulty(strategy) => examine_difficulty(strategy),
    }
}

fn examine_payout(scheme: &PayoutScheme) -> Result<String, String> {
    let plan = scheme.plan();
    let mut questions = 0;
    for work in [&[5, 3, 2][..], &[1], &[7, 7, 0]] {
        let works: u64 = work.iter().map(|parts| parts * (SCORE_PER_BLOCK / 16)).sum();
        if plan.kind.splits_blocks() {
            let event = Event::Block {
                height: 100,
                reward: REWARD,
                tx_fees: 1_000,
                window_work: works,
                found_at_ms: THEN_MS,
                finder: Some(0),
            };
            settle(scheme, plan, event, work)?;
            questions += 1;
        }
        if plan.kind.accrues() {
            let event = Event::Interval {
                started_at_ms: THEN_MS - 60_000,
                ended_at_ms: THEN_MS,
                network_work: SCORE_PER_BLOCK,
                expected_reward: REWARD,
                expected_fees: 1_000,
            };
            settle(scheme, plan, event, work)?;
            questions += 1;
        }
    }
    Ok(format!("{questions} settlements add up"))
}

fn settle(scheme: &PayoutScheme, plan: &Plan, event: Event, work: &[u64]) -> Result<(), String> {
    let about = if matches!(event, Event::Block { .. }) { "a block" } else { "an interval" };
    let rows = work.len();
    let key = (1..=rows as u64).collect();
    let work = work.iter().map(|parts| parts * (SCORE_PER_BLOCK / 16)).collect::<Vec<_>>();
    let slices = if plan.buckets > 1 {
        Slices {
            account: (0..u32::try_from(rows).unwrap_or(0)).collect(),
            bucket: vec![0; rows],
            work: work.clone(),
        }
    } else {
        Slices::default()
    };
    let accounts = Accounts { key, work, fee_ppm: vec![0; rows] };
    let request = Request { event, accounts, slices, carry: 0, state: Vec::new() };
    let asked = || format!("asked to settle {about} for {rows} accounts");
    let proposal = scheme.settle(&request).map_err(|error| format!("{}: {error}", asked()))?;
    let name = &scheme.info().name;
    Distribution::check(name, &request, plan, proposal, &Limits::default())
        .map(drop)
        .map_err(|error| format!("{}: {error}", asked()))
}

/// What it is granted it uses as in a rehearsal: nothing it writes is kept, and only endpoints
/// that are read-only are asked.
fn examine_auth(policy: &AuthPolicy) -> Result<String, String> {
    let overlay = Arc::new(Overlay::default());
    let (mut decided, mut without) = (0, 0);
    for user in ["alice.rig", "nobody"] {
        let attempt = Attempt {
            remote_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            listener: "stratum".to_owned(),
            protocol: Protocol::StratumV1,
            tls: false,
            user: user.to_owned(),
            // Shown only to a policy that is granted it; miners send anything, mostly this.
            password: Some("x".to_owned()),
            user_agent: "chimera/question".to_owned(),
            at_ms: THEN_MS,
        };
        let (answer, not_sent) = rehearse(&overlay, || policy.authorize(&attempt));
        match answer {
            // Without its endpoint it may decide anything, or nothing.
            _ if not_sent => without += 1,
            Ok(_) => decided += 1,
            Err(error) => return Err(format!("asked about {user:?}: {error}")),
        }
    }
    let mut told = format!("{decided} logins are decided");
    if without > 0 {
        told += &format!(
            "; {without} need an endpoint that is asked in force only: it has not read_only = true"
        );
    }
    Ok(told)
}

fn examine_difficulty(strategy: &DifficultyStrategy) -> Result<String, String> {
    let (minimum, maximum) = (Difficulty::from_units(1), Difficulty::from_units(1 << 48));
    let (minimum, maximum) =
        (minimum.unwrap_or(Difficulty::ONE), maximum.unwrap_or(Difficulty::ONE));
    let hello = |user_agent: &str, hint| Hello {
        user_agent: user_agent.to_owned(),
        hint,
        previous: None,
        minimum,
        maximum,
    };
    let hellos = [hello("cpuminer/2.5", None), hello("", Some(Difficulty::ONE))];
    strategy.initial(&hellos).map_err(|error| format!("asked about new sessions: {error}"))?;
    // Silent, as wished, far too fast.
    let accepted = vec![0, 10, 10_000];
    let one = Difficulty::ONE.to_units();
    let rows = accepted.len();
    let batch = Batch {
        current: vec![one; rows],
        minimum: vec![1; rows],
        maximum: vec![1 << 48; rows],
        accepted_difficulty: accepted.iter().map(|&shares: &u32| u64::from(shares) * one).collect(),
        accepted,
        stale: vec![0; rows],
        rejected: vec![0; rows],
        window_ms: vec![60_000; rows],
        connected_ms: vec![600_000; rows],
        state: vec![0; rows * strategy.state_words()],
    };
    strategy.retarget(batch).map_err(|error| format!("asked about {rows} sessions: {error}"))?;
    Ok(format!("{rows} sessions are retargeted"))
}
