//! What an auth policy may use: what was granted, within bounds, and nothing else.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chimera_plugin::{
    Artifact, Asks, AuthPolicy, Cause, Decision, Fetch, FetchCall, FetchError, FetchReply, Grants,
    KeyValue, KvError, PayoutScheme, PluginError, Secrets, Services, Trap,
};

use crate::auth::attempt;
use crate::{engines, hostile, shipped};

/// The component of `tests/hostile-auth`: a user name is a list of things to ask for.
fn asking() -> Artifact {
    Artifact::from_file(Path::new(env!("CHIMERA_HOSTILE_AUTH_COMPONENT"))).unwrap()
}

/// A host that has everything.
#[derive(Default)]
struct Host {
    values: Mutex<HashMap<String, Vec<u8>>>,
    calls: Mutex<Vec<FetchCall>>,
    fetch_takes: Duration,
    kv_takes: Duration,
    reply_bytes: usize,
    reply_headers: usize,
}

impl KeyValue for Host {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        std::thread::sleep(self.kv_takes);
        Ok(self.values.lock().unwrap().get(key).cloned())
    }

    fn set(&self, key: &str, value: &[u8], _ttl_s: u32) -> Result<(), KvError> {
        self.values.lock().unwrap().insert(key.to_owned(), value.to_vec());
        Ok(())
    }

    fn add(&self, key: &str, delta: i64, _ttl_s: u32) -> Result<i64, KvError> {
        match key {
            "full" => Err(KvError::Quota),
            "text" => Err(KvError::NotANumber),
            _ => Ok(delta + 1),
        }
    }

    fn delete(&self, key: &str) -> Result<(), KvError> {
        self.values.lock().unwrap().remove(key);
        Ok(())
    }
}

impl Fetch for Host {
    fn send(&self, call: &FetchCall) -> Result<FetchReply, FetchError> {
        self.calls.lock().unwrap().push(call.clone());
        std::thread::sleep(self.fetch_takes.min(call.timeout));
        if self.fetch_takes > call.timeout {
            return Err(FetchError::Timeout);
        }
        if call.endpoint == "broken" {
            return Err(FetchError::Failed("no route".to_owned()));
        }
        let headers = vec![("a".to_owned(), "b".to_owned()); self.reply_headers];
        Ok(FetchReply { status: 200, headers, body: vec![0; self.reply_bytes] })
    }
}

impl Secrets for Host {
    fn get(&self, name: &str) -> Option<Vec<u8>> {
        Some(format!("the secret {name}").into_bytes())
    }
}

fn services(host: &Arc<Host>) -> Services {
    Services {
        kv: Some(Arc::clone(host) as _),
        fetch: Some(Arc::clone(host) as _),
        secrets: Some(Arc::clone(host) as _),
    }
}

const ALL: [&str; 6] =
    ["credential", "kv", "fetch:users", "fetch:broken", "secret:jwt", "secret:other"];

/// What comes back when these things are asked for.
fn asked(host: &Arc<Host>, grants: &[&str], lines: &[&str]) -> Result<Vec<String>, PluginError> {
    let grants = Grants::parse(grants).unwrap();
    let policy = AuthPolicy::load(engines(), &asking(), "", &grants, services(host))?;
    match policy.authorize(&attempt(&lines.join("\n"), Some("hunter2")))? {
        Decision::Deny(denial) => Ok(denial.public_message.lines().map(str::to_owned).collect()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_granted_works_and_what_is_not_granted_is_not_there() {
    let host = Arc::new(Host::default());
    for (line, answer) in [
        ("set a 5", "Ok(())"),
        ("get a", "5"),
        ("delete a", "Ok(())"),
        ("get a", "Ok(None)"),
        ("add n 41", "Ok(42)"),
        ("add full 1", "Err(KvError::Quota)"),
        ("add text 1", "Err(KvError::NotANumber)"),
        ("fetch users", "200 0"),
        ("fetch broken", "no route"),
        ("fetch elsewhere", "FetchError::NotGranted"),
        ("fetch ", "FetchError::NotGranted"),
        ("secret jwt", "the secret jwt"),
        ("secret root", "none"),
        ("password", "hunter2"),
    ] {
        assert_eq!(asked(&host, &ALL, &[line]).unwrap(), [answer], "{line}");
    }
    let calls = host.calls.lock().unwrap();
    assert!(calls.iter().all(|call| call.endpoint != "elsewhere"), "the host was not even asked");
}

#[test]
fn a_password_is_shown_only_with_the_grant_to_see_it() {
    let host = Arc::new(Host::default());
    let without: Vec<&str> = ALL.into_iter().filter(|grant| *grant != "credential").collect();
    assert_eq!(asked(&host, &without, &["password"]).unwrap(), ["none"]);
}

#[test]
fn a_component_that_asks_for_what_is_not_granted_is_not_loaded() {
    let host = Arc::new(Host::default());
    for (grants, message) in [
        (
            &[][..],
            "hostile-auth: load: asks for chimera:pool/kv@0.1.0, chimera:pool/fetch@0.1.0, \
             chimera:pool/secrets@0.1.0, which is not granted; to grant it: \
             auth.grants = [\"kv\", \"fetch:NAME\", \"secret:NAME\"]",
        ),
        (&["kv", "secret:jwt"], "auth.grants = [\"kv\", \"secret:jwt\", \"fetch:NAME\"]"),
    ] {
        let error = asked(&host, grants, &[]).unwrap_err();
        assert!(matches!(error.cause, Cause::NotGranted { .. }), "{error}");
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[test]
fn a_payout_scheme_gets_nothing_whatever_the_operator_grants() {
    let grants = Grants::parse(&ALL).unwrap();
    for name in ["chimera:pool/kv@0.1.0", "chimera:pool/fetch@0.1.0", "chimera:pool/secrets@0.1.0"]
    {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("greedy.wasm");
        let import = format!("(import \"{name}\" (instance))");
        std::fs::write(&path, crate::artifacts::stranger(&import)).unwrap();
        let artifact = Artifact::from_file(&path).unwrap();
        let error = PayoutScheme::load(engines(), &artifact, "", &grants).err().unwrap();
        let message = format!("imports {name}, which a payout-scheme is not given");
        assert!(error.to_string().contains(&message), "{error}");
    }
}

#[test]
fn what_a_component_asks_for_is_known_before_it_is_compiled() {
    let asks = Asks::of(&asking()).unwrap();
    assert_eq!(asks.grants(), ["kv", "fetch:NAME", "secret:NAME"]);
    assert!(asks.others.is_empty());
    let grants = Grants::parse(&["fetch:users"]).unwrap();
    assert_eq!(asks.missing(&grants), ["kv", "secret:NAME"]);
    let modest = Asks::of(&hostile()).unwrap();
    assert_eq!(modest, Asks::default());
    assert_eq!(asks.beyond(&modest), asks.grants());
    assert!(modest.beyond(&asks).is_empty());
    assert_eq!(Asks::of(&shipped("payout-pplns")).unwrap(), Asks::default());
}

#[test]
fn keys_values_and_requests_have_a_largest_size() {
    let host = Arc::new(Host::default());
    for (line, answer) in [
        ("long-key 256", "Ok(())"),
        ("long-key 257", "Err(KvError::TooLarge)"),
        ("set-large a 65536", "Ok(())"),
        ("set-large a 65537", "Err(KvError::TooLarge)"),
        ("fetch-path users 2048", "200 0"),
        ("fetch-path users 2049", "FetchError::TooLarge"),
        ("fetch-body users 262144", "200 0"),
        ("fetch-body users 262145", "FetchError::TooLarge"),
        ("fetch-headers users 32", "200 0"),
        ("fetch-headers users 33", "FetchError::TooLarge"),
        ("fetch-often users 9", "200 0 200 0 200 0 200 0 200 0 200 0 200 0 200 0 FetchError::Busy"),
    ] {
        assert_eq!(asked(&host, &ALL, &[line]).unwrap(), [answer], "{line}");
    }
    for (reply_bytes, reply_headers, answer) in [
        (262_144, 32, "200 262144"),
        (262_145, 0, "FetchError::TooLarge"),
        (0, 33, "FetchError::TooLarge"),
    ] {
        let host = Arc::new(Host { reply_bytes, reply_headers, ..Host::default() });
        assert_eq!(asked(&host, &ALL, &["fetch users"]).unwrap(), [answer]);
    }
}

#[test]
fn waiting_for_the_host_costs_no_budget_and_computing_still_does() {
    // Two waits of more than the whole budget of 50 ms each.
    let host = Arc::new(Host { fetch_takes: Duration::from_millis(150), ..Host::default() });
    assert_eq!(asked(&host, &ALL, &["fetch-often users 2"]).unwrap(), ["200 0 200 0"]);
    let error = asked(&host, &ALL, &["fetch users", "loop"]).unwrap_err();
    assert_eq!(error.cause, Cause::Trap(Trap::Deadline { budget_ms: 60 }));
}

#[test]
fn all_waits_of_one_decision_together_have_an_end() {
    let host = Arc::new(Host { fetch_takes: Duration::from_millis(1500), ..Host::default() });
    let answers = asked(&host, &ALL, &["fetch-often users 3", "get a"]).unwrap();
    let late = "200 0 FetchError::Timeout FetchError::Timeout";
    assert_eq!(answers, [late, "Err(KvError::Unavailable)"]);
    let timeouts: Vec<u64> =
        host.calls.lock().unwrap().iter().map(|call| call.timeout.as_secs()).collect();
    assert_eq!(timeouts, [2, 0], "the second request is told what is left, the third not made");

    // Many short waits are no way around it.
    let host = Arc::new(Host { kv_takes: Duration::from_millis(30), ..Host::default() });
    let answers = asked(&host, &ALL, &["get-often a 1000"]).unwrap();
    assert_eq!(answers, ["Err(KvError::Unavailable)"]);
}
