//! Who may mine, through the shipped policies.

use std::net::{IpAddr, Ipv4Addr};

use chimera_plugin::{Attempt, AuthPolicy, Decision, Protocol};

use crate::{engines, shipped};

pub(crate) fn attempt(user: &str, password: Option<&str>) -> Attempt {
    Attempt {
        remote_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        listener: "stratum".to_owned(),
        protocol: Protocol::StratumV1,
        tls: false,
        user: user.to_owned(),
        password: password.map(str::to_owned),
        user_agent: "cpuminer/2.5.1".to_owned(),
        at_ms: 1_700_000_000_000,
    }
}

/// `allow account worker` or `deny reason`.
fn decide(policy: &AuthPolicy, user: &str, password: Option<&str>) -> String {
    match policy.authorize(&attempt(user, password)).unwrap() {
        Decision::Allow(grant) => {
            format!("allow {} {}", grant.account, grant.worker.unwrap_or_default())
        }
        Decision::Deny(denial) => format!("deny {}", denial.public_message),
        Decision::NoOpinion => "no opinion".to_owned(),
    }
}

#[test]
fn open_lets_everybody_in_who_has_a_name() {
    let policy = AuthPolicy::load(engines(), &shipped("auth-open"), "").unwrap();
    for (user, decision) in [
        ("alice.rig1", "allow alice rig1"),
        ("alice", "allow alice default"),
        ("alice.rig.1", "allow alice rig.1"),
        ("alice%2Erig1", "allow alice rig1"),
        ("", "deny user name is empty; use account.worker"),
        (".rig1", "deny user name is empty; use account.worker"),
        ("a\u{0}b", "deny user name has characters that cannot be printed"),
    ] {
        assert_eq!(decide(&policy, user, None), decision, "{user:?}");
    }
}

#[test]
fn open_s_settings_bound_the_name() {
    let config = r#"{"account_bytes_min":3,"account_bytes_max":5,"default_worker":"w0"}"#;
    let policy = AuthPolicy::load(engines(), &shipped("auth-open"), config).unwrap();
    for (user, decision) in [
        ("bob", "allow bob w0"),
        ("bo", "deny account name must have 3 to 5 bytes"),
        ("bobbob", "deny account name must have 3 to 5 bytes"),
    ] {
        assert_eq!(decide(&policy, user, None), decision, "{user}");
    }
}

#[test]
fn the_allowlist_lets_its_accounts_in_and_checks_their_passwords() {
    let config = r#"{"accounts":["alice","bob"],"passwords":{"bob":"secret"}}"#;
    let policy = AuthPolicy::load(engines(), &shipped("auth-allowlist"), config).unwrap();
    for (user, password, decision) in [
        ("alice.rig", None, "allow alice rig"),
        ("alice.rig", Some("x"), "allow alice rig"),
        ("bob", Some("secret"), "allow bob default"),
        ("bob", Some("Secret"), "deny wrong password"),
        ("bob", Some(""), "deny wrong password"),
        ("bob", None, "deny this pool does not read passwords"),
        ("eve", Some("secret"), "deny this account may not mine here"),
        ("Alice", None, "deny this account may not mine here"),
    ] {
        assert_eq!(decide(&policy, user, password), decision, "{user} {password:?}");
    }
}
