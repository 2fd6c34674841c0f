//! The first block: a function of the parameters, with proof of work like any other.

use chimera_pow::sha256d;

use super::dev_block::{Candidate, DevBlock, header, set_nonce};
use super::params::DevParams;
use super::rules::DevRules;
use crate::coinbase::{Recipe, halves};

/// 2025-01-01T00:00:00Z. Virtual clocks must start later.
const TIME: u32 = 1_735_689_600;

/// OP_RETURN: the first subsidy is nobody's.
const NOBODY: &[u8] = &[0x6a];

/// Finds the genesis block. At the easiest target this is the work of one easiest block.
pub(super) fn mine(params: &DevParams) -> DevBlock {
    // All rules are part of what the coinbase says, so that chains with different rules
    // never share a genesis block.
    let rules = format!(
        "{} {} {} {} {}",
        params.algorithm, params.spacing_s, params.easiest, params.subsidy, params.halving_blocks
    );
    // The plain rules came first and have no name in it: their old files stay good.
    let rules = match params.rules {
        DevRules::Plain => rules,
        other => format!("{rules} {other}"),
    };
    let digest = sha256d(rules.as_bytes());
    let timed = params.rules.is_verge();
    let (head, tail) = halves(&Recipe {
        version: 2,
        time: timed.then_some(TIME),
        height: 0,
        aux: &[],
        tag: params.network.as_bytes(),
        hole_bytes: digest.len(),
        value: params.subsidy_at(0),
        payout_script: NOBODY,
        witness_commitment: None,
    })
    .expect("a name of 20 bytes and a digest fit a script of 100");
    let coinbase = [&head[..], &digest, &tail].concat();
    let target = params.easiest.target().expect("the parameters are checked");

    let mut header = header(1, &[0; 32], &sha256d(&coinbase), TIME, params.easiest, 0);
    let mut tries: u64 = 0;
    while !target.is_met_by(&params.algorithm.hash(&header)) {
        tries += 1;
        // The nonce, and when it is used up the time, which nothing else fixes.
        set_nonce(&mut header, tries as u32);
        let time = TIME + (tries >> 32) as u32;
        header[68..72].copy_from_slice(&time.to_le_bytes());
    }
    let signature: &[u8] = if timed { &[0] } else { &[] };
    let bytes = [&header[..], &[1], &coinbase, signature].concat();
    let parsed = Candidate::parse(&bytes, params);
    parsed.expect("a block of these parts has the form of one").block
}
