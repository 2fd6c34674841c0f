//! An auth policy that asks its host for everything: the user name says what, line by line,
//! and the denial says what came back. Configured as a door (`{"door":true}`), it asks its
//! endpoint `door` about the user, and does what that says.
#![cfg(target_arch = "wasm32")]
#![allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    reason = "generated code"
)]

wit_bindgen::generate!({
    path: "../../wit/0.1",
    world: "chimera:pool/auth-policy",
    generate_all,
});

use chimera::pool::types::{Diagnostic, PluginError};
use chimera::pool::{fetch, kv, secrets};
use exports::chimera::pool::{auth, plugin};

struct Asking;

static DOOR: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// What the endpoint says: `allow ACCOUNT TTL MAX-SESSIONS`, `deny TTL BAN`, `shrug`, or
/// `trap`; anything else, and silence, is an error.
fn ask_the_door(attempt: auth::Attempt) -> Result<auth::Decision, PluginError> {
    let path = format!("/{}", attempt.user.split('.').next().unwrap_or_default());
    let call = fetch::Call { path, ..call("door") };
    let reply = fetch::send(&call)
        .map_err(|_| PluginError::Internal("nobody answers at the door".to_owned()))?;
    let reply = String::from_utf8_lossy(&reply.body).into_owned();
    let words: Vec<&str> = reply.split(' ').collect();
    let number = |word: &str| word.parse::<u32>().unwrap_or_default();
    match words.as_slice() {
        ["allow", account, ttl_s, max_sessions] => Ok(auth::Decision::Allow(auth::Grant {
            account: (*account).to_owned(),
            worker: attempt.user.split_once('.').map(|(_, worker)| worker.to_owned()),
            ttl_s: number(ttl_s),
            start_difficulty: None,
            max_sessions: max_sessions.parse().ok(),
            tags: Vec::new(),
        })),
        ["deny", ttl_s, ban_s] => Ok(auth::Decision::Deny(auth::Denial {
            public_message: "not through this door".to_owned(),
            ttl_s: number(ttl_s),
            ban_s: number(ban_s),
        })),
        ["shrug"] => Ok(auth::Decision::NoOpinion),
        ["trap"] => core::arch::wasm32::unreachable(),
        _ => Err(PluginError::Internal(format!("the door says {reply:?}"))),
    }
}

fn ask(line: &str, password: Option<&str>) -> String {
    let mut words = line.split(' ');
    let mut next = || words.next().unwrap_or_default();
    let number = |word: &str| word.parse::<usize>().unwrap_or_default();
    match next() {
        "get" => text(kv::get(next())),
        "set" => format!("{:?}", kv::set(next(), next().as_bytes(), 0)),
        "add" => format!("{:?}", kv::add(next(), number(next()) as i64, 0)),
        "delete" => format!("{:?}", kv::delete(next())),
        "set-large" => format!("{:?}", kv::set(next(), &vec![7; number(next())], 0)),
        "long-key" => format!("{:?}", kv::delete(&"k".repeat(number(next())))),
        "get-often" => {
            let (key, times) = (next(), number(next()));
            (0..times).map(|_| text(kv::get(key))).last().unwrap_or_default()
        }
        "fetch" => send(call(next())),
        "fetch-often" => {
            let (endpoint, times) = (next(), number(next()));
            (0..times).map(|_| send(call(endpoint))).collect::<Vec<_>>().join(" ")
        }
        "fetch-path" => {
            let call = call(next());
            send(fetch::Call { path: "p".repeat(number(next())), ..call })
        }
        "fetch-body" => {
            let call = call(next());
            send(fetch::Call { body: vec![0; number(next())], ..call })
        }
        "fetch-headers" => {
            let call = call(next());
            let header = ("x-header".to_owned(), "value".to_owned());
            send(fetch::Call { headers: vec![header; number(next())], ..call })
        }
        "secret" => match secrets::get(next()) {
            Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            None => "none".to_owned(),
        },
        "password" => password.unwrap_or("none").to_owned(),
        "loop" => loop {
            core::hint::black_box(());
        },
        other => format!("no such thing as {other}"),
    }
}

fn text(value: Result<Option<Vec<u8>>, kv::KvError>) -> String {
    match value {
        Ok(Some(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        other => format!("{other:?}"),
    }
}

fn call(endpoint: &str) -> fetch::Call {
    fetch::Call {
        endpoint: endpoint.to_owned(),
        path: "/check".to_owned(),
        method: "GET".to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
    }
}

fn send(call: fetch::Call) -> String {
    match fetch::send(&call) {
        Ok(reply) => format!("{} {}", reply.status, reply.body.len()),
        Err(fetch::FetchError::Failed(why)) => why,
        Err(error) => format!("{error:?}"),
    }
}

impl plugin::Guest for Asking {
    fn describe() -> plugin::Info {
        plugin::Info {
            name: "hostile-auth".to_owned(),
            version: "0".to_owned(),
            description: "asks for everything".to_owned(),
            config_schema: "{}".to_owned(),
            state_version: 1,
            state_accepts_since: 1,
        }
    }

    fn validate(config: String) -> Result<String, Vec<Diagnostic>> {
        Ok(config)
    }

    fn configure(config: String) -> Result<(), PluginError> {
        DOOR.store(config.contains("door"), std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }

    fn migrate(_: u32, state: Vec<u8>) -> Result<Vec<u8>, PluginError> {
        Ok(state)
    }
}

impl auth::Guest for Asking {
    fn authorize(attempt: auth::Attempt) -> Result<auth::Decision, PluginError> {
        if DOOR.load(std::sync::atomic::Ordering::Relaxed) {
            return ask_the_door(attempt);
        }
        let password = attempt.password.as_deref();
        let answers: Vec<String> = attempt.user.lines().map(|line| ask(line, password)).collect();
        let public_message = answers.join("\n");
        Ok(auth::Decision::Deny(auth::Denial { public_message, ttl_s: 0, ban_s: 0 }))
    }
}

export!(Asking);
