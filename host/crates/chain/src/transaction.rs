//! A transaction taken apart, as far as a coinbase needs it: what it says and whom it pays.

use chimera_pow::sha256d;

use crate::wire::Reader;

/// The parts of a transaction this crate looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transaction {
    pub(crate) inputs: Vec<Input>,
    pub(crate) outputs: Vec<Output>,
    /// Whether it was serialised with a witness (BIP 144).
    pub(crate) witness: bool,
    /// Its bytes without witness: what the txid is made of.
    stripped: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) previous: [u8; 32],
    pub(crate) index: u32,
    pub(crate) script: Vec<u8>,
    pub(crate) sequence: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Output {
    /// In base units.
    pub(crate) value: u64,
    pub(crate) script: Vec<u8>,
}

impl Transaction {
    /// Reads one. `timed` chains have a time after the version. `None` if malformed.
    pub(crate) fn read(reader: &mut Reader<'_>, timed: bool) -> Option<Self> {
        let prefix = reader.take(if timed { 8 } else { 4 })?;
        let mut ahead = reader.clone();
        // BIP 144: no inputs and a flag announce a witness.
        let witness = !timed && ahead.array() == Some([0, 1]);
        if witness {
            *reader = ahead;
        }
        let body_starts = reader.rest();
        let inputs = read_list(reader, Input::read)?;
        let outputs = read_list(reader, Output::read)?;
        let body = &body_starts[..body_starts.len() - reader.rest().len()];
        if witness {
            for _ in &inputs {
                read_list(reader, |reader| reader.bytes().map(drop))?;
            }
        }
        let lock_time = reader.take(4)?;
        let stripped = [prefix, body, lock_time].concat();
        Some(Self { inputs, outputs, witness, stripped })
    }

    pub(crate) fn txid(&self) -> [u8; 32] {
        sha256d(&self.stripped)
    }

    /// A coinbase spends nothing: one input, which names no transaction.
    pub(crate) fn is_coinbase(&self) -> bool {
        matches!(&self.inputs[..], [only] if only.previous == [0; 32] && only.index == u32::MAX)
    }
}

impl Input {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let previous = reader.array()?;
        let index = reader.u32()?;
        let script = reader.bytes()?.to_vec();
        Some(Self { previous, index, script, sequence: reader.u32()? })
    }
}

impl Output {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self { value: reader.u64()?, script: reader.bytes()?.to_vec() })
    }
}

/// What a transaction is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hashes {
    /// Of its bytes without witness.
    pub(crate) txid: [u8; 32],
    /// Of all its bytes; the same where there is no witness.
    pub(crate) wtxid: [u8; 32],
    /// Its size without witness.
    pub(crate) stripped_bytes: usize,
}

/// Hashes one whole transaction without taking it apart. `None` if malformed.
pub(crate) fn hashes(bytes: &[u8], timed: bool) -> Option<Hashes> {
    let wtxid = sha256d(bytes);
    let plain = Hashes { txid: wtxid, wtxid, stripped_bytes: bytes.len() };
    // BIP 144: no inputs and a flag announce a witness.
    let mut reader = Reader::new(bytes);
    reader.take(if timed { 8 } else { 4 })?;
    if timed || reader.rest().get(..2)? != [0, 1] {
        return Some(plain);
    }
    reader.take(2)?;
    let body_starts = reader.rest();
    for _ in 0..reader.compact_size()? {
        // Of an input: the output it spends, a script, a sequence.
        reader.take(36)?;
        reader.bytes()?;
        reader.take(4)?;
    }
    for _ in 0..reader.compact_size()? {
        reader.take(8)?;
        reader.bytes()?;
    }
    let body = &body_starts[..body_starts.len() - reader.rest().len()];
    let stripped = [&bytes[..4], body, bytes.get(bytes.len() - 4..)?].concat();
    Some(Hashes { txid: sha256d(&stripped), stripped_bytes: stripped.len(), ..plain })
}

/// Every item takes bytes, so a false length fails at the end of the input, not in memory.
fn read_list<'a, T>(
    reader: &mut Reader<'a>,
    mut read: impl FnMut(&mut Reader<'a>) -> Option<T>,
) -> Option<Vec<T>> {
    let count = reader.compact_size()?;
    let mut items = Vec::new();
    for _ in 0..count {
        items.push(read(reader)?);
    }
    Some(items)
}
