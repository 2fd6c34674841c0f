//! The judge, as tables: what is accepted, what is refused and why.
#![expect(clippy::unwrap_used, reason = "a test")]

mod common;

use std::sync::Arc;

use chimera_pow::{Difficulty, Target};
use chimera_work::{
    Extranonce2, ExtranonceSpace, Job, JobBook, JobId, JobSequence, NonceLayout, Reject,
    Submission, WorkerId,
};
use common::{book, easy, grind, template, template_on};
use proptest::prelude::*;

fn submission(job: &Job, nonce: u32) -> Submission {
    Submission {
        worker: WorkerId(7),
        job: job.id(),
        extranonce2: Extranonce2::new(&[0; 8]).unwrap(),
        time: job.template().time,
        nonce,
        version_bits: None,
    }
}

#[test]
fn a_share_is_credited_the_work_of_its_job() {
    let mut book = book();
    let job = Arc::new(JobSequence::new(1).issue(Arc::new(template())));
    book.issue(Arc::clone(&job), easy());
    let found = grind(&book, &job, easy().target());
    let share = book.judge(&submission(&job, found), 0).verdict.unwrap().expect("credited");
    assert_eq!(share.work(), easy().target().work());
    assert_eq!(share.worker(), WorkerId(7));
    assert_eq!(share.network_work(), job.template().target.work());
}

#[test]
fn t1_a_random_nonce_at_high_difficulty_is_refused() {
    let mut book = book();
    let job = Arc::new(JobSequence::new(1).issue(Arc::new(template())));
    book.issue(Arc::clone(&job), Difficulty::new(4_294_967_296.0).unwrap());
    for nonce in [0, 1, 0xdead_beef, u32::MAX] {
        let judged = book.judge(&submission(&job, nonce), 0);
        assert_eq!(judged.verdict, Err(Reject::LowDifficulty), "{nonce:08x}");
        assert!(judged.solution.is_none());
    }
}

#[test]
fn t3_the_second_identical_share_is_a_duplicate() {
    let mut book = book();
    let job = Arc::new(JobSequence::new(1).issue(Arc::new(template())));
    book.issue(Arc::clone(&job), easy());
    let found = submission(&job, grind(&book, &job, easy().target()));
    assert!(book.judge(&found, 0).verdict.is_ok());
    assert_eq!(book.judge(&found, 0).verdict, Err(Reject::Duplicate));
    // Naming the unrolled version bits changes nothing in the header.
    let same = Submission { version_bits: Some(0), ..found };
    assert_eq!(book.judge(&same, 0).verdict, Err(Reject::Duplicate));
}

#[test]
fn t4_jobs_of_a_finished_round_are_stale_and_strangers_unknown() {
    let mut book = book();
    let mut jobs = JobSequence::new(1);
    let old = Arc::new(jobs.issue(Arc::new(template())));
    book.issue(Arc::clone(&old), easy());
    let found = submission(&old, grind(&book, &old, easy().target()));
    let new = Arc::new(jobs.issue(Arc::new(template_on([9; 32]))));
    assert!(new.clean());
    book.issue(new, easy());
    assert_eq!(book.judge(&found, 0).verdict, Err(Reject::Stale));
    let stranger = Submission { job: JobId(0x00ab_cdef), ..found };
    assert_eq!(book.judge(&stranger, 0).verdict, Err(Reject::UnknownJob));
}

#[test]
fn t12_work_in_flight_keeps_its_difficulty_when_it_rises() {
    let mut book = book();
    let mut jobs = JobSequence::new(1);
    let old = Arc::new(jobs.issue(Arc::new(template())));
    book.issue(Arc::clone(&old), easy());
    let found = submission(&old, grind(&book, &old, easy().target()));
    let harder = Difficulty::new(easy().get() * 1e6).unwrap();
    book.issue(Arc::new(old.reissue(1).unwrap()), harder);
    let share = book.judge(&found, 0).verdict.unwrap().expect("credited");
    assert_eq!(share.difficulty(), easy(), "judged and credited as issued");
}

#[test]
fn t12_what_meets_only_a_lower_difficulty_told_later_is_taken_and_earns_nothing() {
    let mut book = book();
    let old = Arc::new(JobSequence::new(1).issue(Arc::new(template())));
    book.issue(Arc::clone(&old), Difficulty::new(1e6).unwrap());
    let found = submission(&old, grind(&book, &old, easy().target()));
    assert_eq!(book.judge(&found, 0).verdict, Err(Reject::LowDifficulty));
    book.issue(Arc::new(old.reissue(1).unwrap()), easy());
    // Firmware that applies a new difficulty at once to the work it has.
    assert_eq!(book.judge(&found, 0).verdict, Ok(None));
    assert_eq!(book.judge(&found, 0).verdict, Err(Reject::Duplicate));
}

#[test]
fn what_does_not_fit_the_job_is_refused_by_name() {
    let mut book = book();
    let job = Arc::new(JobSequence::new(1).issue(Arc::new(template())));
    book.issue(Arc::clone(&job), easy());
    let good = submission(&job, grind(&book, &job, easy().target()));
    let short = Extranonce2::new(&[0; 4]).unwrap();
    for (change, expected) in [
        (
            Submission { extranonce2: short, ..good },
            Reject::Extranonce2Length { expected: 8, found: 4 },
        ),
        (Submission { time: job.template().time_min - 1, ..good }, Reject::TimeTooOld),
        (Submission { time: job.template().time_max + 1, ..good }, Reject::TimeTooNew),
        (Submission { version_bits: Some(0x8000_0000), ..good }, Reject::VersionMask),
        (Submission { version_bits: Some(0x0000_2000), ..good }, Reject::VersionMask),
    ] {
        assert_eq!(book.judge(&change, 0x1fff_c000).verdict, Err(expected), "{change:?}");
    }
    assert!(book.judge(&good, 0x1fff_c000).verdict.is_ok());
}

#[test]
fn rolled_bits_replace_only_the_masked_part_of_the_version() {
    let book = book();
    let job = JobSequence::new(1).issue(Arc::new(template()));
    let rolled = Submission { version_bits: Some(0x0abc_c000), ..submission(&job, 1) };
    let header =
        chimera_work::judge_header(&job, book.extranonce1(), 8, 0x1fff_c000, &rolled).unwrap();
    let version = u32::from_le_bytes(header[..4].try_into().unwrap());
    assert_eq!(version, template().version & !0x1fff_c000 | 0x0abc_c000);
}

/// Invariant 3: a possible block is offered to the chain even when it earns nothing.
#[test]
fn a_solution_leaves_even_when_its_share_is_refused() {
    let network = easy().target();
    let mut book = book();
    let mut jobs = JobSequence::new(1);
    let old =
        Arc::new(jobs.issue(Arc::new(chimera_work::Template { target: network, ..template() })));
    // A share difficulty above the network's: low-difficulty for the miner, a block for us.
    book.issue(Arc::clone(&old), Difficulty::new(1e6).unwrap());
    let nonce = grind(&book, &old, network);
    let low = book.judge(&submission(&old, nonce), 0);
    assert_eq!(low.verdict, Err(Reject::LowDifficulty));
    let solution = low.solution.unwrap();
    assert!(network.is_met_by(&old.template().algorithm.hash(&solution.header)));
    assert!(book.judge(&submission(&old, nonce), 0).solution.is_none(), "offered once");

    book.issue(Arc::new(jobs.issue(Arc::new(template_on([9; 32])))), easy());
    let other = Submission { time: old.template().time + 1, ..submission(&old, 0) };
    let stale = (0..u32::MAX)
        .map(|nonce| book.judge(&Submission { nonce, ..other }, 0))
        .find(|judged| judged.solution.is_some())
        .unwrap();
    assert_eq!(stale.verdict, Err(Reject::Stale));
    assert!(stale.solution.unwrap().stale);
}

#[test]
fn two_jobs_never_contain_the_same_work() {
    let template = Arc::new(template());
    let mut jobs = JobSequence::new(1);
    let first = jobs.issue(Arc::clone(&template));
    let second = jobs.issue(Arc::clone(&template));
    let restarted = JobSequence::new(2).issue(Arc::clone(&template));
    let reissued = first.reissue(1).unwrap();
    let heads = [&first, &second, &restarted, &reissued].map(Job::head);
    for (index, head) in heads.iter().enumerate() {
        assert!(!heads[index + 1..].contains(head));
    }
    assert!(first.reissue(256).is_none(), "a job has 255 reissues");
}

#[test]
fn t5_ten_thousand_sessions_hold_ten_thousand_extranonces() {
    let mut here = ExtranonceSpace::new(1);
    let mut there = ExtranonceSpace::new(2);
    let leases: Vec<_> =
        (0..10_000).flat_map(|_| [here.lease().unwrap(), there.lease().unwrap()]).collect();
    let distinct: std::collections::BTreeSet<_> =
        leases.iter().map(|lease| lease.extranonce1()).collect();
    assert_eq!(distinct.len(), 20_000);
}

#[test]
fn a_given_back_extranonce_rests_until_the_round_is_over() {
    let mut space = ExtranonceSpace::with_capacity(0, 2);
    let first = space.lease().unwrap();
    let kept = space.lease().unwrap();
    let returned = first.extranonce1();
    drop(first);
    assert!(space.lease().is_err(), "its jobs are live");
    space.round_changed();
    let again = space.lease().unwrap();
    assert_eq!(again.extranonce1(), returned);
    assert!(space.lease().is_err());
    drop((kept, again));
}

proptest! {
    /// Leases are exclusive under any order of leasing, dropping and new rounds.
    #[test]
    fn no_two_sessions_ever_overlap(steps in proptest::collection::vec(0_u8..8, 1..200)) {
        let mut space = ExtranonceSpace::with_capacity(3, 16);
        let mut held = Vec::new();
        let mut resting = std::collections::BTreeSet::new();
        for step in steps {
            match step {
                0 => { space.round_changed(); resting.clear(); }
                1 | 2 if !held.is_empty() => {
                    let lease: chimera_work::ExtranonceLease = held.remove(0);
                    resting.insert(lease.extranonce1());
                }
                _ => if let Ok(lease) = space.lease() {
                    prop_assert!(!resting.contains(&lease.extranonce1()));
                    prop_assert!(held.iter().all(|other| other.extranonce1() != lease.extranonce1()));
                    held.push(lease);
                } else {
                    prop_assert_eq!(held.len() + resting.len(), 16);
                }
            }
        }
    }

    /// Whatever a peer sends, the judge answers; only a hash below the target is accepted.
    #[test]
    fn junk_is_never_accepted(job in any::<u32>(), extranonce2 in proptest::collection::vec(any::<u8>(), 0..16),
                              time in any::<u32>(), nonce in any::<u32>(), bits in any::<Option<u32>>()) {
        let mut book = book();
        let issued = Arc::new(JobSequence::new(1).issue(Arc::new(template())));
        book.issue(issued, Difficulty::new(1e9).unwrap());
        let extranonce2 = Extranonce2::new(&extranonce2).unwrap();
        let junk = Submission { worker: WorkerId(1), job: JobId(job), extranonce2, time, nonce, version_bits: bits };
        prop_assert!(book.judge(&junk, u32::MAX).verdict.is_err());
    }
}

#[test]
fn job_ids_are_numbers_whatever_their_spelling() {
    for (text, expected) in [
        ("1", Some(1)),
        ("00000001", Some(1)),
        ("aB", Some(0xab)),
        ("ffffffff", Some(u32::MAX)),
        ("", None),
        ("+1", None),
        ("0x1", None),
        ("100000000", None),
        ("job", None),
    ] {
        assert_eq!(JobId::parse(text), expected.map(JobId), "{text}");
    }
    let layout = NonceLayout::DEFAULT;
    assert_eq!(layout.hole_bytes(), 20);
    let _ = JobBook::new(ExtranonceSpace::new(0).lease().unwrap(), layout);
    assert!(Target::MAX > easy().target());
}

/// What a session can be credited in one round is bounded; it is told before the bound.
#[test]
fn a_crowded_book_says_so_before_it_is_full() {
    let mut book = book();
    let job = Arc::new(JobSequence::new(1).issue(Arc::new(template())));
    // Every hash is a share: below any real difficulty.
    book.issue(Arc::clone(&job), Difficulty::new(1e-12).unwrap());
    let mut accepted = 0;
    let full = (0..u32::MAX)
        .map(|nonce| book.judge(&submission(&job, nonce), 0).verdict)
        .inspect(|verdict| accepted += usize::from(verdict.is_ok()))
        .find(Result::is_err);
    assert_eq!(full, Some(Err(Reject::TooManyShares)));
    assert_eq!(accepted, 65_536);
    assert!(book.is_crowded());
    book.issue(Arc::new(JobSequence::new(2).issue(Arc::new(template_on([9; 32])))), easy());
    assert!(!book.is_crowded(), "a new round begins empty");
}

/// T3: a seat that slept through the end of a round has forgotten its shares, and nobody can
/// be paid for them again.
#[test]
fn t3_what_an_absent_session_forgets_is_stale() {
    let mut book = book();
    let job = Arc::new(JobSequence::new(1).issue(Arc::new(template())));
    book.issue(Arc::clone(&job), easy());
    let found = submission(&job, grind(&book, &job, easy().target()));
    assert!(book.judge(&found, 0).verdict.is_ok());
    book.end_round();
    assert_eq!(book.judge(&found, 0).verdict, Err(Reject::Stale));
    // Also when the chain comes back to the round it had left.
    book.issue(Arc::new(job.reissue(1).unwrap()), easy());
    assert_eq!(book.judge(&found, 0).verdict, Err(Reject::Stale));
}
