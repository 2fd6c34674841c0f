//! The doors miners come through, and the shards that serve them.
//!
//! | file | what |
//! |---|---|
//! | `door` | a listener with its own policy |
//! | `shard` | one thread with a poll of its own, and some of the connections |
//! | `desk` | what a shard's connections work with, and the way to the share log |
//! | `connection` | a session with what the pool keeps beside it |
//! | `admission` | who is let in |
//! | `resume` | connections of another process |
//! | `conduct` | what becomes of those who send what is refused |
//! | `opening` | what a connection speaks, by its first bytes |
//! | `wire` | its socket, with or without TLS |
//! | `inbox` | what reaches a shard from other threads |

mod addresses;
mod admission;
mod conduct;
mod connection;
mod desk;
mod door;
mod inbox;
mod opening;
mod resume;
mod shard;
mod slots;
mod tls;
mod totals;
mod wire;

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use chimera_stratum::{Login, Seat, SessionId};
use chimera_work::{ExtranonceLease, Solution, SpaceExhausted};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bans::BanList;
use crate::candidates::Candidates;
use crate::clock::now_ms;
use crate::config::{Durability, Stratum};
use crate::health::Probe;
use crate::policy::{AuthDesk, DifficultyDesk, Origin};
use crate::recorder::Recorder;
use crate::seats::Seats;
use crate::upgrade::Frozen;
use crate::work_feed::Work;

use admission::Place;
use shard::Shard;
use tls::Renewal;

pub(crate) use addresses::{ConnectionCounts, customer};
pub(crate) use conduct::{Penalties, RecordState};
pub(crate) use door::{Door, Resumed};
pub(crate) use inbox::{Answer, Inbox, Message, ReplyTo};
pub(crate) use slots::Key;
pub(crate) use tls::Certificate;
pub(crate) use totals::Totals;

/// After an accept that failed (usually: no file descriptor is left), milliseconds.
const ACCEPT_PAUSE: u64 = 100;
/// Logins under way at once. Each may wait for an endpoint and for the ledger.
pub(crate) const LOGINS_MAX: usize = 256;
const CERTIFICATE_ADVICE: &str = "The certificate read before stays in use. Replace both files by \
                                  ones that can be read and belong together; they are tried again \
                                  by themselves.";
/// How often certificates are looked at for a change.
const RENEW_INTERVAL: Duration = Duration::from_secs(2);

/// What the gate's clock shows when it is opened: connections of another process began before.
const EPOCH_MS: u64 = 1 << 40;

/// What every connection shares.
pub(crate) struct Gate {
    /// `[stratum]`
    pub settings: Stratum,
    /// Connections beyond it are refused.
    pub miners_max: u32,
    /// When a share is answered.
    pub durability: Durability,
    /// How often a session's difficulty is reconsidered, milliseconds.
    pub retarget_ms: u64,
    /// The newest job, serialised.
    pub work: watch::Receiver<Work>,
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
    /// Set when another process is to go on with the connections.
    pub freezing: CancellationToken,
    /// Set when another process has the connections: whatever still goes on here ends.
    pub gone: CancellationToken,
    /// Nonce space and parked seats.
    pub seats: Arc<Mutex<Seats>>,
    /// Decisions under way, also about miners that are gone: a stop waits for them.
    pub tasks: TaskTracker,
    /// What was answered, over all connections.
    pub totals: Totals,
    /// How many connections each address has.
    pub addresses: ConnectionCounts,
    /// Logins under way at once; a storm of them waits its turn.
    pub logins: Semaphore,
    /// Runs what has to wait.
    pub runtime: Handle,
    /// What the gate's clock counts from.
    pub began: Instant,
    /// The shards, once they serve.
    pub shards: OnceLock<Vec<ShardHandle>>,
    /// What leads to a ban.
    pub penalties: Penalties,
    /// Nobody is let in from there.
    pub bans: Arc<BanList>,
    /// Tells how the doors are.
    pub probe: Probe,
    /// Tells how their certificates are, if any speaks TLS.
    pub certificates: Option<Probe>,
}

/// Between what can fail before miners are served, and serving them.
pub(crate) struct Beginning {
    /// Told when only the permission is missing.
    pub ready: oneshot::Sender<()>,
    /// Dropped if there will be none.
    pub may_begin: oneshot::Receiver<()>,
}

/// A shard as others see it.
#[derive(Debug)]
pub(crate) struct ShardHandle {
    inbox: Arc<Inbox>,
    connections: AtomicU32,
}

impl Gate {
    /// Lets miners in until told to leave; ends when the last connection has ended, or when a
    /// shard ends by itself. Told to freeze, it gives the connections back instead. `resumed`
    /// are those of another process.
    ///
    /// # Errors
    /// When the system gives no poll, a shard failed, or it may not begin.
    pub(crate) async fn serve(
        self: Arc<Self>,
        doors: Vec<(Arc<Door>, std::net::TcpListener)>,
        resumed: Vec<Resumed>,
        beginning: Beginning,
    ) -> io::Result<Vec<Frozen>> {
        let mut shards = Vec::new();
        for number in 0..self.settings.threads {
            let doors = doors
                .iter()
                .map(|(door, listener)| Ok((Arc::clone(door), listener.try_clone()?)))
                .collect::<io::Result<_>>()?;
            shards.push(Shard::new(number, Arc::clone(&self), doors)?);
        }
        let handles = shards
            .iter()
            .map(|shard| ShardHandle { inbox: shard.inbox(), connections: AtomicU32::new(0) })
            .collect();
        let _ = self.shards.set(handles);
        for (nth, resumed) in resumed.into_iter().enumerate() {
            let inbox = shards[nth % shards.len()].inbox();
            inbox.put(Message::Resumed(Box::new(resumed)));
        }
        // Nobody waits for it in a test.
        let _ = beginning.ready.send(());
        if beginning.may_begin.await.is_err() {
            return Err(io::Error::other("the process before this one goes on"));
        }
        let (ended, mut ends) = mpsc::unbounded_channel();
        for (number, shard) in shards.into_iter().enumerate() {
            let ended = ended.clone();
            std::thread::Builder::new().name(format!("stratum-{number}")).spawn(move || {
                let run = std::panic::AssertUnwindSafe(|| shard.run());
                // Its miners are gone with it, and others must not be sent there.
                let panicked = |_| Err(io::Error::other("a shard has panicked"));
                let _ = ended.send(std::panic::catch_unwind(run).unwrap_or_else(panicked));
            })?;
        }
        drop(ended);
        self.probe.healthy(now_ms());
        let mut renewals = tokio::time::interval(RENEW_INTERVAL);
        renewals.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut work = self.work.clone();
        work.mark_changed();
        let mut left = self.settings.threads;
        let (mut frozen, mut told) = (Vec::new(), false);
        while left > 0 {
            tokio::select! {
                Ok(()) = work.changed() => {
                    let newest = work.borrow_and_update().clone();
                    if !matches!(newest, Work::Awaited) {
                        self.tell_all(|| Message::Work(newest.clone()));
                    }
                }
                () = self.leaving.cancelled(), if !told => {
                    told = true;
                    self.inboxes().for_each(Inbox::wake);
                }
                () = self.freezing.cancelled(), if !told => {
                    told = true;
                    self.inboxes().for_each(Inbox::wake);
                }
                _ = renewals.tick() => self.renew(&doors),
                end = ends.recv() => match end {
                    Some(Ok(connections)) => {
                        left -= 1;
                        frozen.extend(connections);
                    }
                    Some(Err(error)) => return Err(error),
                    None => return Err(io::Error::other("a shard has panicked")),
                },
            }
        }
        if self.freezing.is_cancelled() {
            self.collect_stragglers(&mut frozen);
        }
        Ok(frozen)
    }

    fn tell_all(&self, message: impl Fn() -> Message) {
        self.inboxes().for_each(|inbox| inbox.put(message()));
    }

    fn inboxes(&self) -> impl Iterator<Item = &Inbox> {
        self.shards.get().into_iter().flatten().map(|shard| &*shard.inbox)
    }

    /// The gate's own time, which never jumps.
    pub(crate) fn now_ms(&self) -> u64 {
        EPOCH_MS + u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX / 2)
    }

    /// The nonce space is used up.
    fn no_seat(&self, error: &SpaceExhausted) {
        let advice = "Miners are let in again with the next block. If this is no attack, run \
                      another instance (stratum.instance).";
        self.probe.warning(error, advice, now_ms());
    }

    /// Looks whether certificates have changed.
    fn renew(&self, doors: &[(Arc<Door>, std::net::TcpListener)]) {
        let Some(probe) = &self.certificates else { return };
        let mut troubles = Vec::new();
        for (door, _) in doors {
            let Some(certificate) = &door.certificate else { continue };
            let name = &door.settings.name;
            match certificate.renew() {
                Renewal::Same => {}
                Renewal::New => tracing::info!(door = %name, "certificate renewed"),
                Renewal::Unusable { cause, news } => {
                    if news {
                        tracing::error!(
                            door = %name,
                            cause,
                            "the changed certificate cannot be used; the old one stays"
                        );
                    }
                    troubles.push(format!("listener {name:?}: {cause}"));
                }
            }
        }
        match troubles.is_empty() {
            true => probe.healthy(now_ms()),
            false => probe.warning(troubles.join("; "), CERTIFICATE_ADVICE, now_ms()),
        }
    }

    fn cannot_accept(&self, error: &io::Error) {
        let advice = "Raise the limit of open files (ulimit -n) above pool.max_miners.";
        self.probe.unhealthy(format_args!("cannot accept: {error}"), advice, now_ms());
    }

    /// Another shard that should have the next connection, if one has many fewer.
    fn shard_for_next(&self, own: usize, imbalance: u32) -> Option<&Inbox> {
        let shards = self.shards.get()?;
        let count = |shard: &ShardHandle| shard.connections.load(Ordering::Relaxed);
        let fewest = shards.iter().min_by_key(|shard| count(shard))?;
        (count(&shards[own]) > count(fewest) + imbalance).then_some(&*fewest.inbox)
    }

    fn seated(&self, shard: usize, change: i32) {
        if let Some(shard) = self.shards.get().and_then(|shards| shards.get(shard)) {
            shard.connections.fetch_add(change.cast_unsigned(), Ordering::Relaxed);
        }
    }

    /// Asks who a user is; the answer comes as a message.
    ///
    /// A connection that has ended meanwhile (`alive` is gone) waits for no answer: those who are
    /// still there do not queue behind it.
    fn ask_who(
        self: &Arc<Self>,
        login: Login,
        origin: Origin,
        number: u64,
        reply: ReplyTo,
        alive: Weak<()>,
    ) {
        let (gate, gone) = (Arc::clone(self), self.gone.clone());
        let asking = async move {
            let ticket = login.ticket;
            let _turn = gate.logins.acquire().await;
            if alive.strong_count() == 0 {
                return;
            }
            // Boxed: those who wait for their turn in a storm must not have its size already.
            let deciding = Box::pin(gate.auth.decide(&login, &origin, number, &gate.difficulty));
            let admission = deciding.await;
            reply.send(Answer::Login(ticket, admission));
        };
        let asking = async move {
            gone.run_until_cancelled(asking).await;
        };
        self.tasks.spawn_on(asking, &self.runtime);
    }

    /// Records and hands in a possible block; its finder is told when that is done, with its
    /// number among the blocks of that connection. `found` is when its bytes were read.
    fn offer(
        self: &Arc<Self>,
        solution: Box<Solution>,
        inbox: Arc<Inbox>,
        finder: Key,
        number: u32,
        found: Instant,
    ) {
        let seq = self.recorder.seq_before_next();
        let candidates = Arc::clone(&self.candidates);
        let offering = async move {
            candidates.offer(&solution, seq, found).await;
            inbox.put(Message::Offered(finder, number));
        };
        self.tasks.spawn_on(offering, &self.runtime);
    }

    /// A seat for a session: the one it had, or a new one.
    fn take_seat(&self, resume: Option<SessionId>) -> Result<Seat, SpaceExhausted> {
        self.seats().take(resume, random_session_id(), Instant::now())
    }

    /// Another part of the nonce space; `None` when there is none left.
    fn lease(&self) -> Option<ExtranonceLease> {
        self.seats().lease().ok()
    }

    /// Takes back a part of the nonce space that came to nothing.
    fn give_back(&self, lease: ExtranonceLease) {
        self.seats().give_back(lease);
    }

    /// Keeps the seat of a connection that ended.
    fn park(&self, seat: Seat) {
        self.seats().park(seat, Instant::now());
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        lock(&self.seats)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn random_session_id() -> SessionId {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the operating system has a random source");
    SessionId(u64::from_le_bytes(bytes))
}
