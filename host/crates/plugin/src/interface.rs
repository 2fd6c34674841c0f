//! The interfaces of a component, read from its bytes, beside those of this host: where they
//! differ is told in the words of `wit/`, so that an author knows what to rebuild against.

mod compare;

use std::fmt;

use wit_parser::decoding::{DecodedWasm, decode};
use wit_parser::{InterfaceId, PackageId, Resolve, SourceMap, WorldItem, WorldKey};

use crate::Cause;
use compare::{Direction, Sides, compare_interfaces};

/// The package all worlds are in, without its version.
const PACKAGE: &str = "chimera:pool";
/// The version this host speaks.
const VERSION: &str = "0.1.0";

const SOURCES: [(&str, &str); 4] = [
    ("types.wit", include_str!("../../../../wit/0.1/types.wit")),
    ("payout.wit", include_str!("../../../../wit/0.1/payout.wit")),
    ("auth.wit", include_str!("../../../../wit/0.1/auth.wit")),
    ("difficulty.wit", include_str!("../../../../wit/0.1/difficulty.wit")),
];

/// What a component imports and exports, with all types.
pub struct Surface {
    resolve: Resolve,
    imports: Vec<Face>,
    exports: Vec<Face>,
}

/// One import or export.
struct Face {
    /// As it is linked, e.g. `chimera:pool/log@0.1.0`.
    name: String,
    interface: Option<InterfaceId>,
}

/// Where two sides of an interface differ. Empty if they fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InterfaceDiff {
    /// All differences, in the order of the interfaces.
    pub mismatches: Vec<Mismatch>,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The interface, e.g. `difficulty`.
    pub interface: String,
    /// The function it was found in, if it is not the interface as a whole.
    pub function: Option<String>,
    /// What differs, in words.
    pub problem: String,
}

impl Surface {
    /// Reads the interfaces of a component. Nothing is compiled.
    ///
    /// # Errors
    /// When the bytes are no component, or one whose types cannot be told.
    pub fn of(bytes: &[u8]) -> Result<Self, Cause> {
        crate::world::check_bytes(bytes)?;
        let invalid = |text: String| Cause::Invalid(text);
        match decode(bytes).map_err(|error| invalid(format!("{error:#}")))? {
            DecodedWasm::Component(resolve, world) => {
                let world = &resolve.worlds[world];
                let imports = faces(&resolve, &world.imports);
                let exports = faces(&resolve, &world.exports);
                Ok(Self { resolve, imports, exports })
            }
            DecodedWasm::WitPackage(..) => {
                Err(invalid("a WIT package: interfaces without code".to_owned()))
            }
        }
    }

    /// What it imports, as it is linked.
    pub fn imports(&self) -> Vec<&str> {
        self.imports.iter().map(|face| face.name.as_str()).collect()
    }

    /// What it exports, as it is linked.
    pub fn exports(&self) -> Vec<&str> {
        self.exports.iter().map(|face| face.name.as_str()).collect()
    }

    /// Where it differs from what this host speaks.
    pub fn against_host(&self) -> InterfaceDiff {
        let (resolve, package) = match host() {
            Ok(host) => host,
            Err(problem) => return InterfaceDiff::whole("wit/0.1", problem),
        };
        let host_interfaces = &resolve.packages[package].interfaces;
        let mut diff = InterfaceDiff::default();
        for (faces, direction) in
            [(&self.exports, Direction::HostCalls), (&self.imports, Direction::ComponentCalls)]
        {
            for face in faces {
                let Some((interface, version)) = of_this_package(&face.name) else { continue };
                if version != VERSION {
                    diff.add(interface, built_against(version));
                    continue;
                }
                let Some(theirs) = face.interface else { continue };
                let Some(&ours) = host_interfaces.get(interface) else {
                    diff.add(interface, format!("{PACKAGE}@{VERSION} has no such interface"));
                    continue;
                };
                let sides = Sides {
                    theirs: &self.resolve,
                    ours: &resolve,
                    our_name: "this host",
                    direction,
                };
                compare_interfaces(&sides, interface, theirs, ours, &mut diff);
            }
        }
        diff
    }

    /// Where it differs from a later component: what `later` has, lacks, or has otherwise.
    pub fn against(&self, later: &Self) -> InterfaceDiff {
        let mut diff = InterfaceDiff::default();
        for (what, mine, others, direction) in [
            ("imports", &self.imports, &later.imports, Direction::ComponentCalls),
            ("exports", &self.exports, &later.exports, Direction::HostCalls),
        ] {
            let named = |faces: &[Face], name: &str| faces.iter().any(|face| face.name == name);
            for face in others.iter().filter(|face| !named(mine, &face.name)) {
                diff.add(&face.name, format!("only the second {what} it"));
            }
            for face in mine {
                let Some(other) = others.iter().find(|other| other.name == face.name) else {
                    diff.add(&face.name, format!("only the first {what} it"));
                    continue;
                };
                if let (Some(theirs), Some(ours)) = (face.interface, other.interface) {
                    let sides = Sides {
                        theirs: &self.resolve,
                        ours: &later.resolve,
                        our_name: "the second",
                        direction,
                    };
                    compare_interfaces(&sides, &face.name, theirs, ours, &mut diff);
                }
            }
        }
        diff
    }
}

impl InterfaceDiff {
    /// Whether both sides fit.
    pub const fn is_empty(&self) -> bool {
        self.mismatches.is_empty()
    }

    fn whole(interface: &str, problem: String) -> Self {
        let mut diff = Self::default();
        diff.add(interface, problem);
        diff
    }

    fn add(&mut self, interface: &str, problem: String) {
        let interface = interface.to_owned();
        self.mismatches.push(Mismatch { interface, function: None, problem });
    }
}

impl fmt::Display for InterfaceDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mismatch) in self.mismatches.iter().enumerate() {
            write!(f, "{}{mismatch}", if index == 0 { "" } else { "\n  " })?;
        }
        Ok(())
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.function {
            Some(function) => write!(f, "{}: `{function}`: {}", self.interface, self.problem),
            None => write!(f, "{}: {}", self.interface, self.problem),
        }
    }
}

/// Turns the runtime's refusal to link into the difference that caused it.
pub(crate) fn explain(bytes: &[u8], refusal: String) -> Cause {
    match Surface::of(bytes).map(|surface| surface.against_host()) {
        Ok(diff) if !diff.is_empty() => Cause::WrongTypes(diff.to_string()),
        // What the runtime finds and we do not is told in the runtime's words.
        _ => Cause::WrongTypes(refusal),
    }
}

/// A missing export or an import that is not given may be one of another version.
pub(crate) fn explain_world(bytes: &[u8], refusal: Cause) -> Cause {
    let Ok(surface) = Surface::of(bytes) else { return refusal };
    let other_version =
        |face: &&Face| of_this_package(&face.name).is_some_and(|(_, version)| version != VERSION);
    if surface.exports.iter().chain(&surface.imports).any(|face| other_version(&face)) {
        return Cause::WrongTypes(surface.against_host().to_string());
    }
    refusal
}

fn built_against(version: &str) -> String {
    if version.is_empty() {
        return format!("built against {PACKAGE} without a version; this host speaks {VERSION}");
    }
    format!("built against {PACKAGE}@{version}; this host speaks {VERSION}")
}

/// Interface and version, if it is one of `chimera:pool`.
fn of_this_package(name: &str) -> Option<(&str, &str)> {
    let rest = name.strip_prefix(PACKAGE)?.strip_prefix('/')?;
    Some(rest.split_once('@').unwrap_or((rest, "")))
}

fn faces<'a>(
    resolve: &Resolve,
    items: impl IntoIterator<Item = (&'a WorldKey, &'a WorldItem)>,
) -> Vec<Face> {
    let face = |(key, item): (&WorldKey, &WorldItem)| Face {
        name: resolve.name_world_key(key),
        interface: match item {
            WorldItem::Interface { id, .. } => Some(*id),
            WorldItem::Function(_) | WorldItem::Type { .. } => None,
        },
    };
    items.into_iter().map(face).collect()
}

/// The package this host speaks, as it was embedded.
fn host() -> Result<(Resolve, PackageId), String> {
    let mut files = SourceMap::new();
    for (name, text) in SOURCES {
        files.push_str(name, text);
    }
    let group = files.parse().map_err(|(_, error)| format!("{error:?}"))?;
    let mut resolve = Resolve::new();
    let package = resolve.push_group(group).map_err(|error| format!("{error:?}"))?;
    Ok((resolve, package))
}

#[cfg(test)]
mod tests;
