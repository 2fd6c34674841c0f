//! Every rule of the embedded chain, broken alone.

use chimera_pow::{CompactBits, Header, sha256d};

use super::dev_block::{header, set_nonce};
use super::{DevChain, DevParams, NotAccepted, Placed, Refusal};
use crate::coinbase::{Recipe, halves, with_witness};

const NOW: u64 = 1_800_000_000;

/// When the twelve blocks begin, ten seconds apart, that the rules are tried on.
const EARLIER: u32 = NOW as u32 - 120;
/// The median of the last eleven: the seventh of the twelve.
const MEDIAN: u32 = EARLIER + 60;

/// The parts of a block, free to be wrong.
#[derive(Clone)]
struct Draft {
    previous: [u8; 32],
    time: u32,
    bits: CompactBits,
    height: u64,
    tag: Vec<u8>,
    value: u64,
    /// Applied to the coinbase before it is hashed.
    edit: fn(Vec<u8>) -> Vec<u8>,
    /// Applied to what follows the header.
    edit_body: fn(Vec<u8>) -> Vec<u8>,
    root: Option<[u8; 32]>,
    /// Whether the proof of work is to be right or wrong.
    solved: bool,
}

fn chain() -> DevChain {
    let easiest = CompactBits(0x207f_ffff);
    DevChain::in_memory(DevParams { easiest, ..DevParams::default() }).expect("good parameters")
}

fn on_tip_of(chain: &DevChain) -> Draft {
    let state = chain.state();
    let tip = state.tree.tip();
    Draft {
        previous: tip.hash.0,
        time: u32::try_from(NOW).expect("before 2106"),
        bits: state.tree.bits_after(tip.hash.0, chain.params()),
        height: tip.height + 1,
        tag: b"test".to_vec(),
        value: chain.params().subsidy_at(tip.height + 1),
        edit: |coinbase| coinbase,
        edit_body: |body| body,
        root: None,
        solved: true,
    }
}

impl Draft {
    fn bytes(&self) -> Vec<u8> {
        let (head, tail) = halves(&Recipe {
            version: 2,
            time: None,
            height: self.height,
            aux: &[],
            tag: &self.tag,
            hole_bytes: 8,
            value: self.value,
            payout_script: &[0x51],
            witness_commitment: None,
        })
        .expect("a short tag");
        let coinbase = (self.edit)([head, vec![0; 8], tail].concat());
        let root = self.root.unwrap_or_else(|| sha256d(&coinbase));
        let header = self.solve(header(4, &self.previous, &root, self.time, self.bits, 0));
        let body = (self.edit_body)([vec![1], coinbase].concat());
        [header.to_vec(), body].concat()
    }

    fn solve(&self, mut header: Header) -> Header {
        let target = self.bits.target().expect("bits of a draft are a target");
        for nonce in 0.. {
            set_nonce(&mut header, nonce);
            if target.is_met_by(&DevParams::default().algorithm.hash(&header)) == self.solved {
                break;
            }
        }
        header
    }
}

fn refusal(chain: &DevChain, draft: &Draft) -> Option<Refusal> {
    match chain.submit(&draft.bytes(), NOW) {
        Ok(_) => None,
        Err(NotAccepted::Refused(refusal)) => Some(refusal),
        Err(other) => panic!("{other:?}"),
    }
}

fn placed(chain: &DevChain, bytes: &[u8]) -> Option<Placed> {
    chain.submit(bytes, NOW).ok().map(|(_, placed)| placed)
}

#[test]
fn every_broken_rule_is_refused_with_its_name() {
    let chain = chain();
    for nth in 0..12 {
        let draft = Draft { time: EARLIER + 10 * nth, ..on_tip_of(&chain) };
        assert_eq!(refusal(&chain, &draft), None);
    }
    type Spoil = fn(&mut Draft);
    let rows: [(&str, Spoil, Refusal); 17] = [
        ("wrong work", |it| it.solved = false, Refusal::HighHash),
        ("easier than allowed", |it| it.bits = CompactBits(0x2100_ffff), Refusal::HighHash),
        ("unknown parent", |it| it.previous = [7; 32], Refusal::PreviousNotFound),
        ("bits of its own", |it| it.bits = CompactBits(0x2000_ffff), Refusal::BadBits),
        ("not after the median", |it| it.time = MEDIAN, Refusal::TimeTooOld),
        ("more than 2 h ahead", |it| it.time += 7201, Refusal::TimeTooNew),
        ("root of another", |it| it.root = Some([1; 32]), Refusal::BadMerkleRoot),
        ("height too low", |it| it.height -= 1, Refusal::CoinbaseHeight),
        ("height too high", |it| it.height += 1, Refusal::CoinbaseHeight),
        ("one unit too much", |it| it.value += 1, Refusal::CoinbaseAmount),
        ("all there is", |it| it.value = u64::MAX, Refusal::OutputNegative),
        ("no coinbase", |it| it.edit = spends_something, Refusal::CoinbaseMissing),
        ("no transaction", |it| it.edit_body = |_| vec![0], Refusal::CoinbaseMissing),
        ("two transactions", |it| it.edit_body = twice, Refusal::TransactionsUnsupported),
        ("script of 101", |it| it.edit = long_script, Refusal::CoinbaseLength),
        ("a witness", |it| it.edit_body = witnessed, Refusal::UnexpectedWitness),
        ("oversize", |it| it.edit = huge_output, Refusal::BadLength),
    ];
    let tip = *chain.tip().borrow();
    for (name, spoil, expected) in rows {
        let mut draft = on_tip_of(&chain);
        spoil(&mut draft);
        assert_eq!(refusal(&chain, &draft), Some(expected), "{name}");
        assert_eq!(*chain.tip().borrow(), tip, "{name} moved the tip");
    }
    assert_eq!(refusal(&chain, &on_tip_of(&chain)), None, "the draft itself was good");
}

#[test]
fn times_at_the_edge_are_good() {
    let chain = chain();
    let mut draft = on_tip_of(&chain);
    draft.time += 7200;
    assert_eq!(refusal(&chain, &draft), None, "exactly two hours ahead");
    let chain = self::chain();
    let mut draft = on_tip_of(&chain);
    draft.time = chain.state().tree.median_time(draft.previous) + 1;
    assert_eq!(refusal(&chain, &draft), None, "one second after the median");
}

#[test]
fn a_block_known_before_is_a_duplicate_of_its_kind() {
    let chain = chain();
    let first = on_tip_of(&chain);
    let rival = Draft { tag: b"rival".to_vec(), ..first.clone() };
    assert_eq!(placed(&chain, &first.bytes()), Some(Placed::Tip));
    assert_eq!(placed(&chain, &rival.bytes()), Some(Placed::Side));
    assert_eq!(refusal(&chain, &first), Some(Refusal::Duplicate));
    assert_eq!(refusal(&chain, &rival), Some(Refusal::DuplicateInconclusive));

    let tip = *chain.tip().borrow();
    let now_tip = chain.orphan(tip.hash).expect("a block above genesis");
    assert_eq!(now_tip.height, 1, "the rival took its place");
    assert_ne!(now_tip.hash, tip.hash);
    assert_eq!(refusal(&chain, &first), Some(Refusal::DuplicateInvalid));
    assert_eq!(refusal(&chain, &rival), Some(Refusal::Duplicate));
    let child = Draft { previous: tip.hash.0, height: 2, ..on_tip_of(&chain) };
    assert_eq!(refusal(&chain, &child), Some(Refusal::BadPrevious));
}

#[test]
fn bytes_that_are_no_block_are_malformed() {
    let chain = chain();
    let good = on_tip_of(&chain).bytes();
    let rows = [
        Vec::new(),
        good[..80].to_vec(),
        good[..good.len() - 1].to_vec(),
        [&good[..], &[0]].concat(),
        [&good[..80], &[0xff; 9]].concat(),
    ];
    for bytes in rows {
        let outcome = chain.submit(&bytes, NOW);
        assert!(matches!(outcome, Err(NotAccepted::Malformed)), "{} bytes", bytes.len());
    }
}

#[test]
fn no_flipped_bit_of_the_body_is_accepted() {
    let chain = chain();
    let good = on_tip_of(&chain).bytes();
    for bit in 80 * 8..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(chain.submit(&bytes, NOW).is_err(), "bit {bit}");
    }
    assert_eq!(placed(&chain, &good), Some(Placed::Tip));
}

fn twice(body: Vec<u8>) -> Vec<u8> {
    [&[2], &body[1..], &body[1..]].concat()
}

fn witnessed(body: Vec<u8>) -> Vec<u8> {
    [vec![1], with_witness(&body[1..])].concat()
}

fn spends_something(mut coinbase: Vec<u8>) -> Vec<u8> {
    coinbase[5] = 1;
    coinbase
}

/// Fills the script up to 101 bytes; its length stands at byte 41.
fn long_script(mut coinbase: Vec<u8>) -> Vec<u8> {
    let end = 42 + usize::from(coinbase[41]);
    let more = 101 - usize::from(coinbase[41]);
    coinbase.splice(end..end, vec![0; more]);
    coinbase[41] = 101;
    coinbase
}

/// Replaces the script of the one output, which is a single byte before the lock time.
fn huge_output(mut coinbase: Vec<u8>) -> Vec<u8> {
    let at = coinbase.len() - 6;
    let script = [&[0xfd, 0x10, 0x27][..], &[0x51; 10_000]].concat();
    coinbase.splice(at..at + 2, script);
    coinbase
}
