//! Conversations as text: every message and every kind of bad input, with what must come
//! of it. The cases are in `tests/cases/stratum` of the workspace.

mod mine;
mod script;

use std::path::Path;

#[test]
fn every_conversation_goes_as_written() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/cases/stratum");
    let mut files: Vec<_> = std::fs::read_dir(cases)
        .expect("the cases are in the repository")
        .map(|entry| entry.expect("the directory can be read").path())
        .collect();
    files.sort();
    assert!(files.len() >= 8, "all case files are there: {files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a case is text");
        script::run(&file.file_name().unwrap_or_default().to_string_lossy(), &text);
    }
}
