//! The submit that nearly every miner sends, read in one pass. What is spelled otherwise is
//! read by the general parser, which alone knows what is wrong with a line: this one only
//! knows what is right, and must then say the same (the tests below compare them).

use std::borrow::Cow;

use chimera_work::{Extranonce2, JobId};

use crate::request::{Call, Request};
use crate::request_id::RequestId;
use crate::submit::{EXTRANONCE2_DIGITS_MAX, Submit};

/// Longer numbers are nobody's, and the general parser's.
const ID_DIGITS_MAX: usize = 19;

/// Reads `{"id":1,"method":"mining.submit","params":["user","job","00","00000000","00000000"]}`:
/// the members in any order, with or without blanks and version bits.
pub(crate) fn parse(line: &[u8]) -> Option<Request<'_>> {
    let mut scan = Scan(line);
    let (mut id, mut method, mut params) = (None, None, None);
    // A blank before it is the general parser's to refuse.
    scan.takes(b"{").then_some(())?;
    scan.blanks();
    loop {
        // What comes twice is somebody else's to judge.
        if scan.takes(b"\"id\"") && id.is_none() {
            scan.token(b':')?;
            id = Some(scan.number()?);
        } else if scan.takes(b"\"method\"") && method.is_none() {
            scan.token(b':')?;
            method = Some(scan.takes(b"\"mining.submit\"").then_some(())?);
        } else if scan.takes(b"\"params\"") && params.is_none() {
            scan.token(b':')?;
            params = Some(scan.params()?);
        } else {
            return None;
        }
        if !scan.is_next(b',') {
            break;
        }
    }
    scan.token(b'}')?;
    method?;
    let (id, submit) = (RequestId::short(id?)?, params?);
    scan.0.is_empty().then_some(Request { id, call: Ok(Call::Submit(submit)) })
}

/// What is left of a line.
struct Scan<'a>(&'a [u8]);

impl<'a> Scan<'a> {
    fn blanks(&mut self) {
        while let [b' ', rest @ ..] = self.0 {
            self.0 = rest;
        }
    }

    /// Passes over one character and the blanks around it; false if another comes.
    fn is_next(&mut self, byte: u8) -> bool {
        self.blanks();
        let Some((&found, rest)) = self.0.split_first() else { return false };
        if found == byte {
            self.0 = rest;
            self.blanks();
        }
        found == byte
    }

    fn token(&mut self, byte: u8) -> Option<()> {
        self.is_next(byte).then_some(())
    }

    fn takes(&mut self, text: &[u8]) -> bool {
        let rest = self.0.strip_prefix(text);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// As many bytes as are of a kind.
    fn run(&mut self, is_of_it: impl Fn(u8) -> bool) -> &'a [u8] {
        let length = self.0.iter().position(|&byte| !is_of_it(byte)).unwrap_or(self.0.len());
        let (run, rest) = self.0.split_at(length);
        self.0 = rest;
        run
    }

    fn quote(&mut self) -> Option<()> {
        self.takes(b"\"").then_some(())
    }

    /// A whole number as JSON spells it.
    fn number(&mut self) -> Option<&'a [u8]> {
        let digits = self.run(|byte| byte.is_ascii_digit());
        let plain = digits.len() == 1 || !digits.starts_with(b"0");
        (plain && (1..=ID_DIGITS_MAX).contains(&digits.len())).then_some(digits)
    }

    fn params(&mut self) -> Option<Submit<'a>> {
        self.token(b'[')?;
        let user = Cow::Borrowed(self.user()?);
        self.token(b',')?;
        let job = Some(JobId(self.job()?));
        self.token(b',')?;
        let extranonce2 = self.extranonce2()?;
        self.token(b',')?;
        let time = self.word()?;
        self.token(b',')?;
        let nonce = self.word()?;
        let version_bits = if self.is_next(b',') { Some(self.word()?) } else { None };
        self.token(b']')?;
        Some(Submit { user, job, extranonce2, time, nonce, version_bits })
    }

    /// A name without anything that stands for something else.
    fn user(&mut self) -> Option<&'a str> {
        self.quote()?;
        let user = self.run(|byte| matches!(byte, b' '..=b'~') && !b"\"\\%".contains(&byte));
        self.quote()?;
        str::from_utf8(user).ok()
    }

    fn job(&mut self) -> Option<u32> {
        self.quote()?;
        let digits = self.run(|byte| byte.is_ascii_hexdigit());
        self.quote()?;
        if !(1..=8).contains(&digits.len()) {
            return None;
        }
        digits.iter().try_fold(0, |number, &digit| Some(number << 4 | u32::from(value(digit)?)))
    }

    fn extranonce2(&mut self) -> Option<Extranonce2> {
        self.quote()?;
        let digits = self.run(|byte| byte.is_ascii_hexdigit());
        self.quote()?;
        let mut bytes = [0; EXTRANONCE2_DIGITS_MAX / 2];
        let bytes = bytes.get_mut(..digits.len() / 2)?;
        let (pairs, []) = digits.as_chunks::<2>() else { return None };
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = value(*high)? << 4 | value(*low)?;
        }
        Extranonce2::new(bytes)
    }

    /// Eight hex digits, most significant first.
    fn word(&mut self) -> Option<u32> {
        self.quote()?;
        let (digits, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        self.quote()?;
        digits.iter().try_fold(0, |number, &digit| Some(number << 4 | u32::from(value(digit)?)))
    }
}

/// The value of a hex digit.
const fn value(digit: u8) -> Option<u8> {
    match VALUES[digit as usize] {
        NO_DIGIT => None,
        value => Some(value),
    }
}

const NO_DIGIT: u8 = u8::MAX;

const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut digit = 0;
    while digit < 16 {
        values[b"0123456789abcdef"[digit] as usize] = digit as u8;
        values[b"0123456789ABCDEF"[digit] as usize] = digit as u8;
        digit += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As miners spell it: the family of cpuminer, cgminer with version bits, ESP-Miner.
    const SPELLINGS: [&str; 4] = [
        r#"{"method": "mining.submit", "params": ["a.b", "100", "00ff", "6b00b23c", "DEADbeef"], "id":4}"#,
        r#"{"params":["a","ffffffff","","00000000","00000000","1fffe000"],"id":0,"method":"mining.submit"}"#,
        r#"{"id":18446744073709551,"method":"mining.submit","params":["","1","000102030405060708090a0b0c0d0e0f","00000000","00000000"]}"#,
        r#"{ "id" : 7 , "method" : "mining.submit" , "params" : [ "a" , "0" , "00" , "00000000" , "00000000" ] }"#,
    ];

    fn agree(line: &[u8]) -> bool {
        let Some(ours) = parse(line) else { return false };
        let general = Request::parse_any(line);
        assert_eq!((ours.id, ours.call), (general.id, general.call), "{}", line.escape_ascii());
        true
    }

    #[test]
    fn every_miners_spelling_is_read_the_short_way() {
        for line in SPELLINGS {
            assert!(agree(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn what_is_spelled_otherwise_is_left_to_the_general_parser() {
        let usual = SPELLINGS[0];
        for (found, instead) in [
            ("\"id\":4", "\"id\":04"),
            ("\"id\":4", "\"id\":4.0"),
            ("\"id\":4", "\"id\":null"),
            ("\"id\":4", "\"id\":\"4\""),
            ("\"id\":4", "\"id\":4,\"id\":4"),
            ("\"id\":4", "\"id\":4,\"jsonrpc\":\"2.0\""),
            ("\"id\":4", "\"id\":4,"),
            ("\"id\":4}", "\"id\":4"),
            ("\"id\":4}", "\"id\":4}}"),
            ("submit", "submi\\u0074"),
            ("a.b", "a%2Eb"),
            ("a.b", "a\\u002eb"),
            ("a.b", "é"),
            ("00ff", "00f"),
            ("00ff", "00fg"),
            ("00ff", "000102030405060708090a0b0c0d0e0f10"),
            ("\"100\"", "\"000000100\""),
            ("\"100\"", "\"\""),
            ("6b00b23c", "6b00b23"),
            ("6b00b23c", "6b00b23cc"),
            ("DEADbeef", "DEADbeeg"),
            (", \"DEADbeef\"", ""),
            ("DEADbeef\"", "DEADbeef\", null"),
            ("DEADbeef\"", "DEADbeef\", \"00000000\", \"\""),
        ] {
            let line = usual.replace(found, instead);
            assert_ne!(line, usual, "{found}");
            assert!(parse(line.as_bytes()).is_none(), "{line}");
        }
        assert!(parse(format!(" {usual}").as_bytes()).is_none(), "a blank before it");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        /// Whatever it takes for a submit, the general parser reads as the same.
        #[test]
        fn it_says_what_the_general_parser_says(
            spelling in 0..SPELLINGS.len(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..4, prop_oneof![
                any::<u8>(),
                prop::sample::select(b"\"\\{}[]:, 0a%.\x00\xc3".to_vec()),
            ]), 0..4),
        ) {
            let mut line = SPELLINGS[spelling].as_bytes().to_vec();
            for (at, how, byte) in changes {
                let at = at.index(line.len());
                match how {
                    0 => line[at] = byte,
                    1 => line.insert(at, byte),
                    2 if line.len() > 1 => drop(line.remove(at)),
                    _ => line.truncate(at.max(1)),
                }
            }
            agree(&line);
        }
    }
}
