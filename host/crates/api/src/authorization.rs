//! HTTP basic authentication (RFC 7617), as JSON-RPC nodes ask for it.

use std::fmt;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

/// The user and password a caller must show.
#[derive(Clone)]
pub struct BasicAuth {
    /// `user:password` in base 64.
    token: String,
}

impl BasicAuth {
    /// Of a user and a password.
    pub fn new(user: &str, password: &str) -> Self {
        Self { token: base64(format!("{user}:{password}").as_bytes()) }
    }

    /// Whether a request shows them. Takes the same time wherever a wrong one differs.
    pub(crate) fn admits(&self, headers: &HeaderMap) -> bool {
        let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some((scheme, token)) = value.and_then(|value| value.split_once(' ')) else {
            return false;
        };
        let (shown, right) = (token.trim().as_bytes(), self.token.as_bytes());
        let differing = shown.iter().zip(right).fold(0, |bits, (a, b)| bits | (a ^ b));
        scheme.eq_ignore_ascii_case("basic") && shown.len() == right.len() && differing == 0
    }
}

impl fmt::Debug for BasicAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BasicAuth(..)")
    }
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut three = [0; 3];
        three[..chunk.len()].copy_from_slice(chunk);
        let [a, b, c] = three.map(u32::from);
        let bits = a << 16 | b << 8 | c;
        for letter in 0..4 {
            let index = bits >> (18 - 6 * letter) & 63;
            let shown = letter <= chunk.len();
            text.push(if shown { char::from(LETTERS[index as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_rfc_4648_has_it() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn only_the_right_password_is_admitted() {
        let auth = BasicAuth::new("Aladdin", "open sesame");
        for (header, admitted) in [
            (Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), true),
            (Some("basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), true),
            (Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZg=="), false),
            (Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ"), false),
            (Some("Basic "), false),
            (Some("Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), false),
            (Some("Basic"), false),
            (None, false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(header) = header {
                headers.insert(AUTHORIZATION, header.parse().expect("a header"));
            }
            assert_eq!(auth.admits(&headers), admitted, "{header:?}");
        }
        assert!(!format!("{auth:?}").contains("QWx"), "passwords stay out of logs");
    }
}
