//! A small template and a patient miner.

use chimera_pow::{Algorithm, Difficulty, Target};
use chimera_work::{
    Commitment, Extranonce2, ExtranonceSpace, Job, JobBook, NonceLayout, Submission, Template,
    WorkerId, judge_header,
};

/// A share every few hundred hashes.
pub(crate) fn easy() -> Difficulty {
    Difficulty::new(1e-7).unwrap()
}

pub(crate) fn template() -> Template {
    template_on([7; 32])
}

pub(crate) fn template_on(previous: [u8; 32]) -> Template {
    let target = Difficulty::new(1e3).unwrap().target();
    Template {
        id: 1,
        height: 100,
        algorithm: Algorithm::Blake2s,
        version: 0x2000_0000,
        version_mask: 0x1fff_e000,
        previous,
        bits: target.compact(),
        target,
        time: 1_700_000_000,
        time_min: 1_699_999_000,
        time_max: 1_700_007_200,
        commitment: Commitment {
            head: vec![1; 60],
            tail: vec![2; 50],
            branch: vec![[3; 32], [4; 32]],
        },
        reward: 5_000_000_000,
        tx_fees: 0,
    }
}

pub(crate) fn book() -> JobBook {
    let lease = ExtranonceSpace::new(0).lease().unwrap();
    JobBook::new(lease, NonceLayout::DEFAULT)
}

/// The first nonce whose header meets the target.
pub(crate) fn grind(book: &JobBook, job: &Job, target: Target) -> u32 {
    let submission = Submission {
        worker: WorkerId(7),
        job: job.id(),
        extranonce2: Extranonce2::new(&[0; 8]).unwrap(),
        time: job.template().time,
        nonce: 0,
        version_bits: None,
    };
    let mut header = judge_header(job, book.extranonce1(), 8, 0, &submission).unwrap();
    (0..u32::MAX)
        .find(|nonce| {
            header[76..].copy_from_slice(&nonce.to_le_bytes());
            target.is_met_by(&job.template().algorithm.hash(&header))
        })
        .unwrap()
}
