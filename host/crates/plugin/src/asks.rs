//! What a component wants from its host, read from its imports before it is compiled or run:
//! what the operator has to grant, and what no component gets.

use std::fmt::Display;

use wasmparser::{Parser, Payload};

use crate::class::Class;
use crate::{Artifact, Cause, Grants, wasi, world};

const KV: &str = "chimera:pool/kv@0.1.0";
const FETCH: &str = "chimera:pool/fetch@0.1.0";
const SECRETS: &str = "chimera:pool/secrets@0.1.0";

/// Given to all: a log, and types without functions.
const GIVEN: [&str; 2] = ["chimera:pool/log@0.1.0", "chimera:pool/types@0.1.0"];

/// A component's imports, by what they take.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asks {
    /// It keeps values: grant `kv`.
    pub kv: bool,
    /// It makes requests: a grant `fetch:NAME` for every endpoint.
    pub fetch: bool,
    /// It reads secrets: a grant `secret:NAME` for each.
    pub secrets: bool,
    /// Interfaces of a system, which are answered without one: see the author's guide.
    pub shimmed: Vec<String>,
    /// Interfaces no component is given.
    pub others: Vec<String>,
}

impl Asks {
    /// Reads the imports of a component. Nothing is compiled.
    ///
    /// # Errors
    /// When it is no component.
    pub fn of(artifact: &Artifact) -> Result<Self, Cause> {
        world::check_bytes(artifact.bytes())?;
        let names = imports(artifact.bytes())
            .map_err(|error| Cause::Invalid(error.message().to_owned()))?;
        Ok(Self::by_imports(names))
    }

    pub(crate) fn by_imports<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut asks = Self::default();
        for name in names {
            match name {
                KV => asks.kv = true,
                FETCH => asks.fetch = true,
                SECRETS => asks.secrets = true,
                given if GIVEN.contains(&given) => {}
                wasi if wasi::answers(wasi) => asks.shimmed.push(wasi.to_owned()),
                other => asks.others.push(other.to_owned()),
            }
        }
        asks
    }

    /// The grants it cannot be loaded without, as operators write them; `NAME` stands for a
    /// name of the operator's.
    pub fn grants(&self) -> Vec<&'static str> {
        [(self.kv, "kv"), (self.fetch, "fetch:NAME"), (self.secrets, "secret:NAME")]
            .into_iter()
            .filter_map(|(asked, grant)| asked.then_some(grant))
            .collect()
    }

    /// What of it is not among these grants, as operators write it.
    pub fn missing(&self, grants: &Grants) -> Vec<&'static str> {
        let granted = |grant: &str| match grant {
            "kv" => grants.kv,
            "fetch:NAME" => !grants.endpoints.is_empty(),
            _ => !grants.secrets.is_empty(),
        };
        self.grants().into_iter().filter(|grant| !granted(grant)).collect()
    }

    /// What it asks for that an earlier build did not.
    pub fn beyond(&self, earlier: &Self) -> Vec<&'static str> {
        let before = earlier.grants();
        self.grants().into_iter().filter(|grant| !before.contains(grant)).collect()
    }

    /// Whether a component of this class may have all of it.
    pub(crate) fn check(&self, class: Class, grants: &Grants) -> Result<(), Cause> {
        let interfaces = self.interfaces();
        let mut imports = self.others.clone();
        if class != Class::Auth {
            imports.extend(interfaces.iter().map(|name| (*name).to_owned()));
        }
        if !imports.is_empty() {
            return Err(Cause::NotGiven { world: class.world(), imports });
        }
        let missing = self.missing(grants);
        if missing.is_empty() {
            return Ok(());
        }
        let imports = interfaces.into_iter().map(str::to_owned).collect();
        let all = grants.texts();
        let all = all.iter().map(String::as_str).chain(missing).map(quoted).collect();
        Err(Cause::NotGranted { imports, grants: all })
    }

    fn interfaces(&self) -> Vec<&'static str> {
        [(self.kv, KV), (self.fetch, FETCH), (self.secrets, SECRETS)]
            .into_iter()
            .filter_map(|(asked, interface)| asked.then_some(interface))
            .collect()
    }
}

fn quoted(text: impl Display) -> String {
    format!("\"{text}\"")
}

/// The names of the outermost component's imports.
fn imports(bytes: &[u8]) -> wasmparser::Result<Vec<&str>> {
    let mut names = Vec::new();
    // Components and modules inside have imports of their own.
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    names.push(import?.name.name);
                }
            }
            _ => {}
        }
    }
    Ok(names)
}
