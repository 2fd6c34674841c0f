//! One miner's connection: bytes and the pool's news into the session, its effects out.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chimera_store::ShareRecord;
use chimera_stratum::{
    AuthAnswer, AuthTicket, CloseReason, Counters, Effect, Line, LineBuffer, Login, NotifyLine,
    Outbox, Reconnect, Session,
};
use chimera_work::WorkerId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::clock::now_ms;
use crate::config::Durability;
use crate::gate::Gate;
use crate::policy::{Admission, Memory, Place, Retarget};
use crate::recorder::{Fate, Mailbox};

/// A miner that does not take its lines for so long is gone or hostile.
const WRITE_MAX: Duration = Duration::from_secs(10);
/// The same when the pool is stopping: a slow reader must not use up everybody's time.
const GOODBYE_WRITE_MAX: Duration = Duration::from_secs(1);
/// A miner that has closed its side still gets the answers under way, for so long.
const LAST_ANSWERS: Duration = Duration::from_secs(5);
/// A retarget that was never answered (a desk too busy) is asked for again.
const RETARGET_WAIT: Duration = Duration::from_secs(10);
/// Answers of policies under way to one connection.
const ANSWERS_MAX: usize = 64;

/// A policy's answer on its way back.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Who a user is.
    Login(AuthTicket, Admission),
    /// What the difficulty becomes.
    Retarget(Retarget),
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the miner closed the connection")]
    Closed,
    #[error("the connection broke: {0}")]
    Broke(#[from] std::io::Error),
    #[error("the miner did not take its lines for {}s", WRITE_MAX.as_secs())]
    SlowReader,
    #[error("no worker was authorised within {}s", .0.as_secs())]
    Handshake(Duration),
    #[error("nothing was heard for {}s", .0.as_secs())]
    Silent(Duration),
    #[error("{0}")]
    Session(CloseReason),
    #[error("the pool is stopping")]
    Leaving,
}

/// A session with what the pool keeps beside it.
pub(crate) struct Connection {
    gate: Arc<Gate>,
    peer: SocketAddr,
    session: Session,
    out: Outbox,
    lines: LineBuffer,
    mailbox: Arc<Mailbox>,
    answers: mpsc::Receiver<Answer>,
    answers_to: mpsc::Sender<Answer>,
    jobs: watch::Receiver<Option<Arc<NotifyLine>>>,
    /// The session's number at the difficulty desk.
    number: u64,
    /// What the difficulty strategy wants to see again.
    difficulty_memory: Memory,
    /// When a retarget was asked for that is not yet answered.
    measuring: Option<Instant>,
    /// Logins under way.
    logins: u32,
    /// When the miner closed its side.
    closed: Option<Instant>,
    authorised: bool,
    /// The first one that was authorised.
    worker: Option<WorkerId>,
    /// Under the accounts of all of them.
    places: HashMap<String, Place>,
    /// Credited shares whose fate is unknown.
    unanswered: u32,
    counted: Counters,
}

impl Connection {
    /// A connection that has said nothing yet.
    pub(crate) fn new(gate: Arc<Gate>, peer: SocketAddr) -> Self {
        let (answers_to, answers) = mpsc::channel(ANSWERS_MAX);
        Self {
            session: Session::new(gate.session, now_ms()),
            jobs: gate.jobs.clone(),
            number: gate.difficulty.number(),
            gate,
            peer,
            out: Outbox::default(),
            lines: LineBuffer::default(),
            mailbox: Arc::default(),
            answers,
            answers_to,
            difficulty_memory: Memory::default(),
            measuring: None,
            logins: 0,
            closed: None,
            authorised: false,
            worker: None,
            places: HashMap::new(),
            unanswered: 0,
            counted: Counters::default(),
        }
    }

    /// Serves until either side ends it. The seat is parked for the miner's return.
    pub(crate) async fn serve(mut self, mut socket: TcpStream) {
        let end = match self.talk(&mut socket).await {
            Err(End::Leaving) => self.say_goodbye(&mut socket).await,
            other => other,
        };
        if let Err(end) = end {
            tracing::debug!(peer = %self.peer, %end, "connection ended");
        }
        self.count();
        if self.authorised {
            self.gate.totals.authorised.fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(worker) = self.worker {
            self.gate.difficulty.ended(worker, self.session.measure(now_ms()).current);
        }
        if let Some(seat) = self.session.park() {
            self.gate.park(seat);
        }
    }

    async fn talk(&mut self, socket: &mut TcpStream) -> Result<(), End> {
        let started = Instant::now();
        let (handshake, idle) = (self.gate.settings.handshake, self.gate.settings.idle);
        let mut heard = started;
        let mut ticks =
            interval_at(started + self.gate.retarget_interval, self.gate.retarget_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.jobs.mark_changed();
        loop {
            let deadline = match self.closed {
                Some(_) if self.unanswered == 0 && self.logins == 0 => return Err(End::Closed),
                Some(closed) => closed + LAST_ANSWERS,
                None if self.authorised => heard + idle,
                None => started + handshake,
            };
            tokio::select! {
                biased;
                () = self.gate.leaving.cancelled() => return Err(End::Leaving),
                changed = self.jobs.changed() => {
                    changed.map_err(|_| End::Leaving)?;
                    let job = self.jobs.borrow_and_update().clone();
                    job.inspect(|job| self.session.new_job(job, &mut self.out));
                }
                () = self.mailbox.arrived() => self.deliver_fates(),
                Some(answer) = self.answers.recv() => self.deliver(answer),
                read = socket.read(self.lines.space()),
                    if self.session.wants_input() && self.closed.is_none() =>
                {
                    heard = Instant::now();
                    match read? {
                        0 => self.closed = Some(heard),
                        count => self.lines.filled(count),
                    }
                }
                _ = ticks.tick(), if self.authorised => self.measure(),
                () = tokio::time::sleep_until(deadline) => {
                    return Err(if self.closed.is_some() {
                        End::Closed
                    } else if self.authorised {
                        End::Silent(idle)
                    } else {
                        End::Handshake(handshake)
                    });
                }
            }
            self.act(socket).await?;
            self.take_lines(socket).await?;
        }
    }

    /// Handles whole lines while the session wants them; the rest stays in the buffer and
    /// so, in the end, in the miner's socket.
    async fn take_lines(&mut self, socket: &mut TcpStream) -> Result<(), End> {
        while self.session.wants_input() {
            match self.lines.next_line() {
                Some(Line::Text(line)) => self.session.handle_line(line, &mut self.out),
                Some(Line::TooLong) => self.session.line_too_long(&mut self.out),
                None => break,
            }
            if !self.out.effects.is_empty() {
                self.act(socket).await?;
            }
            if self.session.wants_extranonce()
                && let Some(lease) = self.gate.lease()
            {
                // A miner that cannot follow stays where it is.
                drop(self.session.set_extranonce(lease, &mut self.out));
            }
        }
        self.act(socket).await
    }

    /// Does what the session asked for, in order, then writes.
    async fn act(&mut self, socket: &mut TcpStream) -> Result<(), End> {
        while !self.out.effects.is_empty() {
            let mut effects = std::mem::take(&mut self.out.effects);
            for effect in effects.drain(..) {
                self.perform(effect, socket).await?;
            }
            // What answering an effect asked for in turn is done next; the memory is kept.
            if self.out.effects.is_empty() {
                self.out.effects = effects;
            }
        }
        self.write(socket).await
    }

    async fn perform(&mut self, effect: Effect, socket: &mut TcpStream) -> Result<(), End> {
        match effect {
            Effect::Subscribe { resume } => match self.gate.take_seat(resume) {
                Ok(seat) => self.session.subscribed(seat, &mut self.out),
                Err(error) => {
                    tracing::error!(%error, "a miner was refused");
                    self.session.no_seat(&mut self.out);
                }
            },
            Effect::Authorize(login) => {
                self.logins += 1;
                self.ask_who(login);
            }
            Effect::Found(solution) => self.gate.candidates.offer(&solution).await,
            Effect::Credit(share) => {
                self.unanswered += 1;
                let record = ShareRecord::from_share(&share, now_ms());
                self.gate.recorder.add(record, &self.mailbox).await;
                if self.gate.durability == Durability::Relaxed {
                    self.session.durable(1, &mut self.out);
                }
            }
            Effect::Close(reason) => {
                self.write(socket).await?;
                return Err(End::Session(reason));
            }
        }
        Ok(())
    }

    fn ask_who(&self, login: Login) {
        let (gate, peer, answers) = (Arc::clone(&self.gate), self.peer, self.answers_to.clone());
        let number = self.number;
        self.gate.tasks.spawn(async move {
            let ticket = login.ticket;
            let admission = gate.auth.decide(&login, peer, number, &gate.difficulty).await;
            // The connection may have ended meanwhile: then nobody waits for this.
            let _ = answers.send(Answer::Login(ticket, admission)).await;
        });
    }

    fn deliver(&mut self, answer: Answer) {
        match answer {
            Answer::Login(ticket, Admission { answer, place }) => {
                self.logins = self.logins.saturating_sub(1);
                if let AuthAnswer::Allow { worker, .. } = &answer {
                    self.worker.get_or_insert(*worker);
                }
                if let Some(place) = place {
                    self.places.entry(place.account().to_owned()).or_insert(place);
                }
                if matches!(answer, AuthAnswer::Allow { .. }) && !self.authorised {
                    self.authorised = true;
                    self.gate.totals.authorised.fetch_add(1, Ordering::Relaxed);
                }
                self.session.authorized(ticket, answer, &mut self.out);
            }
            Answer::Retarget(Retarget { next, memory }) => {
                self.measuring = None;
                self.difficulty_memory = memory;
                self.session.measured(now_ms());
                next.inspect(|next| self.session.retarget(*next, &mut self.out));
            }
        }
    }

    fn measure(&mut self) {
        if !self.session.is_mining() {
            return;
        }
        if self.measuring.is_some_and(|since| since.elapsed() < RETARGET_WAIT) {
            return;
        }
        let (row, memory) = (self.session.measure(now_ms()), self.difficulty_memory.clone());
        let asked = self.gate.difficulty.ask(self.number, row, memory, self.answers_to.clone());
        self.measuring = asked.then(Instant::now);
    }

    fn deliver_fates(&mut self) {
        for fate in self.mailbox.take() {
            let (Fate::Durable(count) | Fate::Lost(count)) = fate;
            self.unanswered = self.unanswered.saturating_sub(count);
            match fate {
                // Already answered.
                Fate::Durable(_) | Fate::Lost(_) if self.gate.durability == Durability::Relaxed => {
                }
                Fate::Durable(count) => self.session.durable(count, &mut self.out),
                Fate::Lost(count) => self.session.not_durable(count, &mut self.out),
            }
        }
    }

    /// Tells the miner to come back, and answers every share that was credited.
    async fn say_goodbye(&mut self, socket: &mut TcpStream) -> Result<(), End> {
        self.session.reconnect(&Reconnect::default(), &mut self.out);
        self.write(socket).await?;
        let deadline = Instant::now() + self.gate.grace;
        while self.unanswered > 0 {
            tokio::time::timeout_at(deadline, self.mailbox.arrived())
                .await
                .map_err(|_| End::Leaving)?;
            self.deliver_fates();
            self.write(socket).await?;
        }
        Ok(socket.shutdown().await?)
    }

    async fn write(&mut self, socket: &mut TcpStream) -> Result<(), End> {
        self.count();
        if self.out.bytes.is_empty() {
            return Ok(());
        }
        let leaving = async {
            self.gate.leaving.cancelled().await;
            tokio::time::sleep(GOODBYE_WRITE_MAX).await;
        };
        let written = tokio::select! {
            written = socket.write_all(&self.out.bytes) => Some(written),
            () = tokio::time::sleep(WRITE_MAX) => None,
            () = leaving => None,
        };
        self.out.bytes.clear();
        Ok(written.ok_or(End::SlowReader)??)
    }

    fn count(&mut self) {
        let counters = *self.session.counters();
        self.gate.totals.add(&self.counted, &counters);
        self.counted = counters;
    }
}
