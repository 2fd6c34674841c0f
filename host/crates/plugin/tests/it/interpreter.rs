//! The second engine answers what the first answers, under the same limits.

use chimera_plugin::{Cause, Engines, Grants, PayoutScheme, Trap};

use crate::hostile::request;
use crate::{engines, hostile, shipped};

#[test]
fn both_engines_settle_alike() {
    let (none, portable) = (Grants::none(), Engines::portable(None).unwrap());
    for name in ["payout-pplns", "payout-prop"] {
        let native = PayoutScheme::load(engines(), &shipped(name), "", &none).unwrap();
        let interpreted = PayoutScheme::load(&portable, &shipped(name), "", &none).unwrap();
        assert_eq!(native.plan(), interpreted.plan());
        assert_eq!(native.canonical_config(), interpreted.canonical_config());
        assert_eq!(native.settle(&request()), interpreted.settle(&request()), "{name}");
    }
}

#[test]
fn the_interpreter_stops_what_the_compiler_s_engine_stops() {
    let portable = Engines::portable(None).unwrap();
    let settle = |deed: &str| {
        let none = Grants::none();
        let scheme = PayoutScheme::load(&portable, &hostile(), deed, &none).unwrap();
        match scheme.settle(&request()).unwrap_err().cause {
            Cause::Trap(trap) => trap,
            cause => panic!("{deed}: {cause}"),
        }
    };
    assert!(matches!(settle("loop"), Trap::OutOfFuel { .. }));
    assert!(matches!(settle("grow"), Trap::Memory { .. }));
    assert_eq!(settle("recurse"), Trap::Stack);
    assert!(matches!(settle("huge"), Trap::AnswerTooLarge { .. }));
    assert!(matches!(settle("trap"), Trap::Crash { said: Some(_), .. }));
}

#[test]
fn a_component_that_interprets_gets_a_hundred_times_the_fuel() {
    let fuel = |grants: &[&str]| {
        let grants = Grants::parse(grants).unwrap();
        let scheme = PayoutScheme::load(engines(), &hostile(), "settle:loop", &grants).unwrap();
        match scheme.settle(&request()).unwrap_err().cause {
            Cause::Trap(Trap::OutOfFuel { fuel }) => fuel,
            cause => panic!("{cause}"),
        }
    };
    assert_eq!(fuel(&["interpreted"]), 100 * fuel(&[]));
}
