//! The conformance suite: all schemes, policies and strategies share it.

use chimera_kit::check::{Grade, Level, Options, Report, check};
use chimera_plugin::{Artifact, Registry};

use crate::{built, engines, second};

/// Configurations under which components are checked besides their defaults, and for those
/// that have none.
const CONFIGURED: [(&str, &str); 5] = [
    ("payout-pplns", r#"{"n_milli":5000,"fee_ppm":0}"#),
    ("payout-pplns", r#"{"unfilled":"pool","fee_ppm":1000000}"#),
    ("payout-pps", r#"{"fee_ppm":0}"#),
    ("auth-allowlist", r#"{"accounts":["alice","bob"],"passwords":{"bob":"x"}}"#),
    ("difficulty-vardiff", r#"{"target_shares_per_minute":6,"retarget_interval_s":60}"#),
];

fn examined(artifact: &Artifact, config: &str) -> Report {
    let options = Options { config: config.to_owned(), ..Options::default() };
    check(engines(), second(), artifact, &options)
}

fn holds(report: &Report, config: &str) {
    let errors: Vec<_> = report
        .levels
        .iter()
        .flat_map(|level| level.findings.iter().map(move |finding| (level.level, finding)))
        .filter(|(_, finding)| finding.grade == Grade::Error)
        .collect();
    assert!(report.passed(), "{} {config}: {errors:#?}", report.component);
    // Nothing passes because it was not looked at.
    let tried: Vec<Level> = report
        .levels
        .iter()
        .filter(|level| level.checks > 0 && level.skipped.is_none())
        .map(|level| level.level)
        .collect();
    for level in [Level::L0, Level::L1, Level::L3, Level::L4] {
        assert!(tried.contains(&level), "{} {config}: {level:?} was left out", report.component);
    }
}

#[test]
fn every_shipped_component_keeps_the_rules_of_its_class() {
    for name in Registry::new(None).unwrap().names().unwrap() {
        holds(&examined(&Registry::new(None).unwrap().find(&name).unwrap(), ""), "");
    }
}

#[test]
fn they_keep_them_under_other_configurations() {
    for (name, config) in CONFIGURED {
        holds(&examined(&built(name), config), config);
    }
}

#[test]
fn the_smallest_example_keeps_them_with_its_declared_exception() {
    let report = examined(&built("payout-equal"), "");
    holds(&report, "");
    let money = report.levels.iter().find(|level| level.level == Level::L2).unwrap();
    assert!(money.facts.iter().any(|fact| fact == "declared exceptions: splitting"), "{money:?}");
}
