//! What is answered from the snapshot: status, health, plugins, and what is refused.

use chimera_api::{ComponentHealth, ComponentState, Lifecycle, ROUTES, Snapshot};
use serde_json::json;

use crate::scene::{NOW_MS, Scene, healthy};

#[tokio::test]
async fn t18_status_answers_in_every_state_with_and_without_a_ledger() {
    let scene = Scene::new().await;
    for ledger in [Some(scene.store.clone()), None] {
        scene.ledger.send_replace(ledger);
        for state in Lifecycle::ALL {
            scene.publish(|snapshot| snapshot.lifecycle = state);
            let status = scene.good("/api/v1/status").await;
            assert_eq!(status["state"], state.name());
            assert_eq!(
                status["sessions"],
                json!({"connected": 3, "authorised": 2, "max_miners": 1000})
            );
            let (code, health) = scene.json("/api/v1/health").await;
            assert_eq!(code == 200, state == Lifecycle::Running, "{health}");
            assert_eq!(health["state"], state.name());
        }
    }
}

#[tokio::test]
async fn before_the_first_template_status_has_no_chain_and_says_so() {
    let scene = Scene::new().await;
    scene.snapshot.send_replace(Snapshot::default().into());
    let status = scene.good("/api/v1/status").await;
    assert_eq!((&status["state"], &status["chain"]), (&json!("stopped"), &json!(null)));
    let (code, health) = scene.json("/api/v1/health").await;
    assert_eq!((code, &health["cause"]), (503, &json!("the pool is stopped")));
}

#[tokio::test]
async fn t20_health_names_the_sick_part_since_when_and_what_to_do() {
    let scene = Scene::new().await;
    let good = scene.good("/api/v1/health").await;
    assert_eq!((&good["status"], &good["cause"]), (&json!("healthy"), &json!(null)));
    for (state, named) in
        [(ComponentState::Unhealthy, "unhealthy"), (ComponentState::Error, "error")]
    {
        let sick = ComponentHealth {
            name: "chain".to_owned(),
            state,
            cause: Some("connection refused".to_owned()),
            since_ms: NOW_MS - 7,
            recommendation: Some("start the node".to_owned()),
        };
        scene.publish(|snapshot| snapshot.components = vec![sick, healthy("store")]);
        let (code, body) = scene.json("/api/v1/health").await;
        assert_eq!(code, 503);
        assert_eq!(body["status"], named);
        assert_eq!(body["cause"], "chain: connection refused");
        assert_eq!(
            body["components"][0],
            json!({
                "name": "chain", "state": named, "cause": "connection refused",
                "since_ms": NOW_MS - 7, "recommendation": "start the node",
            })
        );
    }
}

#[tokio::test]
async fn plugins_are_shown_with_digest_and_configuration() {
    let scene = Scene::new().await;
    let body = scene.good("/api/v1/plugins").await;
    let plugin = &body["plugins"][0];
    assert_eq!(plugin["slot"], "payout");
    assert_eq!(plugin["config"], json!({ "window": 2 }));
    assert_eq!((&plugin["calls"], &plugin["failures"]), (&json!(5), &json!(1)));
    assert_eq!(plugin["last_error"], "out of fuel");
}

#[tokio::test]
async fn t30_the_documented_routes_are_the_routes() {
    let scene = Scene::filled().await;
    let documented = [
        "/",
        "/api/v1/status",
        "/api/v1/health",
        "/api/v1/stats",
        "/api/v1/miners",
        "/api/v1/miners/{account}",
        "/api/v1/blocks",
        "/api/v1/payouts",
        "/api/v1/payouts/{settlement}/record",
        "/api/v1/plugins",
        "/api/v1/plugins/history",
        "/api/v1/plugins/{slot}/swap",
        "/api/v1/plugins/{slot}/rollback",
        "/api/v1/plugins/quarantine/{digest}/lift",
        "/api/v1/bans",
        "/api/v1/bans/{address}",
        "/metrics",
    ];
    let served: Vec<&str> = ROUTES.iter().map(|route| route.path).collect();
    assert_eq!(served, documented);
    let (_, index) = scene.text("/").await;
    assert_eq!(index.lines().count(), ROUTES.len());
    for path in documented {
        assert!(index.contains(path), "{path} is in the index");
        if path.contains("{settlement}") {
            continue;
        }
        let (code, _) = scene.text(&path.replace("{account}", "ann")).await;
        let door = ["/swap", "/rollback", "/lift", "/{address}"];
        let expected = match door.iter().any(|end| path.ends_with(end)) {
            true => 405,
            false if path.ends_with("/bans") => 401,
            false => 200,
        };
        assert_eq!(code, expected, "{path}");
    }
    // The ledger's settlement is one of before records were kept.
    for settlement in ["1", "block:none", "99"] {
        let (code, body) = scene.json(&format!("/api/v1/payouts/{settlement}/record")).await;
        assert_eq!((code, &body["error"]["code"]), (404, &json!("unknown-settlement")));
    }
    for path in ["/debug", "/api/v1", "/api/v2/status", "/api/v1/miners/ann/secret", "/metrics/x"] {
        let (code, body) = scene.json(path).await;
        assert_eq!((code, &body["error"]["code"]), (404, &json!("unknown-route")), "{path}");
        assert!(
            body["error"]["message"].as_str().is_some_and(|text| text.contains("/api/v1/status"))
        );
    }
}

#[tokio::test]
async fn t30_nothing_can_be_written_without_the_token() {
    let scene = Scene::new().await;
    let client = reqwest::Client::new();
    for route in ROUTES {
        let url = format!("{}{}", scene.base, route.path.replace("{account}", "ann"));
        for request in [client.post(&url), client.put(&url), client.delete(&url)] {
            let request = request.build().expect("a request");
            let doors: &[&str] = match *request.method() {
                reqwest::Method::POST => &["/swap", "/rollback", "/lift", "/bans"],
                reqwest::Method::DELETE => &["/{address}"],
                _ => &[],
            };
            let expected = match doors.iter().any(|end| route.path.ends_with(end)) {
                true => (401, "no-token"),
                false => (405, "read-only"),
            };
            let answer = client.execute(request).await.expect("an answer");
            let code = answer.status().as_u16();
            let body: serde_json::Value = answer.json().await.expect("JSON");
            let word = body["error"]["code"].as_str().expect("a word");
            assert_eq!((code, word), expected, "{url}");
        }
    }
}

#[tokio::test]
async fn a_ledger_that_is_not_open_is_said_to_be_none() {
    let scene = Scene::new().await;
    scene.ledger.send_replace(None);
    for path in ["stats", "miners", "miners/ann", "blocks", "payouts"] {
        let (code, body) = scene.json(&format!("/api/v1/{path}")).await;
        assert_eq!((code, &body["error"]["code"]), (503, &json!("not-ready")), "{path}");
    }
}

#[tokio::test]
async fn nonsense_in_a_query_is_refused_with_what_would_be_right() {
    let scene = Scene::new().await;
    for (path, expected) in [
        ("blocks?limit=0", "from 1 to 500"),
        ("blocks?limit=501", "from 1 to 500"),
        ("payouts?limit=51", "from 1 to 50"),
        ("miners?limit=many", "invalid digit"),
        ("miners?limit=-1", "invalid digit"),
        ("blocks?before=x", "invalid digit"),
        ("blocks?after=3", "unknown field"),
        ("blocks?sort=up", "unknown field"),
    ] {
        let (code, body) = scene.json(&format!("/api/v1/{path}")).await;
        assert_eq!((code, &body["error"]["code"]), (400, &json!("bad-query")), "{path}");
        let message = body["error"]["message"].as_str().expect("a sentence");
        assert!(message.contains(expected), "{path}: {message}");
    }
}
