//! The doors miners come through, and the shards that serve them.
//!
//! | file | what |
//! |---|---|
//! | `door` | a listener with its own policy |
//! | `shard` | one thread with a poll of its own, and some of the connections |
//! | `connection` | a session with what the pool keeps beside it |
//! | `conduct` | what becomes of those who send what is refused |
//! | `opening` | what a connection speaks, by its first bytes |
//! | `wire` | its socket, with or without TLS |
//! | `inbox` | what reaches a shard from other threads |

mod addresses;
mod conduct;
mod connection;
mod door;
mod inbox;
mod opening;
mod shard;
mod slots;
mod tls;
mod totals;
mod wire;

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chimera_store::BanSource;
use chimera_stratum::{Login, NotifyLine, Seat, Session, SessionId};
use chimera_work::{ExtranonceLease, Solution, SpaceExhausted};
use mio::net::TcpStream;
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
use crate::upgrade::{Estate, Frozen, Handed};

use addresses::AddressPlace;
use door::Arrival;
use shard::Shard;
use tls::Renewal;

pub(crate) use addresses::{ConnectionCounts, customer};
pub(crate) use conduct::Penalties;
pub(crate) use door::{Door, Resumed};
pub(crate) use inbox::{Answer, Inbox, Message, ReplyTo};
pub(crate) use slots::Key;
pub(crate) use tls::Certificate;
pub(crate) use totals::Totals;

/// After an accept that failed (usually: no file descriptor is left), milliseconds.
const ACCEPT_PAUSE: u64 = 100;
/// A vanished peer is noticed after about this even if nothing is sent to it.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// Logins under way at once. Each may wait for an endpoint and for the ledger.
pub(crate) const LOGINS_MAX: usize = 256;
/// Who is refused may have said a few requests already; who says more loses the reason.
const REFUSED_READS_MAX: usize = 8;
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

/// A shard as others see it.
#[derive(Debug)]
pub(crate) struct ShardHandle {
    inbox: Arc<Inbox>,
    connections: AtomicU32,
}

impl Gate {
    /// Lets miners in until told to leave; ends when the last connection has ended, or when a
    /// shard ends by itself. Told to freeze, it gives the connections back instead. `resumed`
    /// are those of another process; `serving` is told when all shards run.
    ///
    /// # Errors
    /// When the system gives no poll, or a shard failed.
    pub(crate) async fn serve(
        self: Arc<Self>,
        doors: Vec<(Arc<Door>, std::net::TcpListener)>,
        resumed: Vec<Resumed>,
        serving: Option<oneshot::Sender<()>>,
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
        if let Some(serving) = serving {
            // Nobody waits for it in a test.
            let _ = serving.send(());
        }
        let mut renewals = tokio::time::interval(RENEW_INTERVAL);
        renewals.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut jobs = self.jobs.clone();
        jobs.mark_changed();
        let mut left = self.settings.threads;
        let (mut frozen, mut told) = (Vec::new(), false);
        while left > 0 {
            tokio::select! {
                Ok(()) = jobs.changed() => {
                    let job = jobs.borrow_and_update().clone();
                    job.inspect(|job| self.tell_all(|| Message::Job(Arc::clone(job))));
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

    /// Connections that were on their way from one shard to another.
    fn collect_stragglers(&self, frozen: &mut Vec<Frozen>) {
        let mut messages = Vec::new();
        self.inboxes().for_each(|inbox| {
            inbox.take(&mut messages);
            for message in messages.drain(..) {
                if let Message::Arrived(Arrival { socket, peer, door, .. }) = message {
                    let session = Session::new(door.session, self.now_ms());
                    let door = Arc::clone(&door.settings.name);
                    frozen.push(Frozen::fresh(socket.into(), peer, door, session));
                }
            }
        });
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

    /// What another process left, ready to be served.
    ///
    /// # Errors
    /// When its jobs are none.
    pub(crate) fn resume(
        self: &Arc<Self>,
        estate: Estate,
        doors: &[(Arc<Door>, std::net::TcpListener)],
    ) -> anyhow::Result<Vec<Resumed>> {
        let Estate { will, sockets, .. } = estate;
        let Handed { jobs, newest } = will.jobs().context("the jobs cannot be read")?;
        let (found, own) = (will.extranonce2_bytes, self.seats().layout().extranonce2_bytes());
        anyhow::ensure!(
            found == own,
            "miners were told an extranonce2 of {found} bytes and stratum.extranonce2_bytes is \
             {own}: restart the pool instead"
        );
        let newest = newest.map(|job| Arc::new(NotifyLine::new(job)));
        let now = Instant::now();
        for (state, age_ms) in will.parked {
            let mut seats = self.seats();
            let since = now.checked_sub(Duration::from_millis(age_ms)).unwrap_or(now);
            let lease = seats.lease_again(state.extranonce1());
            let seat = lease.and_then(|lease| Seat::restore(state, lease, seats.layout(), &jobs));
            if let Some(seat) = seat {
                seats.park(seat, since);
            }
        }
        let mut resumed = Vec::with_capacity(sockets.len());
        for (state, socket) in will.connections.into_iter().zip(sockets) {
            let named = |door: &&(Arc<Door>, _)| *door.0.settings.name == *state.door;
            let Some((door, _)) = doors.iter().find(named).or_else(|| doors.first()) else { break };
            let seat = {
                let mut seats = self.seats();
                let layout = seats.layout();
                state.session.seat().cloned().map(|seat| {
                    let lease = seats.lease_again(seat.extranonce1());
                    lease.and_then(|lease| Seat::restore(seat, lease, layout, &jobs))
                })
            };
            // Without what it had, it is better off connecting again.
            let (Some(place), Some(seat)) =
                (Place::take(self), seat.map_or(Some(None), |seat| seat.map(Some)))
            else {
                tracing::warn!(peer = %state.peer, "a connection could not be taken over");
                continue;
            };
            let session = Session::restore(
                door.session,
                state.session.clone(),
                seat,
                newest.clone(),
                self.now_ms(),
            );
            let address = self.addresses.take(state.peer.ip(), 0);
            let socket = TcpStream::from(socket);
            resumed.push(Resumed {
                socket,
                state,
                session,
                door: Arc::clone(door),
                place,
                address,
            });
        }
        Ok(resumed)
    }

    /// Lets a socket in, or refuses it with a word.
    fn admit(
        self: &Arc<Self>,
        socket: TcpStream,
        peer: SocketAddr,
        door: Arc<Door>,
    ) -> Option<Arrival> {
        let Some(place) = Place::take(self) else {
            tracing::debug!(%peer, "refused: pool full");
            refuse(socket, &format!("pool full: {} miners are connected", self.miners_max));
            return None;
        };
        let proxied = door.settings.proxies.iter().any(|network| network.contains(peer.ip()));
        let address = match proxied {
            true => None,
            false => match self.place_for(peer.ip(), &door) {
                Ok(address) => Some(address),
                Err(why) => {
                    tracing::debug!(%peer, why, "refused");
                    refuse(socket, &why);
                    return None;
                }
            },
        };
        tune(&socket);
        self.probe.healthy(now_ms());
        Some(Arrival { socket, peer, door, place, address })
    }

    /// A place for one more connection of an address, or why there is none.
    fn place_for(&self, address: IpAddr, door: &Door) -> Result<AddressPlace, String> {
        if let Some(why) = self.bans.refusal(address) {
            return Err(why);
        }
        let most = door.settings.per_address_max;
        let place = self.addresses.take(address, most);
        place.ok_or_else(|| format!("your address has all the connections it may have ({most})"))
    }

    /// A connection was closed for its conduct; an address of which that is said too often is
    /// banned.
    fn dropped_for_conduct(&self, address: IpAddr) {
        let rules = &self.settings.conduct;
        if lock(&self.penalties.drops).note(address, rules, self.now_ms()) {
            let reason = format!("closed {} times for refused requests", rules.ban_after);
            self.bans.ban(address, rules.ban.as_secs(), &reason, BanSource::Conduct);
        }
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
    /// number among the blocks of that connection.
    fn offer(
        self: &Arc<Self>,
        solution: Box<Solution>,
        inbox: Arc<Inbox>,
        finder: Key,
        number: u32,
    ) {
        let seq = self.recorder.seq_before_next();
        let (candidates, found) = (Arc::clone(&self.candidates), Instant::now());
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

    /// Keeps the seat of a connection that ended.
    fn park(&self, seat: Seat) {
        self.seats().park(seat, Instant::now());
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        lock(&self.seats)
    }
}

/// One of the places `pool.max_miners` grants; free again when dropped.
pub(crate) struct Place(Arc<Gate>);

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Place")
    }
}

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
/// first request. Nothing is waited for.
fn refuse(mut socket: TcpStream, why: &str) {
    let text = serde_json::to_string(why).expect("a text is JSON");
    let line = format!("{{\"id\":1,\"result\":null,\"error\":[20,{text},null]}}\n");
    // Closing on bytes nobody has read would take the line back from the peer.
    let mut heard = [0; 2048];
    let mut more = || socket.read(&mut heard).is_ok_and(|count| count == heard.len());
    let _ = (0..REFUSED_READS_MAX).find(|_| !more());
    // A peer that does not take its line is closed all the same.
    let _ = socket.write(line.as_bytes());
    let _ = socket.shutdown(std::net::Shutdown::Write);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
