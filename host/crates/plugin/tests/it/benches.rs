//! The benchmarks run small in every test run, so that they cannot rot.

#[path = "../../benches/calls.rs"]
#[allow(dead_code, unreachable_pub, reason = "a program of its own, whose main is not called here")]
mod calls;
#[path = "../../benches/settle.rs"]
#[allow(dead_code, unreachable_pub, reason = "a program of its own, whose main is not called here")]
mod settle;

#[test]
fn the_benchmark_settles_and_agrees_with_native_arithmetic() {
    let figures = settle::measure(500, 1);
    assert_eq!(figures.component_digest, figures.native_digest);
}

#[test]
fn a_settlement_of_a_million_accounts_fits_its_limits() {
    let figures = settle::measure(1_000_000, 1);
    assert_eq!(figures.component_digest, figures.native_digest);
}

#[test]
fn the_benchmark_of_calls_makes_them() {
    assert_eq!(calls::measure(2).len(), 5);
}
