//! L1: describing, validating, configuring: nothing an operator can type is a trap.

use chimera_plugin::{Cause, Diagnostic, PluginError};

use super::{LevelReport, Subject, mutations, schema};
use crate::dice::Dice;
use crate::doubles::{self, Endpoint};
use crate::subject::Loaded;

/// Configurations tried.
const MUTATIONS: u32 = 500;

pub(super) fn run(subject: &Subject<'_>, report: &mut LevelReport) {
    describes_itself(subject, report);
    let problems = schema::problems(&subject.schema);
    report.require(
        problems.is_empty(),
        "schema",
        "config-schema is JSON Schema (draft 2020-12)",
        || problems.join("; "),
        "mend the schema where it says",
    );
    let misfits = schema::misfits(&subject.schema, &subject.canonical);
    report.require(
        misfits.is_empty(),
        "schema of the canonical configuration",
        "the schema allows what validate answers",
        || misfits.join("; "),
        "let the schema and the type of the configuration say the same",
    );
    let mut dice = Dice::new(subject.options.seed);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..MUTATIONS {
        let text = mutations::mutated(&subject.canonical, &mut dice);
        match load(subject, &text) {
            Ok(loaded) => {
                accepted += 1;
                fixed_point(subject, &text, &loaded, report);
            }
            Err(error) => {
                refused += 1;
                refusal(&text, &error, report);
            }
        }
    }
    report.fact(format!(
        "{MUTATIONS} mutated configurations: {accepted} accepted, {refused} refused"
    ));
}

fn load(subject: &Subject<'_>, config: &str) -> Result<Loaded, PluginError> {
    let Subject { engines, artifact, class, grants, .. } = subject;
    let services = doubles::services(Endpoint::Answers);
    Loaded::load(engines, artifact, *class, config, grants, services)
}

fn describes_itself(subject: &Subject<'_>, report: &mut LevelReport) {
    let again = load(subject, subject.loaded.canonical());
    let first = subject.loaded.info();
    report.tried();
    match again {
        Ok(again) if again.info() == first => {}
        Ok(again) => report.error(
            "describe",
            "the same answer every time",
            format!("{first:?}, and then {:?}", again.info()),
            "describe from constants",
        ),
        Err(error) => report.error(
            "canonical",
            "its canonical configuration is accepted again",
            error.to_string(),
            "validate must accept what it answered",
        ),
    }
    let texts = [("name", &first.name), ("version", &first.version)];
    for (what, text) in texts {
        report.require(
            !text.is_empty(),
            "describe",
            format!("a {what}"),
            || "an empty one".to_owned(),
            "describe must say who the component is",
        );
    }
    report.require(
        first.state_accepts_since <= first.state_version,
        "state versions",
        "state-accepts-since is not above state-version",
        || format!("{} is above {}", first.state_accepts_since, first.state_version),
        "a build accepts at least what it writes",
    );
}

/// What is accepted is accepted again, as itself.
fn fixed_point(subject: &Subject<'_>, text: &str, loaded: &Loaded, report: &mut LevelReport) {
    report.tried();
    let canonical = loaded.canonical();
    match load(subject, canonical) {
        Ok(again) if again.canonical() == canonical => {}
        Ok(again) => report.error(
            "canonical",
            "the canonical configuration is a fixed point of validate",
            format!("{} becomes {canonical}, and that {}", brief(text), again.canonical()),
            "answer validate from the parsed configuration, with sorted keys",
        ),
        Err(error) => report.error(
            "canonical",
            "its canonical configuration is accepted again",
            format!("{} becomes {canonical}, and that: {error}", brief(text)),
            "validate must accept what it answered",
        ),
    }
}

/// What is refused is refused in words, by validate, with the place.
fn refusal(text: &str, error: &PluginError, report: &mut LevelReport) {
    report.tried();
    let mend_words = "return diagnostics from validate instead of unwrapping";
    match &error.cause {
        Cause::Config(found) => diagnostics(text, found, report),
        Cause::Trap(trap) => report.error(
            "no trap",
            "a configuration is accepted or refused in words",
            format!("{}: {} {trap}", brief(text), error.call),
            mend_words,
        ),
        Cause::UnstableConfig { .. } => report.error(
            "canonical",
            "the canonical configuration is a fixed point of validate",
            format!("{}: {}", brief(text), error.cause),
            "answer validate from the parsed configuration, with sorted keys",
        ),
        cause => report.error(
            "configure",
            "configure and what follows accept what validate accepted",
            format!("{}: {}: {cause}", brief(text), error.call),
            "check everything in validate: it is the only one that can point at the place",
        ),
    }
}

fn diagnostics(text: &str, found: &[Diagnostic], report: &mut LevelReport) {
    if found.is_empty() {
        return report.error(
            "diagnostics",
            "a refusal says why",
            format!("{}: refused without a diagnostic", brief(text)),
            "return one diagnostic per problem",
        );
    }
    for diagnostic in found {
        if !is_pointer(&diagnostic.at) {
            report.error(
                "diagnostics",
                "`at` is a JSON Pointer (RFC 6901), e.g. /fee_ppm",
                format!("{}: {:?}", brief(text), diagnostic.at),
                "begin it with /; empty means the whole configuration",
            );
        }
        if diagnostic.message.trim().is_empty() {
            report.error(
                "diagnostics",
                "a diagnostic has words",
                format!("{}: an empty message at {:?}", brief(text), diagnostic.at),
                "say what is wrong, and in the hint what would be right",
            );
        }
    }
}

fn is_pointer(at: &str) -> bool {
    let escaped = |rest: &str| rest.starts_with('0') || rest.starts_with('1');
    (at.is_empty() || at.starts_with('/')) && at.split('~').skip(1).all(escaped)
}

fn brief(text: &str) -> String {
    let end = text.floor_char_boundary(80);
    if end < text.len() { format!("{}...", &text[..end]) } else { text.to_owned() }
}
