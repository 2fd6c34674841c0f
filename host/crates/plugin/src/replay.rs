//! A recorded call, made again: by the same component to see whether it does the same, or by
//! another to see whether that one does better.

use crate::bundle::{Answer, CallBundle, Outcome, Question};
use crate::{
    Artifact, AuthPolicy, Class, DifficultyStrategy, Engines, PayoutScheme, PluginError, Services,
};

/// How a recorded call ended when it was made again.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayOutcome {
    /// Whether the component is the recorded one, by digest.
    pub same_component: bool,
    /// Whether it ended the same way.
    pub same_outcome: bool,
    /// How it ended now.
    pub outcome: Outcome,
}

impl CallBundle {
    /// Makes the call again, in this process and on a fresh instance, with the recorded
    /// configuration and grants. An auth policy meets `services` as they are now, and no
    /// password.
    pub fn replay(
        &self,
        engines: &Engines,
        artifact: &Artifact,
        services: Services,
    ) -> ReplayOutcome {
        let answer = self.ask_again(engines, artifact, services);
        let outcome = Outcome::of(answer.as_ref().cloned());
        ReplayOutcome {
            same_component: artifact.digest() == self.digest,
            same_outcome: outcome.same(&self.outcome),
            outcome,
        }
    }

    fn ask_again(
        &self,
        engines: &Engines,
        artifact: &Artifact,
        services: Services,
    ) -> Result<Answer, PluginError> {
        let (config, grants) = (self.config.as_str(), &self.grants);
        match self.class {
            Class::Payout => {
                let scheme = PayoutScheme::load(engines, artifact, config, grants)?;
                match &self.question {
                    Question::Settle(request) => scheme.settle(request).map(Answer::Settled),
                    Question::Migrate { since, state } => {
                        scheme.migrate(*since, state).map(Answer::Migrated)
                    }
                    _ => Ok(Answer::Loaded(scheme.canonical_config().to_owned())),
                }
            }
            Class::Auth => {
                let policy = AuthPolicy::load(engines, artifact, config, grants, services)?;
                match &self.question {
                    Question::Authorize(attempt) => {
                        policy.authorize(attempt).map(Answer::Authorized)
                    }
                    _ => Ok(Answer::Loaded(policy.canonical_config().to_owned())),
                }
            }
            Class::Difficulty => {
                let strategy = DifficultyStrategy::load(engines, artifact, config, grants)?;
                match &self.question {
                    Question::Initial(hello) => strategy.initial(hello).map(|first| {
                        Answer::Initial(first.iter().map(|first| first.to_units()).collect())
                    }),
                    Question::Retarget(batch) => {
                        strategy.retarget(batch.clone()).map(Answer::Retargeted)
                    }
                    _ => Ok(Answer::Loaded(strategy.canonical_config().to_owned())),
                }
            }
        }
    }
}
