//! A call that failed is kept in a file, and made again from it.

use chimera_ledger::{Accounts, Event, Request, Slices};
use chimera_plugin::{
    Answer, AuthPolicy, CallBundle, Class, DifficultyStrategy, Failure, Grants, Hello, Outcome,
    PayoutScheme, Services,
};
use chimera_pow::Difficulty;

use crate::auth::attempt;
use crate::difficulty::batch;
use crate::hostile::request;
use crate::{engines, hostile, shipped};

/// Through a file's text and back.
fn written(bundle: &CallBundle) -> CallBundle {
    let read = CallBundle::from_json(&bundle.to_json()).unwrap();
    assert_eq!(&read, bundle);
    read
}

#[test]
fn a_settlement_that_failed_is_replayed_from_its_bundle() {
    for misdeed in ["trap", "loop", "short", "error"] {
        let scheme = PayoutScheme::load(engines(), &hostile(), misdeed, &Grants::none()).unwrap();
        let answer = scheme.settle(&request());
        let bundle = written(&CallBundle::settle(&scheme, &request(), &answer));
        assert_eq!((bundle.component.as_str(), bundle.class), ("hostile", Class::Payout));
        assert_eq!(bundle.digest, hostile().digest());
        let Outcome::Failure(failure) = &bundle.outcome else { panic!("{misdeed} answered") };
        assert_eq!(failure.message, answer.unwrap_err().cause.to_string());

        let again = bundle.replay(engines(), &hostile(), Services::none());
        assert!(again.same_component && again.same_outcome, "{misdeed}: {again:?}");
        // Another component does better.
        let other = CallBundle { config: String::new(), ..bundle.clone() };
        let better = other.replay(engines(), &shipped("payout-pplns"), Services::none());
        assert!(!better.same_component && !better.same_outcome);
        assert!(matches!(better.outcome, Outcome::Answer(Answer::Settled(_))), "{better:?}");
    }
}

#[test]
fn a_trap_in_a_settlement_leaves_a_backtrace_with_names_and_a_core_dump() {
    let scheme = PayoutScheme::load(engines(), &hostile(), "trap", &Grants::none()).unwrap();
    let bundle = CallBundle::settle(&scheme, &request(), &scheme.settle(&request()));
    let Outcome::Failure(Failure { trapped: true, post_mortem: Some(left), .. }) = bundle.outcome
    else {
        panic!("it trapped")
    };
    let names: Vec<&str> =
        left.backtrace.iter().filter_map(|frame| frame.function.as_deref()).collect();
    assert!(names.contains(&"hostile::act"), "{names:?}");
    assert!(names.iter().all(|name| !name.contains("::h1") && !name.starts_with("_ZN")));
    let core = left.core.unwrap();
    assert!(core.memory_bytes.iter().sum::<u64>() > 0 && core.globals > 0, "{core:?}");
    // The bytes of a WebAssembly module, in base64.
    assert!(core.file.unwrap().starts_with("AGFzbQEAAAA"));
}

#[test]
fn answers_of_every_class_are_replayed_too() {
    let none = Grants::none();
    let replayed = |bundle: CallBundle, artifact| {
        let again = written(&bundle).replay(engines(), &artifact, Services::none());
        assert!(again.same_component && again.same_outcome, "{again:?}");
        assert!(matches!(again.outcome, Outcome::Answer(_)), "{again:?}");
    };

    let scheme = PayoutScheme::load(engines(), &shipped("payout-pps"), "", &none).unwrap();
    let interval = Request {
        event: Event::Interval {
            started_at_ms: 0,
            ended_at_ms: 60_000,
            network_work: 1 << 52,
            expected_reward: u64::MAX,
            expected_fees: 1,
        },
        accounts: Accounts { key: vec![1], work: vec![1 << 52], fee_ppm: vec![-3] },
        slices: Slices::default(),
        carry: 0,
        state: vec![],
    };
    let answer = scheme.settle(&interval);
    replayed(CallBundle::settle(&scheme, &interval, &answer), shipped("payout-pps"));
    let state = answer.unwrap().state;
    let migrated = scheme.migrate(1, &state);
    replayed(CallBundle::migrate(&scheme, 1, &state, &migrated), shipped("payout-pps"));

    let policy =
        AuthPolicy::load(engines(), &shipped("auth-open"), "", &none, Services::none()).unwrap();
    let attempt = attempt("alice.rig", Some("hunter2"));
    let bundle = CallBundle::authorize(&policy, &attempt, &policy.authorize(&attempt));
    assert!(!bundle.to_json().contains("hunter2"), "no password is kept");
    replayed(bundle, shipped("auth-open"));

    let name = "difficulty-vardiff";
    let strategy = DifficultyStrategy::load(engines(), &shipped(name), "", &none).unwrap();
    let hello = [Hello {
        user_agent: "bfgminer".to_owned(),
        hint: Difficulty::new(0.25).ok(),
        previous: None,
        minimum: Difficulty::new(0.001).unwrap(),
        maximum: Difficulty::new(1000.0).unwrap(),
    }];
    let hello: Vec<Hello> = serde_json::from_value(serde_json::to_value(&hello).unwrap()).unwrap();
    replayed(CallBundle::initial(&strategy, &hello, &strategy.initial(&hello)), shipped(name));
    let batch = batch(strategy.state_words(), &[(1 << 32, 640), (1 << 32, 10)]);
    let verdicts = strategy.retarget(batch.clone());
    replayed(CallBundle::retarget(&strategy, &batch, &verdicts), shipped(name));
}

#[test]
fn a_component_that_does_not_load_is_kept_too() {
    let none = Grants::none();
    let error = PayoutScheme::load(engines(), &hostile(), "refused", &none).err().unwrap();
    let bundle = CallBundle::load(Class::Payout, &hostile(), "refused", &none, Err(&error));
    let again = written(&bundle).replay(engines(), &hostile(), Services::none());
    assert!(again.same_outcome, "{again:?}");
    let other = CallBundle { config: String::new(), ..bundle };
    assert!(!other.replay(engines(), &hostile(), Services::none()).same_outcome);
}

#[test]
fn what_is_no_bundle_of_this_build_is_told() {
    let scheme = PayoutScheme::load(engines(), &hostile(), "", &Grants::none()).unwrap();
    let good = CallBundle::settle(&scheme, &request(), &scheme.settle(&request())).to_json();
    for (text, message) in [
        (String::new(), "no call bundle: EOF"),
        ("{}".to_owned(), "no call bundle: missing field `format`"),
        (good.replace("\"format\": 1", "\"format\": 2"), "of format 2; this build reads format 1"),
        (good.replace("pool@0.1.0", "pool@0.2.0"), "a call by chimera:pool@0.2.0; this build"),
        (good.replace("\"settle\"", "\"unsettle\""), "unknown variant `unsettle`"),
        (good.replace("\"digest\": \"", "\"digest\": \"x"), "is no digest"),
    ] {
        let error = CallBundle::from_json(&text).unwrap_err().to_string();
        assert!(error.contains(message), "{message}: {error}");
    }
}
