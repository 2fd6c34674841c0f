//! The benchmark runs small in every test run, so that it cannot rot.

#[path = "../../benches/settle.rs"]
#[allow(dead_code, unreachable_pub, reason = "a program of its own, whose main is not called here")]
mod settle;

#[test]
fn the_benchmark_settles_and_agrees_with_native_arithmetic() {
    let figures = settle::measure(500, 1);
    assert_eq!(figures.component_digest, figures.native_digest);
}
