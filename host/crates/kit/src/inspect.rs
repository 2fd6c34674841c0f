//! What a component is, read from its bytes: nothing of it runs but `describe`.

use chimera_plugin::{Artifact, Asks, Cause, Class, Digest, Engines, Grants, Surface};
use serde::Serialize;

use crate::doubles::{self, Endpoint};
use crate::subject::{Loaded, class_of, classes, grants_for};

mod anatomy;

pub use anatomy::{Anatomy, Floats};

/// Everything that can be told of a component.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    /// Its name.
    pub name: String,
    /// BLAKE3 of its bytes: what it is pinned by.
    pub digest: Digest,
    /// Its size.
    pub bytes: usize,
    /// The worlds it is a component of.
    pub worlds: Vec<&'static str>,
    /// The versions of `chimera:pool` it was built against.
    pub api_versions: Vec<String>,
    /// The interfaces it exports.
    pub exports: Vec<String>,
    /// The interfaces it imports, and what becomes of each.
    pub imports: Vec<Import>,
    /// Where its interfaces differ from this host's.
    pub mismatches: Vec<String>,
    /// What is in it.
    pub anatomy: Anatomy,
    /// What `describe` says; `None` if it cannot be loaded.
    pub description: Option<Description>,
    /// Why it cannot be loaded with its default configuration and all it asks for.
    pub refused: Option<String>,
}

/// An import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Import {
    /// The interface.
    pub name: String,
    /// What becomes of it.
    #[serde(flatten)]
    pub standing: Standing,
}

/// What the host does about an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
pub enum Standing {
    /// Every component has it.
    Given,
    /// The operator has to grant it.
    NeedsGrant {
        /// As operators write it; `NAME` stands for a name of theirs.
        grant: &'static str,
    },
    /// WASI without a system behind it: no files, a clock that stands, fixed randomness.
    Shimmed,
    /// No component of its class has it.
    Refused {
        /// How to build without it.
        mend: &'static str,
    },
}

/// What a component says of itself.
#[derive(Debug, Clone, Serialize)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One sentence.
    pub description: String,
    /// Version of the state it writes.
    pub state_version: u32,
    /// Oldest state it takes over.
    pub state_accepts_since: u32,
    /// Its configuration with all defaults.
    pub default_config: String,
    /// JSON Schema of its configuration.
    pub config_schema: serde_json::Value,
}

/// Reads a component.
///
/// # Errors
/// When the bytes are no component.
pub fn inspect(engines: &Engines, artifact: &Artifact) -> Result<Inspection, Cause> {
    let surface = Surface::of(artifact.bytes())?;
    let anatomy = Anatomy::of(artifact.bytes()).map_err(Cause::Invalid)?;
    let class = class_of(&surface, artifact.name());
    let (description, refused) = match class {
        None => (None, Some("it exports no interface of a world of chimera:pool".to_owned())),
        Some(class) => describe(engines, artifact, class, &surface),
    };
    let mut api_versions: Vec<String> = surface
        .exports()
        .into_iter()
        .chain(surface.imports())
        .filter(|name| name.starts_with("chimera:pool/"))
        .map(|name| name.split_once('@').map_or("none", |(_, version)| version).to_owned())
        .collect();
    api_versions.sort();
    api_versions.dedup();
    let asks = Asks::of(artifact)?;
    let import =
        |name: &&str| Import { name: (*name).to_owned(), standing: standing(name, class, &asks) };
    Ok(Inspection {
        name: artifact.name().to_owned(),
        digest: artifact.digest(),
        bytes: artifact.bytes().len(),
        worlds: classes(&surface).into_iter().map(Class::world).collect(),
        api_versions,
        exports: surface.exports().into_iter().map(str::to_owned).collect(),
        imports: surface.imports().iter().map(import).collect(),
        mismatches: surface.against_host().mismatches.iter().map(ToString::to_string).collect(),
        anatomy,
        description,
        refused,
    })
}

fn describe(
    engines: &Engines,
    artifact: &Artifact,
    class: Class,
    surface: &Surface,
) -> (Option<Description>, Option<String>) {
    let grants: Grants = grants_for(surface, "");
    let services = doubles::services(Endpoint::Answers);
    match Loaded::load(engines, artifact, class, "", &grants, services) {
        Ok(loaded) => {
            let info = loaded.info().clone();
            let description = Description {
                name: info.name,
                version: info.version,
                description: info.description,
                state_version: info.state_version,
                state_accepts_since: info.state_accepts_since,
                default_config: loaded.canonical().to_owned(),
                config_schema: serde_json::from_str(&info.config_schema).unwrap_or_default(),
            };
            (Some(description), None)
        }
        Err(error) => (None, Some(error.to_string())),
    }
}

/// What the host does about an import of a component of this class.
pub(crate) fn standing(name: &str, class: Option<Class>, asks: &Asks) -> Standing {
    let base = name.split('@').next().unwrap_or(name);
    let granted = |grant| match class {
        Some(Class::Auth) => Standing::NeedsGrant { grant },
        _ => Standing::Refused { mend: "only auth policies may be granted it: do without" },
    };
    match base {
        "chimera:pool/log" | "chimera:pool/types" => Standing::Given,
        "chimera:pool/kv" => granted("kv"),
        "chimera:pool/fetch" => granted("fetch:NAME"),
        "chimera:pool/secrets" => granted("secret:NAME"),
        // What is foreign and not refused, the sandbox stands in for.
        _ if !asks.others.iter().any(|other| other == name) => Standing::Shimmed,
        _ if base.starts_with("wasi:") => {
            Standing::Refused { mend: "build for wasm32-unknown-unknown, which needs no WASI" }
        }
        _ => Standing::Refused { mend: "remove the import: nothing is linked behind it" },
    }
}
