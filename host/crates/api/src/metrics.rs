//! `/metrics`: the pool's numbers for Prometheus. What needs the ledger is left out while
//! the ledger cannot be read; everything else is still told.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use chimera_store::{Rounds, Span, Statistics, Store, StoreError};

use crate::prometheus::Exposition;
use crate::rate::hashes_per_s;
use crate::{
    Chain, ComponentState, Lifecycle, Live, Policies, ReplyLatency, Snapshot, TrialCounts, luck,
};

pub(crate) async fn metrics(State(live): State<Live>) -> impl IntoResponse {
    let snapshot = live.snapshot();
    let ledger = match live.store() {
        Ok(store) => read(&store, snapshot.taken_at_ms).await.inspect_err(|error| {
            tracing::warn!(%error, "metrics without the ledger");
        }),
        Err(_) => return page(&snapshot, None),
    };
    page(&snapshot, ledger.ok().as_ref())
}

/// What is read of the ledger.
struct Ledger {
    sums: Statistics,
    rounds: Rounds,
}

async fn read(store: &Store, now_ms: u64) -> Result<Ledger, StoreError> {
    Ok(Ledger { sums: store.stats(now_ms).await?, rounds: store.rounds(luck::BLOCKS).await? })
}

fn page(
    snapshot: &Snapshot,
    ledger: Option<&Ledger>,
) -> ([(axum::http::HeaderName, &'static str); 1], String) {
    let mut page = Exposition::default();
    write_process(&mut page, snapshot);
    write_mining(&mut page, snapshot, ledger.map(|ledger| &ledger.sums));
    write_share_log(&mut page, snapshot);
    write_ledger(&mut page, ledger, snapshot.chain.as_ref());
    write_plugins(&mut page, snapshot);
    write_policies(&mut page, &snapshot.policies);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page.into_text())
}

fn write_process(page: &mut Exposition, snapshot: &Snapshot) {
    page.metric("chimera_build_info").labelled("version", &snapshot.version, 1_u64);
    page.metric("chimera_uptime_seconds").value(snapshot.uptime_ms as f64 / 1000.0);
    let mut lifecycle = page.metric("chimera_lifecycle");
    for state in Lifecycle::ALL {
        lifecycle.labelled("state", state.name(), state == snapshot.lifecycle);
    }
    let mut healthy = page.metric("chimera_component_healthy");
    for part in &snapshot.components {
        healthy.labelled("component", &part.name, part.state == ComponentState::Healthy);
    }
    let mut sessions = page.metric("chimera_sessions");
    sessions.labelled("state", "connected", snapshot.sessions.connected);
    sessions.labelled("state", "authorised", snapshot.sessions.authorised);
    page.metric("chimera_sessions_max").value(snapshot.sessions.max_miners);
}

fn write_mining(page: &mut Exposition, snapshot: &Snapshot, ledger: Option<&Statistics>) {
    let mut height = page.metric("chimera_height");
    if let Some(chain) = &snapshot.chain {
        height.value(chain.height);
    }
    let mut difficulty = page.metric("chimera_network_difficulty");
    if let Some(chain) = &snapshot.chain {
        difficulty.value(chain.difficulty);
    }
    let mut nodes = page.metric("chimera_node_up");
    for node in &snapshot.nodes {
        nodes.labelled("node", &node.name, node.state == "answering");
    }
    let withdrawn = snapshot.miners_work.state == "withdrawn";
    page.metric("chimera_work_withdrawn").value(withdrawn);
    let mut shares = page.metric("chimera_shares_total");
    for (verdict, count) in &snapshot.verdicts {
        shares.labelled("verdict", verdict, *count);
    }
    let mut conduct = page.metric("chimera_conduct_total");
    for (step, count) in &snapshot.conduct {
        conduct.labelled("step", step, *count);
    }
    page.metric("chimera_share_work_total").value(snapshot.accepted_work);
    let mut hashrate = page.metric("chimera_hashrate");
    if let Some(sums) = ledger {
        for (window, Span { since_ms, work, .. }) in
            [("5m", sums.five_minutes), ("1h", sums.hour), ("24h", sums.day)]
        {
            let rate = hashes_per_s(work, since_ms, snapshot.taken_at_ms);
            hashrate.labelled("window", window, rate);
        }
    }
}

fn write_share_log(page: &mut Exposition, snapshot: &Snapshot) {
    let log = &snapshot.share_log;
    page.metric("chimera_share_log_shares_total").value(log.shares);
    page.metric("chimera_share_log_commits_total").value(log.commits);
    page.metric("chimera_share_log_failures_total").value(log.failures);
    page.metric("chimera_share_log_seconds_total").value(log.seconds);
    page.metric("chimera_share_log_batch_max").value(log.batch_max);
    let mut replies = page.metric("chimera_reply_seconds");
    if let Some(ReplyLatency { bounds_s, counts, sum_s }) = &snapshot.reply_latency {
        let mut below = 0;
        for (bound, count) in bounds_s.iter().zip(counts) {
            below += count;
            replies.suffixed("_bucket", "le", &bound.to_string(), below);
        }
        let all: u64 = counts.iter().sum();
        replies.suffixed("_bucket", "le", "+Inf", all);
        replies.total("_sum", *sum_s);
        replies.total("_count", all);
    }
}

fn write_ledger(page: &mut Exposition, ledger: Option<&Ledger>, chain: Option<&Chain>) {
    let sums = ledger.map(|ledger| &ledger.sums);
    let rounds = ledger.map(|ledger| &ledger.rounds);
    let mut blocks = page.metric("chimera_blocks_total");
    for (state, count) in sums.iter().flat_map(|sums| &sums.blocks) {
        blocks.labelled("state", state.name(), *count);
    }
    let mut effort = page.metric("chimera_round_effort");
    if let Some(current) = rounds.and_then(|rounds| luck::current_effort(rounds, chain)) {
        effort.value(current);
    }
    let mut windows = page.metric("chimera_luck");
    for (window, luck) in rounds.into_iter().flat_map(luck::windows) {
        if let Some(ratio) = luck.ratio {
            windows.labelled("window", window, ratio);
        }
    }
    let mut accounts = page.metric("chimera_accounts");
    if let Some(sums) = sums {
        accounts.value(sums.accounts);
    }
    let mut workers = page.metric("chimera_workers");
    if let Some(sums) = sums {
        workers.value(sums.workers);
    }
    page.metric("chimera_ledger_open").value(ledger.is_some());
}

fn write_plugins(page: &mut Exposition, snapshot: &Snapshot) {
    let mut calls = page.metric("chimera_plugin_calls_total");
    for plugin in &snapshot.plugins {
        calls.labelled("slot", &plugin.slot, plugin.calls);
    }
    let mut failures = page.metric("chimera_plugin_failures_total");
    for plugin in &snapshot.plugins {
        failures.labelled("slot", &plugin.slot, plugin.failures);
    }
}

fn write_policies(page: &mut Exposition, policies: &Policies) {
    let mut breakers = page.metric("chimera_plugin_breaker_closed");
    for (slot, state) in &policies.breakers {
        breakers.labelled("slot", slot, state == "closed");
    }
    let mut of_trials = |name, count: fn(&TrialCounts) -> u64| {
        let mut samples = page.metric(name);
        for (slot, trial) in &policies.trials {
            samples.labelled("slot", slot, count(trial));
        }
    };
    of_trials("chimera_trial_decisions", |trial| trial.decisions);
    of_trials("chimera_trial_differences", |trial| trial.differed);
    of_trials("chimera_trial_failures", |trial| trial.failed);
    let mut answers = page.metric("chimera_auth_answers_total");
    for (reason, count) in &policies.auth_answers {
        answers.labelled("reason", reason, *count);
    }
    page.metric("chimera_native_retargets_total").value(policies.native_retargets);
}
