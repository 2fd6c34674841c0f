//! `mining.notify`: a job as it is sent, serialised once for all sessions.

use std::io::Write as _;
use std::sync::Arc;

use chimera_pow::Difficulty;
use chimera_work::Job;

/// A job with its line. Sessions differ only in the last parameter: the first job of a
/// session is always clean.
#[derive(Debug)]
pub struct NotifyLine {
    job: Arc<Job>,
    network_difficulty: Difficulty,
    /// The line up to the last parameter.
    head: Box<[u8]>,
}

impl NotifyLine {
    /// Serialises a job: `[id, prevhash, coinb1, coinb2, [branch], version, nbits, ntime, clean]`.
    pub fn new(job: Arc<Job>) -> Self {
        let template = job.template();
        let commitment = &template.commitment;
        let head_digits = 2 * (job.head().len() + commitment.tail.len());
        let mut line = Vec::with_capacity(256 + head_digits + 67 * commitment.branch.len());
        let (id, prevhash) = (job.id(), hex::encode(swap_words(template.previous)));
        let (coinb1, coinb2) = (hex::encode(job.head()), hex::encode(&commitment.tail));
        let (version, bits, time) = (template.version, template.bits, template.time);
        let branch: Vec<_> =
            commitment.branch.iter().map(|hash| format!("\"{}\"", hex::encode(hash))).collect();
        let branch = branch.join(",");
        write!(
            line,
            "{{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"{id}\",\"{prevhash}\",\
             \"{coinb1}\",\"{coinb2}\",[{branch}],\"{version:08x}\",\"{bits}\",\"{time:08x}\","
        )
        .expect("a vector takes every byte");
        let network_difficulty = template.target.difficulty();
        Self { job, network_difficulty, head: line.into() }
    }

    /// The job.
    pub const fn job(&self) -> &Arc<Job> {
        &self.job
    }

    /// The difficulty of a block: no session is asked for more.
    pub(crate) const fn network_difficulty(&self) -> Difficulty {
        self.network_difficulty
    }

    pub(crate) fn write(&self, clean: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(if clean { b"true]}\n" } else { b"false]}\n" });
    }
}

/// The wire form of the previous hash: header bytes, each 4-byte word reversed.
fn swap_words(mut hash: [u8; 32]) -> [u8; 32] {
    hash.chunks_exact_mut(4).for_each(<[u8]>::reverse);
    hash
}
