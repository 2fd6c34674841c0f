//! What one process leaves to the next: everything a miner could notice the loss of.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use chimera_chain::TemplatesState;
use chimera_pow::{Algorithm, CompactBits, Target};
use chimera_stratum::{Jobs, SeatState, Session, SessionState, Unread};
use chimera_work::{Commitment, Job, JobId, SequenceState, Template, WorkerId};
use serde::{Deserialize, Serialize};

use crate::gate::RecordState;
use crate::policy::Memory;

/// Changes with every change of what is written; another number is refused before anything
/// is frozen.
pub(super) const FORMAT: u32 = 2;

/// What is left, with the sockets.
#[derive(Debug)]
pub(crate) struct Estate {
    pub(crate) will: Will,
    /// In the order of [`Will::listening`].
    pub(crate) listeners: Vec<OwnedFd>,
    /// In the order of the connections.
    pub(crate) sockets: Vec<OwnedFd>,
}

/// What is left, as data.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Will {
    /// What miners were told of the nonce space.
    pub(crate) extranonce2_bytes: u8,
    next_job: u32,
    round: Option<[u8; 32]>,
    templates: Vec<TemplateState>,
    jobs: Vec<JobState>,
    newest: Option<u32>,
    /// What the chain adapter needs to make blocks of these jobs.
    pub(crate) chain: TemplatesState,
    /// Seats whose miners are away, and for how long, milliseconds.
    pub(crate) parked: Vec<(SeatState, u64)>,
    pub(crate) connections: Vec<ConnectionState>,
    /// The listeners: what listens, and where as the settings name it.
    pub(crate) listening: Vec<(String, SocketAddr)>,
}

/// A connection as data. Ages, because clocks of processes differ.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ConnectionState {
    pub(crate) peer: SocketAddr,
    pub(crate) door: String,
    /// Whether its first bytes have shown that it speaks Stratum.
    pub(crate) mining: bool,
    /// Whether a PROXY header must still come.
    pub(crate) awaits_header: bool,
    /// Whether it counts for its address.
    pub(crate) counted: bool,
    pub(crate) session: SessionState,
    unread: String,
    skipping: bool,
    unsent: String,
    pub(crate) opened_ms: u64,
    pub(crate) heard_ms: u64,
    pub(crate) authorised: bool,
    pub(crate) worker: Option<u32>,
    pub(crate) accounts: Vec<String>,
    pub(crate) conduct: RecordState,
    pub(crate) difficulty_memory: Option<Memory>,
}

impl ConnectionState {
    pub(crate) fn unread(&self) -> Unread {
        Unread { bytes: hex::decode(&self.unread).unwrap_or_default(), skipping: self.skipping }
    }

    pub(crate) fn unsent(&self) -> Vec<u8> {
        hex::decode(&self.unsent).unwrap_or_default()
    }
}

/// A connection taken out of its shard.
#[derive(Debug)]
pub(crate) struct Frozen {
    pub(crate) socket: OwnedFd,
    pub(crate) peer: SocketAddr,
    pub(crate) door: Arc<str>,
    pub(crate) mining: bool,
    pub(crate) awaits_header: bool,
    pub(crate) counted: bool,
    pub(crate) session: Session,
    /// The gate's time when it was frozen.
    pub(crate) now_ms: u64,
    pub(crate) unread: Unread,
    pub(crate) unsent: Vec<u8>,
    pub(crate) opened_ms: u64,
    pub(crate) heard_ms: u64,
    pub(crate) authorised: bool,
    pub(crate) worker: Option<WorkerId>,
    pub(crate) accounts: Vec<String>,
    pub(crate) conduct: RecordState,
    pub(crate) difficulty_memory: Option<Box<Memory>>,
}

impl Frozen {
    /// A connection that has said nothing yet.
    pub(crate) fn fresh(
        socket: OwnedFd,
        peer: SocketAddr,
        door: Arc<str>,
        session: Session,
    ) -> Self {
        Self {
            socket,
            peer,
            door,
            mining: false,
            awaits_header: false,
            counted: false,
            session,
            now_ms: 0,
            unread: Unread::default(),
            unsent: Vec::new(),
            opened_ms: 0,
            heard_ms: 0,
            authorised: false,
            worker: None,
            accounts: Vec::new(),
            conduct: RecordState::default(),
            difficulty_memory: None,
        }
    }

    /// As data; `None` if its session still waits for something only this process can give.
    pub(crate) fn state(self, jobs: &mut JobList) -> Option<(ConnectionState, OwnedFd)> {
        let state = ConnectionState {
            peer: self.peer,
            door: self.door.as_ref().to_owned(),
            mining: self.mining,
            awaits_header: self.awaits_header,
            counted: self.counted,
            session: self.session.state(self.now_ms, jobs)?,
            unread: hex::encode(&self.unread.bytes),
            skipping: self.unread.skipping,
            unsent: hex::encode(&self.unsent),
            opened_ms: self.opened_ms,
            heard_ms: self.heard_ms,
            authorised: self.authorised,
            worker: self.worker.map(|worker| worker.0),
            accounts: self.accounts,
            conduct: self.conduct,
            difficulty_memory: self.difficulty_memory.map(|memory| *memory),
        };
        Some((state, self.socket))
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct JobState {
    id: u32,
    run: u32,
    template: u32,
    clean: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct TemplateState {
    id: u64,
    height: u64,
    algorithm: String,
    version: u32,
    version_mask: u32,
    previous: [u8; 32],
    bits: u32,
    target: [u8; 32],
    time: u32,
    time_min: u32,
    time_max: u32,
    head: String,
    tail: String,
    branch: Vec<[u8; 32]>,
    reward: u64,
    tx_fees: u64,
}

impl TemplateState {
    fn of(template: &Template) -> Self {
        let Commitment { head, tail, branch } = &template.commitment;
        Self {
            id: template.id,
            height: template.height,
            algorithm: template.algorithm.name().to_owned(),
            version: template.version,
            version_mask: template.version_mask,
            previous: template.previous,
            bits: template.bits.0,
            target: template.target.to_be_bytes(),
            time: template.time,
            time_min: template.time_min,
            time_max: template.time_max,
            head: hex::encode(head),
            tail: hex::encode(tail),
            branch: branch.clone(),
            reward: template.reward,
            tx_fees: template.tx_fees,
        }
    }

    fn template(self) -> Option<Template> {
        Some(Template {
            id: self.id,
            height: self.height,
            algorithm: self.algorithm.parse::<Algorithm>().ok()?,
            version: self.version,
            version_mask: self.version_mask,
            previous: self.previous,
            bits: CompactBits(self.bits),
            target: Target::from_be_bytes(self.target),
            time: self.time,
            time_min: self.time_min,
            time_max: self.time_max,
            commitment: Commitment {
                head: hex::decode(self.head).ok()?,
                tail: hex::decode(self.tail).ok()?,
                branch: self.branch,
            },
            reward: self.reward,
            tx_fees: self.tx_fees,
        })
    }
}

/// The jobs of all sessions, each once.
#[derive(Debug, Default)]
pub(crate) struct JobList {
    templates: Vec<TemplateState>,
    jobs: Vec<JobState>,
    template_places: HashMap<*const Template, u32>,
    job_places: HashMap<*const Job, u32>,
    /// Keeps every address in the maps its own.
    held: Vec<Arc<Job>>,
}

impl Jobs for JobList {
    fn place(&mut self, job: &Arc<Job>) -> u32 {
        if let Some(place) = self.job_places.get(&Arc::as_ptr(job)) {
            return *place;
        }
        let template = match self.template_places.get(&Arc::as_ptr(job.template())) {
            Some(place) => *place,
            None => {
                let place = place(self.templates.len());
                self.templates.push(TemplateState::of(job.template()));
                self.template_places.insert(Arc::as_ptr(job.template()), place);
                place
            }
        };
        let place = place(self.jobs.len());
        let (id, run, clean) = (job.id().0, job.run(), job.clean());
        self.jobs.push(JobState { id, run, template, clean });
        self.job_places.insert(Arc::as_ptr(job), place);
        self.held.push(Arc::clone(job));
        place
    }
}

fn place(length: usize) -> u32 {
    u32::try_from(length).expect("fewer than four billion")
}

/// What miners were told so far.
#[derive(Debug)]
pub(crate) struct Told<'a> {
    /// Of the nonce space.
    pub(crate) extranonce2_bytes: u8,
    /// Of the numbers of jobs.
    pub(crate) sequence: SequenceState,
    /// The newest job.
    pub(crate) newest: Option<&'a Arc<Job>>,
}

impl Will {
    /// Writes down what is left.
    pub(crate) fn new(
        told: Told<'_>,
        chain: TemplatesState,
        parked: Vec<(SeatState, Duration)>,
        connections: Vec<ConnectionState>,
        listening: Vec<(String, SocketAddr)>,
        mut jobs: JobList,
    ) -> Self {
        let Told { extranonce2_bytes, sequence, newest } = told;
        let newest = newest.map(|job| jobs.place(job));
        let millis = |age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        Self {
            extranonce2_bytes,
            next_job: sequence.next,
            round: sequence.previous,
            templates: jobs.templates,
            jobs: jobs.jobs,
            newest,
            chain,
            parked: parked.into_iter().map(|(seat, age)| (seat, millis(age))).collect(),
            connections,
            listening,
        }
    }

    /// Where the numbers of jobs are.
    pub(crate) const fn sequence(&self) -> SequenceState {
        SequenceState { next: self.next_job, previous: self.round }
    }

    /// The jobs, in the order sessions name them, and the newest.
    pub(crate) fn jobs(&self) -> Option<Handed> {
        let templates: Option<Vec<Arc<Template>>> =
            self.templates.iter().cloned().map(|state| state.template().map(Arc::new)).collect();
        let templates = templates?;
        let jobs: Option<Vec<Arc<Job>>> = self
            .jobs
            .iter()
            .map(|state| {
                let template = Arc::clone(templates.get(state.template as usize)?);
                Some(Arc::new(Job::new(JobId(state.id), state.run, template, state.clean)))
            })
            .collect();
        let jobs = jobs?;
        let newest = self.newest.and_then(|place| jobs.get(place as usize)).cloned();
        Some(Handed { jobs, newest })
    }
}

/// The jobs of a will.
#[derive(Debug)]
pub(crate) struct Handed {
    pub(crate) jobs: Vec<Arc<Job>>,
    pub(crate) newest: Option<Arc<Job>>,
}
