//! What the guides show is what happens: the commands of their ```console blocks are run in
//! order, in a temporary directory. Those that never end, or need a pool of the reader's, are
//! held against the command line instead.

use std::path::{Path, PathBuf};

use chimera::cli::Cli;
use chimera::config::Config;
use clap::Parser as _;
use tempfile::TempDir;

use crate::authoring::program;

const BINARY: &str = env!("CARGO_BIN_EXE_chimera");
/// What must only be understood: it runs until it is stopped, asks a running pool, or needs
/// a file the reader has by then.
const UNDERSTOOD: [&str; 8] = [
    "chimera plugin dev",
    "chimera plugin swap",
    "chimera plugin diff",
    "chimera plugin history",
    "chimera plugin replay",
    "chimera run",
    "chimera mine",
    "chimera status",
];

fn guide(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines of the blocks of one kind.
fn blocks<'a>(text: &'a str, kind: &str) -> Vec<&'a str> {
    let mut lines = Vec::new();
    let mut inside = None;
    for line in text.lines() {
        match (inside, line.strip_prefix("```")) {
            (None, Some(opened)) => inside = Some(opened),
            (Some(_), Some(_)) => inside = None,
            (Some(opened), None) if opened == kind => lines.push(line),
            _ => {}
        }
    }
    lines
}

fn understood(command: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(command.split_whitespace())
}

/// Runs a guide from its beginning to its end; how many commands were run.
fn follow(name: &str) -> usize {
    let text = guide(name);
    let home = TempDir::new().expect("a temporary directory");
    let mut directory = home.path().to_path_buf();
    let mut run = 0;
    for line in blocks(&text, "console") {
        let Some(command) = line.strip_prefix("$ ") else { continue };
        if let Some(target) = command.strip_prefix("cd ") {
            directory = moved(&directory, target);
            continue;
        }
        if UNDERSTOOD.iter().any(|start| command.starts_with(start)) {
            understood(command).unwrap_or_else(|error| panic!("{name}: {command}: {error}"));
            continue;
        }
        let bin = Path::new(BINARY).parent().expect("the binary is in a directory");
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
        let output = program("sh", &directory).args(["-c", command]).env("PATH", path).output();
        let output = output.expect("a shell is there");
        let words = [output.stdout, output.stderr].concat();
        let words = String::from_utf8_lossy(&words);
        assert!(output.status.success(), "{name}: {command}: {words}");
        run += 1;
    }
    run
}

fn moved(directory: &Path, target: &str) -> PathBuf {
    let there = directory.join(target);
    assert!(there.is_dir(), "{} is shown and not there", there.display());
    there
}

#[test]
fn the_authors_guide_works_as_it_is_written() {
    assert!(follow("plugins/GUIDE.md") >= 6, "the guide shows what can be run");
}

/// A block that cannot be run yet (`sh`) shows nothing that the binary already understands:
/// then it belongs into a `console` block, and is run.
#[test]
fn what_can_be_run_is_run() {
    let text = guide("plugins/GUIDE.md");
    for line in blocks(&text, "sh") {
        let command = line.trim_start_matches("$ ");
        let known = command.starts_with("chimera") && understood(command).is_ok();
        assert!(!known, "{command} is understood: show it in a console block");
    }
}

#[test]
fn files_the_guide_links_are_there() {
    let text = guide("plugins/GUIDE.md");
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins");
    for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        let file = link.split('#').next().unwrap_or_default();
        let there = link.starts_with("https://") || plugins.join(file).exists();
        assert!(there, "{link} is linked and missing");
    }
}

/// What needs a node of the reader's is held against the command line and the settings.
#[test]
fn the_nodes_guide_shows_what_the_program_understands() {
    let text = guide("host/NODES.md");
    let shown = blocks(&text, "console");
    let commands: Vec<&str> = shown.iter().filter_map(|line| line.strip_prefix("$ ")).collect();
    let ours: Vec<&&str> = commands.iter().filter(|it| it.starts_with("chimera ")).collect();
    assert!(ours.len() >= 9, "{commands:?}");
    for command in ours {
        let command = command.trim_end_matches('&').split('>').next().unwrap_or_default();
        understood(command).unwrap_or_else(|error| panic!("{command}: {error}"));
    }
    let settings = blocks(&text, "toml").join("\n");
    Config::parse(&settings, &[]).unwrap_or_else(|error| panic!("{error}"));
}
