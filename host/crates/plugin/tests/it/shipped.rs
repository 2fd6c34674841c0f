//! Every shipped component: it loads, says who it is, and knows good settings from bad.

use chimera_ledger::{SchemeKind, WindowSize};
use chimera_plugin::{
    Artifact, AuthPolicy, Cause, DifficultyStrategy, Digest, Info, PayoutScheme, PluginError,
    Registry,
};

use crate::{engines, shipped};

const SHIPPED: [&str; 8] = [
    "auth-allowlist",
    "auth-open",
    "difficulty-fixed",
    "difficulty-vardiff",
    "payout-pplns",
    "payout-pps",
    "payout-prop",
    "payout-solo",
];

/// Loads a component into the slot its name says: what it is, and its canonical settings.
fn load(artifact: &Artifact, config: &str) -> Result<(Info, String), PluginError> {
    let engines = engines();
    match artifact.name().split('-').next() {
        Some("payout") => PayoutScheme::load(engines, artifact, config)
            .map(|scheme| (scheme.info().clone(), scheme.canonical_config().to_owned())),
        Some("auth") => AuthPolicy::load(engines, artifact, config)
            .map(|policy| (policy.info().clone(), policy.canonical_config().to_owned())),
        _ => DifficultyStrategy::load(engines, artifact, config)
            .map(|strategy| (strategy.info().clone(), strategy.canonical_config().to_owned())),
    }
}

#[test]
fn the_binary_brings_all_shipped_components() {
    assert_eq!(Registry::new(None).unwrap().names().unwrap(), SHIPPED);
}

#[test]
fn each_says_who_it_is_and_takes_its_own_defaults() {
    for name in SHIPPED {
        let artifact = shipped(name);
        let (info, canonical) = load(&artifact, "").unwrap();
        assert_eq!(info.name, name);
        assert!(!info.description.is_empty() && !info.version.is_empty(), "{name}");
        // All defaults are filled in and are those the schema promises.
        let schema: serde_json::Value = serde_json::from_str(&info.config_schema).unwrap();
        let settings: serde_json::Value = serde_json::from_str(&canonical).unwrap();
        let properties = schema["properties"].as_object().unwrap();
        assert!(properties.keys().eq(settings.as_object().unwrap().keys()), "{name}");
        for (key, property) in properties {
            assert_eq!(property["default"], settings[key], "{name}, {key}");
            assert!(property["description"].is_string(), "{name}, {key}");
        }
        // A fixed point, whatever way it came in.
        let (_, again) = load(&artifact, &canonical).unwrap();
        assert_eq!(again, canonical);
        assert_eq!(Digest::of(artifact.bytes()), artifact.digest());
    }
}

#[test]
fn canonical_settings_have_one_spelling() {
    for (name, one, other) in [
        (
            "payout-pplns",
            r#"{"fee_ppm":5,"n_milli":8000}"#,
            r#" { "n_milli": 8000, "fee_ppm": 5 } "#,
        ),
        ("difficulty-fixed", r#"{"difficulty":0.50}"#, r#"{"difficulty":"5e-1","hint":false}"#),
        ("auth-allowlist", r#"{"accounts":["a"]}"#, r#"{"passwords":{},"accounts":["a"]}"#),
    ] {
        let artifact = shipped(name);
        assert_eq!(load(&artifact, one).unwrap().1, load(&artifact, other).unwrap().1, "{name}");
    }
}

#[test]
fn bad_settings_are_refused_at_load_with_their_place() {
    // component, configuration, the message an operator reads
    for (name, config, expected) in [
        ("payout-pplns", r#"{"n_milli":0}"#, "/n_milli: a window of 0 thousandths"),
        ("payout-pplns", r#"{"n":2}"#, "/n: unknown field `n`"),
        ("payout-pplns", r#"{"unfilled":"me"}"#, "/unfilled: unknown variant `me`"),
        ("payout-pplns", "[]", "the whole: no JSON object"),
        ("payout-pps", r#"{"fee_ppm":-1}"#, "/fee_ppm: invalid value"),
        ("payout-prop", r#"{"fee_ppm":1000001}"#, "/fee_ppm: a fee of 1000001"),
        ("payout-solo", r#"{"fee_ppm":0.5}"#, "/fee_ppm: invalid type"),
        ("auth-open", r#"{"default_worker":""}"#, "/default_worker: \"\" is no worker name"),
        ("auth-allowlist", r#"{"accounts":["a",7]}"#, "/accounts/1: invalid type"),
        ("auth-allowlist", r#"{"passwords":{"eve":"x"}}"#, "/passwords: a password for \"eve\""),
        ("difficulty-vardiff", r#"{"tolerance_percent":4}"#, "/tolerance_percent: 4 (expected: 5"),
        ("difficulty-fixed", r#"{"difficulty":0}"#, "/difficulty: 0 is not between"),
    ] {
        let error = load(&shipped(name), config).unwrap_err();
        assert_eq!((error.plugin.as_str(), error.call), (name, "validate"));
        assert!(matches!(error.cause, Cause::Config(_)), "{error}");
        assert!(error.to_string().contains(expected), "{name} {config}: {error}");
    }
}

#[test]
fn a_component_of_another_class_is_told_from_the_right_one() {
    let engines = engines();
    for (error, world, missing, has) in [
        (
            PayoutScheme::load(engines, &shipped("auth-open"), "").err().unwrap(),
            "no payout-scheme",
            "does not export chimera:pool/payout@0.1.0",
            "chimera:pool/auth@0.1.0",
        ),
        (
            AuthPolicy::load(engines, &shipped("difficulty-fixed"), "").err().unwrap(),
            "no auth-policy",
            "does not export chimera:pool/auth@0.1.0",
            "chimera:pool/difficulty@0.1.0",
        ),
        (
            DifficultyStrategy::load(engines, &shipped("payout-solo"), "").err().unwrap(),
            "no difficulty-strategy",
            "does not export chimera:pool/difficulty@0.1.0",
            "chimera:pool/payout@0.1.0",
        ),
    ] {
        let text = error.to_string();
        assert!([world, missing, has].iter().all(|part| text.contains(part)), "{text}");
    }
}

#[test]
fn payout_plans_follow_the_settings() {
    for (name, config, kind, window) in [
        ("payout-pplns", "", SchemeKind::Distribute, WindowSize::NetworkWorkMilli(2000)),
        (
            "payout-pplns",
            r#"{"n_milli":8000}"#,
            SchemeKind::Distribute,
            WindowSize::NetworkWorkMilli(8000),
        ),
        ("payout-prop", "", SchemeKind::Distribute, WindowSize::SinceLastBlock),
        ("payout-solo", "", SchemeKind::Distribute, WindowSize::None),
        ("payout-pps", "", SchemeKind::Accrue, WindowSize::SinceLastBlock),
    ] {
        let scheme = PayoutScheme::load(engines(), &shipped(name), config).unwrap();
        let plan = scheme.plan();
        assert_eq!((plan.kind, plan.window, plan.buckets), (kind, window, 1), "{name}");
        assert_eq!(scheme.digest(), shipped(name).digest());
    }
}
