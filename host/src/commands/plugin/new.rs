//! `chimera plugin new`: a project that builds at once.

use std::path::PathBuf;

use chimera_kit::build::Language;
use chimera_kit::scaffold::{Kind, NewPlugin, scaffold};
use clap::{Args, ValueEnum};

use crate::commands::{Exit, say};

/// What to begin.
#[derive(Debug, Args)]
pub struct NewArgs {
    /// Its name: lower-case letters, digits and hyphens, e.g. payout-mine
    pub name: String,
    /// What it decides
    #[arg(long, value_enum)]
    pub kind: KindArg,
    /// What it is written in
    #[arg(long, value_enum, default_value = "rust")]
    pub lang: LanguageArg,
    /// Where it goes; a directory of its name if not given
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// What a plugin decides.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum KindArg {
    /// Who gets what part of a reward
    Payout,
    /// Who may mine
    Auth,
    /// How hard each session's shares are
    Difficulty,
}

/// What a plugin is written in.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum LanguageArg {
    /// Compiled, some ten kilobytes
    Rust,
    /// CPython comes along: 18 MB, needs the grant `interpreted`
    Python,
}

pub(super) fn run(args: NewArgs) -> anyhow::Result<Exit> {
    let directory = args.dir.unwrap_or_else(|| PathBuf::from(&args.name));
    let (language, test) = match args.lang {
        LanguageArg::Rust => (Language::Rust, "cargo test"),
        LanguageArg::Python => (Language::Python, "python3 -m unittest"),
    };
    let kind = match args.kind {
        KindArg::Payout => Kind::Payout,
        KindArg::Auth => Kind::Auth,
        KindArg::Difficulty => Kind::Difficulty,
    };
    let new = NewPlugin { name: args.name, kind, language, directory };
    let files = scaffold(&new)?;
    let place = new.directory.display();
    say::done("new", format_args!("{} in {place}: {} files", new.name, files.len()));
    say::field("build it", format_args!("cd {place} && chimera plugin build"));
    say::field("test it", test);
    say::field("read", "README.md");
    Ok(Exit::Done)
}
