//! The line of a submit, made once per job: afterwards only the digits of its id, extranonce2
//! and nonce are overwritten.

/// Digits of every id: fixed, so that a line never changes its length.
pub(super) const ID_DIGITS: usize = 10;
/// The smallest number with so many digits; ids stay below 2^31 for pools with small integers.
pub(super) const ID_FIRST: u64 = 1_000_000_000;

/// What a submit is made of, as bytes of JSON text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    pub(super) user: &'a str,
    pub(super) job_id: &'a [u8],
    pub(super) ntime: &'a [u8],
    pub(super) extranonce2_bytes: usize,
}

/// One connection's line for its current job.
#[derive(Debug, Clone, Default)]
pub(super) struct Template {
    line: Vec<u8>,
    extranonce2_at: usize,
    extranonce2_bytes: usize,
    nonce_at: usize,
}

const HEAD: &[u8] = b"{\"id\":";

impl Template {
    pub(super) fn new(fields: Fields<'_>) -> Self {
        let Fields { user, job_id, ntime, extranonce2_bytes } = fields;
        let mut line = HEAD.to_vec();
        line.extend([b'0'; ID_DIGITS]);
        line.extend(b",\"method\":\"mining.submit\",\"params\":[");
        line.extend(serde_json::Value::from(user).to_string().as_bytes());
        line.extend(b",\"");
        line.extend(job_id);
        line.extend(b"\",\"");
        let extranonce2_at = line.len();
        line.extend(std::iter::repeat_n(b'0', 2 * extranonce2_bytes));
        line.extend(b"\",\"");
        line.extend(ntime);
        line.extend(b"\",\"");
        let nonce_at = line.len();
        line.extend(b"00000000\"]}\n");
        Self { line, extranonce2_at, extranonce2_bytes, nonce_at }
    }

    /// Whether there was a job yet.
    pub(super) const fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    /// Appends the line of one submit. The extranonce2 is a counter, lowest byte first.
    #[inline]
    pub(super) fn append(&self, out: &mut Vec<u8>, id: u64, extranonce2: u64, nonce: u32) {
        let start = out.len();
        out.extend_from_slice(&self.line);
        let line = &mut out[start..];
        decimal(&mut line[HEAD.len()..HEAD.len() + ID_DIGITS], id);
        let digits = &mut line[self.extranonce2_at..];
        hex(&mut digits[..2 * self.extranonce2_bytes.min(8)], &extranonce2.to_le_bytes());
        hex(&mut line[self.nonce_at..self.nonce_at + 8], &nonce.to_be_bytes());
    }
}

#[inline]
fn decimal(digits: &mut [u8], mut number: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[inline]
fn hex(digits: &mut [u8], bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(extranonce2_bytes: usize, id: u64, extranonce2: u64, nonce: u32) -> String {
        let fields =
            Fields { user: "a\"b.1", job_id: b"4f", ntime: b"65000000", extranonce2_bytes };
        let template = Template::new(fields);
        let mut out = b"before\n".to_vec();
        template.append(&mut out, id, extranonce2, nonce);
        let text = String::from_utf8(out).expect("text");
        text.strip_prefix("before\n").expect("appended").to_owned()
    }

    #[test]
    fn only_the_digits_change() {
        assert_eq!(
            line(4, ID_FIRST + 7, 0x0102_0304, 0xdead_beef),
            "{\"id\":1000000007,\"method\":\"mining.submit\",\"params\":[\"a\\\"b.1\",\"4f\",\
             \"04030201\",\"65000000\",\"deadbeef\"]}\n"
        );
    }

    #[test]
    fn an_extranonce2_of_any_size_is_filled_from_its_lowest_byte() {
        for (bytes, digits) in
            [(1, "04"), (2, "0403"), (8, "0403020100000000"), (12, "040302010000000000000000")]
        {
            let line = line(bytes, ID_FIRST, 0x0102_0304, 0);
            assert!(line.contains(&format!("\"4f\",\"{digits}\",\"65000000\"")), "{line}");
            let parsed: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            assert_eq!(parsed["params"][0], "a\"b.1");
        }
    }
}
