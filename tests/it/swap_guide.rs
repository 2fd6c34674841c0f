//! The operator's guide to swapping: every command in it is run, at a pool that mines.

use std::process::Command;

use serde_json::Value;

use crate::harness::{Miner, PATIENCE};
use crate::plugins::built;
use crate::process::Process;

const GUIDE: &str = include_str!("../../host/SWAPPING.md");
const BINARY: &str = env!("CARGO_BIN_EXE_chimera");

/// A command of the guide, and whether it is said to fail.
struct Shown {
    arguments: Vec<String>,
    fails: bool,
}

/// Every line of the console blocks that begins with `$ chimera`; a comment `# refused` behind
/// it says that it fails.
fn shown() -> Vec<Shown> {
    GUIDE
        .lines()
        .filter_map(|line| line.strip_prefix("$ chimera "))
        .map(|line| {
            let (command, comment) = line.split_once(" # ").unwrap_or((line, ""));
            let mut arguments = Vec::new();
            // As a shell would: what stands in single quotes is one argument.
            for (part, text) in command.split('\'').enumerate() {
                if part % 2 == 1 {
                    arguments.push(text.to_owned());
                } else {
                    arguments.extend(text.split_whitespace().map(str::to_owned));
                }
            }
            Shown { arguments, fails: comment.contains("refused") }
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_guide_does_what_it_says() {
    let dir = tempfile::TempDir::new().expect("a temporary directory");
    let plugins = tempfile::TempDir::new().expect("a temporary directory");
    std::fs::write(plugins.path().join("payout-mine.wasm"), built("payout-equal"))
        .expect("written");
    let directory = plugins.path().to_str().expect("a plain path");
    let pool = Process::start(dir.path(), &[("PLUGINS__DIRECTORY", directory)]);
    let mut miner = Miner::start(pool.stratum, "alice.rig").await;
    let commands = shown();
    assert!(commands.len() >= 8, "{} commands are shown", commands.len());
    for Shown { arguments, fails } in commands {
        miner.mine(2).await;
        let mut arguments = arguments;
        for argument in &mut arguments {
            if argument.as_str() == "DIGEST" {
                *argument = digest(&pool).await;
            }
        }
        let output = Command::new(BINARY)
            .args(&arguments)
            .args(["--api", &pool.api])
            .env("CHIMERA_POOL__DATA_DIR", dir.path())
            .output()
            .expect("the binary starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        let code = output.status.code();
        assert_eq!(code, Some(i32::from(fails)), "chimera {arguments:?}: {text}");
    }
    miner.mine(2).await;
}

/// The digest of what fills the payout slot.
async fn digest(pool: &Process) -> String {
    let url = format!("{}/api/v1/plugins", pool.api);
    let answer = tokio::time::timeout(PATIENCE, reqwest::get(&url)).await.expect("in time");
    let plugins: Value = answer.expect("an answer").json().await.expect("JSON");
    plugins["plugins"][0]["digest"].as_str().expect("a digest").to_owned()
}

/// The settings shown are settings there are, with the defaults they have.
#[test]
fn the_settings_of_the_guide_are_the_settings() {
    let sample = include_str!("../../config/chimera.toml");
    let section = sample.split("[swap]").nth(1).expect("there is one");
    let section = section.split("\n[").next().expect("it ends");
    for line in section.lines().filter(|line| line.contains('=')) {
        let key = line.split('=').next().expect("a key").trim();
        assert!(GUIDE.contains(&format!("`{key}`")), "{key} is not explained");
    }
    let steps = [
        "requested",
        "staged",
        "prepared",
        "shadow",
        "canary",
        "announced",
        "active",
        "drained",
        "proven",
        "rolled-back",
        "refused",
        "withdrawn",
        "abandoned",
    ];
    for step in steps {
        assert!(GUIDE.contains(&format!("`{step}`")), "{step} is not explained");
    }
}
