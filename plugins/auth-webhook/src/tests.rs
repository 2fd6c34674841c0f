//! An endpoint in memory, and what its answers become.

use std::cell::RefCell;
use std::rc::Rc;

use chimera_plugin_sdk::check_config;
use chimera_plugin_sdk::testing::{Host, Installed, attempt};

use super::*;

fn config(text: &str) -> Config {
    check_config::<Webhook>(text).unwrap_or_else(|problems| panic!("{problems:?}")).config
}

fn answering(status: u16, body: &str) -> Installed {
    let body = body.as_bytes().to_vec();
    let answer = move |_: &fetch::Call| Ok(Reply { status, headers: vec![], body: body.clone() });
    Host::new().with_endpoint("users", answer).install()
}

/// `allow account worker ttl sessions difficulty`, `deny message ttl ban`, or `error text`.
fn decide(text: &str, user: &str) -> String {
    match Webhook::authorize(&config(text), attempt(user, Some("hunter2"))) {
        Ok(Decision::Allow(grant)) => format!(
            "allow {} {} {} {:?} {:?}",
            grant.account,
            grant.worker.unwrap_or_default(),
            grant.ttl_s,
            grant.max_sessions,
            grant.start_difficulty
        ),
        Ok(Decision::Deny(denial)) => {
            format!("deny {} {} {}", denial.public_message, denial.ttl_s, denial.ban_s)
        }
        Ok(Decision::NoOpinion) => "no opinion".to_owned(),
        Err(PluginError::Internal(text) | PluginError::Unsupported(text)) => {
            format!("error {text}")
        }
        Err(other) => format!("{other:?}"),
    }
}

#[test]
fn a_clear_answer_decides() {
    let long = format!(r#"{{"allow":false,"message":"{}"}}"#, "x".repeat(300));
    let cut = format!("deny {} 30 0", "x".repeat(200));
    for (status, body, decision) in [
        (200, r#"{"allow":true}"#, "allow alice rig 300 None None"),
        (200, r#"{"allow":true,"more":1,"account":null}"#, "allow alice rig 300 None None"),
        (200, r#"{"allow":true,"account":"bob","worker":"w"}"#, "allow bob w 300 None None"),
        (
            200,
            r#"{"allow":true,"ttl_s":7,"max_sessions":2,"start_difficulty":0.5}"#,
            "allow alice rig 7 Some(2) Some(2147483648)",
        ),
        (200, r#"{"allow":true,"ttl_s":4294967295}"#, "allow alice rig 86400 None None"),
        (200, r#"{"allow":false}"#, "deny this account may not mine here 30 0"),
        (
            200,
            r#"{"allow":false,"message":"pay\n first","ban_s":60,"ttl_s":5}"#,
            "deny pay first 5 60",
        ),
        (200, &long, &cut),
        (401, "", "deny this account may not mine here 30 0"),
        (403, r#"{"allow":true}"#, "deny this account may not mine here 30 0"),
        (404, "", "deny this account is not known here 30 0"),
    ] {
        let _host = answering(status, body);
        assert_eq!(decide("", "alice.rig"), decision, "{status} {body}");
    }
}

#[test]
fn anything_else_is_an_error_without_the_answer_in_it() {
    for (status, body, error) in [
        (200, "", "answered no JSON"),
        (200, "<html>hunter2", "answered no JSON"),
        (200, r#"{"allow":"hunter2"}"#, "answered no decision: see line 1"),
        (200, r#"{"account":"hunter2"}"#, "answered no decision"),
        (200, r#"{"allow":true,"ttl_s":-1}"#, "answered no decision"),
        (200, r#"{"allow":true,"start_difficulty":0}"#, "answered no decision"),
        (200, r#"{"allow":true,"account":"hunter2.x"}"#, "\"account\" that is no name"),
        (200, r#"{"allow":true,"worker":"hunter2 x"}"#, "\"worker\" that is no name"),
        (201, r#"{"allow":true}"#, "answered with status 201"),
        (302, "", "answered with status 302"),
        (429, "", "answered with status 429"),
        (500, "hunter2", "answered with status 500"),
    ] {
        let host = answering(status, body);
        let decision = decide("", "alice.rig");
        assert!(decision.starts_with("error the endpoint \"users\" "), "{body}: {decision}");
        assert!(decision.contains(error), "{status} {body}: {decision}");
        assert!(!decision.contains("hunter2") && host.log().is_empty(), "{decision}");
    }
}

#[test]
fn no_reply_is_an_error_that_says_why() {
    for (error, expected) in [
        (FetchError::NotGranted, "the operator must name it and grant `fetch:users`"),
        (FetchError::Timeout, "did not answer in time"),
        (FetchError::TooLarge, "answered too much"),
        (FetchError::Busy, "is asked too often"),
        (FetchError::Failed("connection refused".to_owned()), "reached: connection refused"),
    ] {
        let answer = move |_: &fetch::Call| Err(error.clone());
        let _host = Host::new().with_endpoint("users", answer).install();
        let decision = decide("", "alice");
        assert!(decision.starts_with("error ") && decision.contains(expected), "{decision}");
    }
    let _host = Host::new().install();
    assert!(decide("", "alice").contains("`fetch:users`"));
}

/// What the endpoint is asked.
fn asked(text: &str) -> (fetch::Call, Value) {
    let calls = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&calls);
    let answer = move |call: &fetch::Call| {
        seen.borrow_mut().push(call.clone());
        Ok(Reply { status: 200, headers: vec![], body: br#"{"allow":true}"#.to_vec() })
    };
    let _host = Host::new().with_endpoint("users", answer).install();
    decide(text, "alice.rig");
    let call = calls.borrow_mut().pop().unwrap();
    let body = serde_json::from_slice(&call.body).unwrap();
    (call, body)
}

#[test]
fn the_endpoint_is_told_what_it_needs_and_the_password_only_on_request() {
    let expected = json!({
        "user": "alice.rig", "account": "alice", "worker": "rig", "remote_ip": "127.0.0.1",
        "listener": "stratum", "protocol": "stratum-v1", "tls": false,
        "user_agent": "cpuminer/2.5.1", "at": 1_700_000_000_000_u64,
    });
    let (call, body) = asked(r#"{"path":"/authorize"}"#);
    assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", "/authorize"));
    assert!(call.headers.contains(&("content-type".to_owned(), "application/json".to_owned())));
    assert_eq!(body, expected);
    let (_, body) = asked(r#"{"send_password":true}"#);
    assert_eq!(body["password"], "hunter2");

    let hidden = Webhook::authorize(&config(r#"{"send_password":true}"#), attempt("alice", None));
    let Err(PluginError::Unsupported(text)) = hidden else { panic!("{hidden:?}") };
    assert!(text.contains("must grant `credential`"), "{text}");
}

#[test]
fn the_lower_limit_of_sessions_counts_and_nobody_is_asked_about_no_name() {
    let text = r#"{"max_sessions":5}"#;
    for (body, sessions) in [
        (r#"{"allow":true}"#, "Some(5)"),
        (r#"{"allow":true,"max_sessions":3}"#, "Some(3)"),
        (r#"{"allow":true,"max_sessions":9}"#, "Some(5)"),
    ] {
        let _host = answering(200, body);
        assert_eq!(decide(text, "alice"), format!("allow alice default 300 {sessions} None"));
    }
    assert!(decide("", " ").starts_with("deny user name is empty"));
}

#[test]
fn nonsense_is_refused_with_its_place() {
    for (text, at) in [
        (r#"{"ttl_s": 86401}"#, "/ttl_s"),
        (r#"{"deny_ttl_s": -1}"#, "/deny_ttl_s"),
        (r#"{"endpoint": ""}"#, "/endpoint"),
        (r#"{"path": "/a b"}"#, "/path"),
        (r#"{"send_password": 1}"#, "/send_password"),
        (r#"{"default_worker": ""}"#, "/default_worker"),
    ] {
        assert_eq!(check_config::<Webhook>(text).err().unwrap()[0].at, at, "{text}");
    }
}
