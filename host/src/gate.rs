//! The door miners come through: what all connections share, and who is let in.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chimera_stratum::{Counters, NotifyLine, Seat, SessionConfig, SessionId};
use chimera_work::{ExtranonceLease, SpaceExhausted};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::candidates::Candidates;
use crate::clock::now_ms;
use crate::config::{Durability, Stratum};
use crate::connection::Connection;
use crate::health::Probe;
use crate::policy::{AuthDesk, DifficultyDesk};
use crate::recorder::Recorder;
use crate::seats::Seats;

/// A refused miner gets its line, or is closed after this.
const REFUSAL_WRITE_MAX: Duration = Duration::from_secs(2);
/// After an accept that failed (usually: no file descriptor is left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A vanished peer is noticed after about this even if nothing is sent to it.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// What every connection shares.
pub(crate) struct Gate {
    /// `[stratum]`
    pub settings: Stratum,
    /// What a session needs to know of the pool.
    pub session: SessionConfig,
    /// Connections beyond it are refused.
    pub miners_max: u32,
    /// When a share is answered.
    pub durability: Durability,
    /// How often a session's difficulty is reconsidered.
    pub retarget_interval: Duration,
    /// How long connections may take to say goodbye.
    pub grace: Duration,
    /// The newest job, serialised.
    pub jobs: watch::Receiver<Option<Arc<NotifyLine>>>,
    /// Where credited shares go.
    pub recorder: Arc<Recorder>,
    /// Where possible blocks go.
    pub candidates: Arc<Candidates>,
    /// Who decides about users.
    pub auth: Arc<AuthDesk>,
    /// Who decides about difficulties.
    pub difficulty: Arc<DifficultyDesk>,
    /// Set when miners are to leave.
    pub leaving: CancellationToken,
    /// Nonce space and parked seats.
    pub seats: Arc<Mutex<Seats>>,
    /// Decisions under way, also about miners that are gone: a stop waits for them.
    pub tasks: TaskTracker,
    /// What was answered, over all connections.
    pub totals: Totals,
}

/// Counts over all connections since the start.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// Open connections.
    pub connected: AtomicU32,
    /// Open connections with an authorised worker.
    pub authorised: AtomicU32,
    /// See [`Counters::accepted`].
    pub accepted: AtomicU64,
    /// See [`Counters::stale`].
    pub stale: AtomicU64,
    /// See [`Counters::duplicate`].
    pub duplicate: AtomicU64,
    /// See [`Counters::low_difficulty`].
    pub low_difficulty: AtomicU64,
    /// See [`Counters::invalid`].
    pub invalid: AtomicU64,
    /// See [`Counters::not_stored`].
    pub not_stored: AtomicU64,
}

impl Totals {
    /// Judged submissions by the word used in the API and in metrics.
    pub(crate) fn by_verdict(&self) -> BTreeMap<String, u64> {
        [
            ("accepted", &self.accepted),
            ("stale", &self.stale),
            ("duplicate", &self.duplicate),
            ("low-difficulty", &self.low_difficulty),
            ("invalid", &self.invalid),
            ("not-stored", &self.not_stored),
        ]
        .map(|(verdict, count)| (verdict.to_owned(), count.load(Ordering::Relaxed)))
        .into()
    }

    /// Adds what one connection has counted since `before`.
    pub(crate) fn add(&self, before: &Counters, now: &Counters) {
        let add = |total: &AtomicU64, before: u64, now: u64| {
            if now > before {
                total.fetch_add(now - before, Ordering::Relaxed);
            }
        };
        add(&self.accepted, before.accepted, now.accepted);
        add(&self.stale, before.stale, now.stale);
        add(&self.duplicate, before.duplicate, now.duplicate);
        add(&self.low_difficulty, before.low_difficulty, now.low_difficulty);
        add(&self.invalid, before.invalid, now.invalid);
        add(&self.not_stored, before.not_stored, now.not_stored);
    }
}

impl Gate {
    /// Lets miners in until told to leave; ends when the last connection has ended.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener, probe: Probe) {
        let connections = TaskTracker::new();
        probe.healthy(now_ms());
        loop {
            let accepted = tokio::select! {
                () = self.leaving.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, peer)) => self.admit(socket, peer, &connections),
                Err(error) => {
                    let advice = "Raise the limit of open files (ulimit -n) above pool.max_miners.";
                    probe.unhealthy(format_args!("cannot accept: {error}"), advice, now_ms());
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            }
            probe.healthy(now_ms());
        }
        // From here on nobody can connect; those inside say goodbye.
        drop(listener);
        connections.close();
        connections.wait().await;
    }

    fn admit(self: &Arc<Self>, socket: TcpStream, peer: SocketAddr, connections: &TaskTracker) {
        let place = Place::take(self);
        let Some(place) = place else {
            tracing::debug!(%peer, "refused: pool full");
            connections.spawn(refuse(socket, self.miners_max));
            return;
        };
        tune(&socket);
        let gate = Arc::clone(self);
        connections.spawn(async move {
            Connection::new(gate, peer).serve(socket).await;
            drop(place);
        });
    }

    /// A seat for a session: the one it had, or a new one.
    ///
    /// # Errors
    /// When the nonce space is exhausted.
    pub(crate) fn take_seat(&self, resume: Option<SessionId>) -> Result<Seat, SpaceExhausted> {
        self.seats().take(resume, random_session_id(), Instant::now())
    }

    /// Another part of the nonce space; `None` when there is none left.
    pub(crate) fn lease(&self) -> Option<ExtranonceLease> {
        self.seats().lease().ok()
    }

    /// Keeps the seat of a connection that ended.
    pub(crate) fn park(&self, seat: Seat) {
        self.seats().park(seat, Instant::now());
    }

    fn seats(&self) -> std::sync::MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the places `pool.max_miners` grants; free again when dropped.
struct Place(Arc<Gate>);

impl Place {
    fn take(gate: &Arc<Gate>) -> Option<Self> {
        let connected = &gate.totals.connected;
        connected
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| {
                (count < gate.miners_max).then_some(count + 1)
            })
            .ok()
            .map(|_| Self(Arc::clone(gate)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.totals.connected.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Tells a miner that there is no place: every miner reads one line as the answer to its
/// first request.
async fn refuse(mut socket: TcpStream, miners_max: u32) {
    let line = format!(
        "{{\"id\":1,\"result\":null,\"error\":[20,\"pool full: {miners_max} miners are connected\",null]}}\n"
    );
    let goodbye = async {
        socket.write_all(line.as_bytes()).await?;
        socket.shutdown().await
    };
    // A peer that does not take its line is closed all the same.
    let _ = tokio::time::timeout(REFUSAL_WRITE_MAX, goodbye).await;
}

fn tune(socket: &TcpStream) {
    let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE);
    // Neither is worth refusing a miner for.
    let _ = socket.set_nodelay(true);
    let _ = socket2::SockRef::from(socket).set_tcp_keepalive(&keepalive);
}

fn random_session_id() -> SessionId {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the operating system has a random source");
    SessionId(u64::from_le_bytes(bytes))
}
