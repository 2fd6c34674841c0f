//! How integers and lists stand in blocks and transactions (Bitcoin's serialisation).

/// Appends a list length in its shortest form ("CompactSize").
pub(crate) fn put_compact_size(out: &mut Vec<u8>, value: usize) {
    let value = value as u64;
    match value {
        0..=0xfc => out.push(value as u8),
        0xfd..=0xffff => {
            out.push(0xfd);
            out.extend_from_slice(&(value as u16).to_le_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(0xfe);
            out.extend_from_slice(&(value as u32).to_le_bytes());
        }
        _ => {
            out.push(0xff);
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
}

/// Reads serialised bytes front to back. `None` means: they end too early or are malformed.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*taken)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A list length; only the shortest form is one, as in Bitcoin Core's `ReadCompactSize`.
    pub(crate) fn compact_size(&mut self) -> Option<u64> {
        let [first] = self.array()?;
        let (value, least) = match first {
            0xfd => (u64::from(u16::from_le_bytes(self.array()?)), 0xfd),
            0xfe => (u64::from(self.u32()?), 0x1_0000),
            0xff => (self.u64()?, 0x1_0000_0000),
            small => (u64::from(small), 0),
        };
        (value >= least).then_some(value)
    }

    /// A byte string with its length before it.
    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let count = usize::try_from(self.compact_size()?).ok()?;
        self.take(count)
    }
}

/// Bytes from hexadecimal digits of either case; `None` if there is anything else. A template
/// of 4,000 transactions has three million digits, so it looks them up.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; text.len() / 2];
    from_hex_into(text, &mut bytes).then_some(bytes)
}

/// The same into bytes of the right number; tells whether it was one.
fn from_hex_into(text: &str, bytes: &mut [u8]) -> bool {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != bytes.len() || !rest.is_empty() {
        return false;
    }
    // Told once at the end: no branch for each of millions.
    let mut wrong = 0;
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let (high, low) = (DIGITS[usize::from(*high)], DIGITS[usize::from(*low)]);
        wrong |= (high | low) & NO_DIGIT;
        *byte = high << 4 | low & 0x0f;
    }
    wrong == 0
}

const NO_DIGIT: u8 = 0x80;

/// The value of each character that is a digit.
static DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789abcdef"[value] as usize] = value as u8;
        digits[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    digits
};

/// Display order (most significant byte first, as nodes print hashes) to header order and back.
pub(crate) fn reversed(mut hash: [u8; 32]) -> [u8; 32] {
    hash.reverse();
    hash
}

/// Reads a hash as nodes print it.
pub(crate) fn parse_display_hash(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    from_hex_into(text, &mut hash).then(|| reversed(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_is_read_as_others_read_it() {
        let every: Vec<u8> = (0..=255).collect();
        assert_eq!(from_hex(&hex::encode(&every)), Some(every.clone()));
        assert_eq!(from_hex(&hex::encode_upper(&every)), Some(every));
        assert_eq!(from_hex(""), Some(Vec::new()));
        for character in 0..=char::from(255) as u32 {
            let character = char::from_u32(character).expect("of Latin-1");
            for text in [format!("0{character}"), format!("{character}0"), character.to_string()] {
                assert_eq!(from_hex(&text), hex::decode(&text).ok(), "{text:?}");
            }
        }
    }

    #[test]
    fn a_length_has_one_form_only() {
        for value in [0, 1, 0xfc, 0xfd, 0xffff, 0x1_0000, 0xffff_ffff, 0x1_0000_0000] {
            let mut bytes = Vec::new();
            put_compact_size(&mut bytes, value);
            assert_eq!(Reader::new(&bytes).compact_size(), Some(value as u64));
        }
        for wrong in ["fdfc00", "feffff0000", "ffffffffff00000000", "fd01", ""] {
            let bytes = hex::decode(wrong).expect("hex");
            assert_eq!(Reader::new(&bytes).compact_size(), None, "{wrong}");
        }
    }
}
