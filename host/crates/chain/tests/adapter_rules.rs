//! The adapter over a block's life, on every kind of chain the simulator knows.

mod common;
mod stand;

use std::sync::Arc;

use chimera_chain::{
    Action, ConnectError, DevNode, NodeChain, NodeConfig, Profile, RewardState, SubmitOutcome,
    TemplateRules,
};
use chimera_pow::{Difficulty, PowHash, sha256d};
use chimera_work::{
    Extranonce2, ExtranonceSpace, Job, JobBook, JobId, Judgement, NonceLayout, Reject, Submission,
    Template, WorkerId,
};
use serde_json::json;

use common::{VirtualTime, solve};
use stand::{Kind, Sim, call, height, mine, simulate, tip, unhealthy, work_on_tip};

/// Few enough to watch.
const CONFIRMATIONS: u32 = 3;
const TRANSACTIONS: u32 = 300;
const FEE: u64 = 1_000;

/// A node with coins to spend, and with transactions waiting where the chain has any.
fn busy_node(kind: &Kind) -> DevNode {
    let node = kind.node(&VirtualTime::starting());
    let spends = kind.name != "verge";
    mine(&node, if spends { 120 } else { 3 });
    if spends {
        simulate(&node, Action::Transactions { count: TRANSACTIONS, bytes: 250, fee: FEE });
    }
    node
}

async fn pool(kind: &Kind, sim: &Sim) -> NodeChain {
    let config =
        NodeConfig { confirmations: CONFIRMATIONS, ..kind.config(vec![sim.endpoint()], &sim.node) };
    let chain = NodeChain::connect(config, VirtualTime::starting().clock()).await;
    chain.unwrap_or_else(|error| panic!("{}: {error}", kind.name))
}

fn transactions_of(node: &DevNode, id: &str) -> u64 {
    call(node, "getblock", json!([id, 1]))["nTx"].as_u64().expect("a count")
}

#[tokio::test]
async fn t07_t17_a_block_lives_from_template_to_ripe_on_every_kind_of_chain() {
    for kind in Kind::all() {
        let sim = Sim::start(busy_node(&kind)).await;
        a_whole_life(&kind, &sim).await;
    }
}

async fn a_whole_life(kind: &Kind, sim: &Sim) {
    let (name, node) = (kind.name, &sim.node);
    let waiting = if name == "verge" { 0 } else { u64::from(TRANSACTIONS) };
    let chain = pool(kind, sim).await;
    let template = work_on_tip(&chain, node).await;
    assert_eq!(template.tx_fees, waiting * FEE, "{name}");
    assert_eq!(template.reward, kind.params.subsidy + waiting * FEE, "{name}");

    let block = chain.assemble(&solve(&template)).expect(name);
    let found = block.block_ref();
    let reward = || chain.reward(&found);
    assert_eq!(reward().await, Ok(RewardState::Unknown), "{name}: nobody has it");
    assert_eq!(chain.submit(&block).await, SubmitOutcome::Accepted, "{name}");
    assert_eq!(chain.submit(&block).await, SubmitOutcome::Duplicate, "{name}: found twice");
    assert_eq!(transactions_of(node, &block.id), 1 + waiting, "{name}");

    for confirmations in 1..CONFIRMATIONS {
        let ripening = RewardState::Ripening { confirmations, needed: CONFIRMATIONS };
        assert_eq!(reward().await, Ok(ripening), "{name}");
        mine(node, 1);
    }
    let ripe = RewardState::Ripe { amount: template.reward };
    assert_eq!(reward().await, Ok(ripe), "{name}");
    work_on_tip(&chain, node).await;

    let full_height = height(node);
    call(node, "invalidateblock", json!([block.id]));
    assert_eq!(reward().await, Ok(RewardState::Orphaned), "{name}");
    assert_eq!(work_on_tip(&chain, node).await.height, block.height, "{name}: its place is free");
    call(node, "reconsiderblock", json!([block.id]));
    assert_eq!(reward().await, Ok(ripe), "{name}: the chain changed its mind");
    assert_eq!(work_on_tip(&chain, node).await.height, full_height + 1, "{name}");
}

#[tokio::test]
async fn an_orphans_transactions_are_mined_again() {
    let kind = Kind::bitcoin();
    let sim = Sim::start(busy_node(&kind)).await;
    let chain = pool(&kind, &sim).await;
    let first = work_on_tip(&chain, &sim.node).await;
    let block = chain.assemble(&solve(&first)).expect("a fresh template");
    assert_eq!(chain.submit(&block).await, SubmitOutcome::Accepted);
    assert_eq!(work_on_tip(&chain, &sim.node).await.tx_fees, 0, "all are mined");
    call(&sim.node, "invalidateblock", json!([block.id]));
    let again = work_on_tip(&chain, &sim.node).await;
    assert_eq!((again.tx_fees, again.previous), (first.tx_fees, first.previous));
    // No time has passed, so the same work would make the block the node holds for invalid.
    let later = Template { time: again.time + 1, ..Template::clone(&again) };
    let other = chain.assemble(&solve(&Arc::new(later))).expect("the same transactions");
    assert_ne!(other.id, block.id);
    assert_eq!(chain.submit(&other).await, SubmitOutcome::Accepted);
    assert_eq!(transactions_of(&sim.node, &other.id), 1 + u64::from(TRANSACTIONS));
}

#[tokio::test]
async fn what_a_block_is_named_by_differs_from_chain_to_chain() {
    for kind in Kind::all() {
        let sim = Sim::start(kind.node(&VirtualTime::starting())).await;
        let chain = pool(&kind, &sim).await;
        let solution = solve(&work_on_tip(&chain, &sim.node).await);
        let block = chain.assemble(&solution).expect(kind.name);
        let expected = match kind.name {
            "verge" => PowHash(scrypt_of(&solution.header)),
            _ => PowHash(sha256d(&solution.header)),
        };
        assert_eq!(block.id, expected.to_string(), "{}", kind.name);
        assert_eq!(chain.submit(&block).await, SubmitOutcome::Accepted, "{}", kind.name);
        assert_eq!(PowHash(tip(&sim.node)), expected, "{}: the node agrees", kind.name);
    }
}

fn scrypt_of(header: &[u8]) -> [u8; 32] {
    let params = scrypt::Params::new(10, 1, 1).expect("Litecoin's");
    let mut hash = [0; 32];
    scrypt::scrypt(header, header, &params, &mut hash).expect("32 bytes are a length");
    hash
}

/// What the judge says to the first nonce that makes a block, or to any if none may.
fn judged(template: &Arc<Template>, version_bits: u32) -> Judgement {
    let lease = ExtranonceSpace::new(0).lease().expect("an empty space");
    let mut book = JobBook::new(lease, NonceLayout::DEFAULT);
    let job = Job::new(JobId(1), 1, Arc::clone(template), true);
    book.issue(Arc::new(job), Difficulty::new(1e-9).expect("positive"));
    let mut answer = |nonce| {
        let submission = Submission {
            worker: WorkerId(1),
            job: JobId(1),
            extranonce2: Extranonce2::new(&[0; 8]).expect("eight bytes"),
            time: template.time,
            nonce,
            version_bits: Some(version_bits),
        };
        book.judge(&submission, template.version_mask)
    };
    let decides = |it: &Judgement| it.solution.is_some() || it.verdict == Err(Reject::VersionMask);
    (0..).map(&mut answer).find(decides).expect("an easy block takes a few hashes")
}

#[tokio::test]
async fn verge_miners_roll_no_bit_that_names_the_kind_of_block() {
    let kind = Kind::verge();
    let sim = Sim::start(kind.node(&VirtualTime::starting())).await;
    let chain = pool(&kind, &sim).await;
    for bit in 0..32 {
        let template = work_on_tip(&chain, &sim.node).await;
        let judgement = judged(&template, 1 << bit);
        let may = template.version_mask & (1 << bit) != 0;
        assert_eq!(may, (15..=28).contains(&bit), "bit {bit}");
        let Some(solution) = judgement.solution else {
            assert!(!may, "bit {bit}: {:?}", judgement.verdict);
            continue;
        };
        assert!(may, "bit {bit}");
        let block = chain.assemble(&solution).expect("a fresh template");
        assert_eq!(chain.submit(&block).await, SubmitOutcome::Accepted, "bit {bit}");
    }
    assert_eq!(height(&sim.node), 14, "a block for each bit there is");
}

#[tokio::test]
async fn work_of_the_wrong_kind_is_no_work_and_the_cause_says_why() {
    let rows = [(Some("x17"), "Invalid algorithm"), (None, "does the node know this algorithm?")];
    for (algorithm, word) in rows {
        let kind = Kind::verge();
        let template = TemplateRules {
            algorithm: algorithm.map(str::to_owned),
            ..kind.profile.template.clone()
        };
        let kind = Kind { profile: Profile { template, ..kind.profile }, ..kind };
        let sim = Sim::start(kind.node(&VirtualTime::starting())).await;
        let chain = pool(&kind, &sim).await;
        let cause = unhealthy(&chain).await;
        assert!(cause.contains(word) && cause.contains(&sim.name()), "{algorithm:?}: {cause}");
        assert_eq!(*chain.rounds().borrow(), None, "nothing to work on");
    }
}

#[tokio::test]
async fn t08_a_payout_address_the_chain_would_not_pay_is_refused_at_once() {
    let [bitcoin, .., verge] = Kind::all();
    // Of regtest, with a checksum, and nobody's.
    let rows = [
        (&verge, "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn", "no public key in the node's wallet"),
        (&verge, "1BoatSLRHtKNngkdXEeobR76b53LETtpyT", "version byte is 0"),
        (&bitcoin, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "begins with \"bc1\""),
    ];
    for (kind, address, word) in rows {
        let sim = Sim::start(kind.node(&VirtualTime::starting())).await;
        let config = NodeConfig {
            payout_address: Some(address.to_owned()),
            ..kind.config(vec![sim.endpoint()], &sim.node)
        };
        let refused = NodeChain::connect(config, VirtualTime::starting().clock()).await;
        let error: ConnectError = refused.expect_err(address);
        assert!(error.to_string().contains(word), "{address}: {error}");
    }
}
