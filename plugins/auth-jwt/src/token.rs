//! Signed tokens: JSON Web Signature in compact form (RFC 7515), HS256 or EdDSA (RFC 8037).
//!
//! The operator says which algorithm signs; what the token says is only compared with it. So
//! there is no `none`, and no public key is ever taken for a shared one.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;

/// How tokens are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
pub enum Algorithm {
    /// HMAC with SHA-256: issuer and pool share the key.
    #[serde(rename = "HS256")]
    Hs256,
    /// Ed25519: the pool has the public key only.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// What signatures are checked with.
pub(crate) enum Key {
    Hs256(Vec<u8>),
    EdDsa(VerifyingKey),
}

/// RFC 7518, 3.2: no shorter than the hash.
const HS256_KEY_BYTES_MIN: usize = 32;
/// What stands before the 32 bytes of an Ed25519 key in a PEM file (RFC 8410).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 3, 0x21, 0];

impl Key {
    /// Reads a key from a secret.
    ///
    /// # Errors
    /// What is wrong with it, in words for the operator; never the key itself.
    pub(crate) fn read(algorithm: Algorithm, secret: &[u8]) -> Result<Self, String> {
        match algorithm {
            Algorithm::Hs256 if secret.len() < HS256_KEY_BYTES_MIN => {
                Err(format!("a key of {} bytes; HS256 wants 32 or more", secret.len()))
            }
            Algorithm::Hs256 => Ok(Self::Hs256(secret.to_vec())),
            Algorithm::EdDsa => public_key(secret)
                .and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok())
                .map(Self::EdDsa)
                .ok_or_else(|| {
                    "no Ed25519 public key: 32 bytes, as they are, in base64url, or PEM".to_owned()
                }),
        }
    }

    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Hs256(_) => Algorithm::Hs256,
            Self::EdDsa(_) => Algorithm::EdDsa,
        }
    }

    fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            // In constant time.
            Self::Hs256(key) => Hmac::<Sha256>::new_from_slice(key)
                .is_ok_and(|mac| mac.chain_update(message).verify_slice(signature).is_ok()),
            Self::EdDsa(key) => Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
        }
    }
}

fn public_key(secret: &[u8]) -> Option<[u8; 32]> {
    if let Ok(bytes) = secret.try_into() {
        return Some(bytes);
    }
    let text = std::str::from_utf8(secret).ok()?.trim();
    if let Some(body) = text.strip_prefix("-----BEGIN PUBLIC KEY-----") {
        let body: String = body.split("-----END").next()?.split_whitespace().collect();
        let bytes = STANDARD.decode(body).ok()?;
        return bytes.strip_prefix(&SPKI_PREFIX)?.try_into().ok();
    }
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// The payload of a token whose signature is good.
///
/// # Errors
/// A sentence for the miner.
pub(crate) fn payload(token: &str, key: &Key) -> Result<Vec<u8>, String> {
    let malformed = || "password is no token (JWT)".to_owned();
    let (message, signature) = token.rsplit_once('.').ok_or_else(malformed)?;
    let (header, payload) = message.split_once('.').ok_or_else(malformed)?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed());
    let (header, payload, signature) = (decode(header)?, decode(payload)?, decode(signature)?);
    let header: Value = serde_json::from_slice(&header).map_err(|_| malformed())?;
    let algorithm = key.algorithm().name();
    if header["alg"] != algorithm {
        return Err(format!("token is not signed with {algorithm}"));
    }
    // RFC 7515, 4.1.11: extensions that must be understood; there are none we do.
    if header.get("crit").is_some() {
        return Err("token uses extensions this pool does not know".to_owned());
    }
    if !key.has_signed(message.as_bytes(), &signature) {
        return Err("token is not signed by this pool's issuer".to_owned());
    }
    Ok(payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::{
        RFC7515_A1_KEY, RFC7515_A1_TOKEN, RFC7519_UNSECURED, RFC8037_A4_TOKEN, RFC8037_PUBLIC,
    };

    fn hs256() -> Key {
        Key::read(Algorithm::Hs256, &URL_SAFE_NO_PAD.decode(RFC7515_A1_KEY).unwrap()).unwrap()
    }

    fn eddsa() -> Key {
        Key::read(Algorithm::EdDsa, RFC8037_PUBLIC.as_bytes()).unwrap()
    }

    #[test]
    fn the_examples_of_the_standards_are_good() {
        let claims = payload(RFC7515_A1_TOKEN, &hs256()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!((&claims["iss"], &claims["exp"]), (&"joe".into(), &1_300_819_380_u64.into()));
        let text = payload(RFC8037_A4_TOKEN, &eddsa()).unwrap();
        assert_eq!(text, b"Example of Ed25519 signing");
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        for (token, key) in [(RFC7515_A1_TOKEN, hs256()), (RFC8037_A4_TOKEN, eddsa())] {
            for at in 0..token.len() {
                let mut changed = token.as_bytes().to_vec();
                changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
                let changed = String::from_utf8(changed).unwrap();
                assert!(payload(&changed, &key).is_err(), "byte {at}");
            }
        }
    }

    #[test]
    fn a_token_cannot_choose_its_algorithm() {
        let none = "token is not signed with HS256";
        let mut shared = [0; 32];
        shared.copy_from_slice(&URL_SAFE_NO_PAD.decode(RFC8037_PUBLIC).unwrap());
        // Signed with HS256, and the public key for a shared one.
        let forged = crate::vectors::hs256(r#"{"alg":"HS256"}"#, "{}", &shared);
        let header = |header: &str| crate::vectors::hs256(header, "{}", &shared);
        let own = || Key::read(Algorithm::Hs256, &shared).unwrap();
        for (token, key, reason) in [
            (RFC7519_UNSECURED.to_owned(), hs256(), none),
            (RFC8037_A4_TOKEN.to_owned(), hs256(), none),
            (forged, eddsa(), "token is not signed with EdDSA"),
            (header(r#"{"alg":"none"}"#), own(), none),
            (header(r#"{"alg":"hs256"}"#), own(), none),
            (header(r#"{"alg":["HS256"]}"#), own(), none),
            (header("{}"), own(), none),
            (header(r#"{"alg":"HS256","crit":["b64"]}"#), own(), "extensions"),
            (header("no json"), own(), "no token"),
            ("x".to_owned(), hs256(), "no token"),
            ("".to_owned(), hs256(), "no token"),
            ("..".to_owned(), hs256(), "no token"),
            ("a.b".to_owned(), hs256(), "no token"),
            (format!("{RFC7515_A1_TOKEN}="), hs256(), "no token"),
            (format!("{RFC7515_A1_TOKEN}."), hs256(), "no token"),
        ] {
            let refusal = payload(&token, &key).unwrap_err();
            assert!(refusal.contains(reason), "{token}: {refusal}");
        }
    }

    #[test]
    fn keys_are_read_in_the_forms_they_come_in() {
        let raw = URL_SAFE_NO_PAD.decode(RFC8037_PUBLIC).unwrap();
        let spki = STANDARD.encode([&SPKI_PREFIX[..], &raw].concat());
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{spki}\n-----END PUBLIC KEY-----\n");
        let url = format!("{RFC8037_PUBLIC}\n");
        for secret in [raw.as_slice(), pem.as_bytes(), url.as_bytes()] {
            let key = Key::read(Algorithm::EdDsa, secret).unwrap();
            assert!(payload(RFC8037_A4_TOKEN, &key).is_ok());
        }
        for (algorithm, secret, reason) in [
            (Algorithm::Hs256, "short", "a key of 5 bytes"),
            (Algorithm::EdDsa, "short", "no Ed25519 public key"),
            (Algorithm::EdDsa, "-----BEGIN PUBLIC KEY-----", "no Ed25519 public key"),
        ] {
            let refusal = Key::read(algorithm, secret.as_bytes()).err().unwrap();
            assert!(refusal.contains(reason), "{secret}: {refusal}");
        }
    }
}
