//! The plugin author's way, as the binary goes it: a new project, outside this repository,
//! builds, passes its own tests, loads and does its work. `plugins/GUIDE.md` shows this.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use chimera_ledger::{Accounts, Distribution, Event, Limits, Request, Slices};
use chimera_plugin::{
    Artifact, Attempt, AuthPolicy, Decision, DifficultyStrategy, Engines, Grants, Hello,
    PayoutScheme, Protocol, Services,
};
use chimera_pow::Difficulty;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::PATIENCE;

const BINARY: &str = env!("CARGO_BIN_EXE_chimera");

/// Beside the ordinary build: one for all projects of these tests, so that the SDK and its
/// dependencies are compiled once.
pub(crate) fn shared(name: &str) -> PathBuf {
    let target = Path::new(BINARY).ancestors().nth(2).expect("the binary is in target/");
    target.join("authoring").join(name)
}

/// A program as an author starts it in a directory.
pub(crate) fn program(name: &str, directory: &Path) -> Command {
    let mut command = Command::new(name);
    command
        .current_dir(directory)
        .env_remove("RUSTUP_TOOLCHAIN")
        .env("CARGO_TARGET_DIR", shared("target"))
        .env("COMPONENTIZE_PY_HOME", shared("python"));
    command
}

/// What it printed; it must end well.
fn done(command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {out}{err}");
    out
}

/// A new project in a temporary directory, built.
fn built(arguments: &[&str]) -> (TempDir, PathBuf, Artifact) {
    let dir = TempDir::new().expect("a temporary directory");
    let name = arguments[0];
    done(program(BINARY, dir.path()).args(["plugin", "new"]).args(arguments));
    let project = dir.path().join(name);
    let report = done(program(BINARY, &project).args(["plugin", "build", "--json"]));
    let report: Value = serde_json::from_str(&report).expect("one JSON object");
    let artifact = Artifact::from_file(&project.join(format!("{name}.wasm"))).expect("built");
    assert_eq!(report["digest"], artifact.digest().to_string());
    assert_eq!(report["name"], name);
    (dir, project, artifact)
}

fn engines() -> &'static Engines {
    static ENGINES: OnceLock<Engines> = OnceLock::new();
    ENGINES.get_or_init(|| Engines::new(Some(&shared("compiled"))).expect("they run here"))
}

/// What a scheme pays of a block of 1000 units for this work, by the ledger's own check.
fn pays(scheme: &PayoutScheme, work: &[u64]) -> (Vec<u64>, u64) {
    let request = Request {
        event: Event::Block {
            height: 7,
            reward: 1000,
            tx_fees: 0,
            window_work: work.iter().sum(),
            found_at_ms: 1,
            finder: None,
        },
        accounts: Accounts {
            key: (1..=work.len() as u64).collect(),
            work: work.to_vec(),
            fee_ppm: vec![0; work.len()],
        },
        slices: Slices::default(),
        carry: 0,
        state: Vec::new(),
    };
    let proposal = scheme.settle(&request).expect("it settles");
    let limits = Limits::default();
    let checked = Distribution::check("authored", &request, scheme.plan(), proposal, &limits);
    let checked = checked.expect("it pays the reward, exactly");
    (checked.amounts().to_vec(), checked.pool_fee())
}

#[test]
fn a_new_payout_scheme_builds_and_settles() {
    let (_dir, project, artifact) = built(&["payout-fair", "--kind", "payout"]);
    done(program("cargo", &project).args(["test", "--quiet"]));
    // It carries its golden cases: they are checked without being pointed at.
    let levels = ["plugin", "check", "payout-fair.wasm", "--level", "L7", "--json"];
    let report: Value =
        serde_json::from_str(&done(program(BINARY, &project).args(levels))).expect("JSON");
    assert_eq!(report["levels"][0]["facts"][0], "1 cases", "{report:#}");
    let scheme = PayoutScheme::load(engines(), &artifact, "", &Grants::none()).expect("it loads");
    assert_eq!(scheme.info().name, "payout-fair");
    assert_eq!(pays(&scheme, &[5, 0, 900]), (vec![500, 0, 500], 0));
}

#[test]
fn a_new_auth_policy_builds_and_decides() {
    let (_dir, _, artifact) = built(&["doorkeeper", "--kind", "auth"]);
    let policy =
        AuthPolicy::load(engines(), &artifact, "{}", &Grants::none(), Services::none()).unwrap();
    let decide = |user: &str| {
        let attempt = Attempt {
            remote_ip: "192.0.2.7".parse().expect("an address"),
            listener: "public".to_owned(),
            protocol: Protocol::StratumV1,
            tls: false,
            user: user.to_owned(),
            password: None,
            user_agent: "cpuminer".to_owned(),
            at_ms: 0,
        };
        policy.authorize(&attempt).expect("it decides")
    };
    assert!(matches!(decide("alice.rig"), Decision::Allow(_)));
    assert!(matches!(decide("alice"), Decision::Deny(_)));
}

#[test]
fn a_new_difficulty_strategy_builds_and_answers() {
    let (_dir, _, artifact) = built(&["tempo", "--kind", "difficulty"]);
    let strategy = DifficultyStrategy::load(engines(), &artifact, "", &Grants::none()).unwrap();
    let (low, high) = (Difficulty::ONE, Difficulty::from_units(8 << 32).expect("8.0"));
    let hello = Hello {
        user_agent: "cpuminer".to_owned(),
        hint: Some(high),
        previous: None,
        minimum: low,
        maximum: high,
    };
    assert_eq!(strategy.initial(&[hello]).expect("it answers"), [high]);
    assert_eq!(strategy.state_words(), 2);
}

/// Another language: the same numbers, from a component that holds an interpreter.
#[test]
fn a_new_scheme_in_python_builds_and_settles() {
    let (_dir, project, artifact) =
        built(&["payout-snake", "--kind", "payout", "--lang", "python"]);
    done(program("python3", &project).args(["-m", "unittest"]));
    let grants = Grants::parse(&["interpreted"]).expect("a grant");
    let scheme = PayoutScheme::load(engines(), &artifact, "", &grants).expect("it loads");
    assert_eq!(scheme.canonical_config(), r#"{"fee_ppm":10000}"#);
    assert_eq!(pays(&scheme, &[3, 1]), (vec![743, 248], 9));
    let refused = PayoutScheme::load(engines(), &artifact, r#"{"fee":1}"#, &grants).err();
    assert!(refused.expect("a misspelt key").to_string().contains("/fee"));
}

/// Two directories, one digest.
#[test]
fn a_reproducible_build_is_the_same_everywhere() {
    let (dir, project, _) = built(&["payout-same", "--kind", "payout"]);
    let digest = |project: &Path| {
        let arguments = ["plugin", "build", "--reproducible", "--json", "--out", "x.wasm"];
        let report = done(program(BINARY, project).args(arguments));
        let report: Value = serde_json::from_str(&report).expect("one JSON object");
        report["digest"].as_str().expect("text").to_owned()
    };
    let moved = dir.path().join("moved");
    std::fs::create_dir(&moved).expect("writable");
    let moved = moved.join("elsewhere");
    let here = digest(&project);
    std::fs::rename(&project, &moved).expect("writable");
    assert_eq!(digest(&moved), here);
}

/// What is wrong, in the compiler's own words where it has some, and what would be right.
#[test]
fn a_build_that_fails_says_what_would_be_right() {
    let dir = TempDir::new().expect("a temporary directory");
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("inside")).expect("writable");
        std::fs::write(path, text).expect("writable");
    };
    let package = "[package]\nname = \"x\"\nedition = \"2024\"\n[workspace]\n";
    let library = format!("{package}[lib]\ncrate-type = [\"cdylib\"]\n");
    for (files, arguments, expected) in [
        (&[][..], &[][..], "chimera plugin new"),
        (&[("Cargo.toml", package), ("src/lib.rs", "")], &[], "crate-type = [\"cdylib\""),
        (
            &[("Cargo.toml", &library), ("src/lib.rs", "fn f() -> u8 { true }")],
            &[],
            "mismatched types",
        ),
        (&[("src/lib.rs", "")], &[], "export_payout_scheme!"),
        (&[], &["--reproducible"], "channel = "),
        (&[("plugin.toml", "[plugin]\nname = 1\n")], &[], "plugin.toml"),
    ] {
        for (name, text) in files {
            write(name, text);
        }
        let mut build = program(BINARY, dir.path());
        let output = build.args(["plugin", "build"]).args(arguments).output().expect("it starts");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{expected}: {text}");
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

/// A pool with simulated miners pays by the project's scheme; what does not compile changes
/// nothing, and is told.
#[test]
fn dev_pays_by_the_scheme_and_keeps_the_last_good_build() {
    let (_dir, project, _) = built(&["payout-tried", "--kind", "payout"]);
    let log = project.join("target/dev.log");
    std::fs::create_dir_all(project.join("target")).expect("writable");
    let out = std::fs::File::create(&log).expect("writable");
    let mut child = program(BINARY, &project)
        .args(["plugin", "dev", "."])
        .stderr(out.try_clone().expect("a file"))
        .stdout(out)
        .spawn()
        .expect("it starts");
    let wait_for = |expected: &str| {
        let deadline = std::time::Instant::now() + 2 * PATIENCE;
        loop {
            let text = std::fs::read_to_string(&log).expect("readable");
            if text.contains(expected) {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "no {expected:?} in {text}");
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    wait_for("paid");
    let source = project.join("src/lib.rs");
    let good = std::fs::read_to_string(&source).expect("readable");
    std::fs::write(&source, good.replace("min(1)", "min(true)")).expect("writable");
    wait_for("kept");
    wait_for("mismatched types");
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill is there").success());
    assert!(child.wait().expect("our child").success());
}
