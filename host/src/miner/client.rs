//! The connection to a pool: dialling, reading and writing lines, and coming back after a
//! cut, each time a little later, with the session of before.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::MinerError;
use super::endpoint::Endpoint;
use super::grind::Answer;
use super::job::MinerJob;
use super::line_reader::LineReader;
use super::session::{Answered, Effect, Login, Session, UNANSWERED_MAX};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// To subscribe and authorise: a pool may ask its database.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);
/// What cpuminer waits for a line; pools send a job or a ping at least that often.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(300);
/// After the end of a run, shares on the way get so long to be answered.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
const BACKOFF_FIRST: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// A pool may ask us to wait before coming back, within reason.
const RECONNECT_WAIT_MAX: Duration = Duration::from_secs(600);

/// What happens between the miner and its pool.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A connection is being made.
    Connecting(Endpoint),
    /// The pool gave this connection its part of the nonce space.
    Subscribed {
        /// The pool's part, hex.
        extranonce1: String,
        /// Whether it is the session of before the cut.
        resumed: bool,
    },
    /// New work.
    Job(Arc<MinerJob>),
    /// The pool accepted a share.
    Accepted(Answered),
    /// The pool refused a share, and why.
    Rejected(Answered, String),
    /// The pool has something to tell the miner's owner.
    Message(String),
    /// The pool sent something that was left aside.
    Ignored(String),
    /// The connection ended or could not be made.
    Disconnected {
        /// Why.
        cause: String,
        /// When the next attempt is made.
        retry_in: Duration,
        /// Shares that were sent and never judged.
        unanswered: u64,
    },
}

/// Why a connection ended.
enum End {
    Cut(String),
    Redirected {
        host: Option<String>,
        port: Option<u16>,
        wait: Duration,
    },
    Refused(MinerError),
    /// We were asked to stop.
    Stopped,
}

/// One miner's side of the road to its pool.
pub(super) struct Client {
    pub(super) endpoint: Endpoint,
    pub(super) login: Login,
    /// Attempts before the first success after which the address is given up.
    pub(super) attempts_max: u32,
    /// Spreads the returns of many miners after a pool's restart.
    pub(super) seed: u64,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) answers: mpsc::Receiver<Answer>,
}

impl Client {
    /// Talks to the pool until `stop`, then until every share is answered; says how many
    /// were not.
    ///
    /// # Errors
    /// When no connection ever succeeded, or the pool will not have this user.
    pub(super) async fn run(mut self, stop: &CancellationToken) -> Result<u64, MinerError> {
        let mut at = self.endpoint.clone();
        let mut resume = None;
        let (mut worked, mut failures) = (false, 0_u32);
        loop {
            self.emit(Event::Connecting(at.clone())).await;
            let mut session = Session::new(self.login.clone(), resume.clone());
            let end = self.connection(&at, &mut session, stop).await;
            resume = session.session_id().map(str::to_owned).or(resume);
            if session.is_working() {
                (worked, failures) = (true, 0);
            }
            let unanswered = session.unanswered() as u64;
            if stop.is_cancelled() {
                return Ok(unanswered);
            }
            failures += 1;
            let mut retry_in = backoff(failures, self.seed);
            let cause = match end {
                End::Stopped => return Ok(unanswered),
                End::Refused(error) if !worked || failures >= self.attempts_max => {
                    return Err(error);
                }
                End::Refused(error) => error.to_string(),
                End::Cut(cause) if !worked && failures >= self.attempts_max => {
                    return Err(MinerError::Unreachable { endpoint: at, cause });
                }
                End::Cut(cause) => {
                    // Where we were sent may be gone: home again.
                    at = self.endpoint.clone();
                    cause
                }
                End::Redirected { host, port, wait } => {
                    retry_in = retry_in.max(wait);
                    self.redirect(&mut at, host, port)
                }
            };
            self.emit(Event::Disconnected { cause, retry_in, unanswered }).await;
            tokio::select! {
                () = self.discard_for(retry_in) => {}
                () = stop.cancelled() => return Ok(0),
            }
        }
    }

    /// Where the pool sends us, if it may; says what is done.
    fn redirect(&self, at: &mut Endpoint, host: Option<String>, port: Option<u16>) -> String {
        let host = host.unwrap_or_else(|| at.host.clone());
        let to = Endpoint { host, port: port.unwrap_or(at.port) };
        if self.endpoint.may_redirect_to(&to.host) {
            *at = to;
            return format!("the pool sends us to {at}");
        }
        *at = self.endpoint.clone();
        format!("the pool sends us to {to}, another domain: not obeyed")
    }

    /// Answers found while there is no connection belong to a session that is gone.
    async fn discard_for(&mut self, wait: Duration) {
        let rest = sleep(wait);
        tokio::pin!(rest);
        loop {
            tokio::select! {
                () = &mut rest => return,
                answer = self.answers.recv() => if answer.is_none() { return rest.await },
            }
        }
    }

    async fn emit(&self, event: Event) {
        // Nobody listens any more only when the run is over.
        let _ = self.events.send(event).await;
    }

    async fn connection(
        &mut self,
        at: &Endpoint,
        session: &mut Session,
        stop: &CancellationToken,
    ) -> End {
        let dialled = tokio::select! {
            dialled = dial(at) => dialled,
            () = stop.cancelled() => return End::Stopped,
        };
        let (reader, mut writer) = match dialled {
            Ok(stream) => stream.into_split(),
            Err(cause) => return End::Cut(cause),
        };
        if let Err(cause) = write(&mut writer, &session.open()).await {
            return End::Cut(cause);
        }
        self.converse(at, session, LineReader::new(reader), &mut writer, stop).await
    }

    async fn converse(
        &mut self,
        at: &Endpoint,
        session: &mut Session,
        mut reader: LineReader<OwnedReadHalf>,
        writer: &mut OwnedWriteHalf,
        stop: &CancellationToken,
    ) -> End {
        let begun = Instant::now();
        let mut heard = begun;
        let mut stopping = None;
        loop {
            if stop.is_cancelled() {
                let since = *stopping.get_or_insert_with(Instant::now);
                if session.unanswered() == 0 || since.elapsed() >= DRAIN_TIMEOUT {
                    return End::Stopped;
                }
            }
            let (since, limit) = match stopping {
                Some(since) => (since, DRAIN_TIMEOUT),
                None if session.is_working() => (heard, SILENCE_TIMEOUT),
                None => (begun, HANDSHAKE_TIMEOUT),
            };
            let patience = limit.saturating_sub(since.elapsed());
            tokio::select! {
                // Reading first: a new job makes answers void before they are sent.
                biased;
                line = reader.next_line() => {
                    heard = Instant::now();
                    let line = match line {
                        Ok(Some(line)) => line,
                        Ok(None) => return End::Cut("the pool closed the connection".to_owned()),
                        Err(error) => return End::Cut(error.to_string()),
                    };
                    for effect in session.line(&line, heard) {
                        if let Some(end) = self.perform(at, effect, writer).await {
                            return end;
                        }
                    }
                }
                Some((job, found)) = self.answers.recv(),
                    if stopping.is_none()
                        && session.is_working()
                        && session.unanswered() < UNANSWERED_MAX =>
                {
                    if let Some(line) = session.submit(&job, &found, Instant::now())
                        && let Err(cause) = write(writer, &line).await
                    {
                        return End::Cut(cause);
                    }
                }
                () = stop.cancelled(), if stopping.is_none() => {}
                () = sleep(patience), if stopping.is_some() => {}
                () = sleep(patience), if stopping.is_none() => {
                    return End::Cut(format!("no word from the pool for {} s", limit.as_secs()));
                }
            }
        }
    }

    /// Does what the conversation asks; `Some` ends the connection.
    async fn perform(
        &self,
        at: &Endpoint,
        effect: Effect,
        writer: &mut OwnedWriteHalf,
    ) -> Option<End> {
        match effect {
            Effect::Send(line) => return write(writer, &line).await.err().map(End::Cut),
            Effect::Reconnect { host, port, wait_s } => {
                let wait = Duration::from_secs(wait_s).min(RECONNECT_WAIT_MAX);
                return Some(End::Redirected { host, port, wait });
            }
            Effect::AuthorizeRefused(reason) => {
                let user = self.login.user.clone();
                return Some(End::Refused(MinerError::NotAuthorized { user, reason }));
            }
            Effect::SubscribeRefused(reason) => {
                let endpoint = at.clone();
                return Some(End::Refused(MinerError::NotSubscribed { endpoint, reason }));
            }
            Effect::NotAPool(found) => {
                return Some(End::Refused(MinerError::NotAPool { endpoint: at.clone(), found }));
            }
            Effect::Subscribed { extranonce1, resumed } => {
                self.emit(Event::Subscribed { extranonce1, resumed }).await;
            }
            Effect::Work(job) => self.emit(Event::Job(job)).await,
            Effect::Accepted(share) => self.emit(Event::Accepted(share)).await,
            Effect::Rejected(share, reason) => self.emit(Event::Rejected(share, reason)).await,
            Effect::Message(text) => self.emit(Event::Message(text)).await,
            Effect::Ignored(what) => self.emit(Event::Ignored(what)).await,
        }
        None
    }
}

async fn dial(at: &Endpoint) -> Result<TcpStream, String> {
    match timeout(CONNECT_TIMEOUT, TcpStream::connect((at.host.as_str(), at.port))).await {
        Err(_) => Err(format!("no answer for {} s", CONNECT_TIMEOUT.as_secs())),
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Err("connection refused".to_owned())
        }
        Ok(Err(error)) => Err(error.to_string()),
        Ok(Ok(stream)) => {
            // A share held back to fill a packet may be a stale one.
            stream.set_nodelay(true).map_err(|error| error.to_string())?;
            Ok(stream)
        }
    }
}

async fn write(writer: &mut OwnedWriteHalf, line: &str) -> Result<(), String> {
    match timeout(WRITE_TIMEOUT, writer.write_all(line.as_bytes())).await {
        Err(_) => Err(format!("the pool reads nothing for {} s", WRITE_TIMEOUT.as_secs())),
        Ok(written) => written.map_err(|error| error.to_string()),
    }
}

/// 1, 2, 4 ... 30 s, each up to a quarter longer, differently for each miner.
fn backoff(failures: u32, seed: u64) -> Duration {
    let doublings = failures.saturating_sub(1).min(5);
    let base = (BACKOFF_FIRST * (1 << doublings)).min(BACKOFF_MAX);
    // Fibonacci hashing: neighbouring seeds land far apart.
    let spread = (seed ^ u64::from(failures)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
    base + base * u32::try_from(spread).expect("eight bits") / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_slow_down_to_a_cap_and_spread() {
        for seed in 0..100 {
            for (failures, least) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 30), (99, 30)] {
                let least = Duration::from_secs(least);
                let wait = backoff(failures, seed);
                assert!(least <= wait && wait < least * 5 / 4, "{failures} {wait:?}");
            }
        }
        let waits: std::collections::BTreeSet<_> = (0..100).map(|seed| backoff(1, seed)).collect();
        assert!(waits.len() > 50, "{}", waits.len());
    }
}
