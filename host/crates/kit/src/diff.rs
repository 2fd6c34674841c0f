//! `chimera plugin diff`: what changes if one component takes the place of another.

use std::path::Path;

use chimera_plugin::{Artifact, Digest, Engines, Info, Surface};
use serde::Serialize;

use crate::check::{SEED, attempts, batch, hellos};
use crate::dice::Dice;
use crate::doubles::{self, Endpoint};
use crate::subject::{Loaded, class_of, grants_for};

mod rounds;

/// The difference of two components.
#[derive(Debug, Clone, Serialize)]
pub struct Diff {
    /// The first, by name and digest.
    pub first: Side,
    /// The second.
    pub second: Side,
    /// What can only be compared in part or not at all, and why.
    pub notes: Vec<String>,
    /// Imports and exports that differ, in words.
    pub interface: Vec<String>,
    /// What the second needs that the first does not, as operators grant it.
    pub grants_added: Vec<String>,
    /// What only the first needed.
    pub grants_dropped: Vec<String>,
    /// What they say of themselves, where it differs.
    pub described: Vec<Changed>,
    /// Payouts that differ, round by round (payout schemes).
    pub rounds: Vec<RoundDiff>,
    /// How many rounds were compared.
    pub rounds_compared: usize,
    /// Answers that differ (other classes).
    pub answers: Vec<Changed>,
}

/// One component.
#[derive(Debug, Clone, Serialize)]
pub struct Side {
    /// Its name.
    pub name: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size.
    pub bytes: usize,
    /// Why it cannot be asked, if it cannot.
    pub refused: Option<String>,
}

/// A fact that is not the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// Which.
    pub what: String,
    /// The first's.
    pub first: String,
    /// The second's.
    pub second: String,
}

/// A round both were asked to settle.
#[derive(Debug, Clone, Serialize)]
pub struct RoundDiff {
    /// Which.
    pub round: String,
    /// Accounts that are paid otherwise.
    pub accounts: Vec<Paid>,
    /// Facts beside the accounts: fee, carry, or why one did not settle.
    pub others: Vec<Changed>,
}

/// What one account gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Paid {
    /// Its tie-break key.
    pub key: u64,
    /// Its work.
    pub work: u64,
    /// From the first, in base units.
    pub first: u64,
    /// From the second.
    pub second: u64,
}

impl Diff {
    /// Whether nothing was found but the bytes.
    pub fn is_empty(&self) -> bool {
        self.interface.is_empty()
            && self.grants_added.is_empty()
            && self.grants_dropped.is_empty()
            && self.described.is_empty()
            && self.rounds.is_empty()
            && self.answers.is_empty()
    }
}

/// How to compare.
#[derive(Debug, Clone, Copy, Default)]
pub struct Compare<'a> {
    /// Configuration of the first; empty for its defaults.
    pub first_config: &'a str,
    /// Configuration of the second.
    pub second_config: &'a str,
    /// Settlement records or recorded calls to settle with both, instead of synthetic rounds.
    pub records: Option<&'a Path>,
}

/// Compares two components. Of two classes nothing is asked, because nothing is asked of both;
/// payout schemes of two kinds are asked about the same work, each as its kind is.
///
/// # Errors
/// When one is no component, or the records cannot be read.
pub fn diff(
    engines: &Engines,
    first: &Artifact,
    second: &Artifact,
    how: Compare<'_>,
) -> Result<Diff, String> {
    let surface = |artifact: &Artifact| {
        Surface::of(artifact.bytes()).map_err(|cause| format!("{}: {cause}", artifact.name()))
    };
    let (one, two) = (surface(first)?, surface(second)?);
    let asked = |surface: &Surface| {
        let grants = grants_for(surface, "");
        grants.texts().into_iter().filter(|text| text != "credential").collect::<Vec<_>>()
    };
    let (had, has) = (asked(&one), asked(&two));
    let only = |these: &[String], those: &[String]| {
        let shown = these.iter().filter(|text| !those.contains(text));
        shown.map(|text| text.replace(":check", ":NAME")).collect::<Vec<_>>()
    };
    let loaded_one = load(engines, first, &one, how.first_config);
    let loaded_two = load(engines, second, &two, how.second_config);
    let side = |artifact: &Artifact, loaded: &Result<Loaded, String>| Side {
        name: artifact.name().to_owned(),
        digest: artifact.digest(),
        bytes: artifact.bytes().len(),
        refused: loaded.as_ref().err().cloned(),
    };
    let mut diff = Diff {
        first: side(first, &loaded_one),
        second: side(second, &loaded_two),
        notes: Vec::new(),
        interface: one.against(&two).mismatches.iter().map(ToString::to_string).collect(),
        grants_added: only(&has, &had),
        grants_dropped: only(&had, &has),
        described: Vec::new(),
        rounds: Vec::new(),
        rounds_compared: 0,
        answers: Vec::new(),
    };
    let (Ok(one), Ok(two)) = (loaded_one, loaded_two) else { return Ok(diff) };
    diff.described = described(&one, &two);
    match (&one, &two) {
        (Loaded::Payout(one), Loaded::Payout(two)) => {
            diff.notes.extend(rounds::kinds(one, two));
            let rounds = rounds::rounds(one, two, how.records)?;
            diff.rounds_compared = rounds.len();
            for (name, first, second) in rounds {
                let changed = rounds::settled(name, (one, &first), (two, &second));
                diff.rounds.extend(changed);
            }
        }
        (Loaded::Auth(one), Loaded::Auth(two)) => {
            for attempt in attempts().into_iter().filter(|attempt| attempt.user.len() < 100) {
                let what = format!("user {:?}", attempt.user);
                let answer = |policy: &chimera_plugin::AuthPolicy| {
                    format!("{:?}", policy.authorize(&attempt).map_err(|error| error.cause))
                };
                diff.answers.extend(changed(what, answer(one), answer(two)));
            }
        }
        (Loaded::Difficulty(one), Loaded::Difficulty(two)) => {
            let mut dice = Dice::new(SEED);
            let words = (one.state_words(), two.state_words());
            diff.answers.extend(changed("state words", words.0.to_string(), words.1.to_string()));
            let hello = hellos(&mut dice, 12);
            for hello in hello {
                let what = format!("first difficulty of {hello:?}");
                let answer = |strategy: &chimera_plugin::DifficultyStrategy| {
                    format!("{:?}", strategy.initial(std::slice::from_ref(&hello)))
                };
                diff.answers.extend(changed(what, answer(one), answer(two)));
            }
            for row in 0..20 {
                let batch = batch(&mut dice, 1, 0);
                let answer = |strategy: &chimera_plugin::DifficultyStrategy, words| {
                    let batch = chimera_plugin::Batch { state: vec![0; words], ..batch.clone() };
                    match strategy.retarget(batch) {
                        Ok(verdicts) => format!("{:?}", verdicts.next),
                        Err(error) => error.cause.to_string(),
                    }
                };
                let what = format!("session {row}");
                diff.answers.extend(changed(what, answer(one, words.0), answer(two, words.1)));
            }
        }
        _ => diff.notes.push(format!(
            "A is of the world {}, B of {}: they are never asked the same, so no answers are \
             compared; neither can take the other's place",
            one.class().world(),
            two.class().world()
        )),
    }
    Ok(diff)
}

fn load(
    engines: &Engines,
    artifact: &Artifact,
    surface: &Surface,
    config: &str,
) -> Result<Loaded, String> {
    let class = class_of(surface, artifact.name()).ok_or("it is of no world of chimera:pool")?;
    let services = doubles::services(Endpoint::Answers);
    let grants = grants_for(surface, config);
    Loaded::load(engines, artifact, class, config, &grants, services)
        .map_err(|error| error.to_string())
}

fn changed(what: impl Into<String>, first: String, second: String) -> Option<Changed> {
    (first != second).then(|| Changed { what: what.into(), first, second })
}

fn described(one: &Loaded, two: &Loaded) -> Vec<Changed> {
    let facts = |loaded: &Loaded| -> Vec<(&'static str, String)> {
        let Info { name, version, description, config_schema, state_version, state_accepts_since } =
            loaded.info().clone();
        let plan = match loaded {
            Loaded::Payout(scheme) => format!("{:?}", scheme.plan()),
            Loaded::Auth(_) | Loaded::Difficulty(_) => String::new(),
        };
        vec![
            ("name", name),
            ("version", version),
            ("description", description),
            ("config-schema", config_schema),
            ("default config", loaded.canonical().to_owned()),
            ("plan", plan),
            ("state-version", state_version.to_string()),
            ("state-accepts-since", state_accepts_since.to_string()),
        ]
    };
    let pairs = facts(one).into_iter().zip(facts(two));
    pairs.filter_map(|((what, first), (_, second))| changed(what, first, second)).collect()
}
