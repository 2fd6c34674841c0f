//! Templates and a miner for tests: shares are found by hashing, never made up.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part")]

use std::sync::Arc;

use chimera_pow::{Algorithm, CompactBits, Difficulty};
use chimera_stratum::{DifficultyLimits, SessionConfig};
use chimera_work::{
    Commitment, Extranonce1, Extranonce2, Job, JobId, Submission, Template, WorkerId, judge_header,
};

/// The time of every test template.
pub const TIME: u32 = 0x6b00_b23c;

pub fn difficulty(value: f64) -> Difficulty {
    Difficulty::new(value).expect("tests name good difficulties")
}

pub fn config() -> SessionConfig {
    let [initial, min, max] = [1e-6, 1e-9, 1e12].map(difficulty);
    SessionConfig {
        version_mask: 0x1fff_e000,
        difficulty: DifficultyLimits { initial, min, max },
        multiplier: 1,
    }
}

/// A template of a round; a block of it takes `network`.
pub fn template(round: u8, network: f64) -> Template {
    let bits = difficulty(network).target().compact();
    Template {
        id: 1,
        height: 100 + u64::from(round),
        algorithm: Algorithm::Blake2s,
        version: 0x2000_0000,
        version_mask: 0x1fff_e000,
        previous: [round; 32],
        bits,
        target: bits.target().expect("bits of a target are good"),
        time: TIME,
        time_min: TIME,
        time_max: TIME + 7200,
        commitment: Commitment { head: vec![1, 2, 3], tail: vec![4, 5], branch: vec![[9; 32]] },
        reward: 50,
        tx_fees: 0,
    }
}

/// A template as other pools built it: fields of a recorded `mining.notify`.
pub fn recorded(algorithm: Algorithm, params: &serde_json::Value) -> Template {
    let text = |index: usize| params[index].as_str().expect("a hex parameter");
    let bytes = |index| hex::decode(text(index)).expect("recorded hex is good");
    let number = |index| u32::from_str_radix(text(index), 16).expect("recorded hex is good");
    let mut previous: [u8; 32] = bytes(1).try_into().expect("a hash has 32 bytes");
    previous.chunks_exact_mut(4).for_each(<[u8]>::reverse);
    let branch = params[4].as_array().expect("a list of branch hashes").iter();
    let bits = CompactBits(number(6));
    Template {
        id: 0,
        height: 1,
        algorithm,
        version: number(5),
        version_mask: 0x1fff_8000,
        previous,
        bits,
        target: bits.target().expect("recorded bits are good"),
        time: number(7),
        time_min: number(7),
        time_max: number(7) + 600,
        commitment: Commitment {
            head: bytes(2),
            tail: bytes(3),
            branch: branch.map(hash).collect(),
        },
        reward: 0,
        tx_fees: 0,
    }
}

fn hash(hex: &serde_json::Value) -> [u8; 32] {
    let mut bytes = [0; 32];
    hex::decode_to_slice(hex.as_str().expect("hex"), &mut bytes).expect("recorded hex is good");
    bytes
}

pub fn job(id: u32, template: Template, clean: bool) -> Arc<Job> {
    Arc::new(Job::new(JobId(id), 1, Arc::new(template), clean))
}

/// The `nth` nonce (from 0) whose hash meets `at_least` and, if given, misses `below`.
pub fn nonce(
    job: &Job,
    extranonce1: Extranonce1,
    extranonce2: &[u8],
    at_least: Option<f64>,
    below: Option<f64>,
    nth: usize,
) -> u32 {
    let target = |value: f64| difficulty(value).target();
    let extranonce2 = Extranonce2::new(extranonce2).expect("tests use short extranonces");
    let size = extranonce2.len();
    let submission = Submission {
        worker: WorkerId(0),
        job: job.id(),
        extranonce2,
        time: TIME,
        nonce: 0,
        version_bits: None,
    };
    let mut header =
        judge_header(job, extranonce1, size, 0, &submission).expect("the submission fits the job");
    let fits = |nonce: &u32| {
        header[76..].copy_from_slice(&nonce.to_le_bytes());
        let hash = job.template().algorithm.hash(&header);
        at_least.is_none_or(|least| target(least).is_met_by(&hash))
            && !below.is_some_and(|most| target(most).with_share_tolerance().is_met_by(&hash))
    };
    (0..u32::MAX).filter(fits).nth(nth).expect("four billion nonces contain it")
}
