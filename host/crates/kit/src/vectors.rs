//! Golden cases: what a component was asked and must answer, as JSON files. An author writes
//! `{config, request, outcome}`; a pool records the same with where it came from.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chimera_plugin::{Artifact, CallBundle, Class, Engines, Grants, Outcome, Question, Surface};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use wasmparser::{Parser, Payload};

use crate::check::SEED;
use crate::check::{attempts, batch, hellos, occasions};
use crate::dice::Dice;
use crate::doubles::{self, Endpoint};
use crate::rounds::Round;
use crate::subject::{Loaded, class_of, grants_for};

/// The custom section in which a component carries its author's cases: a JSON object, file
/// name to case.
const SECTION: &str = "chimera:vectors";
/// Carried cases travel with every copy of the component.
const CARRIED_BYTES_MAX: usize = 1 << 20;
const CARRIED_CASES_MAX: usize = 256;
/// While a component's own cases are asked its slot is taken.
const CARRIED_TIME_MAX: Duration = Duration::from_secs(10);
/// Most of a case that is shown.
const BRIEF_BYTES_MAX: usize = 200;
/// Account numbers of the recorded rounds.
const ROWS: [usize; 4] = [1, 2, 7, 40];

/// One case.
pub(crate) struct Vector {
    /// The file's name.
    pub(crate) name: String,
    /// The call and how it must end.
    pub(crate) bundle: Case,
}

/// A case as it was written.
pub(crate) enum Case {
    /// By an author: about whatever component is checked.
    Written(Box<Written>),
    /// By a pool.
    Recorded(Box<CallBundle>),
}

/// `{config, request, outcome}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Written {
    /// JSON, or its text; none means all defaults.
    #[serde(default)]
    config: Value,
    /// None means those it is checked with.
    #[serde(default)]
    grants: Grants,
    request: Question,
    outcome: Outcome,
}

impl Case {
    /// As a call of this component.
    pub(crate) fn of(self, class: Class, artifact: &Artifact) -> CallBundle {
        match self {
            Self::Recorded(bundle) => *bundle,
            Self::Written(written) => {
                let Written { config, grants, request, outcome } = *written;
                let config = match config {
                    Value::Null => String::new(),
                    Value::String(text) => text,
                    value => value.to_string(),
                };
                let bundle = CallBundle::load(class, artifact, &config, &grants, Ok(""));
                CallBundle { question: request, outcome, ..bundle }
            }
        }
    }
}

/// All `.json` files of a directory, by name.
pub(crate) fn read_directory(directory: &Path) -> Result<Vec<Vector>, String> {
    let read = |path: &PathBuf| {
        let told = |problem: String| format!("{}: {problem}", path.display());
        let text = fs::read_to_string(path).map_err(|error| told(error.to_string()))?;
        Ok(Vector { name: file_name(path), bundle: parse(&text).map_err(told)? })
    };
    files(directory)?.iter().map(read).collect()
}

fn files(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A component with the cases of a directory in it. With none, or without the directory, it
/// stays as it is.
pub(crate) fn carry(mut component: Vec<u8>, directory: &Path) -> Result<Vec<u8>, String> {
    if !directory.is_dir() {
        return Ok(component);
    }
    let mut cases: BTreeMap<String, Box<RawValue>> = BTreeMap::new();
    for file in files(directory)? {
        let told = |problem: String| format!("{}: {problem}", file.display());
        let text = fs::read_to_string(&file).map_err(|error| told(error.to_string()))?;
        parse(&text).map_err(told)?;
        let case: Box<RawValue> = serde_json::from_str(&text).map_err(|e| told(e.to_string()))?;
        cases.insert(file_name(&file), case);
    }
    if cases.is_empty() {
        return Ok(component);
    }
    let cases = serde_json::to_vec(&cases).map_err(|error| error.to_string())?;
    if cases.len() > CARRIED_BYTES_MAX {
        return Err(format!(
            "{}: {} bytes of cases, a component carries {CARRIED_BYTES_MAX} at most; move the \
             large ones and check them with --vectors",
            directory.display(),
            cases.len()
        ));
    }
    chimera_componentize::push_custom_section(&mut component, SECTION, &cases);
    Ok(component)
}

/// The cases a component carries.
pub(crate) fn carried(component: &[u8]) -> Result<Vec<Vector>, String> {
    let mut vectors = Vec::new();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(|error| error.to_string())? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) if depth == 0 && section.name() == SECTION => {
                if section.data().len() > CARRIED_BYTES_MAX {
                    let bytes = section.data().len();
                    return Err(format!("{SECTION}: {bytes} bytes, {CARRIED_BYTES_MAX} at most"));
                }
                let told = |name: &str, problem: String| format!("{SECTION}: {name}: {problem}");
                let cases: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(section.data())
                    .map_err(|error| format!("{SECTION}: {error}"))?;
                if cases.len() + vectors.len() > CARRIED_CASES_MAX {
                    return Err(format!("{SECTION}: more than {CARRIED_CASES_MAX} cases"));
                }
                for (name, case) in cases {
                    let case = parse(case.get()).map_err(|problem| told(&name, problem))?;
                    vectors.push(Vector { name, bundle: case });
                }
            }
            _ => {}
        }
    }
    Ok(vectors)
}

/// Asks a component the cases it carries, with what it is granted and against what stands in
/// for the pool's services. Says how many there were.
///
/// # Errors
/// Which one ends otherwise than its author says, and how; or that they take too long.
pub fn run_carried(
    engines: &Engines,
    artifact: &Artifact,
    class: Class,
    grants: &Grants,
) -> Result<usize, String> {
    let vectors = carried(artifact.bytes())?;
    let (count, begun) = (vectors.len(), Instant::now());
    for Vector { name, bundle } in vectors {
        if begun.elapsed() > CARRIED_TIME_MAX {
            let seconds = CARRIED_TIME_MAX.as_secs();
            return Err(format!("its own cases take longer than {seconds} s; {name} was next"));
        }
        let mut bundle = bundle.of(class, artifact);
        if bundle.class != class {
            return Err(format!("its own case {name} is one of another class"));
        }
        // Nobody grants himself anything.
        bundle.grants = grants.clone();
        let replayed = replay(engines, artifact, &bundle);
        if !replayed.same_outcome {
            return Err(format!(
                "its own case {name} ends with {}, not {}",
                brief(&replayed.outcome),
                brief(&bundle.outcome)
            ));
        }
    }
    Ok(count)
}

fn parse(text: &str) -> Result<Case, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if value.get("format").is_some() {
        let bundle = CallBundle::from_json(text).map_err(|error| error.to_string())?;
        return Ok(Case::Recorded(Box::new(bundle)));
    }
    serde_json::from_str(text).map(Box::new).map(Case::Written).map_err(|error| error.to_string())
}

/// An outcome in a line.
pub(crate) fn brief(outcome: &Outcome) -> String {
    let mut text = match outcome {
        Outcome::Answer(answer) => {
            serde_json::to_string(answer).unwrap_or_else(|error| error.to_string())
        }
        Outcome::Failure(failure) => format!("{}: {}", failure.call, failure.message),
    };
    if text.len() > BRIEF_BYTES_MAX {
        text.truncate(text.floor_char_boundary(BRIEF_BYTES_MAX));
        text.push_str("...");
    }
    text
}

/// Asks a component the same questions every time, and gives what it answered: cases for
/// another build of it to be held to.
///
/// # Errors
/// When it cannot be loaded with this configuration.
pub fn record(
    engines: &Engines,
    artifact: &Artifact,
    config: &str,
) -> Result<Vec<CallBundle>, String> {
    let surface = Surface::of(artifact.bytes()).map_err(|cause| cause.to_string())?;
    let class = class_of(&surface, artifact.name()).ok_or("it is of no world of chimera:pool")?;
    let grants = grants_for(&surface, config);
    let services = || doubles::services(Endpoint::Answers);
    let loaded = Loaded::load(engines, artifact, class, config, &grants, services())
        .map_err(|error| error.to_string())?;
    let mut dice = Dice::new(SEED);
    let mut bundles =
        vec![CallBundle::load(class, artifact, config, &grants, Ok(loaded.canonical()))];
    match &loaded {
        Loaded::Payout(scheme) => {
            for occasion in occasions(scheme.plan().kind) {
                let mut state = Vec::new();
                for rows in ROWS {
                    let mut round = Round::random(&mut dice, *occasion, scheme.plan(), rows);
                    round.state = state;
                    let (request, _) = round.request(scheme.plan());
                    let answer = scheme.settle(&request);
                    bundles.push(CallBundle::settle(scheme, &request, &answer));
                    state = answer.map(|proposal| proposal.state).unwrap_or_default();
                }
            }
            let version = scheme.info().state_version;
            let answer = scheme.migrate(version, &[]);
            bundles.push(CallBundle::migrate(scheme, version, &[], &answer));
        }
        Loaded::Auth(policy) => {
            for attempt in attempts().into_iter().filter(|attempt| attempt.user.len() < 1_000) {
                let answer = policy.authorize(&attempt);
                bundles.push(CallBundle::authorize(policy, &attempt, &answer));
            }
        }
        Loaded::Difficulty(strategy) => {
            for rows in ROWS {
                let hello = hellos(&mut dice, rows);
                let answer = strategy.initial(&hello);
                bundles.push(CallBundle::initial(strategy, &hello, &answer));
                let batch = batch(&mut dice, rows, strategy.state_words());
                let answer = strategy.retarget(batch.clone());
                bundles.push(CallBundle::retarget(strategy, &batch, &answer));
            }
        }
    }
    Ok(bundles)
}

/// Replays a recorded call against what stands in for the pool's services.
pub fn replay(
    engines: &Engines,
    artifact: &Artifact,
    bundle: &CallBundle,
) -> chimera_plugin::ReplayOutcome {
    bundle.replay(engines, artifact, doubles::services(Endpoint::Answers))
}
