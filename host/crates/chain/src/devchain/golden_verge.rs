//! Verge blocks a real node accepted, spoiled in one way each.

use chimera_pow::Header;

use super::golden_blocks::{goldens, verdict};
use super::{DevParams, DevRules, merkle_check, verge};

/// A Verge block in parts.
#[derive(Clone)]
struct Parts {
    header: Header,
    time: Option<u32>,
    previous: [u8; 32],
    script: Vec<u8>,
    outputs: Vec<Vec<u8>>,
    /// The transactions after the coinbase.
    others: Vec<u8>,
    count: u8,
    signature: Vec<u8>,
    /// Whether the root is made right.
    rooted: bool,
    /// Whether the work is to be right.
    solved: bool,
}

impl Parts {
    /// Of a coinbase with one output, as recorded.
    fn of(bytes: &[u8]) -> Self {
        let (header, rest) = bytes.split_first_chunk::<80>().expect("a header");
        // Count 1, version 4, time 4, one input of 36, script with its length, sequence 4.
        let script_bytes = usize::from(rest[46]);
        let output_at = 47 + script_bytes + 4 + 1;
        let output_bytes = 8 + 1 + usize::from(rest[output_at + 8]);
        let end = output_at + output_bytes + 4;
        Self {
            header: *header,
            time: Some(u32::from_le_bytes(rest[5..9].try_into().expect("four"))),
            previous: [0; 32],
            script: rest[47..47 + script_bytes].to_vec(),
            outputs: vec![rest[output_at..output_at + output_bytes].to_vec()],
            others: rest[end..rest.len() - 1].to_vec(),
            count: rest[0],
            signature: vec![0],
            rooted: true,
            solved: true,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut coinbase = vec![1, 0, 0, 0];
        coinbase.extend(self.time.into_iter().flat_map(u32::to_le_bytes));
        coinbase.push(1);
        coinbase.extend(self.previous);
        coinbase.extend(u32::MAX.to_le_bytes());
        coinbase.push(u8::try_from(self.script.len()).expect("short"));
        coinbase.extend(&self.script);
        coinbase.extend(u32::MAX.to_le_bytes());
        coinbase.push(u8::try_from(self.outputs.len()).expect("few"));
        coinbase.extend(self.outputs.concat());
        coinbase.extend([0; 4]);
        let body = [&[self.count], &coinbase[..], &self.others, &self.signature].concat();
        let mut header = self.header;
        let parsed = verge::TimedTransaction::read_body(&body);
        if let Some(all) = parsed.filter(|_| self.rooted) {
            let ids: Vec<[u8; 32]> = all.iter().map(|one| one.transaction.txid()).collect();
            header[36..68].copy_from_slice(&merkle_check::root(&ids).0.unwrap_or_default());
        }
        let params = DevParams::regtest(DevRules::Verge);
        let target = params.easiest.target().expect("a target");
        while target.is_met_by(&params.algorithm.hash(&header)) != self.solved {
            header[76] = header[76].wrapping_add(1);
        }
        [&header[..], &body].concat()
    }

    fn version(&mut self, version: u32) {
        self.header[..4].copy_from_slice(&version.to_le_bytes());
    }

    fn header_time(&mut self, after: i64) {
        let time = i64::from(self.time.expect("it has one")) + after;
        let time = u32::try_from(time).expect("a time");
        self.header[68..72].copy_from_slice(&time.to_le_bytes());
    }

    fn pay(&mut self, script: &[u8]) {
        self.outputs[0].truncate(8);
        self.outputs[0].push(u8::try_from(script.len()).expect("short"));
        self.outputs[0].extend(script);
    }
}

const TIME: &str = "transaction-time-too-new";

#[test]
fn spoiled_verge_blocks_are_refused_with_the_nodes_word() {
    type Spoil = fn(&mut Parts);
    let rows: [(&str, Spoil, &str); 24] = [
        ("nothing", |_| {}, ""),
        ("no signature field", |it| it.signature.clear(), "Block decode failed"),
        ("a byte too much", |it| it.signature.push(0), "Block decode failed"),
        ("half a signature", |it| it.signature = vec![2, 7], "Block decode failed"),
        ("no time", |it| it.time = None, "Block decode failed"),
        ("rolled into 0x4000", |it| it.version(0x6002), "unknown-algo"),
        ("another algorithm", |it| it.version(0x2802), "unknown-algo"),
        ("scrypt", |it| it.version(2), "high-hash"),
        ("high bits rolled", |it| it.version(0x2001_2002), ""),
        ("no work", |it| it.solved = false, "high-hash"),
        ("too easy", |it| it.header[75] = 0x21, "high-hash"),
        ("root", |it| (it.rooted = false, it.header[40] ^= 1).1, "bad-txnmrklroot"),
        ("no coinbase", |it| it.previous = [1; 32], "bad-cb-missing"),
        ("script of 1", |it| it.script = vec![0], "bad-cb-length"),
        ("script of 101", |it| it.script = vec![0; 101], "bad-cb-length"),
        ("no height", |it| it.script = vec![0; 2], ""),
        ("no outputs", |it| it.outputs.clear(), "bad-txns-vout-empty"),
        ("header before coinbase", |it| it.header_time(-1), TIME),
        ("ten minutes after", |it| it.header_time(600), ""),
        ("and a second", |it| it.header_time(601), TIME),
        ("to a key hash", |it| it.pay(&pay_to_key_hash()), verge::UNSIGNABLE),
        ("to another key", |it| it.pay(&pay_to_key([3; 33])), verge::UNSIGNABLE),
        ("to no known script", |it| it.outputs.push(strange_output()), verge::UNSIGNABLE),
        ("and to a key hash", |it| it.outputs.push(key_hash_output()), ""),
    ];
    for golden in goldens("verge") {
        assert_eq!(Parts::of(&golden.bytes).bytes(), golden.bytes, "{}", golden.name);
        for (name, spoil, word) in &rows {
            let mut parts = Parts::of(&golden.bytes);
            spoil(&mut parts);
            let found = verdict(DevRules::Verge, &parts.bytes(), golden.height);
            assert_eq!(found, *word, "{}: {name}", golden.name);
        }
    }
}

fn pay_to_key_hash() -> Vec<u8> {
    [&[0x76, 0xa9, 20], &[7; 20][..], &[0x88, 0xac]].concat()
}

fn pay_to_key(key: [u8; 33]) -> Vec<u8> {
    [&[33], &key[..], &[0xac]].concat()
}

fn key_hash_output() -> Vec<u8> {
    [&[0; 8][..], &[25], &pay_to_key_hash()].concat()
}

fn strange_output() -> Vec<u8> {
    [&[0; 8][..], &[1, 0x51]].concat()
}
