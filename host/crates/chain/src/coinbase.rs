//! The coinbase transaction, in two halves around the nonce space.

use crate::wire::put_compact_size;

/// Consensus: a coinbase script has 2 to 100 bytes.
pub(crate) const SCRIPT_SIG_BYTES: std::ops::RangeInclusive<usize> = 2..=100;

/// What a coinbase says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recipe<'a> {
    pub(crate) version: u32,
    /// For chains whose transactions carry one.
    pub(crate) time: Option<u32>,
    pub(crate) height: u64,
    /// Bytes the node wants in the script (BIP 22 `coinbaseaux`).
    pub(crate) aux: &'a [u8],
    /// The pool's name, for explorers.
    pub(crate) tag: &'a [u8],
    /// Size of the nonce space.
    pub(crate) hole_bytes: usize,
    /// In base units.
    pub(crate) value: u64,
    pub(crate) payout_script: &'a [u8],
    /// The whole script of the commitment output (BIP 141), as the node gave it.
    pub(crate) witness_commitment: Option<&'a [u8]>,
}

/// A script longer than consensus allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the coinbase script would have {0} bytes; consensus allows 100")]
pub(crate) struct ScriptTooLong(pub(crate) usize);

/// The bytes before and after the hole, without witness: their hash is the txid.
///
/// The payout is always the first output: this is how a block found again on the chain tells
/// what it paid.
pub(crate) fn halves(recipe: &Recipe<'_>) -> Result<(Vec<u8>, Vec<u8>), ScriptTooLong> {
    let mut script = height_push(recipe.height);
    script.extend_from_slice(recipe.aux);
    if !recipe.tag.is_empty() {
        put_push(&mut script, recipe.tag);
    }
    // The nonce space is a pushed item too, so that the script stays readable.
    put_push_opcode(&mut script, recipe.hole_bytes);
    let script_bytes = script.len() + recipe.hole_bytes;
    if !SCRIPT_SIG_BYTES.contains(&script_bytes) {
        return Err(ScriptTooLong(script_bytes));
    }

    let mut head = recipe.version.to_le_bytes().to_vec();
    head.extend(recipe.time.map(u32::to_le_bytes).into_iter().flatten());
    head.push(1);
    head.extend_from_slice(&[0; 32]);
    head.extend_from_slice(&u32::MAX.to_le_bytes());
    put_compact_size(&mut head, script_bytes);
    head.extend_from_slice(&script);

    let mut tail = u32::MAX.to_le_bytes().to_vec();
    put_compact_size(&mut tail, 1 + usize::from(recipe.witness_commitment.is_some()));
    put_output(&mut tail, recipe.value, recipe.payout_script);
    if let Some(commitment) = recipe.witness_commitment {
        put_output(&mut tail, 0, commitment);
    }
    tail.extend_from_slice(&[0; 4]);
    Ok((head, tail))
}

/// The same transaction with the witness a coinbase has in a segwit block (BIP 141): one item,
/// the reserved value, 32 zero bytes.
pub(crate) fn with_witness(stripped: &[u8]) -> Vec<u8> {
    let (version, rest) = stripped.split_at(4);
    let (body, lock_time) = rest.split_at(rest.len() - 4);
    [version, &[0, 1], body, &[1, 32], &[0; 32], lock_time].concat()
}

/// The height as the first item of the script (BIP 34), as Core's `CScript() << height`
/// writes it: 0 to 16 are opcodes, others the shortest signed little-endian number.
pub(crate) fn height_push(height: u64) -> Vec<u8> {
    match height {
        0 => vec![0x00],
        1..=16 => vec![0x50 + height as u8],
        _ => {
            let mut number = height.to_le_bytes().to_vec();
            while number.last() == Some(&0) {
                number.pop();
            }
            if number.last().is_some_and(|top| top & 0x80 != 0) {
                number.push(0);
            }
            let mut script = Vec::new();
            put_push(&mut script, &number);
            script
        }
    }
}

/// Appends an item to a script.
pub(crate) fn put_push(script: &mut Vec<u8>, item: &[u8]) {
    put_push_opcode(script, item.len());
    script.extend_from_slice(item);
}

fn put_push_opcode(script: &mut Vec<u8>, bytes: usize) {
    const OP_PUSHDATA1: u8 = 0x4c;
    if bytes >= usize::from(OP_PUSHDATA1) {
        script.push(OP_PUSHDATA1);
    }
    // Longer items than a script may have are refused by their caller.
    script.push(u8::try_from(bytes).unwrap_or(u8::MAX));
}

fn put_output(out: &mut Vec<u8>, value: u64, script: &[u8]) {
    out.extend_from_slice(&value.to_le_bytes());
    put_compact_size(out, script.len());
    out.extend_from_slice(script);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bip34_heights_are_pushed_in_the_shortest_form() {
        let rows = [
            (0, "00"),
            (1, "51"),
            (16, "60"),
            (17, "0111"),
            (127, "017f"),
            (128, "028000"),
            (255, "02ff00"),
            (256, "020001"),
            (32_767, "02ff7f"),
            (32_768, "03008000"),
            // The block of BIP 34's own example.
            (227_836, "03fc7903"),
            (8_388_608, "0400008000"),
        ];
        for (height, script) in rows {
            assert_eq!(hex::encode(height_push(height)), script, "height {height}");
        }
    }

    #[test]
    fn a_script_above_100_bytes_is_refused_before_a_node_can() {
        let recipe = |tag| Recipe {
            version: 2,
            time: None,
            height: 1000,
            aux: &[],
            tag,
            hole_bytes: 20,
            value: 1,
            payout_script: &[0x51],
            witness_commitment: None,
        };
        assert!(halves(&recipe(&[b'x'; 75])).is_ok());
        assert_eq!(halves(&recipe(&[b'x'; 76])), Err(ScriptTooLong(102)));
    }
}
