//! A component that does its worst costs a decision, and the next call works again.

use chimera_ledger::{Accounts, Breach, Distribution, Event, Limits, Request, Slices};
use chimera_plugin::{
    AuthPolicy, Cause, Decision, DifficultyStrategy, Grants, PayoutScheme, PluginError, Refusal,
    Services, Trap,
};

use crate::auth::attempt;
use crate::difficulty::batch;
use crate::{engines, hostile};

fn scheme(misdeed: &str) -> PayoutScheme {
    PayoutScheme::load(engines(), &hostile(), misdeed, &Grants::none()).unwrap()
}

pub(crate) fn request() -> Request {
    Request {
        event: Event::Block {
            height: 1,
            reward: 1000,
            tx_fees: 0,
            window_work: 10,
            found_at_ms: 0,
            finder: None,
        },
        accounts: Accounts { key: vec![1, 2, 3], work: vec![5, 3, 2], fee_ppm: vec![0; 3] },
        slices: Slices::default(),
        carry: 0,
        state: vec![],
    }
}

pub(crate) fn trap(error: PluginError) -> Trap {
    match error.cause {
        Cause::Trap(trap) => trap,
        cause => panic!("no trap: {cause}"),
    }
}

#[test]
fn a_payout_plugin_that_misbehaves_is_stopped_and_can_be_asked_again() {
    const MEBIBYTE: usize = 1 << 20;
    for misdeed in ["trap", "loop", "grow", "recurse", "huge"] {
        let scheme = scheme(misdeed);
        for _ in 0..2 {
            let error = scheme.settle(&request()).unwrap_err();
            assert_eq!((error.plugin.as_str(), error.call), ("hostile", "settle"));
            match (misdeed, trap(error)) {
                ("trap", Trap::Crash { said: Some(said), .. }) => {
                    assert_eq!(said, "panicked: the books are on fire");
                }
                ("loop", Trap::OutOfFuel { fuel }) => assert_eq!(fuel, 50_015_000),
                ("grow", Trap::Memory { wanted, limit }) => {
                    assert_eq!(limit, 256 * MEBIBYTE + 3 * 512);
                    assert!(wanted > limit);
                }
                ("recurse", Trap::Stack) => {}
                ("huge", Trap::AnswerTooLarge { limit }) => {
                    assert_eq!(limit, 64 * MEBIBYTE + 3 * 64);
                }
                (_, other) => panic!("{misdeed}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_payout_answer_of_the_wrong_shape_is_refused() {
    for (misdeed, message) in [
        ("short", "hostile: settle: answered 2 weights where 3 are needed"),
        ("long", "hostile: settle: answered 4 amounts where 3 are needed"),
        ("hoard", "hostile: settle: answered 41943040 bytes of state; 33554432 are allowed"),
        ("error", "hostile: settle: invalid input: no thanks"),
    ] {
        let error = scheme(misdeed).settle(&request()).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn t15_a_payout_plugin_that_names_nobody_or_too_much_is_refused_by_the_ledger() {
    let check = |misdeed: &str| {
        let scheme = scheme(misdeed);
        let proposal = scheme.settle(&request()).unwrap();
        Distribution::check(misdeed, &request(), scheme.plan(), proposal, &Limits::default())
            .unwrap_err()
            .breach
    };
    assert_eq!(check("nobody"), Breach::NobodyNamed { pot: 1000, reward: 1000 });
    let proposed = 3 * u128::from(u64::MAX);
    assert_eq!(check("generous"), Breach::Sum { proposed, pot: 1000, reward: 1000 });
}

#[test]
fn chatter_is_cut_short() {
    scheme("chatter").settle(&request()).unwrap();
    let notes = scheme("gossip").settle(&request()).unwrap().notes;
    assert_eq!(notes.len(), 32);
    assert!(notes.iter().all(|note| note.len() <= 512));
}

#[test]
fn what_is_wrong_before_the_first_settlement_is_told_at_load() {
    for (config, call, message) in [
        (
            "refused",
            "validate",
            "configuration refused\n  /deed: too kind (expected: be worse)\n  warning: the whole: in general",
        ),
        (
            "wandering",
            "validate",
            "canonical configuration is none: wandering! becomes wandering!!",
        ),
        (
            "validate:trap",
            "validate",
            "crashed: wasm `unreachable` instruction executed in hostile::act",
        ),
        ("configure:refuse", "configure", "internal error: not today"),
        ("buckets", "make-plan", "answered 2000 buckets; 1 to 1024 are allowed"),
    ] {
        let error =
            PayoutScheme::load(engines(), &hostile(), config, &Grants::none()).err().unwrap();
        assert_eq!(error.call, call);
        assert!(error.cause.to_string().contains(message), "{config}: {error}");
    }
    let error =
        DifficultyStrategy::load(engines(), &hostile(), "elephant", &Grants::none()).err().unwrap();
    assert_eq!(error.to_string(), "hostile: state-words: answered 9 words of state; 8 are allowed");
}

#[test]
fn an_auth_policy_that_misbehaves_is_stopped() {
    let decide = |misdeed: &str| {
        AuthPolicy::load(engines(), &hostile(), misdeed, &Grants::none(), Services::none())
            .unwrap()
            .authorize(&attempt("alice", None))
    };
    assert!(matches!(decide(""), Ok(Decision::Allow(grant)) if grant.account == "alice"));
    assert_eq!(decide("shrug"), Ok(Decision::NoOpinion));
    assert_eq!(trap(decide("loop").unwrap_err()), Trap::Deadline { budget_ms: 60 });
    assert!(matches!(trap(decide("trap").unwrap_err()), Trap::Crash { .. }));
    assert!(matches!(
        trap(decide("grow").unwrap_err()),
        Trap::Memory { .. } | Trap::Deadline { .. }
    ));
    assert_eq!(trap(decide("recurse").unwrap_err()), Trap::Stack);
    for misdeed in ["anonymous", "long-name", "bell"] {
        let error = decide(misdeed).unwrap_err();
        assert!(matches!(error.cause, Cause::BadAnswer(_)), "{misdeed}: {error}");
    }
    let error = decide("error").unwrap_err();
    assert!(matches!(error.cause, Cause::Refused { kind: Refusal::Internal, .. }));
}

#[test]
fn a_difficulty_strategy_that_misbehaves_is_stopped_and_replaced() {
    let strategy = |misdeed: &str| {
        DifficultyStrategy::load(engines(), &hostile(), misdeed, &Grants::none()).unwrap()
    };
    let sessions = [(1 << 32, 5), (1 << 32, 5)];
    let retarget = |misdeed: &str| strategy(misdeed).retarget(batch(1, &sessions));
    assert!(matches!(trap(retarget("loop").unwrap_err()), Trap::Deadline { .. }));
    assert!(matches!(trap(retarget("grow").unwrap_err()), Trap::Memory { limit: 0x100_0000, .. }));
    for (misdeed, what, expected) in
        [("short", "difficulties", 2), ("forgetful", "words of state", 2)]
    {
        let cause = retarget(misdeed).unwrap_err().cause;
        assert_eq!(cause, Cause::WrongLength { what, expected, found: 0 }, "{misdeed}");
    }
    // Whatever it says, the host's bounds hold.
    assert_eq!(retarget("extreme").unwrap().next, [Some(1 << 52), Some(1 << 52)]);
    // One trap, and the next call has a new instance.
    let once = strategy("once");
    let mut second = batch(1, &sessions);
    second.state = vec![1, 1];
    assert!(once.retarget(batch(1, &sessions)).is_err());
    assert_eq!(once.retarget(second).unwrap().next, [None, None]);
}

#[test]
fn one_scheme_serves_many_threads() {
    let scheme = scheme("");
    let trapping = self::scheme("trap");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert!(scheme.settle(&request()).is_ok());
                    assert!(trapping.settle(&request()).is_err());
                }
            });
        }
    });
}
