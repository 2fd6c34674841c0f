//! `chimera plugin inspect`: what a component is.

use chimera_kit::inspect::{Import, Inspection, Standing, inspect};
use clap::Args;

use super::component::Workshop;
use crate::commands::{Exit, arguments, say};

/// What to look at.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// A component's file, or the name of a shipped one
    #[arg(value_name = "FILE|NAME")]
    component: String,
    /// Everything as one JSON object
    #[arg(long)]
    json: bool,
}

/// Reads a component and tells what it is. Fails if it could not be loaded.
pub(super) fn run(args: InspectArgs) -> anyhow::Result<Exit> {
    let artifact = arguments::component(&args.component)?;
    let workshop = Workshop::open()?;
    let inspection = inspect(&workshop.engines, &artifact)
        .map_err(|cause| anyhow::anyhow!("{}: {cause}", args.component))?;
    if args.json {
        say::json(&serde_json::to_value(&inspection)?);
    } else {
        tell(&inspection);
    }
    Ok(if inspection.refused.is_none() { Exit::Done } else { Exit::Failed })
}

fn tell(inspection: &Inspection) {
    say::field("name", &inspection.name);
    say::field("digest", inspection.digest);
    say::field("size", format_args!("{} bytes", inspection.bytes));
    say::field("worlds", listed(&inspection.worlds));
    say::field("chimera:pool", listed(&inspection.api_versions));
    say::field("exports", listed(&inspection.exports));
    for Import { name, standing } in &inspection.imports {
        let standing = match standing {
            Standing::Given => "given to all".to_owned(),
            Standing::NeedsGrant { grant } => format!("needs the grant {grant}"),
            Standing::Shimmed => "a shim: no system behind it".to_owned(),
            Standing::Refused { mend } => format!("refused: {mend}"),
        };
        say::field("import", format_args!("{name}: {standing}"));
    }
    for mismatch in &inspection.mismatches {
        say::trouble("interface", mismatch);
    }
    let anatomy = &inspection.anatomy;
    let memory = match anatomy.memory_bytes_max {
        Some(most) => format!("{} to {most} bytes", anatomy.memory_bytes_min),
        None => format!("from {} bytes to its class's limit", anatomy.memory_bytes_min),
    };
    say::field("memory", memory);
    say::field("names", if anatomy.names { "kept" } else { "stripped: traps have no place" });
    let floats = &anatomy.floats;
    say::field(
        "floats",
        format_args!(
            "{} instructions in {} functions",
            floats.instructions,
            floats.functions.len()
        ),
    );
    for (field, values) in &anatomy.producers {
        say::field(field, values.join(", "));
    }
    if let Some(description) = &inspection.description {
        let said = &description.description;
        say::field(
            "describes",
            format_args!("{} {}: {said}", description.name, description.version),
        );
        let (state, since) = (description.state_version, description.state_accepts_since);
        say::field("state", format_args!("version {state}, takes over from {since} on"));
        super::settings::tell(&description.config_schema);
    }
    if let Some(refused) = &inspection.refused {
        say::trouble("refused", refused);
    }
}

fn listed(texts: &[impl AsRef<str>]) -> String {
    let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
    if texts.is_empty() { "none".to_owned() } else { texts.join(", ") }
}
