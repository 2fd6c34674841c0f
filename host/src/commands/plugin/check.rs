//! `chimera plugin check`: does a component keep the rules of its class?

use std::path::PathBuf;

use chimera_kit::check::{Finding, Grade, Level, LevelReport, Options, Report, SEED, check};
use chimera_plugin::Grants;
use clap::Args;

use super::component::Workshop;
use crate::commands::{Exit, arguments, say};

/// What to check, and how.
///
/// Levels: L0 static, L1 lifecycle, L2 money, L3 determinism, L4 resources, L5 state,
/// L6 class rules, L7 vectors. Exit code 0 if all hold, 1 if not.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// A component's file, or the name of a shipped one
    #[arg(value_name = "FILE|NAME")]
    component: String,
    /// Its configuration, JSON, or a file with JSON or TOML in it; all defaults if not given
    #[arg(long, default_value = "", hide_default_value = true, value_name = "JSON|FILE")]
    config: String,
    /// What it is granted, e.g. kv or fetch:users; all it asks for if not given
    #[arg(long = "grant", value_name = "GRANT")]
    grants: Vec<String>,
    /// A directory of cases, {"config", "request", "outcome"} or recorded calls, for L7
    #[arg(long, value_name = "DIR")]
    vectors: Option<PathBuf>,
    /// Only these levels, e.g. --level L2 --level L3
    #[arg(long = "level", value_name = "LEVEL")]
    levels: Vec<Level>,
    /// Warnings count as errors
    #[arg(long)]
    strict: bool,
    /// Floating point in a payout scheme is an error, and not a note
    #[arg(long)]
    no_floats: bool,
    /// What the random cases are made from
    #[arg(long, default_value_t = SEED)]
    seed: u64,
    /// Figures of every level, too
    #[arg(long)]
    facts: bool,
    /// The report as one JSON object
    #[arg(long)]
    json: bool,
}

/// Checks a component.
pub(super) fn run(args: CheckArgs) -> anyhow::Result<Exit> {
    let artifact = arguments::component(&args.component)?;
    let workshop = Workshop::open()?;
    let levels = if args.levels.is_empty() { Level::ALL.to_vec() } else { args.levels };
    let options = Options {
        config: arguments::config(&args.config)?,
        grants: if args.grants.is_empty() { None } else { Some(Grants::parse(&args.grants)?) },
        vectors: args.vectors,
        levels: levels.into_iter().collect(),
        strict: args.strict,
        no_floats: args.no_floats,
        seed: args.seed,
    };
    let report = check(&workshop.engines, &workshop.second()?, &artifact, &options);
    if args.json {
        let mut value = serde_json::to_value(&report)?;
        value["passed"] = report.passed().into();
        say::json(&value);
    } else {
        tell(&report, args.facts);
    }
    Ok(if report.passed() { Exit::Done } else { Exit::Failed })
}

fn tell(report: &Report, facts: bool) {
    let class = report.class.map_or("of no world", |class| class.world());
    say::line(format_args!("{} ({class})", report.component));
    say::field("digest", report.digest);
    say::field("seed", report.seed);
    for level in &report.levels {
        tell_level(level, facts);
    }
    if report.passed() {
        say::done("passed", "every rule that was tried holds");
    } else {
        say::trouble("failed", "see above for what to mend");
    }
}

fn tell_level(level: &LevelReport, facts: bool) {
    let name = format!("{:?} {}", level.level, level.title);
    if let Some(why) = &level.skipped {
        say::field(name, format_args!("left out: {why}"));
    } else if level.holds() {
        say::done(name, format_args!("{} checks", level.checks));
    } else {
        let broken = level.findings.iter().filter(|finding| finding.grade != Grade::Note);
        let found = broken.count();
        say::trouble(name, format_args!("{found} rules of {} checks", level.checks));
    }
    for Finding { rule, grade, expected, found, mend } in &level.findings {
        let grade = match grade {
            Grade::Note => "note",
            Grade::Warning => "warning",
            Grade::Error => "error",
        };
        say::line(format_args!("    {grade}: {rule}"));
        say::line(format_args!("      expected  {expected}"));
        say::line(format_args!("      found     {found}"));
        say::line(format_args!("      mend      {mend}"));
    }
    for fact in level.facts.iter().filter(|_| facts) {
        say::line(format_args!("      {fact}"));
    }
}
