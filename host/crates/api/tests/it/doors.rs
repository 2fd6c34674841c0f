//! The few doors: who is let in, what arrives on the other side, and how it is answered.

use std::sync::Arc;

use chimera_api::{
    Admin, AdminAnswer, AdminCommand, AdminRequest, Lifecycle, Live, Snapshot, SwapAnswer,
    SwapOutcome, SwapStep, router,
};
use chimera_store::{BanRow, BanSource};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use crate::scene::{TOKEN, listening};

/// A pool whose host answers every swap in the same way, and tells what it was asked.
async fn served(outcome: SwapOutcome, lifecycle: Lifecycle) -> (String, mpsc::Receiver<String>) {
    let (commands, mut arriving) = mpsc::channel::<AdminCommand>(4);
    let (told, asked) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Some(AdminCommand { request, answer }) = arriving.recv().await {
            let reply = match &request {
                AdminRequest::Lift { digest, .. } if digest.len() < 64 => {
                    AdminAnswer::Lifted(Err("no digest".to_owned()))
                }
                AdminRequest::Lift { .. } => AdminAnswer::Lifted(Ok(true)),
                AdminRequest::Bans => AdminAnswer::Bans(vec![ban(None)]),
                AdminRequest::Ban { seconds: Some(666), .. } => {
                    AdminAnswer::Banned(Err("the disk is full".to_owned()))
                }
                AdminRequest::Ban { seconds, .. } => AdminAnswer::Banned(Ok(ban(*seconds))),
                AdminRequest::LiftBan { .. } => AdminAnswer::BanLifted(Ok(true)),
                AdminRequest::Swap { .. } | AdminRequest::Rollback { .. } => {
                    AdminAnswer::Swap(SwapAnswer {
                        outcome,
                        swap: Some(7),
                        generation: None,
                        message: Some("because".to_owned()),
                        steps: vec![SwapStep {
                            step: "requested".to_owned(),
                            at_ms: 5,
                            detail: "by me".to_owned(),
                        }],
                    })
                }
            };
            told.send(format!("{request:?}")).await.expect("the test listens");
            answer.send(reply).expect("the door waits");
        }
    });
    let snapshot = Snapshot { lifecycle, ..Snapshot::default() };
    let live = Live {
        snapshot: watch::Sender::new(Arc::new(snapshot)).subscribe(),
        store: watch::Sender::new(None).subscribe(),
        admin: Some(Admin::new(TOKEN.to_owned(), commands)),
    };
    (listening(router(live)).await, asked)
}

fn ban(until_ms: Option<u64>) -> BanRow {
    BanRow {
        address: [192, 0, 2, 1].into(),
        until_ms,
        reason: "junk".to_owned(),
        source: BanSource::Conduct,
        created_ms: 5,
    }
}

async fn post(url: String, token: &str, body: &str) -> (u16, Value) {
    let request = reqwest::Client::new().post(url).bearer_auth(token).body(body.to_owned());
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("in JSON"))
}

#[tokio::test]
async fn what_is_asked_arrives_as_it_was_asked() {
    let (base, mut asked) = served(SwapOutcome::Active, Lifecycle::Running).await;
    let body = r#"{"component":"payout-pps","config":{"fee_ppm":1},"grants":["kv"],"by":"night"}"#;
    let digest = "0".repeat(64);
    for (path, body, expected) in [
        ("payout/swap", body, vec!["payout-pps", "fee_ppm", "kv", "night"]),
        ("auth/swap", r#"{"component":"auth-open"}"#, vec!["config: None", "grants: None"]),
        ("payout/rollback", "", vec!["Rollback", "payout", "by: \"api\""]),
        ("payout/rollback", r#"{"by":"me"}"#, vec!["by: \"me\""]),
        (&format!("quarantine/{digest}/lift"), "{}", vec!["Lift", &digest]),
    ] {
        let (code, answer) = post(format!("{base}/api/v1/plugins/{path}"), TOKEN, body).await;
        assert_eq!(code, 200, "{path}: {answer}");
        let asked = asked.recv().await.expect("it arrived");
        for part in expected {
            assert!(asked.contains(part), "{path}: {part} is missing in {asked}");
        }
    }
}

#[tokio::test]
async fn the_outcome_is_the_status() {
    for (outcome, code, word) in [
        (SwapOutcome::Active, 200, "active"),
        (SwapOutcome::Trial, 200, "trial"),
        (SwapOutcome::Announced, 200, "announced"),
        (SwapOutcome::Refused, 409, "refused"),
    ] {
        let (base, _asked) = served(outcome, Lifecycle::Running).await;
        let url = format!("{base}/api/v1/plugins/payout/swap");
        let (found, answer) = post(url, TOKEN, r#"{"component":"x"}"#).await;
        assert_eq!((found, &answer["outcome"]), (code, &json!(word)));
        assert_eq!(
            answer["steps"][0],
            json!({ "step": "requested", "at_ms": 5, "detail": "by me" })
        );
    }
}

#[tokio::test]
async fn the_doors_are_shut_for_everybody_else() {
    let (base, mut asked) = served(SwapOutcome::Active, Lifecycle::Running).await;
    let url = || format!("{base}/api/v1/plugins/payout/swap");
    let swap = r#"{"component":"x"}"#;
    for (token, body, code, word) in [
        ("", swap, 401, "no-token"),
        ("0123456789abcdef0123456789abcdeF", swap, 401, "no-token"),
        (&TOKEN[..31], swap, 401, "no-token"),
        (TOKEN, "", 400, "bad-body"),
        (TOKEN, r#"{"component":"x","shape":1}"#, 400, "bad-body"),
        (TOKEN, "[]", 400, "bad-body"),
    ] {
        let (found, answer) = post(url(), token, body).await;
        assert_eq!((found, &answer["error"]["code"]), (code, &json!(word)), "{token:?} {body:?}");
    }
    let browser = reqwest::Client::new().post(url()).bearer_auth(TOKEN).header("Origin", "null");
    assert_eq!(browser.body(swap).send().await.expect("an answer").status(), 403);
    let lift = format!("{base}/api/v1/plugins/quarantine/abc/lift");
    assert_eq!(post(lift, TOKEN, "").await.0, 400);
    assert!(asked.recv().await.expect("the lift arrived").contains("Lift"));
    assert!(asked.try_recv().is_err(), "nothing else did");
}

#[tokio::test]
async fn a_pool_that_does_not_run_is_not_changed() {
    for lifecycle in [Lifecycle::Starting, Lifecycle::Stopping, Lifecycle::Error] {
        let (base, _asked) = served(SwapOutcome::Active, lifecycle).await;
        let url = format!("{base}/api/v1/plugins/payout/swap");
        let (code, answer) = post(url, TOKEN, r#"{"component":"x"}"#).await;
        assert_eq!((code, &answer["error"]["code"]), (503, &json!("not-running")));
    }
}

/// What a door answers to who shows this token.
async fn at_bans(method: &str, url: &str, token: &str, body: &str) -> (u16, Value) {
    let method = method.parse().expect("a method");
    let request = reqwest::Client::new().request(method, url).bearer_auth(token);
    let answer = request.body(body.to_owned()).send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("in JSON"))
}

#[tokio::test]
async fn bans_are_read_made_and_lifted() {
    let (base, mut asked) = served(SwapOutcome::Active, Lifecycle::Running).await;
    let shown = |until_ms: Option<u64>| {
        json!({
            "address": "192.0.2.1", "until_ms": until_ms, "reason": "junk", "source": "conduct",
            "created_ms": 5,
        })
    };
    for (method, path, body, expected, arrived) in [
        ("GET", "bans", "", json!({ "bans": [shown(None)] }), "Bans"),
        (
            "POST",
            "bans",
            r#"{"address":"192.0.2.1"}"#,
            shown(None),
            r#"Ban { address: 192.0.2.1, seconds: None, reason: "by the operator" }"#,
        ),
        (
            "POST",
            "bans",
            r#"{"address":"2001:db8::1","seconds":60,"reason":"loud"}"#,
            shown(Some(60)),
            r#"Ban { address: 2001:db8::1, seconds: Some(60), reason: "loud" }"#,
        ),
        (
            "DELETE",
            "bans/2001:db8::1",
            "",
            json!({ "lifted": true }),
            "LiftBan { address: 2001:db8::1 }",
        ),
    ] {
        let answer = at_bans(method, &format!("{base}/api/v1/{path}"), TOKEN, body).await;
        assert_eq!(answer, (200, expected), "{method} {path} {body}");
        assert_eq!(asked.recv().await.expect("it arrived"), arrived);
    }
    let unkept = r#"{"address":"192.0.2.1","seconds":666}"#;
    let (code, answer) = at_bans("POST", &format!("{base}/api/v1/bans"), TOKEN, unkept).await;
    assert_eq!((code, &answer["error"]["code"]), (503, &json!("not-kept")));
}

#[tokio::test]
async fn bans_are_nobody_elses_business_and_nonsense_is_refused() {
    let (base, mut asked) = served(SwapOutcome::Active, Lifecycle::Running).await;
    let right = r#"{"address":"192.0.2.1"}"#;
    let long = format!(r#"{{"address":"192.0.2.1","reason":"{}"}}"#, "x".repeat(257));
    for (method, path, token, body, code, word) in [
        ("GET", "bans", "", "", 401, "no-token"),
        ("GET", "bans", &TOKEN[..31], "", 401, "no-token"),
        ("POST", "bans", "", right, 401, "no-token"),
        ("DELETE", "bans/192.0.2.1", "", "", 401, "no-token"),
        ("PUT", "bans", TOKEN, right, 405, "read-only"),
        ("GET", "bans/192.0.2.1", TOKEN, "", 405, "read-only"),
        ("POST", "bans", TOKEN, "", 400, "bad-body"),
        ("POST", "bans", TOKEN, r#"{"address":"192.0.2.1","until":5}"#, 400, "bad-body"),
        ("POST", "bans", TOKEN, r#"{"address":"192.0.2.1","seconds":0}"#, 400, "bad-body"),
        ("POST", "bans", TOKEN, r#"{"address":"192.0.2.1","seconds":315360001}"#, 400, "bad-body"),
        ("POST", "bans", TOKEN, r#"{"address":"192.0.2.1","seconds":-1}"#, 400, "bad-body"),
        ("POST", "bans", TOKEN, r#"{"address":"192.0.2.1","reason":"a\nb"}"#, 400, "bad-body"),
        ("POST", "bans", TOKEN, &long, 400, "bad-body"),
        ("POST", "bans", TOKEN, r#"{"address":"pool.example"}"#, 400, "bad-query"),
        ("POST", "bans", TOKEN, r#"{"address":"192.0.2.0/24"}"#, 400, "bad-query"),
        ("DELETE", "bans/everybody", TOKEN, "", 400, "bad-query"),
    ] {
        let url = format!("{base}/api/v1/{path}");
        let (found, answer) = at_bans(method, &url, token, body).await;
        let about = format!("{method} {path} {token:?} {body}");
        assert_eq!((found, &answer["error"]["code"]), (code, &json!(word)), "{about}");
    }
    let browser = reqwest::Client::new().get(format!("{base}/api/v1/bans")).bearer_auth(TOKEN);
    let browser = browser.header("Origin", "null").send().await.expect("an answer");
    assert_eq!(browser.status(), 403);
    assert!(asked.try_recv().is_err(), "nothing arrived");
}
