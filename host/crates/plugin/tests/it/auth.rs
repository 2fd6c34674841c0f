//! Who may mine, through the shipped policies.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chimera_plugin::{
    Attempt, AuthPolicy, Decision, Fetch, FetchCall, FetchError, FetchReply, Grants, KeyValue,
    KvError, Protocol, Secrets, Services,
};

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

fn policy(name: &str, config: &str, services: Services) -> AuthPolicy {
    let grants = ["credential", "kv", "fetch:users", "secret:jwt"];
    let grants = Grants::parse(&grants).unwrap();
    AuthPolicy::load(engines(), &shipped(name), config, &grants, services).unwrap()
}

/// A host with one counter, one endpoint, and the key of RFC 7515, A.1.
#[derive(Default)]
struct Host {
    counts: Mutex<HashMap<String, i64>>,
    asked: Mutex<Vec<FetchCall>>,
}

impl KeyValue for Host {
    fn get(&self, _key: &str) -> Result<Option<Vec<u8>>, KvError> {
        Err(KvError::Unavailable)
    }

    fn set(&self, _key: &str, _value: &[u8], _ttl_s: u32) -> Result<(), KvError> {
        Err(KvError::Unavailable)
    }

    fn add(&self, key: &str, delta: i64, ttl_s: u32) -> Result<i64, KvError> {
        assert_eq!(ttl_s, 60, "logins are counted by the minute");
        let mut counts = self.counts.lock().unwrap();
        let count = counts.entry(key.to_owned()).or_default();
        *count += delta;
        Ok(*count)
    }

    fn delete(&self, _key: &str) -> Result<(), KvError> {
        Err(KvError::Unavailable)
    }
}

impl Fetch for Host {
    fn send(&self, call: &FetchCall) -> Result<FetchReply, FetchError> {
        self.asked.lock().unwrap().push(call.clone());
        let question: serde_json::Value = serde_json::from_slice(&call.body).unwrap();
        match question["account"].as_str() {
            Some("alice") => {
                let body = br#"{"allow":true,"account":"customer-7"}"#.to_vec();
                Ok(FetchReply { status: 200, headers: vec![], body })
            }
            Some("bob") => Ok(FetchReply { status: 404, headers: vec![], body: vec![] }),
            _ => Err(FetchError::Timeout),
        }
    }
}

impl Secrets for Host {
    fn get(&self, _name: &str) -> Option<Vec<u8>> {
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        URL_SAFE_NO_PAD.decode(key).ok()
    }
}

fn services(host: &Arc<Host>) -> Services {
    let host = Arc::clone(host);
    Services { kv: Some(host.clone()), fetch: Some(host.clone()), secrets: Some(host) }
}

#[test]
fn limits_count_logins_of_an_address() {
    let config = r#"{"limits":{"logins_per_minute_address":2}}"#;
    let host = Arc::new(Host::default());
    let policy = policy("auth-limits", config, services(&host));
    for decision in [
        "allow alice rig",
        "allow alice rig",
        "deny too many logins from this address, try again in a minute",
    ] {
        assert_eq!(decide(&policy, "alice.rig", None), decision);
    }
}

#[test]
fn a_webhook_decides_or_is_an_error() {
    let host = Arc::new(Host::default());
    let policy = policy("auth-webhook", r#"{"path":"/authorize"}"#, services(&host));
    assert_eq!(decide(&policy, "alice.rig", Some("x")), "allow customer-7 rig");
    assert_eq!(decide(&policy, "bob", Some("x")), "deny this account is not known here");
    let error = policy.authorize(&attempt("eve", Some("hunter2"))).unwrap_err().to_string();
    assert!(error.contains("the endpoint \"users\" did not answer in time"), "{error}");
    let asked = host.asked.lock().unwrap();
    assert_eq!(asked.len(), 3);
    for call in asked.iter() {
        assert_eq!((call.endpoint.as_str(), call.path.as_str()), ("users", "/authorize"));
        assert!(!String::from_utf8_lossy(&call.body).contains("password"));
    }
}

/// RFC 7515, A.1: a token of 2011, with `iss` joe, and the same with one letter changed.
#[test]
fn a_token_is_good_until_it_expires() {
    let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9\
        .eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ\
        .dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let host = Arc::new(Host::default());
    let policy = policy("auth-jwt", r#"{"account_claim":"iss"}"#, services(&host));
    let at = |seconds: u64, token: &str| {
        let attempt = Attempt { at_ms: seconds * 1000, ..attempt("u.rig", Some(token)) };
        match policy.authorize(&attempt).unwrap() {
            Decision::Allow(grant) => format!("allow {} {}", grant.account, grant.ttl_s),
            Decision::Deny(denial) => format!("deny {}", denial.public_message),
            Decision::NoOpinion => "no opinion".to_owned(),
        }
    };
    assert_eq!(at(1_300_800_000, token), "allow joe 3600");
    assert_eq!(at(1_300_819_379, token), "allow joe 61");
    assert_eq!(at(1_300_819_440, token), "deny token has expired");
    let forged = token.replace("Eo", "Ep").replace("jXk", "jXg");
    assert_eq!(at(1_300_800_000, &forged), "deny token is not signed by this pool's issuer");
}

#[test]
fn open_lets_everybody_in_who_has_a_name() {
    let policy =
        AuthPolicy::load(engines(), &shipped("auth-open"), "", &Grants::none(), Services::none())
            .unwrap();
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
    let policy = AuthPolicy::load(
        engines(),
        &shipped("auth-open"),
        config,
        &Grants::none(),
        Services::none(),
    )
    .unwrap();
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
    let policy = AuthPolicy::load(
        engines(),
        &shipped("auth-allowlist"),
        config,
        &Grants::parse(&["credential"]).unwrap(),
        Services::none(),
    )
    .unwrap();
    for (user, password, decision) in [
        ("alice.rig", None, "allow alice rig"),
        ("alice.rig", Some("x"), "allow alice rig"),
        ("bob", Some("secret"), "allow bob default"),
        ("bob", Some("Secret"), "deny wrong password"),
        ("bob", Some(""), "deny wrong password"),
        ("eve", Some("secret"), "deny this account may not mine here"),
        ("Alice", None, "deny this account may not mine here"),
    ] {
        assert_eq!(decide(&policy, user, password), decision, "{user} {password:?}");
    }
    let error = policy.authorize(&attempt("bob", None)).unwrap_err().to_string();
    assert!(error.contains("the operator must grant `credential`"), "{error}");
}

#[test]
fn the_slowest_password_hash_allowed_fits_into_the_time_of_a_decision() {
    // The hash of "password", 20,000 rounds, as Python's hashlib.pbkdf2_hmac makes it.
    let hash = "$pbkdf2-sha256$i=20000$c2FsdA$KmpPCDLQRoOPSiLLrclN/wilvMMoRn7jyt6NuMXZO4c";
    let config = format!(r#"{{"accounts":["bob"],"passwords":{{"bob":"{hash}"}}}}"#);
    let policy = policy("auth-allowlist", &config, Services::none());
    assert_eq!(decide(&policy, "bob", Some("password")), "allow bob default");
    assert_eq!(decide(&policy, "bob", Some("Password")), "deny wrong password");
}

#[test]
fn open_with_address_forms_takes_payout_addresses_only() {
    let config = r#"{"address":{"base58":[0],"bech32":["bc"]}}"#;
    let policy = policy("auth-open", config, Services::none());
    for (user, decision) in [
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa.rig", "allow 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa rig"),
        (
            "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
            "allow bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4 default",
        ),
        (
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5.rig",
            "deny the address has a typing error: its checksum is wrong",
        ),
        (
            "alice",
            "deny user name must be your payout address, e.g. one beginning with bc1; use \
             address.worker",
        ),
    ] {
        assert_eq!(decide(&policy, user, None), decision, "{user}");
    }
}
