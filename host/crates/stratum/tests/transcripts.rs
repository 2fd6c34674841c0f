//! Conversations as text: every message and every kind of bad input, with what must come
//! of it; and how every known miner talks. The cases are in `tests/cases/stratum` of the
//! workspace.

mod mine;
mod script;

use std::path::{Path, PathBuf};

#[test]
fn every_conversation_goes_as_written() {
    run_all(false);
}

/// Miners notice nothing of an upgrade: every conversation goes as written also when another
/// process goes on with the session after every step.
#[test]
fn every_conversation_goes_as_written_through_upgrades() {
    run_all(true);
}

fn run_all(upgrades: bool) {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/cases/stratum");
    let (messages, miners) = (texts(&cases), texts(&cases.join("miners")));
    assert!(messages.len() >= 9, "all messages are there: {messages:?}");
    assert!(miners.len() >= 13, "all miners are there: {miners:?}");
    for file in messages.iter().chain(&miners) {
        let text = std::fs::read_to_string(file).expect("a case is text");
        script::run(&file.file_name().unwrap_or_default().to_string_lossy(), &text, upgrades);
    }
}

fn texts(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .expect("the cases are in the repository")
        .map(|entry| entry.expect("the directory can be read").path())
        .filter(|path| path.extension().is_some_and(|found| found == "txt"))
        .collect();
    files.sort();
    files
}
