//! From sources to a component that could fill its slot: built, loaded, its configuration
//! accepted.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use chimera_kit::build::{Options, Project, build};
use chimera_kit::check::{self, Finding, Grade, Level};
use chimera_plugin::{
    Artifact, AuthPolicy, DifficultyStrategy, Digest, Engines, Grants, PayoutScheme, Services,
};
use serde_json::Value;

use super::{DevArgs, plugins_dir};
use crate::commands::arguments;

/// What a component decides in a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Payout,
    Auth,
    Difficulty,
}

impl Slot {
    pub(super) const ALL: [Self; 3] = [Self::Payout, Self::Auth, Self::Difficulty];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Payout => "payout",
            Self::Auth => "auth",
            Self::Difficulty => "difficulty",
        }
    }

    /// The variable that names the component.
    pub(super) const fn setting(self) -> &'static str {
        match self {
            Self::Payout => "PAYOUT__SCHEME",
            Self::Auth => "AUTH__POLICY",
            Self::Difficulty => "DIFFICULTY__STRATEGY",
        }
    }

    /// By the interface in its bytes; loading finds out whether it truly has it.
    fn of(component: &[u8]) -> Option<Self> {
        let has = |slot: &Self| {
            let interface = format!("chimera:pool/{}@", slot.name());
            component.windows(interface.len()).any(|window| window == interface.as_bytes())
        };
        Self::ALL.into_iter().find(has)
    }
}

/// A build that could fill its slot.
#[derive(Clone)]
pub(super) struct Candidate {
    pub(super) name: String,
    pub(super) slot: Slot,
    pub(super) digest: Digest,
    pub(super) bytes: Arc<[u8]>,
}

impl Candidate {
    /// Enough of the digest to tell builds apart.
    pub(super) fn short(&self) -> String {
        self.digest.to_string().chars().take(12).collect()
    }
}

/// Where candidates are made.
pub(super) struct Workshop {
    dir: PathBuf,
    plugins: PathBuf,
    pub(super) config: Value,
    pub(super) grants: Grants,
    engines: Arc<Engines>,
}

impl Workshop {
    pub(super) fn new(args: &DevArgs, dir: &Path) -> anyhow::Result<Self> {
        let config: Value = serde_json::from_str(&arguments::config(&args.config)?)?;
        anyhow::ensure!(config.is_object(), "--config is no JSON object, e.g. {{\"fee_ppm\": 0}}");
        let plugins = plugins_dir(dir);
        fs::create_dir_all(&plugins).with_context(|| plugins.display().to_string())?;
        let engines = Engines::new(Some(&dir.join("compiled"))).context("the plugin runtime")?;
        Ok(Self {
            dir: args.dir.clone(),
            plugins,
            config,
            grants: Grants::parse(&args.grants)?,
            engines: Arc::new(engines),
        })
    }

    /// Where the pool looks for components.
    pub(super) fn plugins(&self) -> &Path {
        &self.plugins
    }

    /// Builds and examines; the pool finds it by name afterwards.
    pub(super) async fn make(&self) -> anyhow::Result<Candidate> {
        let (dir, engines) = (self.dir.clone(), Arc::clone(&self.engines));
        let (config, grants) = (self.config.to_string(), self.grants.clone());
        let staged = self.plugins.with_file_name("staged.wasm");
        let making = tokio::task::spawn_blocking(move || {
            let project = Project::at(&dir)?;
            let options = Options { out: Some(staged), reproducible: false };
            let built = build(&project, &options)?;
            let artifact = Artifact::from_file(&built.file)?;
            let slot = examine(&engines, &artifact, &config, &grants)?;
            check_quickly(&engines, &artifact, &config, &grants)?;
            let (digest, bytes) = (artifact.digest(), artifact.bytes().into());
            anyhow::Ok(Candidate { name: built.name, slot, digest, bytes })
        });
        let candidate = making.await??;
        self.put_back(&candidate)?;
        Ok(candidate)
    }

    /// Makes this the component of its name.
    pub(super) fn put_back(&self, candidate: &Candidate) -> anyhow::Result<()> {
        let file = self.plugins.join(format!("{}.wasm", candidate.name));
        let beside = file.with_extension("tmp");
        fs::write(&beside, &candidate.bytes)
            .and_then(|()| fs::rename(&beside, &file))
            .with_context(|| file.display().to_string())
    }
}

/// The quick levels of `chimera plugin check`: what it is, its life, its money, determinism.
/// Interpreters are looked at only: hundreds of calls would take them minutes.
fn check_quickly(
    engines: &Engines,
    artifact: &Artifact,
    config: &str,
    grants: &Grants,
) -> anyhow::Result<()> {
    let quick = if grants.interpreted { Level::L0 } else { Level::L3 };
    let options = check::Options {
        config: config.to_owned(),
        grants: Some(grants.clone()),
        vectors: None,
        levels: Level::ALL.into_iter().filter(|level| *level <= quick).collect(),
        strict: false,
        no_floats: false,
        seed: check::SEED,
    };
    let report = check::check(engines, &Engines::portable(None)?, artifact, &options);
    let findings = report.levels.iter().flat_map(|level| &level.findings);
    let broken = findings.filter(|finding| finding.grade == Grade::Error).map(|finding| {
        let Finding { rule, expected, found, mend, .. } = finding;
        format!("{rule}: expected {expected}, found {found}; {mend}")
    });
    let broken: Vec<String> = broken.collect();
    anyhow::ensure!(broken.is_empty(), "it breaks a rule: {}", broken.join("; "));
    Ok(())
}

/// Loads it as a pool would: right world, no import too many, accepts its configuration.
fn examine(
    engines: &Engines,
    artifact: &Artifact,
    config: &str,
    grants: &Grants,
) -> anyhow::Result<Slot> {
    let slot = Slot::of(artifact.bytes())
        .context("it exports none of payout, auth and difficulty of chimera:pool")?;
    match slot {
        Slot::Payout => drop(PayoutScheme::load(engines, artifact, config, grants)?),
        Slot::Auth => {
            drop(AuthPolicy::load(engines, artifact, config, grants, Services::none())?);
        }
        Slot::Difficulty => drop(DifficultyStrategy::load(engines, artifact, config, grants)?),
    }
    Ok(slot)
}
