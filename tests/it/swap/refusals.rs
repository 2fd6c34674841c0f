//! What is refused and why, who may ask, and what is shown of it.

use serde_json::{Value, json};

use super::{newest, path, steps};
use crate::harness::TestPool;
use crate::plugins::{built, directory};

/// Every refusal says what is wrong, and nothing has changed.
#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_can_be_read() {
    let plugins = directory(&[
        ("payout-text.wasm", b"not wasm at all"),
        ("payout-core.wasm", b"\0asm\x01\0\0\0"),
    ]);
    let endpoints = "{ users = { url = \"https://h.example/\" } }";
    let changes = [("PLUGINS__DIRECTORY", path(&plugins)), ("AUTH__ENDPOINTS", endpoints)];
    let pool = TestPool::start(&changes).await;
    let before = pool.get("plugins").await;
    for (slot, body, expected) in [
        ("payout", json!({ "component": "payout-none" }), "no component \"payout-none\""),
        ("payout", json!({ "component": "../evil" }), "is no component name"),
        ("payout", json!({ "component": "auth-open" }), "payout-scheme"),
        ("payout", json!({ "component": "payout-text" }), "no WebAssembly"),
        ("payout", json!({ "component": "payout-core" }), "`chimera plugin build`"),
        ("payout", json!({ "component": "0".repeat(64) }), "is kept here"),
        ("payout", json!({ "component": "payout-pps", "digest": "0".repeat(64) }), "is pinned"),
        ("payout", json!({ "component": "payout-pps", "digest": "abc" }), "is no digest"),
        ("payout", json!({ "component": "payout-pplns" }), "in force already: generation 1"),
        ("payout", json!({ "component": "payout-pplns", "config": { "n": 3 } }), "/n"),
        ("auth", json!({ "component": "auth-open", "grants": ["network"] }), "is no grant"),
        (
            "auth",
            json!({ "component": "auth-webhook", "grants": ["fetch:user"] }),
            "fetch:user cannot be granted: there is no endpoint of that name; there are: users",
        ),
        (
            "auth",
            json!({ "component": "auth-jwt", "grants": ["secret:jwt"] }),
            "secret:jwt cannot be granted: there is no secret of that name; there are: none",
        ),
        ("storage", json!({ "component": "auth-open" }), "payout, auth, difficulty"),
        (
            "payout",
            json!({ "component": "payout-hostile", "config": { "misdeed": "trap" } }),
            "asked to settle a block for 3 accounts",
        ),
        (
            "auth",
            json!({ "component": "auth-hostile", "config": { "misdeed": "loop" } }),
            "asked about \"alice.rig\"",
        ),
        (
            "difficulty",
            json!({ "component": "difficulty-hostile", "config": { "misdeed": "forgetful" } }),
            "asked about 3 sessions",
        ),
    ] {
        let why = pool.swap_refused(slot, body.clone()).await;
        assert!(why.contains(expected), "{slot} {body}: {why}");
    }
    let after = pool.get("plugins").await;
    for slot in 0..3 {
        for key in ["name", "digest", "generation", "config"] {
            assert_eq!(before["plugins"][slot][key], after["plugins"][slot][key]);
        }
    }
    let refused = newest(&pool, "payout").await;
    assert_eq!(refused["outcome"], "refused", "refusals are on record: {refused:#}");
    pool.stop().await;
}

/// The cases a component carries are asked before it takes over.
#[tokio::test(flavor = "multi_thread")]
async fn a_component_is_held_to_the_cases_it_carries() {
    let case = include_str!("../../../examples/payout-equal/vectors/three-of-four-worked.json");
    let wrong = case.replace("[1, 1, 0, 1]", "[1, 1, 1, 1]");
    assert_ne!(wrong, case);
    let carrying = |case: &str| {
        let mut component = built("payout-equal");
        let cases = format!("{{\"three.json\":{case}}}");
        chimera_componentize::push_custom_section(
            &mut component,
            "chimera:vectors",
            cases.as_bytes(),
        );
        component
    };
    let (right, wrong) = (carrying(case), carrying(&wrong));
    let plugins = directory(&[("payout-right.wasm", &right), ("payout-wrong.wasm", &wrong)]);
    let pool = TestPool::start(&[("PLUGINS__DIRECTORY", path(&plugins))]).await;
    let why = pool.swap_refused("payout", json!({ "component": "payout-wrong" })).await;
    assert!(why.contains("its own case three.json ends with "), "{why}");
    let answer = pool.swap("payout", json!({ "component": "payout-right" })).await;
    let told = answer["steps"][2]["detail"].as_str().expect("what was asked");
    assert!(told.ends_with("; its own cases hold: 1"), "{told}");
    pool.stop().await;
}

/// Who may not change anything is told so.
#[tokio::test(flavor = "multi_thread")]
async fn changes_need_the_token_and_no_browser() {
    use std::os::unix::fs::PermissionsExt as _;
    let pool = TestPool::start(&[]).await;
    let file = pool.dir.path().join("admin.token");
    let mode = std::fs::metadata(&file).expect("made at the start").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let token = std::fs::read_to_string(&file).expect("readable by its owner");
    let url = format!("{}/api/v1/plugins/payout/swap", pool.api);
    let ask = |token: Option<&str>, origin: Option<&str>, body: &str| {
        let mut request = reqwest::Client::new().post(&url).body(body.to_owned());
        if let Some(token) = token {
            request = request.bearer_auth(token.trim());
        }
        if let Some(origin) = origin {
            request = request.header("Origin", origin);
        }
        request.send()
    };
    let body = r#"{ "component": "payout-none" }"#;
    let wrong = "0".repeat(64);
    for (shown, origin, body, expected) in [
        (None, None, body, 401),
        (Some(wrong.as_str()), None, body, 401),
        (Some(&token[..10]), None, body, 401),
        (Some(token.as_str()), Some("http://127.0.0.1:8080"), body, 403),
        (Some(token.as_str()), None, "{", 400),
        (Some(token.as_str()), None, r#"{ "component": "x", "colour": 1 }"#, 400),
        (Some(token.as_str()), None, body, 409),
    ] {
        let answer = ask(shown, origin, body).await.expect("an answer");
        assert_eq!(answer.status().as_u16(), expected, "{shown:?} {origin:?} {body}");
    }
    pool.stop().await;
}

/// Secrets in a configuration are known by the mark in the component's schema: they are in no
/// answer of the API, and the rest of it is.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_schema_marks_as_secret_is_shown_nowhere() {
    let plugins = directory(&[]);
    let pool = TestPool::start(&[("PLUGINS__DIRECTORY", path(&plugins))]).await;
    let config = json!({ "accounts": ["alice"], "passwords": { "alice": "hunter2" } });
    let grants = json!(["credential"]);
    let body = json!({ "component": "auth-allowlist", "config": config, "grants": grants });
    let answer = pool.swap("auth", body).await;
    let plugin = pool.plugin("auth").await;
    assert_eq!(plugin["config"]["accounts"], json!(["alice"]), "{plugin:#}");
    assert_eq!(plugin["config"]["passwords"], "(hidden)");
    let swap = newest(&pool, "auth").await;
    assert_eq!(swap["config"], plugin["config"], "{swap:#}");
    assert!(swap["config_hash"].is_null(), "passwords can be tried against it: {swap:#}");
    // A component without a schema: nothing of its configuration is shown, in whatever slot.
    let body = json!({ "component": "payout-hostile", "config": { "misdeed": "none" } });
    let unknown = pool.swap("payout", body).await;
    assert!(pool.plugin("payout").await["config"].is_null());
    assert!(newest(&pool, "payout").await["config"].is_null());
    // Refused before a schema is known: what was asked for may be anything.
    let body = json!({ "component": "auth-none", "config": { "password": "hunter2" } });
    pool.swap_refused("auth", body).await;
    assert!(newest(&pool, "auth").await["config"].is_null());
    pool.swap("payout", json!({ "component": "payout-pps", "config": { "fee_ppm": 7 } })).await;
    let open = newest(&pool, "payout").await;
    assert_eq!((&open["config"]["fee_ppm"], open["config_hash"].is_string()), (&json!(7), true));
    let history = pool.get("plugins/history?limit=100").await;
    for answer in [answer, unknown, history, pool.get("plugins").await, pool.get("health").await] {
        assert!(!answer.to_string().contains("hunter2"), "{answer:#}");
    }
    pool.stop().await;
}

/// An upgrade that asks for more says so before any of it runs, through the API and on the
/// command line; granted, it is asked the host's questions before it takes over, and leaves
/// nothing behind.
#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_asks_for_more_grants_says_so_before_it_runs() {
    let named = built("auth-named");
    let plugins = directory(&[("auth-door.wasm", &named)]);
    let changes = [
        ("PLUGINS__DIRECTORY", path(&plugins)),
        ("AUTH__POLICY", "auth-door"),
        ("AUTH__ENDPOINTS", "{ door = { url = \"https://h.example/\" } }"),
        ("AUTH__SECRETS", "{ key = { env = \"PATH\" } }"),
    ];
    let pool = TestPool::start(&changes).await;
    let before = pool.plugin("auth").await;
    std::fs::write(plugins.path().join("auth-door.wasm"), built("hostile-auth")).expect("written");
    let why = pool.swap_refused("auth", json!({ "component": "auth-door" })).await;
    for expected in [
        // Refused while loading: `describe`, the first call, was not made.
        "auth-door: load: asks for chimera:pool/kv@0.1.0",
        "which is not granted",
        "auth.grants = [\"kv\", \"fetch:NAME\", \"secret:NAME\"]",
        "--grant kv --grant fetch:NAME --grant secret:NAME",
    ] {
        assert!(why.contains(expected), "{expected}: {why}");
    }
    let refused = newest(&pool, "auth").await;
    assert_eq!(steps(&refused), ["requested", "refused"], "{refused:#}");
    let (code, text) = plugin_swap(&pool, &["--grant", "kv"]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("asks for") && text.contains("--grant fetch:NAME"), "{text}");
    assert_eq!(pool.plugin("auth").await["digest"], before["digest"], "nothing has changed");

    let all = ["--grant", "kv", "--grant", "fetch:door", "--grant", "secret:key"];
    let (code, text) = plugin_swap(&pool, &all).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("2 logins are decided"), "{text}");
    let granted = json!(["fetch:door", "kv", "secret:key"]);
    let taken = |all: &Value| all["plugins"][1]["grants"] == granted;
    let after = pool.wait_for("plugins", taken).await;
    assert_ne!(after["plugins"][1]["digest"], before["digest"]);
    pool.stop().await;
}

/// A policy with grants was not asked anything before it took over. It is now, and one that fails
/// is refused; but not for what it does without an endpoint that is asked in force only.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_with_grants_is_asked_before_it_takes_over() {
    let plugins = directory(&[("auth-asking.wasm", &built("hostile-auth"))]);
    for read_only in [false, true] {
        // Nobody answers there.
        let endpoints = format!(
            "{{ door = {{ url = \"http://127.0.0.1:1/\", allow_private = true, \
             read_only = {read_only} }} }}"
        );
        let changes = [
            ("PLUGINS__DIRECTORY", path(&plugins)),
            ("AUTH__ENDPOINTS", &endpoints),
            ("AUTH__SECRETS", "{ key = { env = \"PATH\" } }"),
        ];
        let pool = TestPool::start(&changes).await;
        let door = json!({
            "component": "auth-asking", "config": { "door": true },
            "grants": ["kv", "fetch:door", "secret:key"],
        });
        if read_only {
            let why = pool.swap_refused("auth", door).await;
            assert!(why.contains("asked about \"alice.rig\""), "{why}");
            assert!(why.contains("nobody answers at the door"), "{why}");
        } else {
            let answer = pool.swap("auth", door).await;
            let prepared = &answer["steps"][2];
            let told = prepared["detail"].as_str().expect("a detail");
            assert!(prepared["step"] == "prepared" && told.contains("0 logins"), "{answer:#}");
            assert!(told.contains("2 need an endpoint") && told.contains("read_only"), "{told}");
        }
        let trap = json!({
            "component": "auth-hostile", "config": { "misdeed": "trap" }, "grants": ["kv"],
        });
        let why = pool.swap_refused("auth", trap).await;
        assert!(why.contains("asked about \"alice.rig\""), "{why}");
        pool.stop().await;
    }
}

/// `chimera plugin swap auth auth-door` with these options; exit code and what it says.
async fn plugin_swap(pool: &TestPool, options: &[&str]) -> (Option<i32>, String) {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_chimera"))
        .args(["plugin", "swap", "auth", "auth-door", "--api", &pool.api])
        .arg("--data-dir")
        .arg(pool.dir.path())
        .args(options)
        .output()
        .await
        .expect("the binary starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}
