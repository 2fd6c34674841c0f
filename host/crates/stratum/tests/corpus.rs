//! What must hold for every input holds for the inputs that are kept: the cases fuzzing begins
//! with, and what it has found. See `tests/fuzz` of the workspace.

#[path = "../../../../tests/fuzz/src/lib.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the fuzzing of its own workspace")]
mod fuzz;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

#[test]
fn every_kept_input_is_survived() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/fuzz/corpus");
    for (target, run, at_least) in [
        ("judge", fuzz::judge::run as fn(&[u8]), 1),
        ("line", fuzz::line::run, 10),
        ("proxy_header", fuzz::proxy_header::run, 10),
        ("request", fuzz::request::run, 100),
        ("session", fuzz::session::run, 100),
    ] {
        let inputs: Vec<_> = std::fs::read_dir(corpus.join(target))
            .expect("the corpus is in the repository")
            .map(|entry| entry.expect("the directory can be read").path())
            .collect();
        assert!(inputs.len() >= at_least, "{target}: {} inputs", inputs.len());
        for input in inputs {
            let bytes = std::fs::read(&input).expect("an input can be read");
            let survived = catch_unwind(AssertUnwindSafe(|| run(&bytes))).is_ok();
            assert!(survived, "{}", input.display());
        }
    }
}
