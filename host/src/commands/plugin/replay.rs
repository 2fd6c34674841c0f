//! `chimera plugin replay`: a recorded call, made again.

use std::path::PathBuf;

use anyhow::Context as _;
use chimera_kit::replay::{Difference, Replay, replay};
use chimera_plugin::{CallBundle, Digest};
use clap::Args;

use super::component::Workshop;
use crate::commands::{Exit, arguments, say};

/// Which call.
///
/// Exit code 0 if it ends as recorded, 1 if it ends otherwise.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// A recorded call, as the pool keeps them of failures
    #[arg(value_name = "FILE")]
    call: PathBuf,
    /// The component to ask, a file or a shipped one's name; the recorded name if not given
    #[arg(long, value_name = "FILE|NAME")]
    component: Option<String>,
    /// What came of it as one JSON object
    #[arg(long)]
    json: bool,
}

/// Makes a recorded call again.
pub(super) fn run(args: ReplayArgs) -> anyhow::Result<Exit> {
    let path = args.call.display();
    let text = std::fs::read_to_string(&args.call).with_context(|| path.to_string())?;
    let bundle = CallBundle::from_json(&text).with_context(|| path.to_string())?;
    let name = args.component.as_deref().unwrap_or(&bundle.component);
    let artifact =
        arguments::component(name).context("the component can be named with --component")?;
    let workshop = Workshop::open()?;
    let replay = replay(&workshop.engines, &artifact, &bundle);
    if args.json {
        say::json(&serde_json::to_value(&replay)?);
    } else {
        tell(&replay);
    }
    Ok(if replay.same_outcome { Exit::Done } else { Exit::Failed })
}

fn tell(replay: &Replay) {
    say::line(&replay.call);
    if !replay.same_component {
        let Replay { recorded, component, .. } = replay;
        let told = |digest: &Digest| digest.to_string()[..16].to_owned();
        let (recorded, component) = (told(recorded), told(component));
        say::field("component", format_args!("{component}..., recorded was {recorded}..."));
    }
    say::field("recorded", &replay.then);
    say::field("now", &replay.now);
    for Difference { at, then, now } in &replay.differences {
        say::line(format_args!("    {at}: {then} then, {now} now"));
    }
    for (index, frame) in replay.backtrace.iter().enumerate() {
        let word = if index == 0 { "stopped in" } else { "called by" };
        say::line(format_args!("    {word:<11} {frame}"));
    }
    if let Some(memory) = &replay.memory {
        say::field("it held", memory);
    }
    if replay.same_outcome {
        say::done("same", "it ends as recorded");
    } else {
        say::trouble("different", "it ends otherwise");
    }
}
