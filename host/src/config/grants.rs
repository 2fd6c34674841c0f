//! What operators let components use: grants, endpoints and secrets. Nothing secret is ever
//! shown, and a secret everybody on the machine can read is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use chimera_plugin::Grants;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::check::Problems;
use super::raw::{RawEndpoint, RawSecret};
use crate::grants::may_be_at;

/// A decision waits two seconds in all for whatever it asks.
const TIMEOUT_MS_MAX: u64 = 2_000;
/// A key or a token; not a disk image named by mistake.
const SECRET_BYTES_MAX: usize = 64 << 10;

/// What there is to be granted to auth policies, by name.
#[derive(Debug, Clone, Default)]
pub struct Capabilities {
    /// `[auth.endpoints.NAME]`
    pub endpoints: BTreeMap<String, Endpoint>,
    /// `[auth.secrets] NAME`
    pub secrets: BTreeMap<String, Secret>,
}

/// The names of what there is to be granted, whether or not it was found good: a grant of what
/// is refused already is not a second mistake.
#[derive(Debug, Clone, Default)]
pub(crate) struct Grantable {
    endpoints: BTreeSet<String>,
    secrets: BTreeSet<String>,
}

/// A grant of what there is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotThere {
    /// As it was written.
    pub grant: String,
    /// What there is, and how to add the one that is missing.
    pub right: String,
}

impl Grantable {
    /// What the settings of a pool have.
    pub(crate) fn of(capabilities: &Capabilities) -> Self {
        Self {
            endpoints: capabilities.endpoints.keys().cloned().collect(),
            secrets: capabilities.secrets.keys().cloned().collect(),
        }
    }

    pub(super) fn named<'a>(
        endpoints: impl Iterator<Item = &'a String>,
        secrets: impl Iterator<Item = &'a String>,
    ) -> Self {
        Self { endpoints: endpoints.cloned().collect(), secrets: secrets.cloned().collect() }
    }

    /// Which of these grants name what there is not.
    pub(crate) fn missing(&self, grants: &Grants) -> Vec<NotThere> {
        let endpoints = grants.endpoints.difference(&self.endpoints).map(|name| NotThere {
            grant: format!("fetch:{name}"),
            right: format!(
                "there is no endpoint of that name; there are: {}; add [auth.endpoints.{name}]",
                list(&self.endpoints)
            ),
        });
        let secrets = grants.secrets.difference(&self.secrets).map(|name| NotThere {
            grant: format!("secret:{name}"),
            right: format!(
                "there is no secret of that name; there are: {}; add {name} = \
                 {{ file = \"...\" }} to [auth.secrets]",
                list(&self.secrets)
            ),
        });
        endpoints.chain(secrets).collect()
    }
}

fn list(names: &BTreeSet<String>) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// Where a component may send requests without knowing where that is.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Requests go to this host and below this path.
    pub url: Url,
    /// How long a reply may take.
    pub timeout: Duration,
    /// Whether it may be in a private network.
    pub allow_private: bool,
    /// Only GET and HEAD; such an endpoint is asked by components on trial too.
    pub read_only: bool,
    /// Sent with every request; the secret one is marked so, and not shown.
    pub headers: HeaderMap,
}

/// Bytes nobody is shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// What it is.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// What becomes of users nobody can check, because the auth policy is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownUsers {
    /// They are told to come back later.
    Refuse,
    /// They mine for the account `quarantine:NAME`, where NAME is the part of their user name
    /// before the first dot: an operator settles with them by hand.
    Quarantine,
}

/// Reads a slot's grants; all but auth take only `interpreted`.
pub(super) fn slot_grants(
    problems: &mut Problems,
    key: &'static str,
    grants: &[String],
    auth: Option<&Grantable>,
) -> Grants {
    let parsed = match Grants::parse(grants) {
        Ok(parsed) => parsed,
        Err(error) => {
            problems.add(key, format_args!("{grants:?}"), error);
            return Grants::none();
        }
    };
    let Some(grantable) = auth else {
        if parsed != (Grants { interpreted: parsed.interpreted, ..Grants::none() }) {
            let right = "only \"interpreted\" can be granted here; the others are for auth";
            problems.add(key, format_args!("{grants:?}"), right);
        }
        return parsed;
    };
    for NotThere { grant, right } in grantable.missing(&parsed) {
        problems.add(key, format_args!("{grant:?}"), right);
    }
    parsed
}

/// Reads what there is to be granted.
pub(super) fn capabilities(
    problems: &mut Problems,
    endpoints: BTreeMap<String, RawEndpoint>,
    secrets: BTreeMap<String, RawSecret>,
) -> Capabilities {
    let mut checked = Capabilities::default();
    for (name, raw) in endpoints {
        let key = format!("auth.endpoints.{name}");
        check_name(problems, &key, &name);
        if let Some(endpoint) = raw.check(problems, &key) {
            checked.endpoints.insert(name, endpoint);
        }
    }
    for (name, raw) in secrets {
        let key = format!("auth.secrets.{name}");
        check_name(problems, &key, &name);
        if let Some(secret) = raw.read(problems, &key) {
            checked.secrets.insert(name, secret);
        }
    }
    checked
}

fn check_name(problems: &mut Problems, key: &str, name: &str) {
    if !Grants::is_name(name) {
        let right = "a name has 1 to 64 lower-case letters, digits and hyphens";
        problems.add(key.to_owned(), format_args!("{name:?}"), right);
    }
}

impl RawEndpoint {
    fn check(self, problems: &mut Problems, key: &str) -> Option<Endpoint> {
        let before = problems.count();
        if self.timeout_ms == 0 || self.timeout_ms > TIMEOUT_MS_MAX {
            let right = format!("must be 1 to {TIMEOUT_MS_MAX}");
            problems.add(format!("{key}.timeout_ms"), self.timeout_ms, right);
        }
        let url = self.url(problems, key);
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            match (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
                (Ok(name), Ok(value)) => drop(headers.insert(name, value)),
                _ => problems.add(
                    format!("{key}.headers"),
                    format_args!("{name:?}"),
                    "must be the name of a header, and its value plain text of one line",
                ),
            }
        }
        if let Some(secret) = self.secret_header {
            let key = format!("{key}.secret_header");
            let name = secret.name.parse::<HeaderName>();
            if name.is_err() {
                let right = "must be the name of a header, e.g. \"Authorization\"";
                problems.add(format!("{key}.name"), format_args!("{:?}", secret.name), right);
            }
            let raw = RawSecret { file: secret.file, env: secret.env };
            if let (Some(value), Ok(name)) = (raw.read(problems, &key), name) {
                match HeaderValue::from_bytes(value.bytes()) {
                    Ok(mut value) => {
                        value.set_sensitive(true);
                        headers.insert(name, value);
                    }
                    Err(_) => problems.add(key, "(secret)", "must be one line of plain text"),
                }
            }
        }
        let url = url.filter(|_| problems.count() == before)?;
        Some(Endpoint {
            url,
            timeout: Duration::from_millis(self.timeout_ms),
            allow_private: self.allow_private,
            read_only: self.read_only,
            headers,
        })
    }

    fn url(&self, problems: &mut Problems, key: &str) -> Option<Url> {
        let key = format!("{key}.url");
        let url = Url::parse(&self.url).ok().filter(|url| {
            let plain = url.username().is_empty() && url.password().is_none();
            let bare = url.query().is_none() && url.fragment().is_none();
            ["https", "http"].contains(&url.scheme()) && url.has_host() && plain && bare
        });
        let Some(url) = url else {
            // What was tried to be said in it may be a password.
            let found = self.url.split('@').next_back().unwrap_or_default();
            let right = "must be https://host/path without user, query and #; a password or \
                         token goes into secret_header";
            problems.add(key, format_args!("{found:?}"), right);
            return None;
        };
        let found = format!("{:?}", self.url);
        if url.scheme() == "http" && !self.allow_private {
            let right = "must be https://, or in your own network with allow_private = true";
            problems.add(key, found, right);
            return None;
        }
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        if let Ok(address) = host.parse::<IpAddr>()
            && !may_be_at(address, self.allow_private)
        {
            let right = "is an address of a private network; allow it with allow_private = true";
            problems.add(key, found, right);
            return None;
        }
        Some(url)
    }
}

impl RawSecret {
    fn read(self, problems: &mut Problems, key: &str) -> Option<Secret> {
        let read = match (&self.file, &self.env) {
            (Some(file), None) => read_file(Path::new(file)).map_err(|why| (file.clone(), why)),
            (None, Some(name)) => read_variable(name).map_err(|why| (name.clone(), why)),
            _ => {
                let right = "must be { file = \"...\" } or { env = \"...\" }";
                problems.add(key.to_owned(), "..", right);
                return None;
            }
        };
        match read {
            Ok(mut bytes) => {
                // Editors and `echo` end files with a line break.
                if bytes.ends_with(b"\n") {
                    bytes.pop();
                }
                if bytes.ends_with(b"\r") {
                    bytes.pop();
                }
                if !bytes.is_empty() {
                    return Some(Secret(bytes));
                }
                problems.add(key.to_owned(), "(nothing)", "must not be empty");
            }
            Err((found, why)) => problems.add(key.to_owned(), format_args!("{found:?}"), why),
        }
        None
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    use std::os::unix::fs::PermissionsExt as _;
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let facts = file.metadata().map_err(unreadable)?;
    if !facts.is_file() {
        return Err("must be a file".to_owned());
    }
    if facts.permissions().mode() & 0o007 != 0 {
        let path = path.display();
        return Err(format!("everybody on this machine can use it; run: chmod 600 {path}"));
    }
    let mut bytes = Vec::new();
    file.take(SECRET_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > SECRET_BYTES_MAX {
        return Err(format!("has more than {SECRET_BYTES_MAX} bytes: is it the right file?"));
    }
    Ok(bytes)
}

fn read_variable(name: &str) -> Result<Vec<u8>, String> {
    use std::os::unix::ffi::OsStringExt;
    if name.starts_with(super::PREFIX) {
        return Err(format!("variables that begin with {} are settings", super::PREFIX));
    }
    std::env::var_os(name)
        .map(OsStringExt::into_vec)
        .ok_or_else(|| "there is no environment variable of that name".to_owned())
}
