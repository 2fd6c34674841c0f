//! The judge: from a submission to the header it stands for, and to its hash.

use chimera_pow::{HEADER_BYTES, Header, sha256d};
use sha2::Digest as _;

use crate::{Extranonce1, Extranonce2, Job, JobId, Reject, Share, Solution, WorkerId};

/// What a miner sends back, parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Submission {
    /// On whose behalf; authorised on this session.
    pub worker: WorkerId,
    /// The job it answers.
    pub job: JobId,
    /// The miner's part of the nonce space.
    pub extranonce2: Extranonce2,
    /// Header time.
    pub time: u32,
    /// Header nonce.
    pub nonce: u32,
    /// Rolled version bits (BIP 310), if sent.
    pub version_bits: Option<u32>,
}

/// The outcome of judging. A solution can come with a rejected share: a stale block
/// candidate is still offered to the chain.
#[derive(Debug)]
pub struct Judgement {
    /// What the miner is told. `Ok(None)` is no fault and earns nothing: the hash misses its
    /// job's level and meets a lower one the session was told later. Some firmware applies a
    /// lower difficulty at once to the work it has; its shares that meet the job's own level
    /// are credited at that, and are as many as they would have been. Crediting the others as
    /// well would pay the same hashes twice.
    pub verdict: Result<Option<Share>, Reject>,
    /// What the chain is told.
    pub solution: Option<Box<Solution>>,
}

/// Assembles the header a submission stands for.
///
/// `version_mask` are the bits this session may roll.
///
/// # Errors
/// When the submission does not fit the job: lengths, time, version bits.
pub fn judge_header(
    job: &Job,
    extranonce1: Extranonce1,
    extranonce2_bytes: u8,
    version_mask: u32,
    submission: &Submission,
) -> Result<Header, Reject> {
    let root = || merkle_root(job, extranonce1, &submission.extranonce2);
    header_over(root, job, extranonce2_bytes, version_mask, submission)
}

/// As [`judge_header`], with a merkle root that is only asked for if the rest fits.
pub(crate) fn header_over(
    root: impl FnOnce() -> [u8; 32],
    job: &Job,
    extranonce2_bytes: u8,
    version_mask: u32,
    submission: &Submission,
) -> Result<Header, Reject> {
    let template = job.template();
    let Submission { extranonce2, time, nonce, version_bits, .. } = submission;
    if extranonce2.len() != extranonce2_bytes {
        return Err(Reject::Extranonce2Length {
            expected: extranonce2_bytes,
            found: extranonce2.len(),
        });
    }
    if *time < template.time_min {
        return Err(Reject::TimeTooOld);
    }
    if *time > template.time_max {
        return Err(Reject::TimeTooNew);
    }
    let mask = version_mask & template.version_mask;
    let bits = version_bits.unwrap_or(template.version & mask);
    if bits & !mask != 0 {
        return Err(Reject::VersionMask);
    }
    let version = template.version & !mask | bits;

    let mut header = [0; HEADER_BYTES];
    header[0..4].copy_from_slice(&version.to_le_bytes());
    header[4..36].copy_from_slice(&template.previous);
    header[36..68].copy_from_slice(&root());
    header[68..72].copy_from_slice(&time.to_le_bytes());
    header[72..76].copy_from_slice(&template.bits.0.to_le_bytes());
    header[76..80].copy_from_slice(&nonce.to_le_bytes());
    Ok(header)
}

/// Folds the filled commitment up the merkle branch.
pub(crate) fn merkle_root(
    job: &Job,
    extranonce1: Extranonce1,
    extranonce2: &Extranonce2,
) -> [u8; 32] {
    let commitment = &job.template().commitment;
    let inner = job
        .begun()
        .clone()
        .chain_update(extranonce1.0)
        .chain_update(extranonce2.as_bytes())
        .chain_update(&commitment.tail)
        .finalize();
    let leaf: [u8; 32] = sha2::Sha256::digest(inner).into();
    let mut pair = [0; 64];
    commitment.branch.iter().fold(leaf, |root, sibling| {
        pair[..32].copy_from_slice(&root);
        pair[32..].copy_from_slice(sibling);
        sha256d(&pair)
    })
}
