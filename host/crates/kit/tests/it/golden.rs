//! Components of a release, as bytes, with what they were asked and what they answered: every
//! later build of the host must get the same answers, byte for byte. See
//! `tests/golden/components/README.md`.

use std::fs;
use std::path::{Path, PathBuf};

use chimera_kit::vectors::{record, replay};
use chimera_plugin::{Artifact, CallBundle, Engines, Outcome};
use serde_json::Value;

use crate::{built, engines, second};

const RELEASED: [&str; 5] =
    ["auth-open", "difficulty-vardiff", "payout-equal", "payout-pplns", "payout-pps"];

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/golden/components/0.1.0")
}

/// Writes the fixtures anew, when asked to.
fn write() {
    fs::create_dir_all(directory()).unwrap();
    for name in RELEASED {
        let artifact = built(name);
        let calls = record(engines(), &artifact, "").unwrap();
        let calls: Vec<Value> =
            calls.iter().map(|call| serde_json::to_value(call).unwrap()).collect();
        // One call a line: a change shows as that line.
        let lines: Vec<String> = calls.iter().map(Value::to_string).collect();
        let text = format!("[\n{}\n]\n", lines.join(",\n"));
        fs::write(directory().join(format!("{name}.wasm")), artifact.bytes()).unwrap();
        fs::write(directory().join(format!("{name}.json")), text).unwrap();
    }
}

fn calls(name: &str) -> Vec<CallBundle> {
    let text = fs::read_to_string(directory().join(format!("{name}.json"))).unwrap();
    let calls: Vec<Value> = serde_json::from_str(&text).unwrap();
    calls.iter().map(|call| CallBundle::from_json(&call.to_string()).unwrap()).collect()
}

fn spelled(outcome: &Outcome) -> String {
    // Where a stopped call was depends on the engine; that it was stopped does not.
    let mut value = serde_json::to_value(outcome).unwrap();
    if let Some(failure) = value.pointer_mut("/failure").and_then(Value::as_object_mut) {
        failure.remove("post_mortem");
    }
    value.to_string()
}

#[test]
fn released_components_answer_as_they_always_did() {
    if std::env::var_os("CHIMERA_GOLDEN_WRITE").is_some_and(|what| what == "components") {
        write();
    }
    for name in RELEASED {
        let artifact = Artifact::from_file(&directory().join(format!("{name}.wasm"))).unwrap();
        let calls = calls(name);
        assert!(calls.len() > 5, "{name}: {} calls", calls.len());
        for (index, call) in calls.iter().enumerate() {
            assert_eq!(artifact.digest(), call.digest, "{name}: not the recorded component");
            for (what, engines) in [("compiled", engines()), ("interpreted", second())] {
                let engines: &Engines = engines;
                let again = replay(engines, &artifact, call);
                let (then, now) = (spelled(&call.outcome), spelled(&again.outcome));
                assert_eq!(then, now, "{name}, call {index}, {what}");
            }
        }
    }
}
