//! The judge against a second, slower one: what is credited was earned, once, at a difficulty
//! that held for its job; what was earned is credited; what solves a block is handed in, once.

use std::collections::HashSet;
use std::sync::Arc;

use chimera_pow::{Algorithm, Difficulty, Header, sha256d};
use chimera_work::{
    Commitment, Extranonce1, Extranonce2, ExtranonceLease, JOBS_KEPT_MAX, Job, JobBook, JobId,
    NonceLayout, Reject, Submission, Template, WorkerId,
};

use super::choices::Choices;

/// Half of all hashes meet it.
const EASY: f64 = 1.0 / 2_147_483_648.0;
const EXTRANONCE1: Extranonce1 = Extranonce1([1, 2, 3, 4]);
const TIME: u32 = 1_700_000_000;

/// Any bytes: jobs, retargets, rounds and submissions.
pub fn run(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let mut bench = Bench::new();
    while !choices.is_empty() {
        match choices.below(8) {
            0 => bench.issue(&mut choices),
            1 => bench.reissue(&mut choices),
            2 if choices.byte() == 0 => bench.end_round(),
            _ => bench.submit(&mut choices),
        }
    }
}

/// A job as the second judge remembers it.
struct Issued {
    job: Arc<Job>,
    difficulty: Difficulty,
    /// The lowest told for a later job of the round, if lower.
    lowered: Option<Difficulty>,
    stale: bool,
}

struct Bench {
    book: JobBook,
    issued: Vec<Issued>,
    /// Hashes of this round that were credited or handed in.
    seen: HashSet<[u8; 32]>,
    round: u8,
    jobs: u32,
}

impl Bench {
    fn new() -> Self {
        let book = JobBook::new(ExtranonceLease::recorded(EXTRANONCE1), NonceLayout::DEFAULT);
        Self { book, issued: Vec::new(), seen: HashSet::new(), round: 0, jobs: 0 }
    }

    fn issue(&mut self, choices: &mut Choices<'_>) {
        if choices.byte().is_multiple_of(4) {
            self.round = self.round.wrapping_add(1);
        }
        self.jobs += 1;
        let template = template(self.round, choices);
        let job = Job::new(JobId(self.jobs << 8), 1, Arc::new(template), false);
        self.take(Arc::new(job), choices);
    }

    fn reissue(&mut self, choices: &mut Choices<'_>) {
        let Some(last) = self.issued.last() else { return };
        let Some(job) = last.job.reissue(u32::from(choices.byte())) else { return };
        // A number is never used twice for one session.
        if self.issued.iter().all(|issued| issued.job.id() != job.id()) {
            self.take(Arc::new(job), choices);
        }
    }

    fn take(&mut self, job: Arc<Job>, choices: &mut Choices<'_>) {
        let difficulty = [EASY / 2.0, EASY, 2.0 * EASY, 4.0 * EASY, 1.0];
        let difficulty = Difficulty::new(choices.one_of(&difficulty)).expect("above zero");
        self.book.issue(Arc::clone(&job), difficulty);
        let previous = |job: &Job| job.template().previous;
        if self.issued.last().is_some_and(|last| previous(&last.job) != previous(&job)) {
            self.issued.iter_mut().for_each(|issued| issued.stale = true);
            self.seen.clear();
        } else {
            for issued in &mut self.issued {
                let lowest = issued.lowered.unwrap_or(issued.difficulty);
                if difficulty.get() < lowest.get() {
                    issued.lowered = Some(difficulty);
                }
            }
        }
        self.issued.push(Issued { job, difficulty, lowered: None, stale: false });
        if self.issued.len() > JOBS_KEPT_MAX {
            self.issued.remove(0);
        }
    }

    fn end_round(&mut self) {
        self.book.end_round();
        self.issued.iter_mut().for_each(|issued| issued.stale = true);
        self.seen.clear();
    }

    fn submit(&mut self, choices: &mut Choices<'_>) {
        let newest = self.issued.len().saturating_sub(1);
        let job = match self.issued.get(newest.saturating_sub(choices.below(20))) {
            Some(issued) if choices.byte() != 255 => issued.job.id(),
            _ => JobId(choices.word()),
        };
        let extranonce2 = choices.one_of(&[&[0; 8][..], &[0, 0, 0, 0, 0, 0, 0, 1], &[0; 7], &[]]);
        let bits = [None, Some(0), Some(0x6000), Some(0x1fff_e000), Some(1), Some(1 << 31)];
        let submission = Submission {
            worker: WorkerId(choices.byte().into()),
            job,
            extranonce2: Extranonce2::new(extranonce2).expect("short"),
            time: choices.one_of(&[TIME, TIME, TIME + 1, TIME - 1, TIME + 2, 0, u32::MAX]),
            nonce: choices.byte().into(),
            version_bits: choices.one_of(&bits),
        };
        let mask = choices.one_of(&[0x1fff_e000, 0, u32::MAX]);
        self.judge_twice(&submission, mask);
    }

    fn judge_twice(&mut self, submission: &Submission, mask: u32) {
        let judged = self.book.judge(submission, mask);
        let found = self.issued.iter().find(|issued| issued.job.id() == submission.job);
        let header = found.ok_or(Reject::UnknownJob).and_then(|issued| {
            header(&issued.job, submission, mask).map(|header| (issued, header))
        });
        let (issued, header) = match header {
            Ok(found) => found,
            Err(reject) => {
                assert_eq!(judged.verdict, Err(reject));
                assert!(judged.solution.is_none());
                return;
            }
        };
        let template = issued.job.template();
        let hash = template.algorithm.hash(&header);
        let meets =
            |difficulty: &Difficulty| difficulty.target().with_share_tolerance().is_met_by(&hash);
        let own = Some(issued.difficulty).filter(meets);
        let enough = own.is_some() || issued.lowered.as_ref().is_some_and(meets);
        let known = self.seen.contains(&hash.0);
        let expected = match enough {
            _ if issued.stale => Err(Reject::Stale),
            false => Err(Reject::LowDifficulty),
            true if known => Err(Reject::Duplicate),
            true => Ok(own),
        };
        let credited = judged.verdict.map(|share| share.map(|share| share.difficulty()));
        assert_eq!(credited, expected, "{submission:?}");
        if let Ok(Some(share)) = judged.verdict {
            assert_eq!((share.worker(), share.job()), (submission.worker, submission.job));
            assert_eq!(share.work(), share.difficulty().target().work());
            assert_eq!(share.hash(), &hash);
        }
        let solves = template.target.is_met_by(&hash) && !known;
        assert_eq!(judged.solution.is_some(), solves, "{submission:?}");
        if let Some(solution) = judged.solution {
            assert_eq!(
                (solution.header, solution.hash, solution.stale),
                (header, hash, issued.stale)
            );
        }
        if solves || expected.is_ok() {
            self.seen.insert(hash.0);
        }
    }
}

/// The header a submission stands for, put together byte by byte.
fn header(job: &Job, submission: &Submission, mask: u32) -> Result<Header, Reject> {
    let template = job.template();
    let extranonce2 = submission.extranonce2.as_bytes();
    let found = submission.extranonce2.len();
    if found != 8 {
        return Err(Reject::Extranonce2Length { expected: 8, found });
    }
    if submission.time < template.time_min {
        return Err(Reject::TimeTooOld);
    }
    if submission.time > template.time_max {
        return Err(Reject::TimeTooNew);
    }
    let mut version = template.version;
    for bit in (0..32).map(|bit| 1_u32 << bit) {
        let Some(bits) = submission.version_bits else { break };
        if mask & template.version_mask & bit != 0 {
            version = version & !bit | bits & bit;
        } else if bits & bit != 0 {
            return Err(Reject::VersionMask);
        }
    }
    let tail = &template.commitment.tail;
    let coinbase = [job.head(), &EXTRANONCE1.0, extranonce2, tail].concat();
    let root = template
        .commitment
        .branch
        .iter()
        .fold(sha256d(&coinbase), |root, sibling| sha256d(&[root, *sibling].concat()));
    let fields = [
        &version.to_le_bytes()[..],
        &template.previous,
        &root,
        &submission.time.to_le_bytes(),
        &template.bits.0.to_le_bytes(),
        &submission.nonce.to_le_bytes(),
    ];
    Ok(fields.concat().try_into().expect("4 + 32 + 32 + 4 + 4 + 4 bytes are a header"))
}

fn template(round: u8, choices: &mut Choices<'_>) -> Template {
    let network = choices.one_of(&[EASY, 2.0 * EASY, 8.0 * EASY, 1e12]);
    let bits = Difficulty::new(network).expect("above zero").target().compact();
    Template {
        id: 1,
        height: u64::from(round),
        algorithm: choices.one_of(&[Algorithm::Blake2s, Algorithm::Sha256d]),
        version: choices.one_of(&[0x2000_0000, 0x2000_6000, u32::MAX]),
        version_mask: choices.one_of(&[0x1fff_e000, 0, 0x1fff_8000, u32::MAX]),
        previous: [round; 32],
        bits,
        target: bits.target().expect("bits of a target are good"),
        time: TIME,
        time_min: TIME,
        time_max: TIME + 1,
        commitment: Commitment {
            head: vec![1; choices.below(4)],
            tail: vec![2; choices.below(4)],
            branch: vec![[3; 32]; choices.below(3)],
        },
        reward: 50,
        tx_fees: 0,
    }
}
