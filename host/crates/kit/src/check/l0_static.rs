//! L0: what its bytes are. Nothing runs.

use chimera_plugin::{Artifact, Asks, Class, Surface};
use serde_json::Value;

use super::{LevelReport, Options, Subject, l2_money};
use crate::inspect::{Anatomy, Floats, Standing, standing};
use crate::subject::class_of;

/// A strategy is called every second by every shard: what is larger brought a runtime along.
const DIFFICULTY_BYTES_MAX: usize = 2 << 20;

pub(super) fn run(
    artifact: &Artifact,
    options: &Options,
    report: &mut LevelReport,
) -> Option<Surface> {
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
    inside(artifact, class, options, report);
    Some(surface)
}

/// Whether every exception its schema declares is one there is: a misspelt one would except
/// nothing, and its author would not know.
pub(super) fn exceptions(subject: &Subject<'_>, report: &mut LevelReport) {
    const KEY: &str = "x-chimera-exceptions";
    let declared = &subject.schema[KEY];
    if declared.is_null() {
        return;
    }
    let known: &[&str] = if subject.class == Class::Payout { &l2_money::EXCEPTIONS } else { &[] };
    let wrong: Vec<String> = match declared.as_array() {
        Some(names) => {
            let is_known = |name: &&Value| name.as_str().is_some_and(|name| known.contains(&name));
            names.iter().filter(|name| !is_known(name)).map(Value::to_string).collect()
        }
        None => vec![declared.to_string()],
    };
    let there_are = match known {
        [] => format!("no {KEY}: a {} has none", subject.class.world()),
        known => format!("{KEY} is a list of {}", known.join(", ")),
    };
    report.require(
        wrong.is_empty(),
        "exceptions",
        there_are,
        || wrong.join(", "),
        "correct the name in the schema, or take it out",
    );
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

fn inside(artifact: &Artifact, class: Option<Class>, options: &Options, report: &mut LevelReport) {
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
        floats(&anatomy.floats, options.no_floats, report);
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

/// Floats are judged by what they do to an answer: the bytes cannot tell those that divide money
/// from those of a library that reads and writes JSON numbers.
fn floats(floats: &Floats, refused: bool, report: &mut LevelReport) {
    let Floats { instructions, functions } = floats;
    let some: Vec<&str> = functions.keys().take(3).map(String::as_str).collect();
    let found = format!(
        "{instructions} instructions in {} functions, e.g. {}",
        functions.len(),
        some.join(", ")
    );
    let expected = "no floating point where money is divided";
    if refused {
        let mend = "compute in integers of 128 bits: the SDK has mul_div_floor and split_exact; \
                    without --no-floats this is a note";
        return report.error("floats", expected, found, mend);
    }
    report.note(
        "floats",
        expected,
        found,
        "nothing, if they are a library's (serde_json's, for numbers): judged are answers, which \
         must be equal on two engines, here in L3 and in a pool before money moves \
         (payout.cross_check); --no-floats makes it an error",
    );
}
