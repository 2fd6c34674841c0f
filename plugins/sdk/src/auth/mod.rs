//! The world `auth-policy`: who may mine, and for which account.

#[cfg(feature = "address")]
mod address;
mod limits;
mod secret;

#[cfg(feature = "address")]
pub use address::AddressForms;
pub use limits::{Limits, fewer_sessions};
pub use secret::{password, same_digest};

pub use crate::bindings::auth::exports::chimera::pool::auth::{
    Attempt, Decision, Denial, Grant, Protocol,
};

use crate::{Component, Diagnostic, PluginError, problem};

/// Decides about one attempt to authorize.
pub trait AuthPolicy: Component {
    /// May this user mine here.
    ///
    /// # Errors
    /// When the policy cannot decide; a refusal is [`Decision::Deny`], not an error.
    fn authorize(config: &Self::Config, attempt: Attempt) -> Result<Decision, PluginError>;
}

/// A Stratum user name, taken apart as pools do: `account.worker`, split at the first dot.
#[derive(Debug, PartialEq, Eq)]
pub struct UserName {
    /// Who is paid.
    pub account: String,
    /// Which machine; absent without a dot or with nothing behind it.
    pub worker: Option<String>,
}

/// Longest account or worker name in bytes: addresses stay under 100.
pub const NAME_BYTES_MAX: usize = 128;

impl UserName {
    /// Takes a user name apart. `%`-escapes, which some miners leave in from a URL, are
    /// decoded; what is no valid escape stays as it is.
    ///
    /// # Errors
    /// A sentence for the miner: no account, too long, or not printable.
    pub fn parse(user: &str) -> Result<Self, String> {
        let user = decode(user.trim());
        let (account, worker) = match user.split_once('.') {
            Some((account, worker)) => (account, Some(worker).filter(|name| !name.is_empty())),
            None => (user.as_str(), None),
        };
        if account.is_empty() {
            return Err("user name is empty; use account.worker".to_owned());
        }
        for name in [Some(account), worker].into_iter().flatten() {
            if name.len() > NAME_BYTES_MAX {
                return Err(format!("user name is longer than {NAME_BYTES_MAX} bytes"));
            }
            if name.chars().any(|character| character.is_control() || character.is_whitespace()) {
                return Err("user name has characters that cannot be printed".to_owned());
            }
        }
        Ok(Self { account: account.to_owned(), worker: worker.map(str::to_owned) })
    }
}

impl UserName {
    /// Lets this user mine, for so many seconds; a user who names no worker gets the default.
    pub fn allow(self, default_worker: &str, ttl_s: u32) -> Decision {
        Decision::Allow(Grant {
            account: self.account,
            worker: Some(self.worker.unwrap_or_else(|| default_worker.to_owned())),
            ttl_s,
            start_difficulty: None,
            max_sessions: None,
            tags: Vec::new(),
        })
    }
}

/// Refuses a user, for so many seconds, with a sentence for the miner.
pub fn deny(reason: impl Into<String>, ttl_s: u32) -> Decision {
    Decision::Deny(Denial { public_message: reason.into(), ttl_s, ban_s: 0 })
}

/// What is wrong with a `/default_worker`, if anything is: as a worker it must survive the
/// way through a user name.
pub fn default_worker_problem(name: &str) -> Option<Diagnostic> {
    let parsed = UserName::parse(&format!("a.{name}"));
    if parsed.ok().and_then(|parsed| parsed.worker).as_deref() == Some(name) {
        return None;
    }
    let message = format!("{name:?} is no worker name");
    let right = "printable, without spaces or escapes, 1 to 128 bytes";
    Some(problem("/default_worker", message, right))
}

fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = (bytes[at] == b'%')
            .then(|| bytes.get(at + 1..at + 3))
            .flatten()
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(escape.unwrap_or(bytes[at]));
        at += if escape.is_some() { 3 } else { 1 };
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_owned())
}

#[doc(hidden)]
#[macro_export]
macro_rules! __auth_policy_guest {
    ($component:ty, $exported:ident) => {
        impl $crate::bindings::auth::exports::chimera::pool::auth::Guest for $exported {
            fn authorize(
                attempt: $crate::Attempt,
            ) -> Result<$crate::Decision, $crate::PluginError> {
                configured(|config| <$component as $crate::AuthPolicy>::authorize(config, attempt))
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_name_splits_at_the_first_dot() {
        for (user, account, worker) in [
            ("alice", "alice", None),
            ("alice.rig1", "alice", Some("rig1")),
            ("alice.rig.1", "alice", Some("rig.1")),
            ("alice.", "alice", None),
            ("  alice.rig1 ", "alice", Some("rig1")),
            ("alice%2Erig1", "alice", Some("rig1")),
            ("100%.rig", "100%", Some("rig")),
            ("a%zz", "a%zz", None),
            ("a%+1b", "a%+1b", None),
            ("a%ff", "a%ff", None),
            ("müller.büro", "müller", Some("büro")),
        ] {
            let name = UserName::parse(user).unwrap();
            assert_eq!(
                (name.account.as_str(), name.worker.as_deref()),
                (account, worker),
                "{user}"
            );
        }
    }

    #[test]
    fn a_bad_user_name_is_refused_with_the_reason() {
        let long = "a".repeat(NAME_BYTES_MAX + 1);
        for (user, reason) in [
            ("", "empty"),
            (".rig", "empty"),
            (" ", "empty"),
            (long.as_str(), "longer than 128"),
            ("a\u{7}b", "printed"),
            ("a%0Ab", "printed"),
            ("alice.my rig", "printed"),
        ] {
            let refusal = UserName::parse(user).unwrap_err();
            assert!(refusal.contains(reason), "{user:?}: {refusal}");
        }
    }
}
