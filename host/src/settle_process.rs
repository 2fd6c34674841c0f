//! One process per settlement: it gets the component and the request, and nothing else. The
//! pool waits for it, and kills it at its deadline or when the pool stops.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chimera_ledger::{Proposal, Request};
use chimera_plugin::{Artifact, Digest, EngineError, Engines, PayoutScheme, PluginError};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use crate::config::Settlement;
use crate::settle_frame::{Answer, Question, QuestionHead};

/// The contract components are asked by.
pub(crate) const WIT: &str = "chimera:pool@0.1.0";

/// What a process may answer: the outcome of ten million rows, with its state.
const ANSWER_BYTES_MAX: u64 = 256 << 20;
/// What of its log is read.
const SAID_BYTES_MAX: u64 = 64 << 10;
/// Components whose code is kept at hand: the scheme in force, and a few before it.
const READY_MAX: usize = 4;

/// Starts settlements.
pub(crate) struct SettleProcess {
    program: PathBuf,
    timeout: Duration,
    cross_check: bool,
    engines: Arc<Engines>,
    portable: Arc<Engines>,
    ready: Mutex<VecDeque<Arc<Ready>>>,
}

/// A component as processes are handed it.
struct Ready {
    digest: Digest,
    wasm: Vec<u8>,
    native: Vec<u8>,
    portable: Vec<u8>,
}

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettleFailure {
    /// The component failed, or its answers differ.
    #[error("{message}")]
    Component {
        /// What it was.
        message: String,
        /// The failed call as a file, if there was one.
        bundle: Vec<u8>,
    },
    /// It does not compile.
    #[error(transparent)]
    Uncompiled(#[from] PluginError),
    /// It computed for too long.
    #[error(
        "{component}: settle: its process was killed after payout.settle_timeout_s = {seconds}"
    )]
    Deadline {
        /// The component.
        component: String,
        /// What it had.
        seconds: u64,
    },
    /// The process ended without an answer.
    #[error("{component}: settle: its process ended with {status} and no answer{said}")]
    Died {
        /// The component.
        component: String,
        /// How it ended.
        status: ExitStatus,
        /// The last it said.
        said: String,
    },
    /// It cannot be run.
    #[error("the process for a settlement ({}): {source}", program.display())]
    Process {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl SettleProcess {
    /// Processes with these settings; `engines` compile for them, as others that interpret
    /// do, which keep their code in `cache`.
    ///
    /// # Errors
    /// When there is no program to run, or no engine.
    pub(crate) fn new(
        settings: &Settlement,
        engines: Arc<Engines>,
        cache: Option<&Path>,
    ) -> Result<Self, EngineError> {
        // This very program, also after its file was replaced.
        let this = || PathBuf::from("/proc/self/exe");
        Ok(Self {
            program: settings.program.clone().unwrap_or_else(this),
            timeout: settings.timeout,
            cross_check: settings.cross_check,
            engines,
            portable: Arc::new(Engines::portable(cache)?),
            ready: Mutex::default(),
        })
    }

    /// The engines that interpret.
    pub(crate) fn portable(&self) -> Arc<Engines> {
        Arc::clone(&self.portable)
    }

    /// Asks a scheme for one settlement. `wasm` is its component. Dropping the future kills
    /// the process.
    ///
    /// # Errors
    /// Why there is no outcome; then nothing has happened, and it can be asked again.
    pub(crate) async fn settle(
        &self,
        scheme: &PayoutScheme,
        grants: Vec<String>,
        wasm: Vec<u8>,
        request: Arc<Request>,
    ) -> Result<Proposal, SettleFailure> {
        let component = scheme.info().name.clone();
        let ready = self.ready(&component, scheme.digest(), wasm).await?;
        let head = QuestionHead {
            component: component.clone(),
            config: scheme.canonical_config().to_owned(),
            grants,
            cross_check: self.cross_check,
        };
        let question = blocking(move || {
            let Ready { wasm, native, portable, .. } = &*ready;
            let (wasm, native, portable) = (wasm.clone(), native.clone(), portable.clone());
            Question { head, wasm, native, portable, request: request.to_bytes() }.to_bytes()
        })
        .await;
        let (status, output, said) = self.run(&component, question).await?;
        let answer = blocking(move || {
            let answer = Answer::read(&output).ok()?;
            let outcome = Proposal::from_bytes(&answer.outcome);
            Some((answer.failure, outcome, answer.bundle))
        });
        match answer.await {
            Some((None, Ok(outcome), _)) => Ok(outcome),
            Some((Some(failure), _, bundle)) => {
                Err(SettleFailure::Component { message: failure.message, bundle })
            }
            Some((None, Err(_), _)) | None => Err(SettleFailure::Died { component, status, said }),
        }
    }

    /// The component's code for both engines: compiled once, then at hand.
    async fn ready(
        &self,
        name: &str,
        digest: Digest,
        wasm: Vec<u8>,
    ) -> Result<Arc<Ready>, PluginError> {
        let at_hand = self.at_hand().iter().find(|ready| ready.digest == digest).cloned();
        if let Some(ready) = at_hand {
            return Ok(ready);
        }
        let artifact = Artifact::kept(name, wasm);
        let (engines, portable) = (Arc::clone(&self.engines), Arc::clone(&self.portable));
        let cross_check = self.cross_check;
        let ready = blocking(move || {
            let native = engines.compiled_payout(&artifact)?;
            let interpreted = || portable.compiled_payout(&artifact);
            let portable = if cross_check { interpreted()? } else { Vec::new() };
            let wasm = artifact.bytes().to_vec();
            Ok(Arc::new(Ready { digest: artifact.digest(), wasm, native, portable }))
        })
        .await?;
        let mut at_hand = self.at_hand();
        at_hand.push_front(Arc::clone(&ready));
        at_hand.truncate(READY_MAX);
        Ok(ready)
    }

    fn at_hand(&self) -> std::sync::MutexGuard<'_, VecDeque<Arc<Ready>>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this component's code is at hand, so that its bytes are not needed.
    pub(crate) fn knows(&self, digest: Digest) -> bool {
        self.at_hand().iter().any(|ready| ready.digest == digest)
    }

    /// Runs the process to its end, or to its deadline.
    async fn run(
        &self,
        component: &str,
        question: Vec<u8>,
    ) -> Result<(ExitStatus, Vec<u8>, String), SettleFailure> {
        let failed = |source| SettleFailure::Process { program: self.program.clone(), source };
        let mut child = self.spawn().map_err(failed)?;
        match tokio::time::timeout(self.timeout, converse(&mut child, question)).await {
            Ok(ended) => ended.map_err(failed),
            Err(_) => {
                // Killed and reaped, whatever it is doing.
                child.kill().await.map_err(failed)?;
                let (component, seconds) = (component.to_owned(), self.timeout.as_secs());
                Err(SettleFailure::Deadline { component, seconds })
            }
        }
    }

    fn spawn(&self) -> std::io::Result<Child> {
        Command::new(&self.program)
            .args(["settle", "--seconds", &self.timeout.as_secs().to_string()])
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // What interrupts the pool lets it finish the settlement under way.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
    }
}

/// Writes the question while reading what comes; then the end.
async fn converse(
    child: &mut Child,
    question: Vec<u8>,
) -> std::io::Result<(ExitStatus, Vec<u8>, String)> {
    let mut input = child.stdin.take().expect("piped");
    let output = child.stdout.take().expect("piped");
    let said = child.stderr.take().expect("piped");
    let ask = async move {
        // A process that ends early has its reasons, which it says elsewhere.
        let _ = input.write_all(&question).await;
    };
    let ((), output, said) = tokio::join!(ask, read(output, ANSWER_BYTES_MAX), relay(said));
    Ok((child.wait().await?, output, said))
}

async fn read(stream: impl AsyncRead + Unpin, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What cannot be read is no answer, which is told with how the process ended. Beyond the
    // limit the pipe is closed, and the process ends at its next word.
    let _ = stream.take(most).read_to_end(&mut bytes).await;
    bytes
}

/// Puts what the component logs into the pool's log; the last line is given back.
async fn relay(stream: impl AsyncRead + Unpin) -> String {
    let said = read(stream, SAID_BYTES_MAX).await;
    let said = String::from_utf8_lossy(&said);
    for line in said.lines() {
        tracing::info!(said = line, "settlement");
    }
    said.lines().last().map(|line| format!(": {}", line.trim())).unwrap_or_default()
}

/// Runs what computes away from the executor.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
