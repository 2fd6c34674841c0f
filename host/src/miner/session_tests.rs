//! Conversations with pools, line by line, and the recorded ones of real miners.

use super::*;
use crate::miner::grind::scan;

fn login() -> Login {
    Login { user: "alice.rig1".to_owned(), password: "x".to_owned(), algorithm: Algorithm::Blake2s }
}

/// Runs a transcript: `< ` lines go in, what comes out must be the `> ` lines and the
/// `= ` lines (events) that follow.
fn converse(session: &mut Session, transcript: &str) {
    let now = Instant::now();
    let mut said: Vec<String> = vec![format!("> {}", session.open().trim_end())];
    for line in transcript.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(heard) = line.strip_prefix("< ") {
            assert_eq!(said, Vec::<String>::new(), "said before: {heard}");
            said = session.line(heard, now).iter().map(written).collect();
        } else {
            assert!(!said.is_empty(), "expected {line}, heard nothing");
            assert_eq!(said.remove(0), line);
        }
    }
    assert_eq!(said, Vec::<String>::new(), "said at the end");
}

fn written(effect: &Effect) -> String {
    match effect {
        Effect::Send(line) => format!("> {}", line.trim_end()),
        Effect::Subscribed { extranonce1, resumed } => {
            format!("= subscribed {extranonce1} {resumed}")
        }
        Effect::Work(job) => format!("= work {} at {}", job.id(), job.difficulty()),
        Effect::Accepted(_) => "= accepted".to_owned(),
        Effect::Rejected(_, reason) => format!("= rejected {reason}"),
        Effect::Message(text) => format!("= message {text}"),
        Effect::Ignored(why) => format!("= ignored {why}"),
        Effect::NotAPool(found) => format!("= no pool {found}"),
        Effect::Reconnect { host, port, wait_s } => {
            format!("= reconnect {host:?} {port:?} {wait_s}")
        }
        Effect::SubscribeRefused(reason) => format!("= no subscription {reason}"),
        Effect::AuthorizeRefused(reason) => format!("= not authorized {reason}"),
    }
}

fn notify(id: &str, clean: bool) -> String {
    let zeros = "0".repeat(64);
    format!(
        r#"< {{"id":null,"method":"mining.notify","params":["{id}","{zeros}","01","02",[],"20000000","1d00ffff","6b00b23c",{clean}]}}"#
    )
}

/// The lines every conversation begins with.
fn greeting() -> String {
    format!(
        r#"
        > {{"id":1,"method":"mining.subscribe","params":["{USER_AGENT}"]}}
        < {{"id":1,"result":[[["mining.set_difficulty","51"],["mining.notify","51"]],"0a0b0c0d",8],"error":null}}
        = subscribed 0a0b0c0d false
        > {{"id":2,"method":"mining.authorize","params":["alice.rig1","x"]}}
        < {{"id":2,"result":true,"error":null}}
        > {{"id":3,"method":"mining.extranonce.subscribe","params":[]}}
        < {{"id":3,"result":null,"error":[20,"unknown",null]}}
        "#
    )
}

#[test]
fn a_stock_handshake_asks_nothing_it_could_not_work_without() {
    let mut session = Session::new(login(), None);
    converse(&mut session, &greeting());
    assert_eq!(session.session_id(), Some("51"));
    assert!(session.is_working());
}

#[test]
fn difficulty_applies_to_the_next_notify_only() {
    let (first, second) = (notify("1", true), notify("2", false));
    let transcript = format!(
        r#"{}
        {first}
        = work 1 at 1
        < {{"id":null,"method":"mining.set_difficulty","params":[0.002]}}
        < {{"id":null,"method":"mining.set_difficulty","params":[0]}}
        = ignored a difficulty that is no positive number
        {second}
        = work 2 at 0.002
        "#,
        greeting()
    );
    converse(&mut Session::new(login(), None), &transcript);
}

#[test]
fn a_job_before_the_authorisation_is_kept_until_then() {
    let job = notify("7", true);
    let transcript = format!(
        r#"
        > {{"id":1,"method":"mining.subscribe","params":["{USER_AGENT}"]}}
        {job}
        = ignored a job before the subscription
        < {{"id":1,"result":[["mining.notify","ab"],"",4],"error":null}}
        = subscribed  false
        > {{"id":2,"method":"mining.authorize","params":["alice.rig1","x"]}}
        < {{"method":"mining.set_difficulty","params":[0.5]}}
        {job}
        < {{"id":2,"result":true,"error":null}}
        > {{"id":3,"method":"mining.extranonce.subscribe","params":[]}}
        = work 7 at 0.5
        "#
    );
    let mut session = Session::new(login(), None);
    converse(&mut session, &transcript);
    assert_eq!(session.session_id(), Some("ab"));
}

#[test]
fn a_refused_resumption_is_repeated_once_as_a_stranger() {
    let transcript = format!(
        r#"
        > {{"id":1,"method":"mining.subscribe","params":["{USER_AGENT}","51"]}}
        < {{"id":1,"result":null,"error":[20,"no such session",null]}}
        > {{"id":1,"method":"mining.subscribe","params":["{USER_AGENT}"]}}
        < {{"id":1,"result":null,"error":[20,"pool full",null]}}
        = no subscription pool full
        "#
    );
    converse(&mut Session::new(login(), Some("51".to_owned())), &transcript);
}

#[test]
fn a_web_server_is_no_pool() {
    let transcript = format!(
        r#"
        > {{"id":1,"method":"mining.subscribe","params":["{USER_AGENT}"]}}
        < HTTP/1.1 400 Bad Request
        = no pool HTTP/1.1 400 Bad Request
        "#
    );
    converse(&mut Session::new(login(), None), &transcript);
}

#[test]
fn a_resumed_session_is_told_by_its_id() {
    let transcript = format!(
        r#"
        > {{"id":1,"method":"mining.subscribe","params":["{USER_AGENT}","51"]}}
        < {{"id":1,"result":[[["mining.notify","51"]],"0a0b0c0d",8],"error":null}}
        = subscribed 0a0b0c0d true
        > {{"id":2,"method":"mining.authorize","params":["alice.rig1","x"]}}
        < {{"id":2,"result":false,"error":[24,"unauthorized worker",null]}}
        = not authorized unauthorized worker
        "#
    );
    converse(&mut Session::new(login(), Some("51".to_owned())), &transcript);
}

#[test]
fn questions_of_a_pool_are_answered() {
    let transcript = format!(
        r#"{}
        < {{"id":77,"method":"client.get_version","params":[]}}
        > {{"error":null,"id":77,"result":"{USER_AGENT}"}}
        < {{"id":null,"method":"client.show_message","params":["hello"]}}
        = message hello
        < {{"id":78,"method":"mining.ping","params":[]}}
        > {{"error":null,"id":78,"result":"pong"}}
        < {{"id":null,"method":"mining.ping","params":[]}}
        < {{"id":"k","method":"client.get_algo","params":[]}}
        > {{"error":[20,"unknown method client.get_algo",null],"id":"k","result":null}}
        < {{"id":null,"method":"mining.set_goal","params":["x"]}}
        = ignored unknown method mining.set_goal
        < {{"id":null,"method":"client.reconnect","params":["eu.pool.example",3334,5]}}
        = reconnect Some("eu.pool.example") Some(3334) 5
        < HTTP/1.1 400 Bad Request
        = ignored not a Stratum message: HTTP/1.1 400 Bad Request
        < {{"id":9,"result":true,"error":null}}
        = ignored a reply to request 9, never sent
        "#,
        greeting()
    );
    converse(&mut Session::new(login(), None), &transcript);
}

#[test]
fn set_extranonce_takes_effect_with_the_next_notify() {
    let mut session = Session::new(login(), None);
    converse(&mut session, &greeting());
    let now = Instant::now();
    let job =
        |session: &mut Session, id: &str| match session.line(&notify(id, false)[2..], now).pop() {
            Some(Effect::Work(job)) => job,
            other => panic!("a job, not {other:?}"),
        };
    let before = job(&mut session, "1");
    let set = r#"{"id":null,"method":"mining.set_extranonce","params":["ffffffff",2]}"#;
    assert_eq!(session.line(set, now), []);
    let after = job(&mut session, "2");
    assert_eq!((before.extranonce2_max(), after.extranonce2_max()), (u128::from(u64::MAX), 0xffff));
    assert!(!before.same_work(&after));
    let unusable = r#"{"id":null,"method":"mining.set_extranonce","params":["ffffffff",99]}"#;
    assert!(matches!(session.line(unusable, now)[..], [Effect::Ignored(_)]));
    assert_eq!(job(&mut session, "3").extranonce2_max(), 0xffff);
}

/// An easy job as this session was sent it, and a share of it.
fn job_and_share(session: &mut Session, id: &str, clean: bool) -> (Arc<MinerJob>, Found) {
    let now = Instant::now();
    let easy = r#"{"id":null,"method":"mining.set_difficulty","params":[1e-9]}"#;
    session.line(easy, now);
    let Some(Effect::Work(job)) = session.line(&notify(id, clean)[2..], now).pop() else {
        panic!("{id} is a job")
    };
    let share = scan(&job, 0, 0..1 << 20).expect("one in four hashes is a share");
    (job, share)
}

#[test]
fn replies_find_their_share_in_any_order() {
    let mut session = Session::new(login(), None);
    converse(&mut session, &greeting());
    let now = Instant::now();
    let (first, share) = job_and_share(&mut session, "1", true);
    let (second, other) = job_and_share(&mut session, "2", false);
    session.submit(&first, &share, now).expect("a live job");
    session.submit(&second, &other, now).expect("a live job");
    assert_eq!(session.unanswered(), 2);
    let later = now + Duration::from_millis(7);
    let refused =
        session.line(r#"{"id":5,"result":null,"error":[22,"duplicate share",null]}"#, later);
    let [Effect::Rejected(answered, reason)] = &refused[..] else { panic!("{refused:?}") };
    assert_eq!((reason.as_str(), answered.hash), ("duplicate share", other.hash));
    assert_eq!(answered.latency, Duration::from_millis(7));
    let accepted = session.line(r#"{"id":4,"result":true,"error":null}"#, later);
    let [Effect::Accepted(answered)] = &accepted[..] else { panic!("{accepted:?}") };
    assert_eq!(answered.hash, share.hash);
    assert!(answered.proved >= answered.difficulty);
    assert_eq!(session.unanswered(), 0);
}

#[test]
fn answers_to_void_jobs_and_of_earlier_connections_are_not_sent() {
    let mut session = Session::new(login(), None);
    converse(&mut session, &greeting());
    let now = Instant::now();
    let (void, late) = job_and_share(&mut session, "1", true);
    let (kept, share) = job_and_share(&mut session, "2", true);
    let (_, _) = job_and_share(&mut session, "3", false);
    assert_eq!(session.submit(&void, &late, now), None);
    assert!(session.submit(&kept, &share, now).is_some(), "3 left 2 alive");
    let mut next = Session::new(login(), Some("51".to_owned()));
    assert_eq!(next.submit(&kept, &share, now), None);
    assert_eq!(next.unanswered(), 0);
}

/// Plays a recorded conversation of a real miner to our own session; every share that
/// miner sent must be one our job finds at the same place.
fn replay(algorithm: Algorithm, transcript: &str) -> usize {
    let now = Instant::now();
    let mut session = Session::new(login(), None);
    let mut jobs: HashMap<String, Arc<MinerJob>> = HashMap::new();
    let mut shares = 0;
    for line in transcript.lines() {
        if line.starts_with("# connection") {
            session = Session::new(Login { algorithm, ..login() }, None);
            jobs.clear();
        } else if let Some(heard) = line.strip_prefix("< ") {
            for effect in session.line(heard, now) {
                if let Effect::Work(job) = effect {
                    jobs.insert(job.id().to_owned(), job);
                }
            }
        } else if line.contains("mining.submit") {
            let submit: Value = serde_json::from_str(&line[2..]).expect("recorded JSON");
            let params = &submit["params"];
            let job = &jobs[params[1].as_str().expect("a job id")];
            let nonce = params[4].as_str().expect("a nonce");
            let nonce = u64::from_str_radix(nonce, 16).expect("hex");
            let found = scan(job, 0, nonce..nonce + 1).expect("the recorded share meets its job");
            assert_eq!(job.submit_params("alice.rig1", &found), *params);
            shares += 1;
        }
    }
    shares
}

#[test]
fn recorded_shares_of_real_miners_are_found_again() {
    for (algorithm, transcript, shares) in [
        (
            Algorithm::Blake2s,
            include_str!("../../../tests/golden/transcript-cpuminer-multi-blake2s.txt"),
            8,
        ),
        (
            Algorithm::Blake2s,
            include_str!("../../../tests/golden/transcript-cpuminer-opt-blake2s.txt"),
            9,
        ),
        (
            Algorithm::Sha256d,
            include_str!("../../../tests/golden/transcript-minerd-sha256d.txt"),
            28,
        ),
    ] {
        assert_eq!(replay(algorithm, transcript), shares);
    }
}
