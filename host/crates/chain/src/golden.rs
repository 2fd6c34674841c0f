//! Templates and blocks recorded from real nodes: what this crate builds from the template
//! must be the block the node accepted, byte for byte.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chimera_pow::{PowHash, sha256d};
use chimera_work::{
    Extranonce1, Extranonce2, Job, JobId, Solution, Submission, Template, WorkerId, judge_header,
};
use serde_json::Value;

use crate::block::{Block, assemble};
use crate::gbt::Gbt;
use crate::profile::Profile;
use crate::template::Plan;
use crate::templates::Templates;
use crate::transaction::Transaction;
use crate::validate;
use crate::wire::{Reader, reversed};

/// The recorded jobs have no salt: 4 bytes for the session, 8 for the miner.
const HOLE_BYTES: usize = 12;

struct Golden {
    name: String,
    json: Value,
    profile: Arc<Profile>,
}

/// The recorded blocks of a chain; of a generic coin there is a computed one.
fn goldens(chain: &str) -> Vec<Golden> {
    let (profile, count) = match chain {
        "blake2s" => (chain.to_owned(), 1),
        recorded => (format!("{recorded}-regtest"), 3),
    };
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/golden");
    let mut paths: Vec<PathBuf> = fs::read_dir(&directory)
        .expect("tests/golden is part of the repository")
        .map(|entry| entry.expect("a readable directory").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    paths.sort();
    let goldens: Vec<Golden> = paths
        .iter()
        .map(|path| (path.file_name().expect("a file").to_string_lossy().into_owned(), path))
        .filter(|(name, _)| name.starts_with(chain))
        .map(|(name, path)| {
            let text = fs::read_to_string(path).expect("a readable file");
            let json = serde_json::from_str(&text).expect("JSON");
            let profile = Profile::named(&profile).expect("it is shipped");
            Golden { name, json, profile: Arc::new(profile) }
        })
        .collect();
    assert_eq!(goldens.len(), count, "blocks of {chain}");
    goldens
}

impl Golden {
    fn text(&self, pointer: &str) -> &str {
        self.json
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("{} has no {pointer}", self.name))
    }

    fn bytes(&self, pointer: &str) -> Vec<u8> {
        hex::decode(self.text(pointer)).expect("hex")
    }

    fn word(&self, pointer: &str) -> u32 {
        u32::from_str_radix(self.text(pointer), 16).expect("hex")
    }

    /// Whom the recorded coinbase pays.
    fn payout_script(&self) -> Vec<u8> {
        let hole = vec![0; HOLE_BYTES];
        let (head, tail) = (self.bytes("/notify/coinb1"), self.bytes("/notify/coinb2"));
        let coinbase = [head, hole, tail].concat();
        let mut reader = Reader::new(&coinbase);
        let coinbase = Transaction::read(&mut reader, self.profile.coinbase.time);
        coinbase.expect("a coinbase").outputs[0].script.clone()
    }

    fn gbt(&self) -> Gbt {
        let text = self.json["template"].to_string();
        let gbt = Gbt::parse(&text, self.profile.coinbase.time).expect(&self.name);
        validate::check(&gbt, &self.profile).expect(&self.name);
        gbt
    }

    fn template(&self) -> (Templates, Arc<Template>) {
        let plan = Plan {
            profile: Arc::clone(&self.profile),
            payout_script: self.payout_script(),
            tag: b"/golden/".to_vec(),
            hole_bytes: HOLE_BYTES,
        };
        let mut templates = Templates::new();
        let gbt = self.gbt();
        let template = templates.add(&plan, gbt).expect(&self.name);
        (templates, template)
    }

    /// The recorded answer, judged as the pool would.
    fn solution(&self, template: &Arc<Template>) -> Solution {
        let extranonce1: [u8; 4] =
            self.bytes("/submit/extranonce1").try_into().expect("four bytes");
        let extranonce2 = self.bytes("/submit/extranonce2");
        let job = Job::recorded(JobId(1), Arc::clone(template), true);
        let version = self.word("/notify/version");
        let rolled = version & template.version_mask;
        let submission = Submission {
            worker: WorkerId(1),
            job: JobId(1),
            extranonce2: Extranonce2::new(&extranonce2).expect("eight bytes"),
            time: self.word("/submit/ntime"),
            nonce: self.word("/submit/nonce"),
            version_bits: Some(rolled),
        };
        let mask = template.version_mask;
        let header = judge_header(&job, Extranonce1(extranonce1), 8, mask, &submission)
            .expect("the recorded answer fits the job");
        let commitment =
            [&template.commitment.head[..], &extranonce1, &extranonce2, &template.commitment.tail]
                .concat();
        let hash = template.algorithm.hash(&header);
        let template = Arc::clone(template);
        Solution { template, header, commitment, hash, worker: WorkerId(1), stale: false }
    }

    fn block(&self) -> (Solution, Block) {
        let (templates, template) = self.template();
        let solution = self.solution(&template);
        let transactions = templates.transactions(template.id).expect("just made");
        let block = assemble(&self.profile, &solution, &transactions).expect(&self.name);
        (solution, block)
    }
}

/// T6: what goes into `mining.notify`, except the word order of the wire, which is Stratum's.
fn the_template_is_the_recorded_job(golden: &Golden) {
    let (_, template) = golden.template();
    let name = &golden.name;
    let commitment = &template.commitment;
    assert_eq!(hex::encode(&commitment.head), golden.text("/notify/coinb1"), "{name}");
    assert_eq!(hex::encode(&commitment.tail), golden.text("/notify/coinb2"), "{name}");
    let branch: Vec<String> = commitment.branch.iter().map(hex::encode).collect();
    assert_eq!(Value::from(branch), golden.json["notify"]["merkle_branch"], "{name}");
    let version = golden.word("/notify/version");
    assert_eq!(template.version & !template.version_mask, version & !template.version_mask);
    assert_eq!(template.bits.0, golden.word("/notify/nbits"), "{name}");
    assert_eq!(template.target.to_string(), golden.text("/template/target"), "{name}");
    assert_eq!(template.time, golden.word("/notify/ntime"), "{name}");
    let previous = hex::encode(reversed(template.previous));
    assert_eq!(previous, golden.text("/template/previousblockhash"), "{name}");
    assert_eq!(Value::from(template.height), golden.json["template"]["height"], "{name}");
    assert_eq!(Value::from(template.reward), golden.json["template"]["coinbasevalue"], "{name}");
    let subsidy = template.reward - template.tx_fees;
    let subsidies = [5_000_000_000, 200_000_000_000];
    assert!(subsidies.contains(&subsidy), "{name}: reward less fees is {subsidy}");
}

fn the_block_is_the_recorded_block(golden: &Golden) {
    let (solution, block) = golden.block();
    let name = &golden.name;
    let txid = PowHash(sha256d(&solution.commitment)).to_string();
    assert_eq!(txid, golden.text("/coinbase_txid"), "{name}");
    assert_eq!(hex::encode(solution.header), golden.text("/header"), "{name}");
    assert_eq!(solution.hash.to_string(), golden.text("/pow_hash"), "{name}");
    assert!(solution.template.target.is_met_by(&solution.hash), "{name}");
    assert_eq!(hex::encode(&block.bytes), golden.text("/block"), "{name}");
    assert_eq!(golden.json["submitblock_answer"], Value::Null, "{name}: the node accepted it");
    assert_eq!(Value::from(block.height), golden.json["getblock"]["height"], "{name}");
}

#[test]
fn t06_t07_bitcoin_templates_and_blocks_are_the_recorded_ones() {
    for golden in &goldens("bitcoin") {
        the_template_is_the_recorded_job(golden);
        the_block_is_the_recorded_block(golden);
        let (_, block) = golden.block();
        assert_eq!(block.id, golden.text("/getblock/hash"), "{}", golden.name);
    }
}

#[test]
fn verge_templates_and_blocks_are_the_recorded_ones() {
    for golden in &goldens("verge") {
        the_template_is_the_recorded_job(golden);
        the_block_is_the_recorded_block(golden);
        let (_, block) = golden.block();
        assert_eq!(block.id, golden.text("/getblock/hash"), "{}: scrypt", golden.name);
    }
}

/// Computed by a script that shares no code with the pool (`make_blake2s.py`).
#[test]
fn t06_t07_templates_and_blocks_of_a_generic_blake2s_coin_are_the_computed_ones() {
    for golden in &goldens("blake2s") {
        the_template_is_the_recorded_job(golden);
        the_block_is_the_recorded_block(golden);
        let (solution, block) = golden.block();
        assert_eq!(block.id, golden.text("/getblock/hash"), "{}", golden.name);
        assert_ne!(block.id, solution.hash.to_string(), "named by SHA-256d, won by Blake2s");
    }
}

#[test]
fn t07_the_branch_is_of_txids_where_witness_ids_differ() {
    let goldens = goldens("bitcoin");
    let segwit = &goldens[1];
    assert!(segwit.name.contains("segwit"));
    let ids = |field| segwit.json.pointer(&format!("/template/transactions/0/{field}"));
    assert_ne!(ids("txid"), ids("hash"), "the recording tells the two apart");
    let (_, template) = segwit.template();
    let first = PowHash(template.commitment.branch[0]).to_string();
    assert_eq!(Some(first.as_str()), ids("txid").and_then(Value::as_str));
}

#[test]
fn verge_rolls_no_algorithm_bits_and_no_time_before_the_coinbase() {
    for golden in &goldens("verge") {
        let (_, template) = golden.template();
        assert_eq!(template.version_mask & 0x7800, 0, "bits 11 to 14 name the algorithm");
        assert_eq!(template.time_min, template.time, "the header is not before its coinbase");
        assert_eq!(template.time_max - template.time, 600, "nor ten minutes after it");
    }
}
