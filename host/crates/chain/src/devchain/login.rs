//! HTTP basic authentication (RFC 7617), as JSON-RPC nodes ask for it.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// The user and password a caller must show.
pub(super) struct Login {
    /// `user:password` in base 64.
    token: String,
}

impl Login {
    pub(super) fn new(user: &str, password: &str) -> Self {
        Self { token: BASE64_STANDARD.encode(format!("{user}:{password}")) }
    }

    /// Whether an `Authorization` shows them. Takes the same time wherever a wrong one differs.
    pub(super) fn admits(&self, authorization: Option<&str>) -> bool {
        let Some((scheme, token)) = authorization.and_then(|value| value.split_once(' ')) else {
            return false;
        };
        let (shown, right) = (token.trim().as_bytes(), self.token.as_bytes());
        let differing = shown.iter().zip(right).fold(0, |bits, (a, b)| bits | (a ^ b));
        scheme.eq_ignore_ascii_case("basic") && shown.len() == right.len() && differing == 0
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7617.
    #[test]
    fn only_user_and_password_are_admitted() {
        let login = Login::new("Aladdin", "open sesame");
        for (header, admitted) in [
            (Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), true),
            (Some("basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), true),
            (Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZA=="), false),
            (Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ"), false),
            (Some("Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), false),
            (Some("Basic"), false),
            (Some(""), false),
            (None, false),
        ] {
            assert_eq!(login.admits(header), admitted, "{header:?}");
        }
        assert!(!format!("{login:?}").contains("QWx"), "passwords stay out of logs");
    }
}
