//! Passwords of the list, as they are or hashed: PBKDF2 with HMAC-SHA-256 (RFC 8018) in the
//! spelling of password databases, `$pbkdf2-sha256$i=10000$SALT$HASH`.
//!
//! Argon2 would be the first choice elsewhere. It wants tens of megabytes and tens of
//! milliseconds for one guess, and a decision has 50 ms; PBKDF2's price is chosen freely.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chimera_plugin_sdk::same_digest;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

const SCHEME: &str = "$pbkdf2-sha256$";

/// More would not fit into the time a decision has.
pub(crate) const ITERATIONS_MAX: u32 = 20_000;

const HASH_BYTES: usize = 32;

/// What a given password must match.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Expected<'a> {
    Plain(&'a str),
    Hashed { iterations: u32, salt: Vec<u8>, hash: [u8; HASH_BYTES] },
}

impl<'a> Expected<'a> {
    /// Reads a password of the list.
    ///
    /// # Errors
    /// What is wrong with a hash.
    pub(crate) fn parse(text: &'a str) -> Result<Self, String> {
        let Some(hashed) = text.strip_prefix(SCHEME) else {
            return Ok(Self::Plain(text));
        };
        let mut fields = hashed.split('$');
        let (Some(parameters), Some(salt), Some(hash), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err("it has not the three fields i=.., salt and hash".to_owned());
        };
        let iterations = parameters
            .strip_prefix("i=")
            .map(|number| number.strip_suffix(",l=32").unwrap_or(number))
            .and_then(|number| number.parse().ok())
            .filter(|iterations| (1..=ITERATIONS_MAX).contains(iterations))
            .ok_or_else(|| format!("{parameters:?} is not i=1 to i={ITERATIONS_MAX}"))?;
        let decode = |field: &str| STANDARD_NO_PAD.decode(field.trim_end_matches('='));
        let salt = decode(salt).map_err(|_| "its salt is not base64".to_owned())?;
        let hash = decode(hash).map_err(|_| "its hash is not base64".to_owned())?;
        let hash = hash.try_into().map_err(|_| format!("its hash has not {HASH_BYTES} bytes"))?;
        Ok(Self::Hashed { iterations, salt, hash })
    }

    /// Whether it is this password; the time taken tells nothing about the answer.
    pub(crate) fn is(&self, given: &str) -> bool {
        match self {
            // Digests have one length, whatever the passwords'.
            Self::Plain(expected) => same_digest(digest(given), digest(expected)),
            Self::Hashed { iterations, salt, hash } => {
                same_digest(pbkdf2(given.as_bytes(), salt, *iterations), *hash)
            }
        }
    }
}

fn digest(text: &str) -> [u8; HASH_BYTES] {
    Sha256::digest(text.as_bytes()).into()
}

/// The first block of PBKDF2, which is as long as the hash.
fn pbkdf2(password: &[u8], salt: &[u8], iterations: u32) -> [u8; HASH_BYTES] {
    // HMAC takes keys of every length.
    let Ok(keyed) = Hmac::<Sha256>::new_from_slice(password) else { return [0; HASH_BYTES] };
    let of = |parts: [&[u8]; 2]| -> [u8; HASH_BYTES] {
        let mut mac = keyed.clone();
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    };
    let mut last = of([salt, &1_u32.to_be_bytes()]);
    let mut sum = last;
    for _ in 1..iterations {
        last = of([&last, &[]]);
        sum.iter_mut().zip(&last).for_each(|(sum, byte)| *sum ^= byte);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// RFC 7914, section 11 (the first 32 bytes of its first vector), and the vectors of
    /// RFC 6070 with SHA-256 in place of SHA-1.
    #[test]
    fn known_answers() {
        for (password, salt, iterations, hash) in [
            (
                "passwd",
                "salt",
                1,
                "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc",
            ),
            (
                "password",
                "salt",
                1,
                "120fb6cffcf8b32c43e7225256c4f837a86548c92ccc35480805987cb70be17b",
            ),
            (
                "password",
                "salt",
                2,
                "ae4d0c95af6b46d32d0adff928f06dd02a303f8ef3c251dfd6e2d85a95474c43",
            ),
            (
                "password",
                "salt",
                4096,
                "c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a",
            ),
        ] {
            let found = pbkdf2(password.as_bytes(), salt.as_bytes(), iterations);
            assert_eq!(hex(&found), hash, "{password} {iterations}");
        }
    }

    #[test]
    fn passwords_match_whole_plain_or_hashed() {
        let hashed = "$pbkdf2-sha256$i=1$c2FsdA$Eg+2z/z4syxD5yJSVsT4N6hlSMkszDVICAWYfLcL4Xs";
        let padded = format!("{}=", hashed.replace("i=1", "i=1,l=32"));
        for (expected, given, matches) in [
            ("secret", "secret", true),
            ("secret", "Secret", false),
            ("secret", "secret ", false),
            ("", "", true),
            ("", "x", false),
            (hashed, "password", true),
            (hashed, "passwort", false),
            (hashed, hashed, false),
            (padded.as_str(), "password", true),
        ] {
            assert_eq!(Expected::parse(expected).unwrap().is(given), matches, "{expected} {given}");
        }
    }

    #[test]
    fn a_broken_hash_says_what_is_wrong() {
        for (text, reason) in [
            ("$pbkdf2-sha256$i=1$c2FsdA", "three fields"),
            ("$pbkdf2-sha256$i=0$c2FsdA$AAAA", "i=1 to i=20000"),
            ("$pbkdf2-sha256$600000$c2FsdA$AAAA", "i=1 to i=20000"),
            ("$pbkdf2-sha256$i=1$!$AAAA", "salt is not base64"),
            ("$pbkdf2-sha256$i=1$c2FsdA$!", "hash is not base64"),
            ("$pbkdf2-sha256$i=1$c2FsdA$AAAA", "has not 32 bytes"),
        ] {
            let refusal = Expected::parse(text).unwrap_err();
            assert!(refusal.contains(reason), "{text}: {refusal}");
        }
    }
}
