//! `chimera payout verify`: a settlement done again from its record alone, on two engines.

use std::path::PathBuf;

use anyhow::Context as _;
use chimera_ledger::{Allocation, Body, DecidedBy, Difference, Hash256, Proposal, Record};
use chimera_plugin::{Artifact, Digest, Engines, Grants, PayoutScheme};
use clap::Args;
use serde_json::json;

use crate::commands::{Exit, arguments, say};

/// What to verify, and with what.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The exported record
    record: PathBuf,
    /// The component: a .wasm file, or the name of a shipped one
    #[arg(long, value_name = "FILE|NAME")]
    component: String,
    /// The outcome as JSON
    #[arg(long)]
    json: bool,
}

/// What was compared, and what was found.
struct Check {
    what: &'static str,
    differences: Vec<String>,
}

pub(super) async fn verify(args: VerifyArgs) -> anyhow::Result<Exit> {
    let record: Record = super::read_json(&args.record, "settlement record")?;
    let artifact = arguments::component(&args.component)?;
    let key = record.header.key.clone();
    let checks = tokio::task::spawn_blocking(move || checks(&record, &artifact)).await??;
    let equal = checks.iter().all(|check| check.differences.is_empty());
    if args.json {
        let checks: Vec<_> = checks
            .iter()
            .map(|check| json!({ "check": check.what, "differences": check.differences }))
            .collect();
        say::json(&json!({ "settlement": key, "equal": equal, "checks": checks }));
    } else {
        tell(&key, &checks, equal);
    }
    Ok(if equal { Exit::Done } else { Exit::Failed })
}

fn tell(key: &str, checks: &[Check], equal: bool) {
    for check in checks {
        match check.differences.first() {
            None => say::done(check.what, "equal"),
            Some(first) => {
                say::trouble(check.what, first);
                for further in check.differences.iter().skip(1).take(9) {
                    say::line(format_args!("    {further}"));
                }
            }
        }
    }
    let verdict = if equal { "equal: this is what the component pays" } else { "NOT equal" };
    say::line(format_args!("{key}: {verdict}"));
}

/// The record against itself, the component against the record, and its answers on both
/// engines.
fn checks(record: &Record, artifact: &Artifact) -> anyhow::Result<Vec<Check>> {
    let texts = |found: Vec<Difference>| found.iter().map(ToString::to_string).collect();
    let decider = &record.header.decider;
    let mut checks = vec![Check { what: "record", differences: texts(record.differences()) }];
    let found = Hash256::from_bytes(*artifact.digest().as_bytes());
    let digest = Digest::of(artifact.bytes());
    let mut differences = Vec::new();
    if found != decider.digest {
        differences.push(format!(
            "digest: the record says {}, {} has {digest}",
            decider.digest,
            artifact.name()
        ));
    }
    checks.push(Check { what: "component", differences });
    let body = record.body.as_ref().context(
        "this record has sums only, which cannot be recomputed: ask for one with --full",
    )?;
    let asked = record.header.decided_by == DecidedBy::Scheme;
    if !asked {
        checks.push(Check { what: "reserve rule", differences: outside_the_rule(body) });
    }
    let grants = Grants::parse(&decider.grants)?;
    for (what, engines) in [("cranelift", Engines::new(None)), ("pulley", Engines::portable(None))]
    {
        let scheme = PayoutScheme::load(&engines?, artifact, &decider.config, &grants);
        let answer = scheme.and_then(|scheme| {
            let canonical = scheme.canonical_config().to_owned();
            let info = (scheme.info().name.clone(), scheme.info().version.clone());
            let answer = asked.then(|| scheme.settle(&body.request)).transpose()?;
            Ok((canonical, info, *scheme.plan(), answer))
        });
        let mut differences = Vec::new();
        match answer {
            Err(error) => differences.push(format!("the component does not answer: {error}")),
            Ok((canonical, info, plan, answer)) => {
                let recorded = (decider.name.clone(), decider.version.clone());
                if info != recorded {
                    differences.push(format!(
                        "component: the record says {} {}, it is {} {}",
                        recorded.0, recorded.1, info.0, info.1
                    ));
                }
                if canonical != decider.config {
                    let recorded = &decider.config;
                    differences.push(format!(
                        "configuration: the record says {recorded}, which becomes {canonical}"
                    ));
                }
                if plan != decider.plan {
                    let recorded = decider.plan;
                    differences
                        .push(format!("plan: the record says {recorded:?}, it says {plan:?}"));
                }
                let found = answer.and_then(|answer| record.against(&answer)).unwrap_or_default();
                differences.extend(found.iter().map(ToString::to_string));
            }
        }
        checks.push(Check { what, differences });
    }
    Ok(checks)
}

/// Under an accruing scheme a block goes to the reserve as a whole: nobody is named, nothing
/// is kept, and the scheme remembers what it did. That it accrues is compared with the
/// component's own plan.
fn outside_the_rule(body: &Body) -> Vec<String> {
    let by_the_rule = Proposal {
        allocation: Allocation::Weights(Vec::new()),
        pool_fee: 0,
        carry: 0,
        state: body.request.state.clone(),
        notes: Vec::new(),
    };
    if body.outcome == by_the_rule && body.request.accounts.key.is_empty() {
        return Vec::new();
    }
    vec!["outcome: a block that goes to the reserve as a whole leaves nothing to decide".to_owned()]
}
