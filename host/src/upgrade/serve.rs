//! A pool at work, until it ends or another process has taken over.

use std::ffi::OsString;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::signal;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::estate::Estate;
use super::heir::Heir;
use super::record::{Outcome, Record};
use crate::clock::now_ms;
use crate::pool::{Ended, RunError};

/// What this process does next.
#[derive(Debug)]
pub(crate) enum Next {
    /// Nothing: the pool has stopped, or another process serves.
    Exit,
    /// The other process failed: this one takes its estate back.
    GoOn(Box<Estate>),
}

/// Waits for a pool's end. SIGUSR2 (`asked`) starts the program again, which takes over.
///
/// # Errors
/// Why the pool ended, if it should not have.
pub(crate) async fn serve(
    asked: &mut signal::unix::Signal,
    mut running: JoinHandle<Result<Ended, RunError>>,
    freeze: &CancellationToken,
    shutdown: &CancellationToken,
    data_dir: &Path,
) -> anyhow::Result<Next> {
    loop {
        tokio::select! {
            ended = &mut running => {
                ended??;
                return Ok(Next::Exit);
            }
            Some(()) = asked.recv() => {}
        }
        let asked_ms = now_ms();
        let note = |outcome, process, cause: Option<String>| {
            let record = Record { asked_ms, outcome, process, cause };
            if let Err(error) = record.write(data_dir) {
                tracing::warn!(%error, "what becomes of the upgrade is not on record");
            }
        };
        note(Outcome::Running, std::process::id(), None);
        tracing::info!("upgrade asked for");
        let heir = match tokio::task::spawn_blocking(start).await? {
            Ok(heir) => heir,
            Err(error) => {
                fail(&error, &note);
                continue;
            }
        };
        freeze.cancel();
        let estate = match (&mut running).await? {
            Ok(Ended::Frozen(estate)) => estate,
            Ok(Ended::Stopped) => return Ok(Next::Exit),
            Err(error) => {
                let error = anyhow::Error::from(error);
                fail(&error, &note);
                return Err(error);
            }
        };
        let process = heir.id();
        let left = tokio::task::spawn_blocking(move || (heir.inherit(&estate), estate));
        let (taken, estate) = left.await?;
        return match taken {
            Ok(()) => {
                tracing::info!(process, "another process serves; this one ends");
                tell_supervisor(process);
                if shutdown.is_cancelled() {
                    // It was told to end while nobody listened.
                    end(process);
                }
                Ok(Next::Exit)
            }
            Err(error) => {
                fail(&error, &note);
                Ok(Next::GoOn(estate))
            }
        };
    }
}

fn fail(error: &anyhow::Error, note: &impl Fn(Outcome, u32, Option<String>)) {
    let cause = format!("{error:#}");
    tracing::error!(cause, "the upgrade failed; this process goes on");
    note(Outcome::Failed, std::process::id(), Some(cause));
}

/// systemd takes the end of the process it started for the end of the service, unless it is
/// told of another (sd_notify(3), `Type=notify`, `NotifyAccess=all`).
fn tell_supervisor(process: u32) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let told = UnixDatagram::unbound()
        .and_then(|from| from.send_to(format!("READY=1\nMAINPID={process}").as_bytes(), socket));
    if let Err(error) = told {
        tracing::warn!(%error, "the supervisor does not know the new process");
    }
}

fn end(process: u32) {
    let process = i32::try_from(process).ok().and_then(Pid::from_raw);
    if let Some(process) = process {
        let _ = kill_process(process, Signal::TERM);
    }
}

/// Starts what stands now where this program was started from.
fn start() -> anyhow::Result<Heir> {
    anyhow::ensure!(
        std::process::id() != 1,
        "this is the first process of a container, which ends with it: replace the container"
    );
    let named = std::env::args_os().next().map(PathBuf::from);
    let program = match named.filter(|named| named.components().count() > 1) {
        // A link may show somewhere else now.
        Some(named) => named,
        None => std::env::current_exe().context("this program's file is not known")?,
    };
    // The system marks a file that was replaced.
    let name = program.to_string_lossy();
    let program = PathBuf::from(name.strip_suffix(" (deleted)").unwrap_or(&name));
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    Heir::start(&program, &arguments)
}
