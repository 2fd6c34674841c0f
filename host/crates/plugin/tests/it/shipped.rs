//! Every shipped component: it loads, says who it is, and knows good settings from bad.

use chimera_ledger::{SchemeKind, WindowSize};
use chimera_plugin::{
    Artifact, Asks, AuthPolicy, Cause, DifficultyStrategy, Digest, Grants, Info, PayoutScheme,
    PluginError, Registry, Services,
};

use crate::{engines, shipped};

const SHIPPED: [&str; 17] = [
    "auth-allowlist",
    "auth-jwt",
    "auth-limits",
    "auth-open",
    "auth-webhook",
    "difficulty-agent",
    "difficulty-fixed",
    "difficulty-hashrate",
    "difficulty-vardiff",
    "payout-fpps",
    "payout-pplns",
    "payout-pps",
    "payout-pps-plus",
    "payout-prop",
    "payout-score",
    "payout-solo",
    "payout-tides",
];

/// The grants a component cannot be loaded without, with a name where one is wanted.
fn grants_asked(artifact: &Artifact) -> Vec<String> {
    let asked = Asks::of(artifact).unwrap().grants();
    asked.into_iter().map(|grant| grant.replace("NAME", "name")).collect()
}

/// Loads a component into the slot its name says: what it is, and its canonical settings.
fn load(artifact: &Artifact, config: &str) -> Result<(Info, String), PluginError> {
    let engines = engines();
    match artifact.name().split('-').next() {
        Some("payout") => PayoutScheme::load(engines, artifact, config, &Grants::none())
            .map(|scheme| (scheme.info().clone(), scheme.canonical_config().to_owned())),
        Some("auth") => {
            let grants = Grants::parse(&grants_asked(artifact)).unwrap();
            AuthPolicy::load(engines, artifact, config, &grants, Services::none())
                .map(|policy| (policy.info().clone(), policy.canonical_config().to_owned()))
        }
        _ => DifficultyStrategy::load(engines, artifact, config, &Grants::none())
            .map(|strategy| (strategy.info().clone(), strategy.canonical_config().to_owned())),
    }
}

#[test]
fn the_binary_brings_all_shipped_components() {
    assert_eq!(Registry::new(None).unwrap().names().unwrap(), SHIPPED);
}

#[test]
fn each_asks_for_no_more_than_it_uses() {
    for name in SHIPPED {
        let expected: &[&str] = match name {
            "auth-jwt" => &["secret:name"],
            "auth-limits" => &["kv"],
            "auth-webhook" => &["fetch:name"],
            _ => &[],
        };
        assert_eq!(grants_asked(&shipped(name)), expected, "{name}");
        let asks = Asks::of(&shipped(name)).unwrap();
        assert!(asks.others.is_empty(), "{name}: {asks:?}");
    }
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
        ("payout-fpps", r#"{"n_milli":2000}"#, "/n_milli: unknown field"),
        ("payout-pps-plus", r#"{"tx_fees_fee_ppm":1000001}"#, "/tx_fees_fee_ppm: a fee of"),
        ("payout-score", r#"{"half_life_milli":0}"#, "/half_life_milli: a half-life of 0"),
        ("payout-tides", r#"{"n_milli":8000}"#, "/n_milli: unknown field"),
        ("payout-prop", r#"{"fee_ppm":1000001}"#, "/fee_ppm: a fee of 1000001"),
        ("payout-solo", r#"{"fee_ppm":0.5}"#, "/fee_ppm: invalid type"),
        ("auth-open", r#"{"default_worker":""}"#, "/default_worker: \"\" is no worker name"),
        ("auth-allowlist", r#"{"accounts":["a",7]}"#, "/accounts/1: invalid type"),
        ("auth-allowlist", r#"{"passwords":{"eve":"x"}}"#, "/passwords: a password for \"eve\""),
        ("auth-open", r#"{"address":{"bech32":["BC"]}}"#, "/address/bech32/0: \"BC\" is no human"),
        (
            "auth-allowlist",
            r#"{"accounts":["a"],"passwords":{"a":"$pbkdf2-sha256$1"}}"#,
            "/passwords:",
        ),
        ("auth-jwt", r#"{"algorithm":"none"}"#, "/algorithm: unknown variant `none`"),
        ("auth-limits", r#"{"limits":{"logins":5}}"#, "/limits/logins: unknown field"),
        ("auth-webhook", r#"{"endpoint":""}"#, "/endpoint: it is empty"),
        ("difficulty-agent", r#"{"agents":[{"agent":"x"}]}"#, "/agents/0: it says nothing"),
        ("difficulty-hashrate", r#"{"max_step":1}"#, "/max_step: 1 (expected: 2 to 64)"),
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
            PayoutScheme::load(engines, &shipped("auth-open"), "", &Grants::none()).err().unwrap(),
            "no payout-scheme",
            "does not export chimera:pool/payout@0.1.0",
            "chimera:pool/auth@0.1.0",
        ),
        (
            AuthPolicy::load(
                engines,
                &shipped("difficulty-fixed"),
                "",
                &Grants::none(),
                Services::none(),
            )
            .err()
            .unwrap(),
            "no auth-policy",
            "does not export chimera:pool/auth@0.1.0",
            "chimera:pool/difficulty@0.1.0",
        ),
        (
            DifficultyStrategy::load(engines, &shipped("payout-solo"), "", &Grants::none())
                .err()
                .unwrap(),
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
    use SchemeKind::{Accrue, Distribute, Hybrid};
    use WindowSize::{NetworkWorkMilli, SinceLastBlock};
    for (name, config, kind, window, buckets) in [
        ("payout-pplns", "", Distribute, NetworkWorkMilli(2000), 1),
        ("payout-pplns", r#"{"n_milli":8000}"#, Distribute, NetworkWorkMilli(8000), 1),
        ("payout-tides", "", Distribute, NetworkWorkMilli(8000), 1),
        ("payout-prop", "", Distribute, SinceLastBlock, 1),
        ("payout-score", "", Distribute, SinceLastBlock, 1024),
        ("payout-solo", "", Distribute, WindowSize::None, 1),
        ("payout-pps", "", Accrue, SinceLastBlock, 1),
        ("payout-fpps", "", Accrue, SinceLastBlock, 1),
        ("payout-pps-plus", "", Hybrid, NetworkWorkMilli(2000), 1),
        ("payout-pps-plus", r#"{"n_milli":500}"#, Hybrid, NetworkWorkMilli(500), 1),
    ] {
        let scheme =
            PayoutScheme::load(engines(), &shipped(name), config, &Grants::none()).unwrap();
        let plan = scheme.plan();
        assert_eq!((plan.kind, plan.window, plan.buckets), (kind, window, buckets), "{name}");
        assert_eq!(scheme.digest(), shipped(name).digest());
    }
}

/// What the conformance suite does not hold against a scheme, because it is its nature. Any
/// other scheme has none.
#[test]
fn declared_exceptions_are_the_known_ones() {
    for name in SHIPPED {
        let (info, _) = load(&shipped(name), "").unwrap();
        let schema: serde_json::Value = serde_json::from_str(&info.config_schema).unwrap();
        let declared = &schema["x-chimera-exceptions"];
        let expected = match name {
            "payout-score" => serde_json::json!(["scaling", "monotone"]),
            _ => serde_json::Value::Null,
        };
        assert_eq!(*declared, expected, "{name}");
    }
}
