//! `chimera payout verify-proof`: whether a record counts the work a proof says it counts.

use std::path::PathBuf;

use chimera_ledger::{AccountName, Record, SaltedKey};
use clap::Args;

use super::prove::{PROOF_FORMAT, Proof};
use crate::commands::{Exit, say};

/// What to check, and against what.
#[derive(Debug, Args)]
pub struct VerifyProofArgs {
    /// The proof, from `chimera payout prove`
    proof: PathBuf,
    /// The record, from `chimera payout export`; with --sums is enough
    #[arg(long, value_name = "FILE")]
    record: PathBuf,
}

pub(super) fn verify_proof(args: &VerifyProofArgs) -> anyhow::Result<Exit> {
    let proof: Proof = super::read_json(&args.proof, "proof of inclusion")?;
    let record: Record = super::read_json(&args.record, "settlement record")?;
    match check(&proof, &record) {
        Ok(()) => {
            let Proof { account, work, settlement, .. } = &proof;
            let total = record.header.work.work;
            say::done("included", format_args!("{work} of {total} in {settlement} for {account}"));
            Ok(Exit::Done)
        }
        Err(why) => {
            say::trouble("not proved", why);
            Ok(Exit::Failed)
        }
    }
}

fn check(proof: &Proof, record: &Record) -> Result<(), String> {
    let header = &record.header;
    if proof.format != PROOF_FORMAT {
        return Err(format!("a proof of the format {}; this is {PROOF_FORMAT}", proof.format));
    }
    if let Some(difference) = record.differences().first() {
        return Err(format!("the record is wrong in itself: {difference}"));
    }
    if (&proof.settlement, proof.record) != (&header.key, record.hash) {
        let (about, hash) = (&proof.settlement, proof.record);
        let (key, found) = (&header.key, record.hash);
        return Err(format!("the proof is about {about} ({hash}), the record is {key} ({found})"));
    }
    if proof.inclusion.rows != header.accounts {
        let (rows, accounts) = (proof.inclusion.rows, header.accounts);
        return Err(format!("the proof is of {rows} rows, the record has {accounts}"));
    }
    let account = AccountName::new(&proof.account).map_err(|error| error.to_string())?;
    let salted = SaltedKey::of(&account, &proof.salt);
    let included = proof.inclusion.verify(&salted, proof.work, &header.work);
    included.map_err(|error| format!("this work is not in the record's tree: {error}"))
}
