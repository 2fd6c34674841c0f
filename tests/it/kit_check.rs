//! `chimera plugin inspect | check | diff | replay`, as an author types them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_chimera");

fn chimera(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } =
        Command::new(BINARY).arg("plugin").args(arguments).output().expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (status.code(), format!("{}{}", text(stdout), text(stderr)))
}

fn json(arguments: &[&str]) -> (Option<i32>, Value) {
    let (code, text) = chimera(arguments);
    (code, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
}

/// A component the build leaves in the target directory.
fn built(name: &str) -> String {
    let target = Path::new(BINARY).ancestors().nth(2).expect("the binary is in target/");
    target.join(format!("components/{name}.wasm")).to_str().expect("a plain path").to_owned()
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/components/0.1.0").join(name)
}

#[test]
fn inspect_tells_what_a_component_is() {
    let (code, found) = json(&["inspect", "payout-pplns", "--json"]);
    assert_eq!(code, Some(0), "{found}");
    assert_eq!(found["worlds"], serde_json::json!(["payout-scheme"]));
    assert_eq!(found["api_versions"], serde_json::json!(["0.1.0"]));
    assert_eq!(found["anatomy"]["names"], true);
    assert_eq!(found["description"]["name"], "payout-pplns");
    assert_eq!(found["digest"].as_str().map(str::len), Some(64));
    let log = &found["imports"].as_array().expect("a list")[0];
    assert_eq!(
        (&log["name"], &log["standing"]),
        (&"chimera:pool/log@0.1.0".into(), &"given".into())
    );
    let (code, text) = chimera(&["inspect", &built("payout-equal")]);
    assert_eq!(code, Some(0), "{text}");
    for expected in ["payout-scheme", "chimera:pool/plugin@0.1.0", "given to all", "memory"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    // The schema, as people read it.
    let (code, text) = chimera(&["inspect", "auth-allowlist"]);
    assert_eq!(code, Some(0), "{text}");
    for expected in [
        "max_sessions: integer from 0 to 4294967295, default 0",
        "sessions an account may have at once",
        "accounts: array of string, default []",
        "passwords: object, default {}, secret: hidden",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let (code, text) = chimera(&["inspect", "payout-nothing"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("no component \"payout-nothing\""), "{text}");
}

#[test]
fn check_ends_with_0_for_a_good_component_and_1_for_a_bad_one() {
    let (code, text) = chimera(&["check", "payout-solo"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("L2 money") && text.contains("seed"), "{text}");
    let hostile = built("hostile");
    let config = r#"{"misdeed":"generous"}"#;
    let (code, text) = chimera(&["check", &hostile, "--config", config, "--level", "L2"]);
    assert_eq!(code, Some(1), "{text}");
    for expected in ["conservation", "expected", "found", "mend"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let (code, report) = json(&["check", "auth-open", "--json", "--level", "L6"]);
    assert_eq!((code, &report["passed"]), (Some(0), &true.into()), "{report}");
    assert_eq!(report["levels"][0]["level"], "l6");
    let (code, text) = chimera(&["check", "auth-open", "--level", "L9"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("L0 to L7"), "{text}");
}

/// A recorded answer is a case; another answer fails it, and the file is named.
#[test]
fn check_holds_a_component_to_written_and_recorded_cases() {
    let cases = tempfile::TempDir::new().expect("a temporary directory");
    let recorded = std::fs::read_to_string(golden("payout-equal.json")).expect("committed");
    let calls: Vec<Value> = serde_json::from_str(&recorded).expect("a list of calls");
    let settled = calls.iter().find(|call| call["function"] == "settle").expect("a settlement");
    let written = serde_json::json!({
        "config": {},
        "request": { "function": "settle", "arguments": settled["arguments"] },
        "outcome": settled["outcome"],
    });
    let directory = cases.path().to_str().expect("a plain path");
    let write = |name: &str, case: &Value| {
        std::fs::write(cases.path().join(name), case.to_string()).expect("writable");
    };
    write("recorded.json", settled);
    write("written.json", &written);
    let equal = built("payout-equal");
    let arguments = ["check", &equal, "--vectors", directory, "--level", "L7"];
    let (code, text) = chimera(&arguments);
    assert_eq!(code, Some(0), "{text}");
    let mut wrong = written;
    wrong["outcome"]["answer"]["settled"]["pool_fee"] = 77.into();
    write("wrong.json", &wrong);
    let (code, text) = chimera(&arguments);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("wrong.json") && text.contains("77"), "{text}");
}

#[test]
fn diff_tells_who_would_be_paid_what() {
    let (code, text) = chimera(&["diff", "payout-pplns", "payout-pplns"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("no difference was found"), "{text}");
    let (code, found) = json(&["diff", "payout-pplns", &built("payout-equal"), "--json"]);
    assert_eq!(code, Some(0), "{found}");
    let rounds = found["rounds"].as_array().expect("a list");
    assert!(rounds.iter().any(|round| !round["accounts"].as_array().expect("a list").is_empty()));
    let described = found["described"].as_array().expect("a list");
    assert!(described.iter().any(|change| change["what"] == "plan"), "{found}");
    let (code, text) = chimera(&["diff", "auth-open", "auth-allowlist"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("\"alice.rig\""), "{text}");
}

/// Of two classes nothing is asked of both; that was told as "of one class / of another".
#[test]
fn diff_of_two_classes_says_what_cannot_be_compared() {
    let (code, text) = chimera(&["diff", "payout-pplns", "auth-webhook"]);
    assert_eq!(code, Some(0), "{text}");
    for expected in [
        "A is of the world payout-scheme, B of auth-policy",
        "no answers are compared",
        "B asks for fetch:NAME, A does not",
        "only the first exports it",
        "bytes",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

/// A scheme that distributes and one that accrues are asked about the same work, each in its
/// form: the second one used to be asked what it does not know.
#[test]
fn diff_of_two_kinds_of_schemes_pays_the_same_work_with_both() {
    let recorded = std::fs::read_to_string(golden("payout-pplns.json")).expect("committed");
    let calls: Vec<Value> = serde_json::from_str(&recorded).expect("a list of calls");
    let settled = calls.iter().rfind(|call| call["function"] == "settle").expect("a settlement");
    let records = tempfile::TempDir::new().expect("a temporary directory");
    std::fs::write(records.path().join("call.json"), settled.to_string()).expect("writable");
    let directory = records.path().to_str().expect("a plain path");
    for (first, second) in [("payout-pplns", "payout-pps"), ("payout-pps", "payout-pplns")] {
        for arguments in [&[][..], &["--records", directory]] {
            let arguments = [&["diff", first, second, "--json"], arguments].concat();
            let (code, found) = json(&arguments);
            assert_eq!(code, Some(0), "{found}");
            let note = found["notes"][0].as_str().expect("said");
            assert!(note.contains("distributes blocks") && note.contains("intervals"), "{note}");
            let rounds = found["rounds"].as_array().expect("a list");
            assert!(found["rounds_compared"].as_u64() > Some(0) && !rounds.is_empty(), "{found}");
            for round in rounds {
                let others = round["others"].as_array().expect("a list");
                assert!(others.iter().all(|other| other["what"] != "outcome"), "{round}");
            }
        }
    }
}

/// Rounds may be recorded ones: calls as the pool keeps them, or settlement records.
#[test]
fn diff_settles_recorded_rounds_with_both() {
    let recorded = std::fs::read_to_string(golden("payout-pplns.json")).expect("committed");
    let calls: Vec<Value> = serde_json::from_str(&recorded).expect("a list of calls");
    let settled = calls.iter().rfind(|call| call["function"] == "settle").expect("a settlement");
    let record = serde_json::json!({ "body": { "request": settled["arguments"] } });
    let records = tempfile::TempDir::new().expect("a temporary directory");
    for (name, value) in [("call.json", settled), ("record.json", &record)] {
        std::fs::write(records.path().join(name), value.to_string()).expect("writable");
    }
    let directory = records.path().to_str().expect("a plain path");
    let equal = built("payout-equal");
    let (code, found) = json(&["diff", "payout-pplns", &equal, "--records", directory, "--json"]);
    assert_eq!((code, &found["rounds_compared"]), (Some(0), &2.into()), "{found}");
    let rounds = found["rounds"].as_array().expect("a list");
    assert_eq!(rounds.len(), 2, "{found}");
    assert_eq!(rounds[0]["accounts"], rounds[1]["accounts"], "the same round twice");
}

/// A core module was told to be built with another tool.
#[test]
fn a_core_module_is_sent_to_plugin_build() {
    let dir = tempfile::TempDir::new().expect("a temporary directory");
    let file = dir.path().join("core.wasm");
    std::fs::write(&file, b"\0asm\x01\0\0\0").expect("writable");
    let file = file.to_str().expect("a plain path");
    for arguments in [&["inspect", file][..], &["check", file], &["diff", "payout-solo", file]] {
        let (code, text) = chimera(arguments);
        assert_eq!(code, Some(1), "{arguments:?}: {text}");
        for expected in ["core module", "chimera plugin build", "core"] {
            assert!(text.contains(expected), "{arguments:?}: {text}");
        }
    }
}

#[test]
fn replay_says_whether_a_call_ends_as_recorded() {
    let recorded = std::fs::read_to_string(golden("payout-equal.json")).expect("committed");
    let calls: Vec<Value> = serde_json::from_str(&recorded).expect("a list of calls");
    let settled = calls.iter().find(|call| call["function"] == "settle").expect("a settlement");
    let directory = tempfile::TempDir::new().expect("a temporary directory");
    let file = directory.path().join("call.json");
    let path = file.to_str().expect("a plain path");
    std::fs::write(&file, settled.to_string()).expect("writable");
    let same = golden("payout-equal.wasm");
    let (code, text) = chimera(&["replay", path, "--component", same.to_str().expect("plain")]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("it ends as recorded"), "{text}");
    let hostile = built("hostile");
    let mut trapped = settled.clone();
    trapped["config"] = r#"{"misdeed":"trap"}"#.into();
    std::fs::write(&file, trapped.to_string()).expect("writable");
    let (code, text) = chimera(&["replay", path, "--component", &hostile]);
    assert_eq!(code, Some(1), "{text}");
    for expected in ["it ends otherwise", "stopped in", "on fire", "/failure"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}
