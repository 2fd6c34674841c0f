//! Every fault in every export: the host gets an error that names both, and can go on.

use chimera_ledger::{Distribution, Limits};
use chimera_plugin::{
    Artifact, AuthPolicy, Cause, Class, DifficultyStrategy, Engines, Grants, Hello, PayoutScheme,
    PluginError, Services, Trap,
};
use chimera_pow::Difficulty;

use crate::auth::attempt;
use crate::difficulty::batch;
use crate::hostile::request;
use crate::{engines, hostile};

/// Loads the hostile component and calls this export; `describe` takes its deed from the bytes.
fn ask(class: Class, export: &str, deed: &str) -> Result<(), PluginError> {
    let none = Grants::none();
    let (artifact, config) = match export {
        "describe" => (describing(deed), String::new()),
        _ => (hostile(), format!("{export}:{deed}")),
    };
    match class {
        Class::Payout => {
            let scheme = PayoutScheme::load(engines(), &artifact, &config, &none)?;
            match export {
                "migrate" => scheme.migrate(1, &[1, 2, 3]).map(drop),
                _ => scheme.settle(&request()).map(drop),
            }
        }
        Class::Auth => AuthPolicy::load(engines(), &artifact, &config, &none, Services::none())?
            .authorize(&attempt("alice", None))
            .map(drop),
        Class::Difficulty => {
            let strategy = DifficultyStrategy::load(engines(), &artifact, &config, &none)?;
            match export {
                "initial" => strategy.initial(&[hello()]).map(drop),
                _ => strategy.retarget(batch(1, &[(1 << 32, 5)])).map(drop),
            }
        }
    }
}

fn hello() -> Hello {
    Hello {
        user_agent: String::new(),
        hint: None,
        previous: None,
        minimum: Difficulty::ONE,
        maximum: Difficulty::ONE,
    }
}

/// The hostile component with its deed for `describe` written into its bytes.
fn describing(deed: &str) -> Artifact {
    const MARK: &[u8] = b"what describe does: ";
    let mut bytes = hostile().bytes().to_vec();
    let at = bytes.windows(MARK.len()).position(|window| window == MARK).unwrap() + MARK.len();
    bytes[at..at + 16].copy_from_slice(format!("{deed:16}").as_bytes());
    Artifact::kept("hostile", bytes)
}

const EXPORTS: [(Class, &[&str]); 3] = [
    (Class::Payout, &["describe", "validate", "configure", "make-plan", "settle", "migrate"]),
    (Class::Auth, &["describe", "validate", "configure", "authorize"]),
    (
        Class::Difficulty,
        &["describe", "validate", "configure", "state-words", "initial", "retarget"],
    ),
];

/// Does this deed in every export there is, and judges how it ended.
fn everywhere(deed: &str, mut judge: impl FnMut(Class, &str, Result<(), PluginError>)) {
    for (class, exports) in EXPORTS {
        for export in exports {
            judge(class, export, ask(class, export, deed));
        }
    }
}

/// The trap of a call that must have failed in this export.
fn trapped(export: &str, outcome: Result<(), PluginError>) -> Trap {
    let error = outcome.expect_err(export);
    assert_eq!((error.plugin.as_str(), error.call), ("hostile", export));
    match error.cause {
        Cause::Trap(trap) => trap,
        cause => panic!("{export}: no trap: {cause}"),
    }
}

#[test]
fn a_crash_in_any_export_is_told_with_its_place() {
    everywhere("trap", |_, export, outcome| match trapped(export, outcome) {
        Trap::Crash { said: Some(said), at: Some(_), .. } => {
            assert_eq!(said, "panicked: the books are on fire", "{export}");
        }
        other => panic!("{export}: {other:?}"),
    });
}

#[test]
fn an_endless_loop_in_any_export_is_stopped() {
    everywhere("loop", |class, export, outcome| match (class, trapped(export, outcome)) {
        (Class::Payout, Trap::OutOfFuel { .. })
        | (Class::Auth | Class::Difficulty, Trap::Deadline { .. }) => {}
        (_, other) => panic!("{class} {export}: {other:?}"),
    });
}

#[test]
fn memory_that_grows_in_any_export_is_stopped() {
    everywhere("grow", |class, export, outcome| match trapped(export, outcome) {
        Trap::Memory { wanted, limit } => assert!(wanted > limit, "{class} {export}"),
        // A busy machine may stop it by the clock before it has all it wants.
        Trap::Deadline { .. } if class != Class::Payout => {}
        other => panic!("{class} {export}: {other:?}"),
    });
}

#[test]
fn a_deep_recursion_in_any_export_is_stopped() {
    everywhere("recurse", |class, export, outcome| {
        assert_eq!(trapped(export, outcome), Trap::Stack, "{class} {export}");
    });
}

#[test]
fn a_flood_of_messages_from_any_export_changes_nothing() {
    everywhere("chatter", |class, export, outcome| {
        assert!(outcome.is_ok(), "{class} {export}: {outcome:?}");
    });
}

#[test]
fn an_answer_of_megabytes_from_any_export_is_refused() {
    for (class, export, bytes, limit) in [
        (Class::Payout, "describe", "", 1 << 20),
        (Class::Auth, "describe", "", 1 << 20),
        (Class::Difficulty, "describe", "", 1 << 20),
        (Class::Payout, "validate", "=2000000", 1 << 20),
        (Class::Auth, "validate", "=2000000", 1 << 20),
        (Class::Difficulty, "validate", "=2000000", 1 << 20),
        (Class::Payout, "configure", "=2000000", 1 << 20),
        (Class::Auth, "configure", "=2000000", 1 << 20),
        (Class::Difficulty, "configure", "=2000000", 1 << 20),
        (Class::Payout, "make-plan", "=2000000", 1 << 20),
        (Class::Payout, "migrate", "=104857600", 64 << 20),
        (Class::Payout, "settle", "", (64 << 20) + 3 * 64),
        (Class::Auth, "authorize", "=2000000", 1 << 20),
        (Class::Difficulty, "initial", "=600000", 4 << 20),
        (Class::Difficulty, "retarget", "=600000", 4 << 20),
    ] {
        let outcome = ask(class, export, &format!("huge{bytes}"));
        assert_eq!(trapped(export, outcome), Trap::AnswerTooLarge { limit }, "{class} {export}");
    }
}

#[test]
fn state_of_a_hundred_megabytes_is_refused() {
    let outcome = ask(Class::Payout, "settle", "hoard-more");
    assert!(matches!(trapped("settle", outcome), Trap::AnswerTooLarge { .. }));
}

#[test]
fn sums_that_overflow_are_a_breach_and_no_panic() {
    let none = Grants::none();
    for deed in ["settle:overflow", "settle:generous"] {
        let scheme = PayoutScheme::load(engines(), &hostile(), deed, &none).unwrap();
        let proposal = scheme.settle(&request()).unwrap();
        let limits = Limits::default();
        assert!(Distribution::check(deed, &request(), scheme.plan(), proposal, &limits).is_err());
    }
}

#[test]
fn not_a_number_has_the_same_bits_on_both_engines() {
    let (none, deed) = (Grants::none(), "settle:nan");
    let native = PayoutScheme::load(engines(), &hostile(), deed, &none).unwrap();
    let portable = Engines::portable(None).unwrap();
    let interpreted = PayoutScheme::load(&portable, &hostile(), deed, &none).unwrap();
    let [native, interpreted] = [native, interpreted].map(|one| one.settle(&request()).unwrap());
    assert_eq!(native.state.len(), 13 * 8 + 6 * 4);
    assert_eq!(native.state[..8], 0x7ff8_0000_0000_0000_u64.to_le_bytes(), "the canonical one");
    assert_eq!(native, interpreted);
}
