//! One deliberately wrong component per rule: the check must notice at the right level, and
//! say so in words that help. The hostile component does what its configuration says.

use chimera_kit::check::{Finding, Grade, Level, Options, Report, check};
use chimera_plugin::{Artifact, Registry};

use crate::{built, engines, second};

/// The hostile component, to be judged as one of a class.
fn hostile(class: &str) -> Artifact {
    Artifact::kept(&format!("{class}-hostile"), built("hostile").bytes().to_vec())
}

#[test]
fn wrong_components_fail_where_they_are_wrong() {
    // class, misdeed, level, rule, words
    for (class, misdeed, level, rule, words) in [
        ("payout", "generous", Level::L2, "conservation", "for a reward of"),
        ("payout", "short", Level::L2, "conservation", "weights where"),
        ("payout", "nobody", Level::L2, "conservation", "nobody to receive"),
        ("payout", "trap", Level::L2, "conservation", "the books are on fire"),
        ("payout", "hoard", Level::L2, "conservation", "bytes of state"),
        ("payout", "accrue-by-weight", Level::L2, "conservation", "weights for an interval"),
        ("payout", "buckets", Level::L1, "loads", "2000 buckets"),
        ("payout", "trap", Level::L5, "random state", "the books are on fire"),
        ("payout", "grow", Level::L4, "limits", "bytes of memory"),
        ("payout", "none", Level::L5, "future state", "version 2 is accepted"),
        ("auth", "anonymous", Level::L6, "names", "0 bytes"),
        ("auth", "bell", Level::L6, "names", "printable"),
        ("auth", "trap", Level::L6, "decides", "the books are on fire"),
        ("auth", "loop", Level::L6, "decides", "took longer"),
        ("difficulty", "short", Level::L6, "shape", "0 difficulties"),
        ("difficulty", "forgetful", Level::L6, "shape", "words of state"),
        ("difficulty", "elephant", Level::L1, "loads", "9 words"),
        ("difficulty", "none", Level::L6, "target", "neither"),
        ("difficulty", "once", Level::L6, "shape", "crashed"),
    ] {
        let options = Options {
            config: format!("{{\"misdeed\":\"{misdeed}\"}}"),
            levels: [level].into(),
            ..Options::default()
        };
        let report = check(engines(), second(), &hostile(class), &options);
        assert!(!report.passed(), "{class} {misdeed}");
        let findings = report.levels.iter().find(|found| found.level == level);
        let findings = &findings.expect("the level is reported").findings;
        let finding = findings.iter().find(|finding| finding.rule == rule);
        let finding = finding.unwrap_or_else(|| panic!("{class} {misdeed}: {findings:#?}"));
        assert!(finding.found.contains(words), "{class} {misdeed}: {finding:#?}");
        assert!(!finding.expected.is_empty() && !finding.mend.is_empty(), "{finding:#?}");
    }
}

#[test]
fn a_schema_or_configuration_that_is_none_is_told() {
    let options = Options { levels: [Level::L1].into(), ..Options::default() };
    let report = check(engines(), second(), &hostile("payout"), &options);
    let rules: Vec<_> = report.levels.iter().flat_map(|level| &level.findings).collect();
    assert!(rules.iter().any(|finding| finding.rule == "schema"), "{rules:#?}");
}

#[test]
fn an_interface_of_another_version_and_what_is_no_component_fail_statically() {
    for (bytes, words) in [
        (&b"text"[..], "no WebAssembly"),
        (b"\0asm\x01\0\0\0", "core module"),
        (b"", "it is empty"),
    ] {
        let artifact = Artifact::kept("payout-x", bytes.to_vec());
        let report = check(engines(), second(), &artifact, &Options::default());
        assert!(!report.passed());
        let finding = &report.levels[0].findings[0];
        assert_eq!((report.levels[0].level, finding.rule), (Level::L0, "is a component"));
        assert!(finding.found.contains(words), "{finding:?}");
        // All that follows was not reached, and says so.
        assert!(report.levels[1..].iter().all(|level| level.skipped.is_some()));
    }
}

/// The example that pays by heads declares that it is not neutral to splitting; without the
/// declaration it would fail.
#[test]
fn an_exception_that_is_not_declared_is_an_error() {
    let bytes = built("payout-equal").bytes().to_vec();
    let declared = b"x-chimera-exceptions";
    let at = bytes.windows(declared.len()).position(|window| window == declared).unwrap();
    let mut silent = bytes;
    silent[at..at + declared.len()].copy_from_slice(b"x-chimera-forgotten-");
    let artifact = Artifact::kept("payout-equal", silent);
    let options = Options { levels: [Level::L2].into(), ..Options::default() };
    let report = check(engines(), second(), &artifact, &options);
    let findings: Vec<_> = report.levels.iter().flat_map(|level| &level.findings).collect();
    let splitting = findings.iter().find(|finding| finding.rule == "splitting").unwrap();
    assert!(splitting.found.contains("as one account"), "{splitting:?}");
    assert!(splitting.mend.contains("x-chimera-exceptions"), "{splitting:?}");
}

/// A misspelt exception excepted nothing, and nobody was told.
#[test]
fn an_exception_there_is_not_is_an_error_that_lists_those_there_are() {
    let mut bytes = built("payout-equal").bytes().to_vec();
    let declared = b"[\"splitting\"]";
    let at = bytes.windows(declared.len()).position(|window| window == declared).unwrap();
    bytes[at..at + declared.len()].copy_from_slice(b"[\"splittimg\"]");
    let artifact = Artifact::kept("payout-equal", bytes);
    let options = Options { levels: [Level::L0].into(), ..Options::default() };
    let report = check(engines(), second(), &artifact, &options);
    let finding = found(&report, "exceptions").expect("it is told");
    assert_eq!((finding.grade, finding.found.as_str()), (Grade::Error, "\"splittimg\""));
    for known in ["splitting", "scaling", "monotone", "relabelling", "equal-work", "additive"] {
        assert!(finding.expected.contains(known), "{finding:?}");
    }
}

/// Floats of a library that reads JSON were a warning nobody could mend: `--strict` failed
/// shipped components.
#[test]
fn floats_are_a_note_unless_the_check_is_told_to_refuse_them() {
    let registry = Registry::new(None).unwrap();
    let (mut noted, mut options) =
        (0, Options { levels: [Level::L0].into(), strict: true, ..Options::default() });
    for name in registry.names().unwrap().iter().filter(|name| name.starts_with("payout-")) {
        let artifact = registry.find(name).unwrap();
        options.no_floats = false;
        let report = check(engines(), second(), &artifact, &options);
        assert!(report.passed() && report.levels[0].holds(), "{name}: {report:#?}");
        let Some(note) = found(&report, "floats") else { continue };
        noted += 1;
        assert_eq!(note.grade, Grade::Note);
        assert!(note.mend.contains("L3") && note.mend.contains("cross_check"), "{note:?}");
        options.no_floats = true;
        let refused = check(engines(), second(), &artifact, &options);
        assert!(!refused.passed(), "{name}");
        assert_eq!(found(&refused, "floats").unwrap().grade, Grade::Error);
    }
    assert!(noted > 0, "no shipped scheme has floats: this test looks at nothing");
}

fn found<'a>(report: &'a Report, rule: &str) -> Option<&'a Finding> {
    let mut findings = report.levels.iter().flat_map(|level| &level.findings);
    findings.find(|finding| finding.rule == rule)
}
