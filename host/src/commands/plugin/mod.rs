//! `chimera plugin`: one file per command.

mod build;
mod check;
mod component;
mod dev;
mod diff;
mod history;
mod inspect;
mod lift;
mod new;
mod replay;
mod rollback;
mod settings;
mod shown;
mod swap;

use clap::Subcommand;
use tokio_util::sync::CancellationToken;

use super::Exit;

/// What can be done with plugins.
#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// Begin a plugin: a complete project that builds at once
    New(new::NewArgs),
    /// Build a plugin's component
    Build(build::BuildArgs),
    /// Check that a component keeps the rules of its class, level by level
    Check(check::CheckArgs),
    /// Build, check and try every change in a local pool with simulated miners
    Dev(dev::DevArgs),
    /// Tell everything about a component: worlds, imports, grants, size, digest, configuration
    Inspect(inspect::InspectArgs),
    /// Compare two components: interfaces, grants, configuration, payouts
    Diff(diff::DiffArgs),
    /// Make a recorded call again
    Replay(replay::ReplayArgs),
    /// Let another component, configuration or grants take over a slot of a running pool
    Swap(swap::SwapArgs),
    /// Show what took over when, step by step, and what is quarantined
    History(history::HistoryArgs),
    /// Bring back what was in force before, or withdraw what is tried out or announced
    Rollback(rollback::RollbackArgs),
    /// Let a component that failed come back
    Lift(lift::LiftArgs),
}

/// Does it.
pub async fn run(command: PluginCommand, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    match command {
        PluginCommand::New(args) => new::run(args),
        PluginCommand::Build(args) => build::run(args).await,
        PluginCommand::Check(args) => component::blocking(move || check::run(args)).await,
        PluginCommand::Dev(args) => dev::run(args, shutdown).await,
        PluginCommand::Inspect(args) => component::blocking(move || inspect::run(args)).await,
        PluginCommand::Diff(args) => component::blocking(move || diff::run(args)).await,
        PluginCommand::Replay(args) => component::blocking(move || replay::run(args)).await,
        PluginCommand::Swap(args) => swap::run(args).await,
        PluginCommand::History(args) => history::run(args).await,
        PluginCommand::Rollback(args) => rollback::run(args).await,
        PluginCommand::Lift(args) => lift::run(args).await,
    }
}
