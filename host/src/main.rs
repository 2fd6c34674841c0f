//! The binary: reads the command line, runs one command, tells the shell how it went.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use chimera::cli::{Cli, Command, ConfigCommand};
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
        tokio::spawn(watch_signals(shutdown.clone()));
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
        Command::Rehearse(args) => commands::rehearse::rehearse(args, shutdown).await,
        Command::Status(args) => commands::status::status(&args).await,
        Command::Config(ConfigCommand::Check { config, json }) => {
            commands::config_check::check(config.as_deref(), json).await
        }
        Command::Payout(command) => commands::payout::run(command).await,
        Command::Plugin(command) => commands::plugin::run(command, shutdown).await,
        Command::Devnode(args) => commands::devnode::devnode(args, shutdown).await,
        Command::Settle { .. } => unreachable!("done before the runtime is made"),
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
