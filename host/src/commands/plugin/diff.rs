//! `chimera plugin diff`: what would change if one component took another's place?

use std::path::PathBuf;

use chimera_kit::diff::{Changed, Compare, Diff, Paid, diff};
use clap::Args;

use super::component::Workshop;
use crate::commands::{Exit, arguments, say};

/// Rows of one round that are shown.
const ROWS_MAX: usize = 10;

/// What to compare.
///
/// Components of two classes, or schemes of two kinds, are compared as far as that goes; what is
/// left out is said. Exit code 0 whether they differ or not, 1 if one of them does not load.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// A component's file, or the name of a shipped one
    #[arg(value_name = "A")]
    first: String,
    /// Another
    #[arg(value_name = "B")]
    second: String,
    /// Configuration of the first, JSON or a file with it
    #[arg(long, default_value = "", hide_default_value = true, value_name = "JSON|FILE")]
    config: String,
    /// Configuration of the second; that of the first if not given
    #[arg(long, value_name = "JSON|FILE")]
    config_b: Option<String>,
    /// Settlement records or recorded calls to settle with both; synthetic rounds if not given
    #[arg(long, value_name = "DIR")]
    records: Option<PathBuf>,
    /// The difference as one JSON object
    #[arg(long)]
    json: bool,
}

/// Compares two components.
pub(super) fn run(args: DiffArgs) -> anyhow::Result<Exit> {
    let (first, second) = (arguments::component(&args.first)?, arguments::component(&args.second)?);
    let workshop = Workshop::open()?;
    let first_config = arguments::config(&args.config)?;
    let second_config = match &args.config_b {
        Some(config) => arguments::config(config)?,
        None => first_config.clone(),
    };
    let how = Compare {
        first_config: &first_config,
        second_config: &second_config,
        records: args.records.as_deref(),
    };
    let diff = diff(&workshop.engines, &first, &second, how).map_err(anyhow::Error::msg)?;
    if args.json {
        say::json(&serde_json::to_value(&diff)?);
    } else {
        tell(&diff);
    }
    let refused = diff.first.refused.is_some() || diff.second.refused.is_some();
    Ok(if refused { Exit::Failed } else { Exit::Done })
}

fn tell(diff: &Diff) {
    for (which, side) in [("A", &diff.first), ("B", &diff.second)] {
        say::field(which, format_args!("{} {}, {} bytes", side.name, side.digest, side.bytes));
        if let Some(refused) = &side.refused {
            say::trouble(which, refused);
        }
    }
    for note in &diff.notes {
        say::field("note", note);
    }
    for mismatch in &diff.interface {
        say::line(format_args!("interface  {mismatch}"));
    }
    for grant in &diff.grants_added {
        say::trouble("grants", format_args!("B asks for {grant}, A does not"));
    }
    for grant in &diff.grants_dropped {
        say::line(format_args!("grants     A asks for {grant}, B does not"));
    }
    diff.described.iter().for_each(tell_change);
    diff.answers.iter().for_each(tell_change);
    for round in &diff.rounds {
        say::line(format_args!("{}: {} accounts differ", round.round, round.accounts.len()));
        round.others.iter().for_each(tell_change);
        for Paid { key, work, first, second } in round.accounts.iter().take(ROWS_MAX) {
            let change = i128::from(*second) - i128::from(*first);
            say::line(format_args!(
                "    account {key:016x}  work {work}  A {first}  B {second}  {change:+}"
            ));
        }
        if round.accounts.len() > ROWS_MAX {
            say::line(format_args!("    and {} more (--json)", round.accounts.len() - ROWS_MAX));
        }
    }
    if diff.rounds_compared > 0 {
        let (differ, all) = (diff.rounds.len(), diff.rounds_compared);
        say::line(format_args!("{differ} of {all} rounds are paid otherwise"));
    }
    if diff.is_empty() {
        say::done("same", "no difference was found");
    }
}

fn tell_change(changed: &Changed) {
    let Changed { what, first, second } = changed;
    say::line(format_args!("{what}"));
    say::line(format_args!("    A  {first}"));
    say::line(format_args!("    B  {second}"));
}
