//! L7: the author's own cases, those the component carries and those of a directory, and
//! recorded calls of a pool: each must end as it is written.

use std::path::Path;

use super::{LevelReport, Subject};
use crate::doubles::{self, Endpoint};
use crate::vectors::{self, Vector};

pub(super) fn run(subject: &Subject<'_>, directory: Option<&Path>, report: &mut LevelReport) {
    let carried = vectors::carried(subject.artifact.bytes());
    let read = carried.and_then(|mut cases| {
        cases.iter_mut().for_each(|case| case.name.push_str(" (carried)"));
        if let Some(directory) = directory {
            cases.extend(vectors::read_directory(directory)?);
        }
        Ok(cases)
    });
    let vectors = match read {
        Ok(vectors) => vectors,
        Err(problem) => {
            let mend = "a file holds {\"config\", \"request\", \"outcome\"}, or a recorded call";
            report.tried();
            return report.error("vectors", "a directory of JSON files", problem, mend);
        }
    };
    let count = vectors.len();
    report.require(
        count > 0,
        "vectors",
        "at least one case",
        || directory.map_or(String::new(), |there| format!("no .json file in {}", there.display())),
        "write one, or record one with the pool",
    );
    for Vector { name, bundle } in vectors {
        report.tried();
        let mut bundle = bundle.of(subject.class, subject.artifact);
        if bundle.grants.texts().is_empty() {
            bundle.grants = subject.grants.clone();
        }
        let services = doubles::services(Endpoint::Answers);
        let replayed = bundle.replay(subject.engines, subject.artifact, services);
        if !replayed.same_outcome {
            report.error(
                "cases",
                format!("{name}: {}", vectors::brief(&bundle.outcome)),
                vectors::brief(&replayed.outcome),
                "mend the component, or the case if it is the one that is wrong",
            );
        }
    }
    report.fact(format!("{count} cases"));
}
