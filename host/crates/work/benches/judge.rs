//! What judging a share costs, from the parsed submission to the verdict, beside the bare
//! hashing of the same share; and how often it allocates.
//!
//! `cargo bench -p chimera-work` prints the table; `cargo test` runs it small and only
//! checks the answers and that nothing is allocated.
#![expect(unsafe_code, reason = "a counting allocator")]
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a benchmark")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chimera_pow::{Algorithm, Difficulty, Header, sha256d};
use chimera_work::{
    Commitment, Extranonce2, ExtranonceSpace, JOBS_KEPT_MAX, Job, JobBook, JobId, NonceLayout,
    Submission, Template, WorkerId, judge_header,
};

/// Depth of the merkle tree of a block with some 4,000 transactions.
const BRANCHES: usize = 12;

struct Counting;
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: passes every call on to the system allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    let full = std::env::args().any(|arg| arg == "--bench");
    let (shares, rounds) = if full { (4_000, 101) } else { (20, 3) };
    let difficulty = Difficulty::new(1e-8).expect("a positive number");
    let lease = ExtranonceSpace::new(0).lease().expect("an empty space");
    let mut book = JobBook::new(lease, NonceLayout::DEFAULT);
    // Two rounds that follow each other, so that every share is new each time.
    let rounds_of_work: Vec<(Arc<Job>, Vec<Submission>)> = [1, 2]
        .map(|round| {
            let job = Arc::new(Job::new(JobId(round), 1, Arc::new(template(round)), true));
            let found = mine(&book, &job, difficulty, shares);
            (job, found)
        })
        .into();
    let mut judge_all = |(job, found): &(Arc<Job>, Vec<Submission>)| {
        book.issue(Arc::clone(job), difficulty);
        found.iter().filter(|share| book.judge(black_box(share), 0).verdict.is_ok()).count()
    };
    // As long as a session's book takes to reach its size.
    for round in 0..2 * JOBS_KEPT_MAX {
        assert_eq!(judge_all(&rounds_of_work[round % 2]), shares, "every mined share is accepted");
    }

    let mut judging = Vec::new();
    let mut hashing = Vec::new();
    let mut spent = 0;
    for round in 0..rounds {
        let now = &rounds_of_work[round % 2];
        let allocated = ALLOCATIONS.load(Ordering::Relaxed);
        let start = Instant::now();
        assert_eq!(judge_all(now), shares);
        let elapsed = start.elapsed();
        spent += ALLOCATIONS.load(Ordering::Relaxed) - allocated;
        judging.push(elapsed);
        let start = Instant::now();
        for share in &now.1 {
            black_box(bare_hashing(&now.0, black_box(share)));
        }
        hashing.push(start.elapsed());
    }
    assert_eq!(spent, 0, "judging allocates nothing");

    let judge_ns = median_ns(judging, shares);
    let hash_ns = median_ns(hashing, shares);
    if full {
        println!("judging a Blake2s share, {BRANCHES} merkle branches, median of {rounds} runs");
        println!(
            "  verdict        {judge_ns:>8.0} ns   {:>9.0} per second per core",
            1e9 / judge_ns
        );
        println!("  bare hashing   {hash_ns:>8.0} ns");
        println!("  ratio          {:>8.2}      (limit 1.50)", judge_ns / hash_ns);
        println!("  allocations    {spent:>8}      in {} verdicts", rounds * shares);
    }
}

/// The hashing no judge can avoid: commitment, branch, header.
fn bare_hashing(job: &Job, share: &Submission) -> [u8; 32] {
    let commitment = &job.template().commitment;
    let mut transaction = [0; 256];
    let length = job.head().len() + 12 + commitment.tail.len();
    transaction[..4].copy_from_slice(&share.nonce.to_le_bytes());
    let mut pair = [0; 64];
    for sibling in &commitment.branch {
        pair[32..].copy_from_slice(sibling);
        let root = sha256d(&pair);
        pair[..32].copy_from_slice(&root);
    }
    let mut header: Header = [0; 80];
    header[..32].copy_from_slice(&pair[..32]);
    header[32..64].copy_from_slice(&sha256d(&transaction[..length]));
    Algorithm::Blake2s.hash(&header).0
}

fn template(round: u32) -> Template {
    let target = Difficulty::ONE.target();
    Template {
        id: u64::from(round),
        height: 1,
        algorithm: Algorithm::Blake2s,
        version: 0x2000_0000,
        version_mask: 0,
        previous: [u8::try_from(round).expect("two rounds"); 32],
        bits: target.compact(),
        target,
        time: 1_700_000_000,
        time_min: 1_700_000_000,
        time_max: 1_700_007_200,
        commitment: Commitment {
            head: vec![1; 60],
            tail: vec![2; 100],
            branch: vec![[3; 32]; BRANCHES],
        },
        reward: 0,
        tx_fees: 0,
    }
}

fn mine(book: &JobBook, job: &Job, difficulty: Difficulty, shares: usize) -> Vec<Submission> {
    let target = difficulty.target();
    let submission = Submission {
        worker: WorkerId(1),
        job: job.id(),
        extranonce2: Extranonce2::new(&[0; 8]).expect("eight bytes"),
        time: job.template().time,
        nonce: 0,
        version_bits: None,
    };
    let extranonce2_bytes = book.layout().extranonce2_bytes();
    let mut header = judge_header(job, book.extranonce1(), extranonce2_bytes, 0, &submission)
        .expect("the submission fits the job");
    (0..u32::MAX)
        .filter(|nonce| {
            header[76..].copy_from_slice(&nonce.to_le_bytes());
            target.is_met_by(&Algorithm::Blake2s.hash(&header))
        })
        .take(shares)
        .map(|nonce| Submission { nonce, ..submission })
        .collect()
}

fn median_ns(mut runs: Vec<Duration>, shares: usize) -> f64 {
    runs.sort_unstable();
    runs[runs.len() / 2].as_nanos() as f64 / shares as f64
}
