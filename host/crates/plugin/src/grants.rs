//! What the operator lets a component use beyond its arguments. Nothing, unless named.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// The grants of a slot. They are part of a generation's identity: the same component with
/// other grants is another generation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<String>", try_from = "Vec<String>")]
pub struct Grants {
    /// Passwords are shown to it (auth).
    pub credential: bool,
    /// It has a key-value store (auth).
    pub kv: bool,
    /// Endpoints it may reach, by name (auth).
    pub endpoints: BTreeSet<String>,
    /// Secrets it may read, by name (auth).
    pub secrets: BTreeSet<String>,
    /// It is an interpreter with a program inside, and gets a hundred times the time and
    /// fuel of compiled code.
    pub interpreted: bool,
}

/// What is no grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no grant; there are: credential, kv, fetch:NAME, secret:NAME, interpreted \
     (NAME: lower-case letters, digits, hyphens)"
)]
pub struct BadGrant(pub String);

impl Grants {
    /// Nothing is granted.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads grants as operators write them.
    ///
    /// # Errors
    /// With the first text that is none.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, BadGrant> {
        let mut grants = Self::none();
        for text in texts {
            let text = text.as_ref();
            match text.split_once(':') {
                None if text == "credential" => grants.credential = true,
                None if text == "kv" => grants.kv = true,
                None if text == "interpreted" => grants.interpreted = true,
                Some(("fetch", name)) if Self::is_name(name) => {
                    grants.endpoints.insert(name.to_owned());
                }
                Some(("secret", name)) if Self::is_name(name) => {
                    grants.secrets.insert(name.to_owned());
                }
                _ => return Err(BadGrant(text.to_owned())),
            }
        }
        Ok(grants)
    }

    /// Whether an endpoint or a secret may be called so: 1 to 64 lower-case letters, digits and
    /// hyphens.
    pub fn is_name(name: &str) -> bool {
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !name.is_empty() && name.len() <= 64 && name.bytes().all(good)
    }

    /// The grants as operators write them, sorted: the form that is recorded and compared.
    pub fn texts(&self) -> Vec<String> {
        let flag = |set: bool, name: &str| set.then(|| name.to_owned());
        let mut texts: Vec<String> = [
            flag(self.credential, "credential"),
            flag(self.interpreted, "interpreted"),
            flag(self.kv, "kv"),
        ]
        .into_iter()
        .flatten()
        .collect();
        texts.extend(self.endpoints.iter().map(|name| format!("fetch:{name}")));
        texts.extend(self.secrets.iter().map(|name| format!("secret:{name}")));
        texts.sort();
        texts
    }
}

impl From<Grants> for Vec<String> {
    fn from(grants: Grants) -> Self {
        grants.texts()
    }
}

impl TryFrom<Vec<String>> for Grants {
    type Error = BadGrant;

    fn try_from(texts: Vec<String>) -> Result<Self, BadGrant> {
        Self::parse(&texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_read_back_as_they_are_written() {
        let texts = ["credential", "fetch:users", "interpreted", "kv", "secret:jwt"];
        let shuffled = ["kv", "secret:jwt", "interpreted", "fetch:users", "credential", "kv"];
        assert_eq!(Grants::parse(&shuffled).unwrap().texts(), texts);
        assert_eq!(Grants::parse::<&str>(&[]).unwrap(), Grants::none());
        for wrong in ["", "fetch", "fetch:", "fetch:A", "network", "kv:x"] {
            assert_eq!(Grants::parse(&[wrong]), Err(BadGrant(wrong.to_owned())));
        }
    }
}
