//! `chimera plugin check`: whether a component keeps the rules of its class, level by level.
//! Evidence about the cases tried, all from one seed; the host's own checks of every
//! settlement are the guarantee.

use std::collections::BTreeSet;
use std::path::PathBuf;

use chimera_plugin::{Artifact, Class, Engines, Grants, Services, Surface};
use serde_json::Value;

use crate::doubles::{self, Endpoint};
use crate::subject::{Loaded, class_of, grants_for};
use crate::vectors;

mod l0_static;
mod l1_lifecycle;
mod l2_money;
mod l3_determinism;
mod l4_resources;
mod l5_state;
mod l6_auth;
mod l6_difficulty;
mod l7_vectors;
mod listen;
mod mutations;
mod report;
mod schema;
mod simulator;

pub(crate) use l2_money::occasions;
pub(crate) use l6_auth::attempts;
pub(crate) use l6_difficulty::{batch, hellos};
pub use report::{Finding, Grade, Level, LevelReport, Report};

/// The seed of a check that names none.
pub const SEED: u64 = 20_090_103;

/// How to check.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its configuration; empty for its defaults.
    pub config: String,
    /// What it is granted; `None` for all it asks for.
    pub grants: Option<Grants>,
    /// A directory of golden cases.
    pub vectors: Option<PathBuf>,
    /// Which levels.
    pub levels: BTreeSet<Level>,
    /// Whether warnings count.
    pub strict: bool,
    /// Whether floating point in a payout scheme is an error, and not a note.
    pub no_floats: bool,
    /// What the random cases are made from.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            config: String::new(),
            grants: None,
            vectors: None,
            levels: Level::ALL.into(),
            strict: false,
            no_floats: false,
            seed: SEED,
        }
    }
}

/// A component that was loaded, with what all levels need to know of it.
struct Subject<'a> {
    engines: &'a Engines,
    /// An interpreter instead of a compiler: what both say is no accident of one.
    second: &'a Engines,
    artifact: &'a Artifact,
    class: Class,
    grants: Grants,
    loaded: Loaded,
    canonical: Value,
    schema: Value,
    exceptions: BTreeSet<String>,
    options: &'a Options,
}

impl Subject<'_> {
    /// The component anew, with its configuration.
    fn again(&self, engines: &Engines, services: Services) -> Result<Loaded, String> {
        self.load_with(engines, self.loaded.canonical(), services)
    }

    fn load_with(
        &self,
        engines: &Engines,
        config: &str,
        services: Services,
    ) -> Result<Loaded, String> {
        Loaded::load(engines, self.artifact, self.class, config, &self.grants, services)
            .map_err(|error| error.to_string())
    }

    /// Whether its schema declares that it does not keep a rule (`x-chimera-exceptions`).
    fn excepts(&self, rule: &str) -> bool {
        self.exceptions.contains(rule)
    }
}

/// Checks a component. Engines with a cache make it much faster: it is loaded hundreds of
/// times. `second` runs the same components by other means, see
/// [`Engines`]; both must agree.
pub fn check(
    engines: &Engines,
    second: &Engines,
    artifact: &Artifact,
    options: &Options,
) -> Report {
    let mut report = Report {
        component: artifact.name().to_owned(),
        digest: artifact.digest(),
        class: None,
        seed: options.seed,
        strict: options.strict,
        levels: Vec::new(),
    };
    let mut statics = LevelReport::new(Level::L0);
    let surface = l0_static::run(artifact, options, &mut statics);
    let broken = statics.findings.iter().any(|finding| finding.grade == Grade::Error);
    let class = surface.as_ref().and_then(|surface| class_of(surface, artifact.name()));
    report.class = class;
    let (Some(surface), Some(class), false) = (surface, class, broken) else {
        report.levels.push(statics);
        return finished(report, options, "it cannot be loaded");
    };
    let mut lifecycle = LevelReport::new(Level::L1);
    let subject = load(engines, second, artifact, class, &surface, options, &mut lifecycle);
    let Some(subject) = subject else {
        report.levels.extend([statics, lifecycle]);
        return finished(report, options, "it does not take its configuration");
    };
    // The schema is in the bytes, but only the component can say where.
    l0_static::exceptions(&subject, &mut statics);
    report.levels.push(statics);
    if options.levels.contains(&Level::L1) {
        l1_lifecycle::run(&subject, &mut lifecycle);
    }
    report.levels.push(lifecycle);
    for level in Level::ALL.into_iter().skip(2).filter(|level| options.levels.contains(level)) {
        report.levels.push(run(&subject, level));
    }
    finished(report, options, "")
}

fn run(subject: &Subject<'_>, level: Level) -> LevelReport {
    let mut report = LevelReport::new(level);
    match (level, &subject.loaded) {
        (Level::L2, Loaded::Payout(scheme)) => l2_money::run(subject, scheme, &mut report),
        (Level::L2, _) => return LevelReport::skipped(level, "for payout schemes"),
        (Level::L3, _) => l3_determinism::run(subject, &mut report),
        (Level::L4, _) => l4_resources::run(subject, &mut report),
        (Level::L5, _) => l5_state::run(subject, &mut report),
        (Level::L6, Loaded::Auth(_)) => l6_auth::run(subject, &mut report),
        (Level::L6, Loaded::Difficulty(strategy)) => {
            l6_difficulty::run(subject, strategy, &mut report);
        }
        (Level::L6, Loaded::Payout(_)) => {
            return LevelReport::skipped(level, "for auth policies and difficulty strategies");
        }
        (Level::L7, _) => {
            let directory = subject.options.vectors.as_deref();
            let carried = || vectors::carried(subject.artifact.bytes());
            if directory.is_none() && carried().is_ok_and(|cases| cases.is_empty()) {
                return LevelReport::skipped(level, "it carries none, and no --vectors given");
            }
            l7_vectors::run(subject, directory, &mut report);
        }
        (Level::L0 | Level::L1, _) => {}
    }
    report
}

/// Drops what was not asked for, and names what was not reached.
fn finished(mut report: Report, options: &Options, why: &str) -> Report {
    for level in &options.levels {
        if !report.levels.iter().any(|done| done.level == *level) {
            report.levels.push(LevelReport::skipped(*level, why));
        }
    }
    // What keeps it from being loaded is told in any case.
    report.levels.retain(|level| options.levels.contains(&level.level) || !level.holds());
    report.levels.sort_by_key(|level| level.level);
    report
}

/// Loads it with the configuration given, its defaults, or the first of its schema's examples.
fn load<'a>(
    engines: &'a Engines,
    second: &'a Engines,
    artifact: &'a Artifact,
    class: Class,
    surface: &Surface,
    options: &'a Options,
    report: &mut LevelReport,
) -> Option<Subject<'a>> {
    let grants =
        |config: &str| options.grants.clone().unwrap_or_else(|| grants_for(surface, config));
    let load = |config: &str| {
        let services = doubles::services(Endpoint::Answers);
        Loaded::load(engines, artifact, class, config, &grants(config), services)
    };
    let loaded = match load(&options.config) {
        Ok(loaded) => loaded,
        Err(error) => {
            let (expected, mend) = if options.config.is_empty() {
                (
                    "no configuration at all is one: all defaults",
                    "give every setting a default; if one cannot have any, check with --config",
                )
            } else {
                ("the configuration given is accepted", "see its schema: chimera plugin inspect")
            };
            report.tried();
            report.error("loads", expected, error.to_string(), mend);
            return None;
        }
    };
    let schema: Value = serde_json::from_str(&loaded.info().config_schema).unwrap_or_default();
    let texts = |value: &Value| -> BTreeSet<String> {
        let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
        items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    Some(Subject {
        engines,
        second,
        artifact,
        class,
        grants: grants(loaded.canonical()),
        canonical: serde_json::from_str(loaded.canonical()).unwrap_or_default(),
        exceptions: texts(&schema["x-chimera-exceptions"]),
        schema,
        loaded,
        options,
    })
}
