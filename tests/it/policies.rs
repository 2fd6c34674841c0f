//! What the pool does when the component that decides about users or difficulties does not:
//! known miners go on, new ones wait or are kept apart, and everything is as before when it
//! is well again. And what such a component may use: what was granted, and nothing else.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::harness::{Miner, TestPool};
use crate::plugins::{built, directory, part};

/// An operator's service that is asked about users: says what a test wants, and counts.
#[derive(Clone)]
struct Door {
    port: u16,
    answers: Arc<Mutex<HashMap<String, String>>>,
    asked: Arc<Mutex<HashMap<String, u32>>>,
}

impl Door {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let door = Self { port, answers: Arc::default(), asked: Arc::default() };
        let serving = door.clone();
        std::thread::spawn(move || {
            for mut socket in listener.incoming().flatten() {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && socket.read(&mut byte).unwrap_or(0) > 0 {
                    head.push(byte[0]);
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                let path = head.split(' ').nth(1).unwrap_or_default();
                let user = path.trim_start_matches("/api/").to_owned();
                let answer = serving.answers.lock().expect("no panic").get(&user).cloned();
                let answer = answer.unwrap_or_else(|| "out of order".to_owned());
                *serving.asked.lock().expect("no panic").entry(user).or_default() += 1;
                let length = answer.len();
                let reply = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{answer}"
                );
                let _ = socket.write_all(reply.as_bytes());
            }
        });
        door
    }

    fn says(&self, user: &str, answer: &str) {
        self.answers.lock().expect("no panic").insert(user.to_owned(), answer.to_owned());
    }

    fn asked(&self, user: &str) -> u32 {
        self.asked.lock().expect("no panic").get(user).copied().unwrap_or(0)
    }
}

/// A pool whose users are decided by a door.
async fn pool_with(door: &Door, changes: &[(&str, &str)]) -> TestPool {
    let plugins = directory(&[("auth-asking.wasm", &built("hostile-auth"))]);
    let path = plugins.path().to_str().expect("a plain path");
    let endpoints = format!(
        "{{ door = {{ url = \"http://127.0.0.1:{}/api\", allow_private = true }} }}",
        door.port
    );
    let mut all = vec![
        ("PLUGINS__DIRECTORY", path),
        ("AUTH__POLICY", "auth-asking"),
        ("AUTH__CONFIG", "{ door = true }"),
        // It imports everything, and is only loaded with something of each.
        ("AUTH__GRANTS", "[\"kv\", \"fetch:door\", \"secret:unused\"]"),
        ("AUTH__SECRETS", "{ unused = { env = \"PATH\" } }"),
        ("AUTH__ENDPOINTS", &endpoints),
    ];
    all.extend_from_slice(changes);
    // Components are read at the start: the directory may go.
    TestPool::start(&all).await
}

/// Logs in and gives the answer.
async fn login(pool: &TestPool, user: &str) -> (Miner, Value) {
    let mut miner = Miner::connect(pool.stratum, user).await;
    miner.subscribe(None).await;
    let answer = miner.authorize().await;
    (miner, answer)
}

fn refusal(answer: &Value) -> String {
    answer["error"][1].as_str().unwrap_or_else(|| panic!("no refusal: {answer}")).to_owned()
}

/// The component fails: who was known goes on, whoever is new waits; then it works again.
#[tokio::test(flavor = "multi_thread")]
async fn known_miners_go_on_while_the_auth_policy_is_down() {
    let door = Door::open();
    door.says("alice", "allow alice 1 -");
    let pool = pool_with(&door, &[]).await;
    let (mut alice, answer) = login(&pool, "alice.rig").await;
    assert_eq!(answer["result"], true, "{answer}");
    alice.wait_for_job().await;
    door.says("alice", "trap");
    door.says("bob", "trap");
    // Past its time to live, but not past four times that.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let (_, answer) = login(&pool, "alice.rig").await;
    assert_eq!(answer["result"], true, "{answer}");
    let (_, answer) = login(&pool, "bob.rig").await;
    assert!(refusal(&answer).contains("try again later"), "{answer}");
    alice.mine(2).await;

    let health = pool.wait_for("health", |health| part(health, "auth")["state"] != "healthy").await;
    let told = part(&health, "auth")["recommendation"].as_str().expect("advice");
    assert!(told.contains("Known users keep"), "{health:#}");
    assert_eq!(health["policies"]["auth_answers"]["stale"], 1, "{health:#}");
    let kept = std::fs::read_dir(pool.dir.path().join("traps")).expect("failed calls are kept");
    assert!(kept.count() >= 1);

    door.says("bob", "allow bob 1 -");
    loop {
        let (_, answer) = login(&pool, "bob.rig").await;
        if answer["result"] == true {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    pool.wait_for("health", |health| part(health, "auth")["state"] == "healthy").await;
    pool.stop().await;
}

/// A component that fails again and again is left alone, and tried again by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_always_fails_is_left_alone_for_a_while() {
    let door = Door::open();
    let pool = pool_with(&door, &[]).await;
    for _ in 0..20 {
        let (_, answer) = login(&pool, "bob.rig").await;
        assert!(answer["result"] != true, "{answer}");
    }
    assert!(door.asked("bob") < 20, "the breaker opened");
    let health =
        pool.wait_for("health", |health| health["policies"]["breakers"]["auth"] == "open").await;
    assert_eq!(part(&health, "auth")["state"], "unhealthy", "{health:#}");
    door.says("bob", "allow bob 60 -");
    loop {
        let (_, answer) = login(&pool, "bob.rig").await;
        if answer["result"] == true {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    pool.wait_for("health", |health| health["policies"]["breakers"]["auth"] == "closed").await;
    pool.stop().await;
}

/// Where the operator wants it, users nobody can check mine for an account of their own.
#[tokio::test(flavor = "multi_thread")]
async fn users_nobody_can_check_are_kept_apart() {
    let door = Door::open();
    let pool = pool_with(&door, &[("AUTH__UNKNOWN_WHEN_DOWN", "quarantine")]).await;
    let mut miner = Miner::start(pool.stratum, "carol.rig1").await;
    miner.mine(3).await;
    let apart =
        pool.wait_for("miners/quarantine:carol", |account| account["worker_list"].is_array()).await;
    assert_eq!(apart["worker_list"][0]["name"], "rig1", "{apart:#}");
    pool.stop().await;
}

/// An answer is reused for its time: a storm of connections costs one question.
#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_connections_costs_one_question_for_each_identity() {
    let door = Door::open();
    door.says("alice", "allow alice 60 -");
    door.says("mallory", "deny 60 0");
    let pool = pool_with(&door, &[]).await;
    let storm = (0..40).map(|number| {
        let user = if number % 2 == 0 { "alice.rig" } else { "mallory" };
        async { login(&pool, user).await }
    });
    let mut miners = Vec::new();
    for (number, miner) in futures_all(storm).await.into_iter().enumerate() {
        assert_eq!(miner.1["result"] == true, number % 2 == 0, "{}", miner.1);
        miners.push(miner);
    }
    assert_eq!((door.asked("alice"), door.asked("mallory")), (1, 1));
    pool.stop().await;
}

/// All of them at once.
async fn futures_all<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut pending: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut waiting = false;
        for (future, done) in pending.iter_mut().filter(|(_, done)| done.is_none()) {
            match future.as_mut().poll(context) {
                std::task::Poll::Ready(value) => *done = Some(value),
                std::task::Poll::Pending => waiting = true,
            }
        }
        if waiting { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    pending.into_iter().filter_map(|(_, done)| done).collect()
}

/// A denial may ban its address: nobody from there is let in for that time, and who is connected
/// already is not even asked about.
#[tokio::test(flavor = "multi_thread")]
async fn a_banned_address_is_refused_without_a_question() {
    let door = Door::open();
    door.says("mallory", "deny 0 60");
    door.says("alice", "allow alice 60 -");
    let pool = pool_with(&door, &[]).await;
    let mut alice = Miner::connect(pool.stratum, "alice.rig").await;
    alice.subscribe(None).await;
    let (_, answer) = login(&pool, "mallory").await;
    assert_eq!(refusal(&answer), "not through this door");
    let words = refusal(&alice.authorize().await);
    assert!(words.starts_with("your address is banned for another "), "{words}");
    assert!(words.ends_with(" s: not through this door"), "{words}");
    let words = Miner::connect(pool.stratum, "alice.rig").await.last_words().await;
    assert!(words.starts_with("your address is banned for another "), "{words}");
    assert_eq!(door.asked("alice"), 0);
    pool.stop().await;
}

/// An account has as many sessions as it was granted, and gets a place back however one ends.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_gets_its_sessions_back_however_they_end() {
    let door = Door::open();
    door.says("alice", "allow alice 60 1");
    let pool = pool_with(&door, &[]).await;
    for end in ["closes", "half-closes", "breaks", "leaves at once", "misbehaves"] {
        let (mut miner, answer) = login_when_possible(&pool, "alice.rig").await;
        assert_eq!(answer["result"], true, "{answer}");
        // The same session may log in again.
        assert_eq!(miner.authorize().await["result"], true);
        let (_, answer) = login(&pool, "alice.other").await;
        assert_eq!(refusal(&answer), "this account has all the sessions it may have (1)", "{end}");
        match end {
            "half-closes" => {
                let (mut reader, mut writer) = miner.split();
                writer.close().await;
                while reader.raw_line().await.is_some() {}
            }
            "breaks" => miner.reset(),
            "leaves at once" => {
                miner
                    .send("{\"id\":9,\"method\":\"mining.authorize\",\"params\":[\"alice\",\"\"]}")
                    .await;
                drop(miner);
            }
            "misbehaves" => {
                miner.send(&vec!["nonsense"; 2_000].join("\n")).await;
                while miner.raw_line().await.is_some() {}
            }
            _ => drop(miner),
        }
    }
    let (_, answer) = login_when_possible(&pool, "alice.rig").await;
    assert_eq!(answer["result"], true);
    pool.stop().await;
}

/// A session that ended is noticed soon, not at once.
async fn login_when_possible(pool: &TestPool, user: &str) -> (Miner, Value) {
    let deadline = tokio::time::Instant::now() + crate::harness::PATIENCE;
    loop {
        let (miner, answer) = login(pool, user).await;
        if answer["result"] == true || tokio::time::Instant::now() > deadline {
            return (miner, answer);
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// A strategy that fails: difficulties stay, then the pool's own vardiff acts.
#[tokio::test(flavor = "multi_thread")]
async fn the_pools_own_vardiff_acts_while_the_strategy_is_down() {
    let plugins = directory(&[]);
    let pool = TestPool::start(&[
        ("PLUGINS__DIRECTORY", plugins.path().to_str().expect("a plain path")),
        ("DIFFICULTY__STRATEGY", "difficulty-hostile"),
        ("DIFFICULTY__CONFIG", "{ misdeed = \"trap\" }"),
        ("DIFFICULTY__RETARGET_INTERVAL_S", "1"),
        ("STRATUM__DIFFICULTY_MIN", "0.00000001"),
    ])
    .await;
    let mut miner = Miner::start(pool.stratum, "alice.rig").await;
    let before = miner.difficulty;
    let health = pool
        .wait_for("health", |health| {
            let advice = part(health, "difficulty")["recommendation"].as_str();
            advice.is_some_and(|advice| advice.contains("own vardiff decides"))
        })
        .await;
    assert_ne!(health["policies"]["breakers"]["difficulty"], "closed", "{health:#}");
    // Silent for half a minute: it gets easier.
    while miner.difficulty == before {
        miner.line().await.expect("the pool talks");
    }
    assert!(miner.difficulty < before);
    miner.mine(2).await;
    let health = pool.get("health").await;
    assert!(health["policies"]["native_retargets"].as_u64() > Some(0), "{health:#}");
    pool.stop().await;
}

/// Values survive a restart; what was not granted is not there.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_has_its_values_after_a_restart_and_nothing_that_was_not_granted() {
    let plugins = directory(&[("auth-asking.wasm", &built("hostile-auth"))]);
    let path = plugins.path().to_str().expect("a plain path");
    let endpoints =
        "{ door = { url = \"https://h.example/\" }, other = { url = \"https://h.example/\" } }";
    let changes = [
        ("PLUGINS__DIRECTORY", path),
        ("AUTH__POLICY", "auth-asking"),
        ("AUTH__GRANTS", "[\"kv\", \"fetch:other\", \"secret:unused\"]"),
        ("AUTH__SECRETS", "{ unused = { env = \"PATH\" }, jwt = { env = \"PATH\" } }"),
        ("AUTH__ENDPOINTS", endpoints),
    ];
    let pool = TestPool::start(&changes).await;
    let (_, answer) = login(&pool, "set name alice\nadd logins 3").await;
    assert_eq!(refusal(&answer), "Ok(())\nOk(3)");
    let dir = pool.stop().await;
    let pool = TestPool::start_in(dir, &changes).await;
    let asked = "get name\nadd logins 1\nfetch door\nsecret jwt\npassword";
    let (_, answer) = login(&pool, asked).await;
    assert_eq!(refusal(&answer), "alice\nOk(4)\nFetchError::NotGranted\nnone\nnone");
    pool.stop().await;
}
