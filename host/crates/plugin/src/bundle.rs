//! One call of a component as a file: what it was asked, with which configuration, and how
//! it ended. Everything that is needed to ask it again, but the component and its secrets.

use chimera_ledger::{Proposal, Request};
use serde::{Deserialize, Serialize};

use crate::{
    Artifact, Attempt, AuthPolicy, Batch, Cause, Class, Decision, DifficultyStrategy, Digest,
    Grants, Hello, PayoutScheme, PluginError, PostMortem, Verdicts,
};

/// The format this build writes, and the only one it reads.
const FORMAT: u32 = 1;
/// The contract all components of this build are asked by.
const PACKAGE: &str = "chimera:pool@0.1.0";

/// A recorded call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallBundle {
    /// Version of this format.
    pub format: u32,
    /// The contract it was asked by, e.g. `chimera:pool@0.1.0`.
    pub package: String,
    /// The component, by name.
    pub component: String,
    /// Its digest.
    pub digest: Digest,
    /// Its class.
    pub class: Class,
    /// Its canonical configuration; for a component that did not load, the one it was given.
    pub config: String,
    /// What it was granted.
    pub grants: Grants,
    /// What it was asked.
    #[serde(flatten)]
    pub question: Question,
    /// How it ended.
    pub outcome: Outcome,
}

/// What a component is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "function", content = "arguments", rename_all = "kebab-case")]
pub enum Question {
    /// To describe itself, and to validate and take its configuration.
    Load,
    /// For one settlement.
    Settle(Request),
    /// To take over state of an older build.
    Migrate {
        /// The version of the state.
        since: u32,
        /// The state.
        state: Vec<u8>,
    },
    /// For one decision. Without the password: it is nobody's to keep.
    Authorize(Attempt),
    /// For the first difficulties of new sessions.
    Initial(Vec<Hello>),
    /// For the next difficulties of a batch.
    Retarget(Batch),
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It answered.
    Answer(Answer),
    /// It did not.
    Failure(Failure),
}

/// What a component answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It took its configuration: this is its canonical form.
    Loaded(String),
    /// A settlement, unchecked.
    Settled(Proposal),
    /// State in its own version.
    Migrated(Vec<u8>),
    /// A decision.
    Authorized(Decision),
    /// Difficulties in units of 2^-32.
    Initial(Vec<u64>),
    /// What shall become of the sessions.
    Retargeted(Verdicts),
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The function it failed in, or `load`.
    pub call: String,
    /// The cause, for people.
    pub message: String,
    /// Whether it was stopped; otherwise it declined, or its answer broke a rule.
    pub trapped: bool,
    /// Where it was, if it was stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_mortem: Option<PostMortem>,
}

/// A text that is no bundle this build can read.
#[derive(Debug, thiserror::Error)]
pub enum BadBundle {
    /// Not the right JSON.
    #[error("no call bundle: {0}")]
    Json(#[from] serde_json::Error),
    /// From another version of this program.
    #[error("a call bundle of format {found}; this build reads format {FORMAT}")]
    Format {
        /// The format found.
        found: u32,
    },
    /// About another contract.
    #[error("a call by {found}; this build speaks {PACKAGE}")]
    Package {
        /// The contract found.
        found: String,
    },
}

impl CallBundle {
    /// A component that was loaded, or was not.
    pub fn load(
        class: Class,
        artifact: &Artifact,
        config: &str,
        grants: &Grants,
        canonical: Result<&str, &PluginError>,
    ) -> Self {
        let answer = canonical.map(|canonical| Answer::Loaded(canonical.to_owned()));
        let subject = (artifact.name(), artifact.digest(), config, grants);
        Self::new(class, subject, Question::Load, Outcome::of(answer))
    }

    /// A settlement.
    pub fn settle(
        scheme: &PayoutScheme,
        request: &Request,
        answer: &Result<Proposal, PluginError>,
    ) -> Self {
        let answer = answer.as_ref().map(|proposal| Answer::Settled(proposal.clone()));
        let question = Question::Settle(request.clone());
        Self::new(Class::Payout, scheme.subject(), question, Outcome::of(answer))
    }

    /// State that was taken over.
    pub fn migrate(
        scheme: &PayoutScheme,
        since: u32,
        state: &[u8],
        answer: &Result<Vec<u8>, PluginError>,
    ) -> Self {
        let answer = answer.as_ref().map(|state| Answer::Migrated(state.clone()));
        let question = Question::Migrate { since, state: state.to_vec() };
        Self::new(Class::Payout, scheme.subject(), question, Outcome::of(answer))
    }

    /// A decision. The password is left out.
    pub fn authorize(
        policy: &AuthPolicy,
        attempt: &Attempt,
        answer: &Result<Decision, PluginError>,
    ) -> Self {
        let answer = answer.as_ref().map(|decision| Answer::Authorized(decision.clone()));
        let question = Question::Authorize(Attempt { password: None, ..attempt.clone() });
        Self::new(Class::Auth, policy.subject(), question, Outcome::of(answer))
    }

    /// First difficulties.
    pub fn initial(
        strategy: &DifficultyStrategy,
        hello: &[Hello],
        answer: &Result<Vec<chimera_pow::Difficulty>, PluginError>,
    ) -> Self {
        let answer = answer.as_ref().map(|first| {
            Answer::Initial(first.iter().map(|difficulty| difficulty.to_units()).collect())
        });
        let question = Question::Initial(hello.to_vec());
        Self::new(Class::Difficulty, strategy.subject(), question, Outcome::of(answer))
    }

    /// Next difficulties.
    pub fn retarget(
        strategy: &DifficultyStrategy,
        batch: &Batch,
        answer: &Result<Verdicts, PluginError>,
    ) -> Self {
        let answer = answer.as_ref().map(|verdicts| Answer::Retargeted(verdicts.clone()));
        let question = Question::Retarget(batch.clone());
        Self::new(Class::Difficulty, strategy.subject(), question, Outcome::of(answer))
    }

    fn new(
        class: Class,
        (component, digest, config, grants): (&str, Digest, &str, &Grants),
        question: Question,
        outcome: Outcome,
    ) -> Self {
        Self {
            format: FORMAT,
            package: PACKAGE.to_owned(),
            component: component.to_owned(),
            digest,
            class,
            config: config.to_owned(),
            grants: grants.clone(),
            question,
            outcome,
        }
    }

    /// The bundle as a file's text.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings, numbers and lists are JSON")
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// When it is no bundle, or one of another format or contract.
    pub fn from_json(text: &str) -> Result<Self, BadBundle> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
            package: String,
        }
        // What the rest looks like depends on these.
        let head: Head = serde_json::from_str(text)?;
        if head.format != FORMAT {
            return Err(BadBundle::Format { found: head.format });
        }
        if head.package != PACKAGE {
            return Err(BadBundle::Package { found: head.package });
        }
        Ok(serde_json::from_str(text)?)
    }
}

impl Outcome {
    pub(crate) fn of(answer: Result<Answer, &PluginError>) -> Self {
        match answer {
            Ok(answer) => Self::Answer(answer),
            Err(error) => Self::Failure(Failure {
                call: error.call.to_owned(),
                message: error.cause.to_string(),
                trapped: matches!(error.cause, Cause::Trap(_)),
                post_mortem: error.post_mortem.as_deref().cloned(),
            }),
        }
    }

    /// Whether both ended the same way, whatever is left of them.
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Answer(one), Self::Answer(other)) => one == other,
            (Self::Failure(one), Self::Failure(other)) => {
                (&one.call, &one.message) == (&other.call, &other.message)
            }
            _ => false,
        }
    }
}
