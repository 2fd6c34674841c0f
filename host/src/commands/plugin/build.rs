//! `chimera plugin build`: a project becomes a component.

use std::path::PathBuf;

use chimera_kit::build::{self, Built, Language, Options, Project};
use clap::Args;
use serde_json::json;

use crate::commands::{Exit, say};

/// What to build.
#[derive(Debug, Args)]
pub struct BuildArgs {
    /// The plugin's directory
    #[arg(default_value = ".", value_name = "DIR")]
    pub dir: PathBuf,
    /// Where the component goes; NAME.wasm in the directory if not given
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Equal bytes on every machine: locked versions, pinned compiler, no path names in it
    #[arg(long)]
    pub reproducible: bool,
    /// The outcome as JSON
    #[arg(long)]
    pub json: bool,
}

pub(super) async fn run(args: BuildArgs) -> anyhow::Result<Exit> {
    let BuildArgs { dir, out, reproducible, json } = args;
    let options = Options { out, reproducible };
    let built = tokio::task::spawn_blocking(move || {
        Project::at(&dir).and_then(|project| build::build(&project, &options))
    })
    .await??;
    let Built { name, language, file, bytes, digest } = built;
    let file = shown(file);
    if json {
        let digest = digest.to_string();
        say::json(&json!({ "name": name, "file": file, "bytes": bytes, "digest": digest }));
        return Ok(Exit::Done);
    }
    let grant = if language == Language::Python { " --grant interpreted" } else { "" };
    say::done("built", format_args!("{name}, {} kB", bytes.div_ceil(1000)));
    say::field("file", file.display());
    say::field("digest", digest);
    say::field("next", format_args!("chimera plugin check {}{grant}", file.display()));
    Ok(Exit::Done)
}

/// As short as it can be said from here.
fn shown(file: PathBuf) -> PathBuf {
    let here = std::env::current_dir().and_then(std::fs::canonicalize).unwrap_or_default();
    file.strip_prefix(here).map(PathBuf::from).unwrap_or(file)
}
