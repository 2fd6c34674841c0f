//! A full block's template from the node's text to the pool's job, against the same bytes merely
//! hashed twice, and the memory ten thousand of them leave behind.
//! `cargo bench -p chimera-chain --bench template` prints the table; `cargo test` runs it small.
//!
//! The number to stay below: 15 ms for 4,000 transactions of 400 bytes.
#![expect(clippy::print_stdout, reason = "a benchmark")]
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "modules of the adapter nobody outside of it can name, of which this uses a part"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bitcoin::consensus::{deserialize, encode::serialize_hex};
use bitcoin::hashes::Hash as _;
use bitcoin::{Block, Transaction, Witness, WitnessMerkleNode, Wtxid};
use chimera_chain::{Action, DevChain, DevNode, DevParams, DevRules};
use chimera_pow::sha256d;
use serde_json::{Value, json};

use gbt::Gbt;
use profile::Profile;
use template::Plan;
use templates::Templates;

#[path = "../src/address.rs"]
mod address;
#[path = "../src/coinbase.rs"]
mod coinbase;
#[path = "../src/gbt.rs"]
mod gbt;
#[path = "../src/merkle.rs"]
mod merkle;
#[path = "../src/profile.rs"]
mod profile;
#[path = "../src/template.rs"]
mod template;
#[path = "../src/templates.rs"]
mod templates;
#[path = "../src/transaction.rs"]
mod transaction;
#[path = "../src/validate.rs"]
mod validate;
#[path = "../src/wire.rs"]
mod wire;

const NOW: u64 = 1_800_000_000;
const LIMIT: Duration = Duration::from_millis(15);

fn main() {
    let full = std::env::args().any(|arg| arg == "--bench");
    let (transactions, runs, templates) = if full { (4_000, 50, 10_000) } else { (40, 3, 600) };
    let plan = plan();
    let text = node_with(transactions).to_string();
    let times = Times::measure(&text, &plan, runs);
    times.print(&text, transactions);
    let within = if median(&times.whole()) < LIMIT { "below" } else { "ABOVE" };
    println!("the median of the whole is {within} the limit of {LIMIT:?}");
    let (early, late) = memory(&text, &plan, templates);
    println!(
        "memory: {early} kB after 500 templates, {late} kB after {templates}: ratio {:.3}",
        late as f64 / early as f64
    );
}

fn plan() -> Plan {
    Plan {
        profile: Arc::new(Profile::named("bitcoin-regtest").expect("it is shipped")),
        payout_script: [&[0, 20][..], &[7; 20]].concat(),
        tag: b"/bench/".to_vec(),
        hole_bytes: 16,
    }
}

/// The template of a simulated node with so many transactions waiting.
fn node_with(transactions: u32) -> Value {
    let chain = DevChain::in_memory(DevParams::regtest(DevRules::Bitcoin)).expect("a chain");
    let node = DevNode::new(Arc::new(chain), Arc::new(|| NOW));
    node.simulate(Action::Mine { blocks: 140 }).expect("mined");
    let incoming = Action::Transactions { count: transactions, bytes: 150, fee: 1_000 };
    node.simulate(incoming).expect("funded");
    let rules = json!([{ "rules": ["segwit"] }]);
    let mut template = node.chain().rpc("getblocktemplate", &rules, NOW).expect("a template");
    let found = template["transactions"].as_array().map(Vec::len);
    assert_eq!(found, Some(transactions as usize), "all of them fit");
    with_witnesses(&mut template);
    template
}

/// The simulator's transactions have next to no witness; those of real wallets have a key and a
/// signature for each of some inputs.
fn with_witnesses(template: &mut Value) {
    let mut hashes = vec![Wtxid::all_zeros().to_raw_hash()];
    for row in template["transactions"].as_array_mut().expect("a list") {
        let bytes = hex::decode(row["data"].as_str().expect("hex")).expect("hex");
        let mut transaction: Transaction = deserialize(&bytes).expect("a transaction");
        let items = [[2_u8; 72].as_slice(), &[3; 33], &[2; 72], &[3; 33], &[1; 40]];
        transaction.input[0].witness = Witness::from_slice(&items);
        row["data"] = serialize_hex(&transaction).into();
        let wtxid = transaction.compute_wtxid();
        row["hash"] = wtxid.to_string().into();
        hashes.push(wtxid.to_raw_hash());
    }
    let root: WitnessMerkleNode =
        bitcoin::merkle_tree::calculate_root(hashes.into_iter()).expect("a coinbase").into();
    let commitment = Block::compute_witness_commitment(&root, &[0; 32]);
    let script = [&[0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed], &commitment.to_byte_array()[..]].concat();
    template["default_witness_commitment"] = hex::encode(script).into();
}

/// Of each run, its parts.
#[derive(Default)]
struct Times {
    parse: Vec<Duration>,
    validate: Vec<Duration>,
    job: Vec<Duration>,
    hashed: Vec<Duration>,
}

impl Times {
    fn measure(text: &str, plan: &Plan, runs: usize) -> Self {
        let mut times = Self::default();
        let mut templates = Templates::new();
        for _ in 0..runs {
            let begun = Instant::now();
            let gbt = Gbt::parse(text, false).expect("a template");
            times.parse.push(begun.elapsed());
            let data: Vec<Vec<u8>> = gbt.transactions.iter().map(|it| it.data.clone()).collect();
            let begun = Instant::now();
            validate::check(&gbt, &plan.profile).expect("it makes a valid block");
            times.validate.push(begun.elapsed());
            let begun = Instant::now();
            let template = templates.add(plan, gbt).expect("it fits");
            times.job.push(begun.elapsed());
            assert!(template.tx_fees > 0);
            let begun = Instant::now();
            let all = data.iter().fold([0; 32], |all, bytes| xor(all, sha256d(bytes)));
            times.hashed.push(begun.elapsed());
            assert_ne!(all, [0; 32]);
        }
        times
    }

    fn whole(&self) -> Vec<Duration> {
        let parts = self.parse.iter().zip(&self.validate).zip(&self.job);
        parts.map(|((parse, validate), job)| *parse + *validate + *job).collect()
    }

    fn print(&self, text: &str, transactions: u32) {
        let hashed = median(&self.hashed);
        println!("{transactions} transactions, {} kB of JSON", text.len() / 1_000);
        println!("{:10} {:>10} {:>10} {:>20}", "", "median", "p99", "of hashing them once");
        let rows = [
            ("parse", &self.parse),
            ("validate", &self.validate),
            ("job", &self.job),
            ("whole", &self.whole()),
            ("hashed", &self.hashed),
        ];
        for (name, times) in rows {
            let (median, p99) = (median(times), percentile(times, 99));
            let ratio = median.as_secs_f64() / hashed.as_secs_f64();
            println!("{name:10} {:>7.2} ms {:>7.2} ms {ratio:>18.2} x", ms(median), ms(p99));
        }
    }
}

fn xor(mut all: [u8; 32], one: [u8; 32]) -> [u8; 32] {
    all.iter_mut().zip(one).for_each(|(all, one)| *all ^= one);
    all
}

fn median(times: &[Duration]) -> Duration {
    percentile(times, 50)
}

fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// Memory after 500 templates and after all of them, in kB; from one to the next some
/// transactions change, as in a mempool.
fn memory(text: &str, plan: &Plan, count: usize) -> (u64, u64) {
    let mut templates = Templates::new();
    let mut early = 0;
    let gbt = Gbt::parse(text, false).expect("a template");
    for nth in 0..count {
        let mut changed = gbt.clone();
        let some = changed.transactions.len().div_ceil(20);
        let from = nth * some % changed.transactions.len();
        for transaction in changed.transactions.iter_mut().skip(from).take(some) {
            // The last bytes are the lock time: another transaction of the same size.
            let at = transaction.data.len() - 4;
            transaction.data[at..].copy_from_slice(&(nth as u32).to_le_bytes());
            transaction.wtxid = sha256d(&transaction.data);
        }
        templates.add(plan, changed).expect("it fits");
        if nth == 499 {
            early = resident_kb();
        }
    }
    (early, resident_kb())
}

/// Memory of this process.
fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let digits = line.and_then(|line| line.split_whitespace().next());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(1)
}
