//! Ordinary builds for a system meet none: the hostile component, built for `wasm32-wasip1`
//! (with the usual adapter) and `wasm32-wasip2`, looks around.

use std::path::Path;

use chimera_ledger::{Event, Request};
use chimera_plugin::{
    Artifact, Asks, AuthPolicy, Decision, DifficultyStrategy, Engines, Grants, PayoutScheme,
    Services, Trap,
};

use crate::auth::attempt;
use crate::difficulty::batch;
use crate::engines;
use crate::hostile::{request, trap};

fn builds() -> [Artifact; 2] {
    [env!("CHIMERA_HOSTILE_WASIP1_COMPONENT"), env!("CHIMERA_HOSTILE_WASIP2_COMPONENT")]
        .map(|path| Artifact::from_file(Path::new(path)).unwrap())
}

fn scheme(build: &Artifact, deed: &str) -> PayoutScheme {
    PayoutScheme::load(engines(), build, deed, &Grants::none()).unwrap()
}

/// A block found at this time, with so much state.
fn found_at(found_at_ms: u64, state: &[u8]) -> Request {
    let mut request = request();
    let Event::Block { found_at_ms: at, .. } = &mut request.event else { unreachable!() };
    *at = found_at_ms;
    request.state = state.to_vec();
    request
}

#[test]
fn a_payout_scheme_sees_the_time_of_the_event_and_nothing_else_of_the_world() {
    for build in builds() {
        assert!(!Asks::of(&build).unwrap().shimmed.is_empty());
        let settle = |request: &Request| scheme(&build, "witness").settle(request).unwrap().notes;
        let seen = settle(&found_at(1_700_000_000_123, &[]));
        assert_eq!(
            seen[..7],
            [
                "it is 1700000000123",
                "an hour takes 0 s",
                "0 arguments",
                "0 variables",
                "0 bytes of input",
                "a file: false",
                "a directory: false",
            ]
        );
        // Random numbers follow from the question: the same again, on either engine, and
        // others for another question.
        assert_eq!(seen, settle(&found_at(1_700_000_000_123, &[])));
        let portable = Engines::portable(None).unwrap();
        let interpreted =
            PayoutScheme::load(&portable, &build, "witness", &Grants::none()).unwrap();
        assert_eq!(seen, interpreted.settle(&found_at(1_700_000_000_123, &[])).unwrap().notes);
        let other = settle(&found_at(1_700_000_000_123, &[1]));
        assert_eq!(other[..7], seen[..7]);
        assert_ne!(other[7..], seen[7..]);
    }
}

#[test]
fn an_auth_policy_sees_the_time_of_the_attempt_and_the_same_numbers_whatever_the_password() {
    for build in builds() {
        let grants = Grants::parse(&["credential"]).unwrap();
        let policy =
            AuthPolicy::load(engines(), &build, "witness", &grants, Services::none()).unwrap();
        let seen = |user: &str, password: &str| match policy
            .authorize(&attempt(user, Some(password)))
            .unwrap()
        {
            Decision::Allow(grant) => grant.tags,
            other => panic!("{other:?}"),
        };
        let first = seen("alice", "one");
        assert_eq!(first[0].1, "it is 1700000000000");
        assert_eq!(first, seen("alice", "two"));
        assert_ne!(first[7], seen("bob", "one")[7]);
    }
}

#[test]
fn a_difficulty_strategy_has_no_time_at_all() {
    for build in builds() {
        let load =
            || DifficultyStrategy::load(engines(), &build, "witness", &Grants::none()).unwrap();
        let retarget = |shares: u32| {
            load().retarget(batch(1, &[(1 << 32, shares), (1 << 32, 5)])).unwrap().state
        };
        let seen = retarget(5);
        assert_eq!(seen[0], 0);
        assert_eq!(seen, retarget(5));
    }
}

#[test]
fn printing_goes_to_the_log_within_its_limits_and_sleeping_takes_no_time() {
    for build in builds() {
        for deed in ["print", "sleep"] {
            scheme(&build, deed).settle(&request()).unwrap();
        }
    }
}

#[test]
fn a_panic_is_told_with_what_it_printed_and_an_exit_is_a_crash() {
    for build in builds() {
        let died = |deed: &str| trap(scheme(&build, deed).settle(&request()).unwrap_err());
        let Trap::Crash { said: Some(said), .. } = died("panic") else { panic!("it crashed") };
        assert!(said.contains("panicked at"), "{said}");
        assert!(said.contains("the books; are on fire"), "{said}");
        let Trap::Crash { what, .. } = died("exit") else { panic!("it crashed") };
        assert!(what.contains("the component exited"), "{what}");
    }
}
