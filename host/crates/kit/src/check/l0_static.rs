//! L0: what its bytes are. Nothing runs.

use chimera_plugin::{Artifact, Asks, Class, Surface};

use super::LevelReport;
use crate::inspect::{Anatomy, Standing, standing};
use crate::subject::class_of;

/// A strategy is called every second by every shard: what is larger brought a runtime along.
const DIFFICULTY_BYTES_MAX: usize = 2 << 20;

pub(super) fn run(artifact: &Artifact, report: &mut LevelReport) -> Option<Surface> {
    report.tried();
    let surface = match Surface::of(artifact.bytes()) {
        Ok(surface) => surface,
        Err(cause) => {
            report.error(
                "is a component",
                "a WebAssembly component",
                cause.to_string(),
                "build it with `chimera plugin build`",
            );
            return None;
        }
    };
    let class = class_of(&surface, artifact.name());
    let exports = surface.exports().join(", ");
    report.require(
        class.is_some(),
        "world",
        "an export of chimera:pool/payout, auth or difficulty at 0.1.0",
        || if exports.is_empty() { "no export".to_owned() } else { exports },
        "implement one of the three worlds of wit/0.1",
    );
    report.tried();
    for mismatch in surface.against_host().mismatches {
        report.error(
            "interface",
            "the interfaces of chimera:pool@0.1.0",
            mismatch.to_string(),
            "build against this release's wit/0.1",
        );
    }
    imports(artifact, &surface, class, report);
    inside(artifact, class, report);
    Some(surface)
}

fn imports(artifact: &Artifact, surface: &Surface, class: Option<Class>, report: &mut LevelReport) {
    let Ok(asks) = Asks::of(artifact) else { return };
    for name in surface.imports() {
        report.tried();
        match standing(name, class, &asks) {
            Standing::Given => {}
            Standing::NeedsGrant { grant } => report.fact(format!("asks for the grant {grant}")),
            Standing::Shimmed => report.fact(format!("{name} is a shim: no system behind it")),
            Standing::Refused { mend } => report.error(
                "imports",
                "no import but chimera:pool/log and what can be granted",
                format!("it imports {name}"),
                mend,
            ),
        }
    }
}

fn inside(artifact: &Artifact, class: Option<Class>, report: &mut LevelReport) {
    let bytes = artifact.bytes().len();
    report.fact(format!("{bytes} bytes, digest {}", artifact.digest()));
    if class == Some(Class::Difficulty) && bytes > DIFFICULTY_BYTES_MAX {
        report.warning(
            "size",
            format!("a difficulty strategy of at most {DIFFICULTY_BYTES_MAX} bytes"),
            format!("{bytes} bytes"),
            "write it in a compiled language: interpreters are too slow for it",
        );
    }
    report.tried();
    let anatomy = match Anatomy::of(artifact.bytes()) {
        Ok(anatomy) => anatomy,
        Err(problem) => {
            let mend = "build it with `chimera plugin build`";
            return report.error("is a component", "readable sections", problem, mend);
        }
    };
    if let Some(limit) = anatomy.memory_bytes_max {
        report.fact(format!("takes at most {limit} bytes of memory"));
    }
    report.tried();
    if class == Some(Class::Payout) && anatomy.floats.instructions > 0 {
        let functions: Vec<&str> =
            anatomy.floats.functions.keys().take(3).map(String::as_str).collect();
        report.warning(
            "floats",
            "no floating point where money is divided",
            format!(
                "{} instructions in {} functions, e.g. {}",
                anatomy.floats.instructions,
                anatomy.floats.functions.len(),
                functions.join(", ")
            ),
            "compute in integers of 128 bits: the SDK has mul_div_floor and split_exact",
        );
    }
    report.tried();
    if !anatomy.names {
        report.warning(
            "names",
            "a name section, so that a trap tells its function",
            "none",
            "strip = \"debuginfo\" instead of \"symbols\" in the profile",
        );
    }
}
