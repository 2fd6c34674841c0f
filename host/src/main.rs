//! The binary: reads the command line, runs one command, tells the shell how it went.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use chimera::cli::{ChainCommand, Cli, Command, ConfigCommand};
use chimera::commands::plugin::PluginCommand;
use chimera::commands::{self, Exit};
use clap::Parser as _;
use tokio_util::sync::CancellationToken;

/// What shells report for a program ended by an interrupt.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(Command::Settle { seconds }) = cli.command {
        // Before there is a second thread: it locks itself in.
        return commands::settle::settle(seconds).into();
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&anyhow::Error::new(error).context("cannot start threads")),
    };
    let outcome = runtime.block_on(async {
        let shutdown = CancellationToken::new();
        if finishes_when_asked(cli.command.as_ref()) {
            tokio::spawn(watch_signals(shutdown.clone()));
        }
        perform(cli, shutdown).await
    });
    // Whatever still runs (a node that does not answer) must not keep the process.
    runtime.shutdown_background();
    outcome.map_or_else(|error| failed(&error), ExitCode::from)
}

async fn perform(cli: Cli, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    match cli.command.unwrap_or(Command::Run(cli.run)) {
        Command::Run(args) => commands::run::run(args, shutdown).await,
        Command::Mine(args) => commands::mine::mine(args, shutdown).await,
        Command::Load(args) => commands::load::load(*args, shutdown).await,
        Command::Rehearse(args) => commands::rehearse::rehearse(args, shutdown).await,
        Command::Status(args) => commands::status::status(&args).await,
        Command::Ban(command) => commands::ban::run(command).await,
        Command::Upgrade(args) => commands::upgrade::upgrade(&args).await,
        Command::Chain(ChainCommand::Check { config, json }) => {
            commands::chain_check::check(config.as_deref(), json).await
        }
        Command::Config(ConfigCommand::Check { config, json }) => {
            commands::config_check::check(config.as_deref(), json).await
        }
        Command::Payout(command) => commands::payout::run(command).await,
        Command::Plugin(command) => commands::plugin::run(command, shutdown).await,
        Command::Devnode(args) => commands::devnode::devnode(args, shutdown).await,
        Command::Settle { .. } => unreachable!("done before the runtime is made"),
    }
}

/// Whether a command has something to finish when it is interrupted; all others end at once, as
/// programs do.
const fn finishes_when_asked(command: Option<&Command>) -> bool {
    match command {
        // Without a command it runs the pool.
        None
        | Some(
            Command::Run(_)
            | Command::Mine(_)
            | Command::Load(_)
            | Command::Rehearse(_)
            | Command::Devnode(_)
            | Command::Plugin(PluginCommand::Dev(_)),
        ) => true,
        Some(
            Command::Status(_)
            | Command::Ban(_)
            | Command::Chain(_)
            | Command::Config(_)
            | Command::Upgrade(_)
            | Command::Payout(_)
            | Command::Plugin(_)
            | Command::Settle { .. },
        ) => false,
    }
}

/// The first SIGINT or SIGTERM asks the command to finish; the second ends the process.
async fn watch_signals(shutdown: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return tracing::error!("signals cannot be watched: only SIGKILL will stop this process");
    };
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if shutdown.is_cancelled() {
            std::process::exit(i32::from(INTERRUPTED));
        }
        shutdown.cancel();
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    anstream::eprintln!("error: {}", chimera::causes(error));
    ExitCode::from(Exit::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (Found by use: a first Ctrl-C did nothing to `plugin swap`.)
    #[test]
    fn only_what_has_something_to_finish_takes_the_first_signal() {
        for (line, expected) in [
            ("chimera", true),
            ("chimera run", true),
            ("chimera mine", true),
            ("chimera load", true),
            ("chimera rehearse", true),
            ("chimera devnode", true),
            ("chimera status", false),
            ("chimera ban list", false),
            ("chimera config check", false),
            ("chimera plugin history", false),
            ("chimera plugin swap auth auth-open", false),
        ] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(finishes_when_asked(cli.command.as_ref()), expected, "{line}");
        }
    }
}
