//! The desks with real components: trials, and what happens when one in force fails.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chimera_plugin::{
    Artifact, AuthPolicy, DifficultyStrategy, Engines, Grants, Registry, Services,
};
use chimera_pow::Difficulty;
use chimera_store::Store;
use chimera_stratum::{
    AuthAnswer, DifficultyLimits, Effect, Login, Measure, Outbox, Session, SessionConfig,
};
use tokio_util::sync::CancellationToken;

use super::Origin;
use super::*;
use crate::bans::BanList;
use crate::config::UnknownUsers;
use crate::gate::{Answer, Inbox, Key, Message, ReplyTo};
use crate::health::Health;
use crate::traps::Traps;

/// The component of `tests/hostile`, where the build leaves it.
fn hostile() -> Artifact {
    let test = std::env::current_exe().unwrap();
    let target = test.ancestors().nth(3).map(Path::to_owned).unwrap_or_default();
    Artifact::from_file(&target.join("components/hostile.wasm")).unwrap()
}

fn shipped(name: &str) -> Artifact {
    Registry::new(None).unwrap().find(name).unwrap()
}

fn filled<T>(component: T) -> Filled<T> {
    Filled {
        generation: None,
        component,
        origin: "a test".to_owned(),
        grants: Grants::none(),
        calls: Calls::default(),
    }
}

fn policy(artifact: &Artifact, config: &str) -> Filled<AuthPolicy> {
    let engines = Engines::new(None).unwrap();
    let loaded = AuthPolicy::load(&engines, artifact, config, &Grants::none(), Services::none());
    filled(loaded.unwrap())
}

fn strategy(artifact: &Artifact, config: &str) -> Filled<DifficultyStrategy> {
    let engines = Engines::new(None).unwrap();
    filled(DifficultyStrategy::load(&engines, artifact, config, &Grants::none()).unwrap())
}

fn limits() -> DifficultyLimits {
    let difficulty = |value| Difficulty::new(value).unwrap();
    DifficultyLimits { initial: Difficulty::ONE, min: difficulty(0.001), max: difficulty(1000.0) }
}

/// A login as a session asks for it.
fn login(user: &str) -> Login {
    let mut session =
        Session::new(SessionConfig { version_mask: 0, difficulty: limits(), multiplier: 1 }, 0);
    let mut out = Outbox::default();
    let line = format!("{{\"id\":1,\"method\":\"mining.authorize\",\"params\":[{user:?},\"x\"]}}");
    session.handle_line(line.as_bytes(), &mut out);
    match out.effects.pop() {
        Some(Effect::Authorize(login)) => login,
        other => panic!("{other:?}"),
    }
}

struct Scene {
    _dir: tempfile::TempDir,
    auth: AuthDesk,
    difficulty: Arc<DifficultyDesk>,
    health: Health,
}

async fn scene(auth: Filled<AuthPolicy>, difficulty: Filled<DifficultyStrategy>) -> Scene {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(&dir.path().join("pool.sqlite")).await.unwrap());
    let traps = Arc::new(Traps::new(dir.path().join("traps")));
    let health = Health::default();
    let probe = |name| health.part(name, 0);
    Scene {
        auth: AuthDesk::new(
            auth,
            store,
            UnknownUsers::Refuse,
            0,
            Arc::new(BanList::new(Vec::new()).0),
            Arc::clone(&traps),
            probe("auth"),
        ),
        difficulty: Arc::new(DifficultyDesk::new(difficulty, traps, probe("difficulty"))),
        _dir: dir,
        health,
    }
}

impl Scene {
    async fn admits(&self, user: &str, session: u64) -> bool {
        let origin = Origin {
            peer: ([192, 0, 2, 1], 1).into(),
            listener: "stratum".into(),
            tls: false,
            limits: limits(),
        };
        let admission = self.auth.decide(&login(user), &origin, session, &self.difficulty).await;
        matches!(admission.answer, AuthAnswer::Allow { .. })
    }

    /// Hands in one row for each session and gives what came back.
    async fn retarget(&self, sessions: std::ops::Range<u64>) -> Vec<Option<Difficulty>> {
        const ONE: u64 = 1 << 32;
        let inbox = Arc::new(Inbox::unattended());
        let count = sessions.end - sessions.start;
        for session in sessions {
            let row = Measure {
                current: ONE,
                minimum: ONE / 1000,
                maximum: 1000 * ONE,
                window_ms: 60_000,
                connected_ms: 60_000,
                ..Measure::default()
            };
            let index = u32::try_from(session).expect("few");
            let reply = ReplyTo { inbox: Arc::clone(&inbox), key: Key { index, turn: 0 } };
            assert!(self.difficulty.ask(session, row, Memory::default(), reply));
        }
        let mut decided = BTreeMap::new();
        let mut messages = Vec::new();
        while decided.len() < usize::try_from(count).expect("few") {
            tokio::time::sleep(Duration::from_millis(1)).await;
            inbox.take(&mut messages);
            for message in messages.drain(..) {
                match message {
                    Message::Answer(key, Answer::Retarget(retarget)) => {
                        decided.insert(key.index, retarget.next);
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        decided.into_values().collect()
    }
}

async fn until(what: &str, met: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if met() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not come true");
}

const FIXED: &str = r#"{"difficulty":"8"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_on_trial_is_compared_and_changes_nothing() {
    let open = policy(&shipped("auth-open"), "");
    let scene = scene(open, strategy(&shipped("difficulty-fixed"), FIXED)).await;
    let trial = Arc::new(Trial::new(Arc::new(policy(&hostile(), "shrug")), Mode::Shadow));
    scene.auth.slot.try_out(Some(Arc::clone(&trial)));
    for session in 0..4 {
        assert!(scene.admits(&format!("alice{session}.rig"), session).await);
        let asked = session + 1;
        until("the comparison", || {
            let report = trial.report();
            report.decisions + report.dropped == asked
        })
        .await;
    }
    let report = trial.report();
    assert_eq!((report.agreed, report.failed), (0, 0), "{report:?}");
    assert!(report.differed > 0 && report.examples[0].contains("no opinion on trial"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_fails_costs_nobody_a_login() {
    let open = policy(&shipped("auth-open"), "");
    let scene = scene(open, strategy(&shipped("difficulty-fixed"), FIXED)).await;
    for (config, decided, failed) in [("trap", 0, 3), ("", 3, 0)] {
        let canary = Arc::new(policy(&hostile(), config));
        let trial = Arc::new(Trial::new(canary, Mode::Canary(1_000_000)));
        scene.auth.slot.try_out(Some(Arc::clone(&trial)));
        for session in 0..3 {
            assert!(scene.admits(&format!("bob{config}{session}"), session).await, "{config}");
        }
        let report = trial.report();
        assert_eq!((report.decisions, report.failed), (decided, failed), "{config}: {report:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strategy_on_trial_sees_the_same_sessions_and_decides_only_as_a_canary() {
    let open = policy(&shipped("auth-open"), "");
    let scene = scene(open, strategy(&shipped("difficulty-fixed"), FIXED)).await;
    let stopping = CancellationToken::new();
    let running = tokio::spawn({
        let (desk, stopping) = (Arc::clone(&scene.difficulty), stopping.clone());
        async move { desk.run(stopping).await }
    });
    let next = |value| Some(Difficulty::new(value).unwrap());
    let other = || Arc::new(strategy(&shipped("difficulty-fixed"), r#"{"difficulty":"2"}"#));

    let shadow = Arc::new(Trial::new(other(), Mode::Shadow));
    scene.difficulty.slot.try_out(Some(Arc::clone(&shadow)));
    assert_eq!(scene.retarget(0..50).await, vec![next(8.0); 50]);
    until("all are compared", || {
        let report = shadow.report();
        report.decisions + report.dropped == 50
    })
    .await;
    let report = shadow.report();
    assert_eq!((report.agreed, report.differed), (0, report.decisions));
    assert!(report.examples[0].ends_with("8 in force, 2 on trial"), "{report:?}");

    let canary = Arc::new(Trial::new(other(), Mode::Canary(500_000)));
    scene.difficulty.slot.try_out(Some(Arc::clone(&canary)));
    let decided = scene.retarget(0..50).await;
    for (session, found) in (0_u64..).zip(&decided) {
        let expected = if canary.decides_for(session) { next(2.0) } else { next(8.0) };
        assert_eq!(*found, expected, "session {session}");
    }
    assert!(decided.contains(&next(2.0)) && decided.contains(&next(8.0)));

    let broken = Arc::new(strategy(&hostile(), "trap"));
    let broken = Arc::new(Trial::new(broken, Mode::Canary(1_000_000)));
    scene.difficulty.slot.try_out(Some(Arc::clone(&broken)));
    assert_eq!(scene.retarget(0..9).await, vec![next(8.0); 9]);
    assert_eq!(broken.report().failed, 9);
    stopping.cancel();
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pools_own_vardiff_acts_until_a_strategy_works() {
    let open = policy(&shipped("auth-open"), "");
    let scene = scene(open, strategy(&hostile(), "trap")).await;
    let stopping = CancellationToken::new();
    let running = tokio::spawn({
        let (desk, stopping) = (Arc::clone(&scene.difficulty), stopping.clone());
        async move { desk.run(stopping).await }
    });
    for _ in 0..2 {
        assert_eq!(scene.retarget(0..1).await, [None], "everything stays");
    }
    // The third failure: a session silent for a minute gets a quarter.
    assert_eq!(scene.retarget(0..1).await, [Difficulty::new(0.25).ok()]);
    assert_eq!(scene.retarget(0..1).await, [Difficulty::new(0.25).ok()]);
    assert!(scene.difficulty.breaker().is_tripped());
    assert_eq!(scene.difficulty.native_decisions(), 2);
    let told = scene.health.reports().into_iter().find(|part| part.name == "difficulty").unwrap();
    assert!(told.recommendation.unwrap().contains("own vardiff decides"));

    let works = strategy(&shipped("difficulty-fixed"), FIXED);
    scene.difficulty.slot.activate(Arc::new(works));
    assert_eq!(scene.retarget(0..1).await, [Difficulty::new(8.0).ok()]);
    assert!(!scene.difficulty.breaker().is_tripped());
    stopping.cancel();
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_comes_back_is_told_of_with_its_last_difficulty() {
    let open = policy(&shipped("auth-open"), "");
    // It fails: what the worker had is all there is.
    let scene = scene(open, strategy(&hostile(), "trap")).await;
    let worker = chimera_work::WorkerId(7);
    let login = login("alice.rig");
    assert_eq!(scene.difficulty.start(1, worker, &login, limits()).await, None);
    scene.difficulty.ended(worker, 5 << 32);
    assert_eq!(
        scene.difficulty.start(2, worker, &login, limits()).await,
        Difficulty::new(5.0).ok()
    );
    let other = chimera_work::WorkerId(8);
    assert_eq!(scene.difficulty.start(3, other, &login, limits()).await, None);
}
