//! The two ends of a handover: the heir as the old process sees it, and the other way round.

use std::ffi::OsString;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use chimera_store::newest_schema;
use serde::{Deserialize, Serialize};

use super::estate::{Estate, FORMAT, Will};
use super::transfer::{receive, receive_sockets, send, send_sockets};

/// Tells a process that its standard input is the old one. Not named as settings are.
const HEIR: &str = "POOL_UPGRADE_HEIR";
/// To read its settings, and to try components, certificates and nodes.
const READY_MAX: Duration = Duration::from_secs(30);
/// To open the ledger and the chain, compile components, and go on.
const HEALTHY_MAX: Duration = Duration::from_secs(60);
/// To answer that; the old process waits for nothing else.
const YOURS_MAX: Duration = Duration::from_secs(10);

/// What the heir says.
#[derive(Debug, Serialize, Deserialize)]
enum Word {
    /// It has read its settings and can take over.
    Ready { format: u32, schema: i64, version: String },
    /// Everything is open; it goes on with the estate when told that it is its own.
    Healthy,
    /// It cannot.
    Failed(String),
    /// The old process's last one: it will not go on.
    Yours,
}

/// The new process, as the old one sees it. Ended when dropped, unless it took over.
#[derive(Debug)]
pub(crate) struct Heir {
    child: Child,
    socket: UnixStream,
    took_over: bool,
}

impl Heir {
    /// Starts the program again, from the file it was started from, and waits until it can
    /// take over. Blocks.
    ///
    /// # Errors
    /// When it does not start, or says why it cannot.
    pub(crate) fn start(program: &PathBuf, arguments: &[OsString]) -> anyhow::Result<Self> {
        let (socket, its) = UnixStream::pair()?;
        let child = Command::new(program)
            .args(arguments)
            .env(HEIR, "1")
            .stdin(Stdio::from(OwnedFd::from(its)))
            .spawn()
            .with_context(|| format!("{} cannot be started", program.display()))?;
        let heir = Self { child, socket, took_over: false };
        match heir.hear(READY_MAX).context("the new process did not get ready")? {
            Word::Ready { format: FORMAT, schema, version } if schema == newest_schema() => {
                tracing::info!(version, process = heir.child.id(), "the new process is ready");
                Ok(heir)
            }
            Word::Ready { format, schema, version } => anyhow::bail!(
                "version {version} has sessions of format {format} and a ledger of format {schema}, \
                 this one {FORMAT} and {}: restart the pool instead",
                newest_schema()
            ),
            Word::Failed(cause) => anyhow::bail!("the new process says: {cause}"),
            Word::Healthy | Word::Yours => anyhow::bail!("the new process is none of this program"),
        }
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Leaves it everything, and waits until it goes on. Blocks.
    ///
    /// # Errors
    /// Why it does not; then it is ended, and nothing of the estate is touched.
    pub(crate) fn inherit(mut self, estate: &Estate) -> anyhow::Result<()> {
        self.socket.set_write_timeout(Some(HEALTHY_MAX))?;
        send(&self.socket, &estate.will).context("the sessions do not go over")?;
        send_sockets(&self.socket, &estate.listeners).context("the listeners do not go over")?;
        send_sockets(&self.socket, &estate.sockets).context("the connections do not go over")?;
        match self.hear(HEALTHY_MAX).context("the new process did not become healthy")? {
            Word::Healthy => {
                // From here on it may answer miners, so this process must not: one of the two,
                // whatever the clocks say.
                send(&self.socket, &Word::Yours).context("the new process has just ended")?;
                self.took_over = true;
                Ok(())
            }
            Word::Failed(cause) => anyhow::bail!("the new process says: {cause}"),
            Word::Ready { .. } | Word::Yours => {
                anyhow::bail!("the new process is none of this program")
            }
        }
    }

    fn hear(&self, most: Duration) -> anyhow::Result<Word> {
        self.socket.set_read_timeout(Some(most))?;
        receive(&self.socket).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => anyhow::anyhow!("it has ended"),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                anyhow::anyhow!("it said nothing for {}s", most.as_secs())
            }
            _ => error.into(),
        })
    }
}

impl Drop for Heir {
    fn drop(&mut self) {
        if !self.took_over {
            // Two pools on one ledger must not be: it is gone before anybody goes on.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Whether the other side has ended.
fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | BrokenPipe | ConnectionReset)
}

/// The old process, as the new one sees it.
#[derive(Debug)]
pub(crate) struct Testator(UnixStream);

impl Testator {
    /// The one this process is to take over from, if it was started for that.
    ///
    /// # Errors
    /// When standard input is no socket although it should be.
    pub(crate) fn present() -> io::Result<Option<Self>> {
        if std::env::var_os(HEIR).is_none() {
            return Ok(None);
        }
        let socket = io::stdin().as_fd().try_clone_to_owned()?;
        Ok(Some(Self(UnixStream::from(socket))))
    }

    /// Says that this process can take over, and receives everything. Blocks.
    ///
    /// # Errors
    /// When the old process has thought better of it, or is no pool.
    pub(crate) fn inherit(&self) -> anyhow::Result<Estate> {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        send(&self.0, &Word::Ready { format: FORMAT, schema: newest_schema(), version })?;
        let will: Will = receive(&self.0).context("the old process leaves nothing")?;
        let listeners = receive_sockets(&self.0, will.listening.len())?;
        let sockets = receive_sockets(&self.0, will.connections.len())?;
        Ok(Estate { will, listeners, sockets })
    }

    /// Says that this process can go on, and waits until it may. Blocks.
    ///
    /// # Errors
    /// When the old process says something else, or nothing although it is there.
    pub(crate) fn claim(&self) -> anyhow::Result<()> {
        let claimed = self.ask_for_it();
        if claimed.is_err() {
            // A `yours` that comes too late must fail, not be left unread.
            let _ = self.0.shutdown(Shutdown::Both);
        }
        claimed
    }

    fn ask_for_it(&self) -> anyhow::Result<()> {
        self.0.set_read_timeout(Some(YOURS_MAX))?;
        let word = send(&self.0, &Word::Healthy).and_then(|()| receive(&self.0));
        match word {
            Ok(Word::Yours) => Ok(()),
            Ok(word) => anyhow::bail!("the old process says {word:?}"),
            Err(error) if is_gone(&error) => {
                // It would have ended this one first, had it meant to go on.
                tracing::warn!(%error, "the old process has ended before it heard");
                Ok(())
            }
            Err(error) => Err(error).context("the old process does not let go"),
        }
    }

    /// Says why this process cannot take over.
    pub(crate) fn failed(&self, cause: &str) {
        // The old process notices the end as well.
        let _ = send(&self.0, &Word::Failed(cause.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of a claim that is answered so, and the old process's end of the socket.
    fn claimed(answer: impl FnOnce(UnixStream) -> Option<UnixStream>) -> anyhow::Result<()> {
        let (old, new) = UnixStream::pair()?;
        let claim = std::thread::spawn(move || {
            let testator = Testator(new);
            // Its end may stay open elsewhere, as a process's standard input does.
            let elsewhere = testator.0.try_clone();
            (testator.claim(), elsewhere)
        });
        let Word::Healthy = receive(&old)? else { panic!("it says that it is healthy") };
        let old = answer(old);
        let (claimed, elsewhere) = claim.join().expect("no panic");
        if claimed.is_err() {
            let late = old.map(|old| send(&old, &Word::Yours));
            assert!(late.is_none_or(|late| late.is_err()), "nobody is there for it any more");
        }
        drop(elsewhere);
        claimed
    }

    #[test]
    fn the_old_process_lets_go_or_the_heir_does() {
        let yours = claimed(|old| send(&old, &Word::Yours).is_ok().then_some(old));
        assert!(yours.is_ok(), "{yours:?}");
        let dead = claimed(|_| None);
        assert!(dead.is_ok(), "it would have ended this one first: {dead:?}");
        let other =
            claimed(|old| send(&old, &Word::Failed("no".to_owned())).is_ok().then_some(old));
        assert!(other.is_err(), "it says something else");
    }
}
