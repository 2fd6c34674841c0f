//! `chimera plugin replay`: a recorded call made again, and told so that the difference can
//! be found.

use chimera_plugin::{
    Artifact, CallBundle, Class, Digest, Engines, Failure, Outcome, PostMortem, Question,
};
use serde::Serialize;
use serde_json::Value;

use crate::vectors;

/// Differences that are shown.
const DIFFERENCES_MAX: usize = 20;

/// A call made again.
#[derive(Debug, Clone, Serialize)]
pub struct Replay {
    /// What was asked, for people.
    pub call: String,
    /// The recorded component.
    pub recorded: Digest,
    /// The one asked now.
    pub component: Digest,
    /// Whether they are the same.
    pub same_component: bool,
    /// Whether both calls ended the same way.
    pub same_outcome: bool,
    /// How it ended when it was recorded, in a line.
    pub then: String,
    /// How it ended now.
    pub now: String,
    /// Where the answers differ: a place, then and now.
    pub differences: Vec<Difference>,
    /// Where it was when it was stopped now, or else then: innermost function first.
    pub backtrace: Vec<String>,
    /// What it held then, in words.
    pub memory: Option<String>,
}

/// One place where two answers differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// JSON Pointer into the answer.
    pub at: String,
    /// The recorded value; `null` if there was none.
    pub then: Value,
    /// The value now.
    pub now: Value,
}

/// Makes a recorded call again.
pub fn replay(engines: &Engines, artifact: &Artifact, bundle: &CallBundle) -> Replay {
    let outcome = vectors::replay(engines, artifact, bundle);
    let now = &outcome.outcome;
    let mut differences = Vec::new();
    if !outcome.same_outcome {
        let (then, now) = (comparable(&bundle.outcome), comparable(now));
        compare(String::new(), &then, &now, &mut differences);
        differences.truncate(DIFFERENCES_MAX);
    }
    let post_mortem = [now, &bundle.outcome].into_iter().find_map(post_mortem);
    Replay {
        call: asked(bundle),
        recorded: bundle.digest,
        component: artifact.digest(),
        same_component: outcome.same_component,
        same_outcome: outcome.same_outcome,
        then: vectors::brief(&bundle.outcome),
        now: vectors::brief(now),
        differences,
        backtrace: post_mortem.map(backtrace).unwrap_or_default(),
        memory: post_mortem.and_then(memory),
    }
}

fn asked(bundle: &CallBundle) -> String {
    let class = match bundle.class {
        Class::Payout => "payout scheme",
        Class::Auth => "auth policy",
        Class::Difficulty => "difficulty strategy",
    };
    let what = match &bundle.question {
        Question::Load => "to take its configuration".to_owned(),
        Question::Settle(request) => format!("to settle for {} accounts", request.accounts.rows()),
        Question::Migrate { since, state } => {
            format!("to take over {} bytes of state of version {since}", state.len())
        }
        Question::Authorize(attempt) => format!("whether {:?} may mine", attempt.user),
        Question::Initial(hello) => format!("for {} first difficulties", hello.len()),
        Question::Retarget(batch) => format!("about {} sessions", batch.current.len()),
    };
    format!("{class} {}, asked {what}, with {}", bundle.component, bundle.config)
}

/// What of an outcome is compared: not where it was when it was stopped.
fn comparable(outcome: &Outcome) -> Value {
    let value = match outcome {
        Outcome::Answer(answer) => serde_json::to_value(answer),
        Outcome::Failure(Failure { call, message, .. }) => {
            return serde_json::json!({ "failure": { "call": call, "message": message } });
        }
    };
    value.unwrap_or_default()
}

fn compare(at: String, then: &Value, now: &Value, differences: &mut Vec<Difference>) {
    if then == now {
        return;
    }
    match (then, now) {
        (Value::Object(one), Value::Object(two)) => {
            let absent = Value::Null;
            let added = two.keys().filter(|key| !one.contains_key(*key));
            for key in one.keys().chain(added) {
                let (one, two) = (one.get(key), two.get(key));
                let (one, two) = (one.unwrap_or(&absent), two.unwrap_or(&absent));
                compare(format!("{at}/{key}"), one, two, differences);
            }
        }
        (Value::Array(one), Value::Array(two)) if one.len() == two.len() => {
            for (index, (one, two)) in one.iter().zip(two).enumerate() {
                compare(format!("{at}/{index}"), one, two, differences);
            }
        }
        _ => differences.push(Difference { at, then: then.clone(), now: now.clone() }),
    }
}

fn post_mortem(outcome: &Outcome) -> Option<&PostMortem> {
    match outcome {
        Outcome::Failure(failure) => failure.post_mortem.as_ref(),
        Outcome::Answer(_) => None,
    }
}

fn backtrace(post_mortem: &PostMortem) -> Vec<String> {
    let frame = |frame: &chimera_plugin::Frame| {
        let name = match &frame.function {
            Some(function) => function.clone(),
            None => format!("function {} (no name section)", frame.index),
        };
        match frame.offset {
            Some(offset) => format!("{name}, byte {offset}"),
            None => name,
        }
    };
    post_mortem.backtrace.iter().map(frame).collect()
}

fn memory(post_mortem: &PostMortem) -> Option<String> {
    let core = post_mortem.core.as_ref()?;
    let bytes: u64 = core.memory_bytes.iter().sum();
    let dump = if core.file.is_some() { "a core dump is in the file" } else { "no core dump" };
    Some(format!("{bytes} bytes of memory; {dump}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_are_compared_place_by_place() {
        let then = json!({"settled": {"amounts": [1, 2, 3], "fee": 5, "notes": []}});
        let now = json!({"settled": {"amounts": [1, 4, 3], "fee": 5, "notes": ["x"], "more": 1}});
        let mut found = Vec::new();
        compare(String::new(), &then, &now, &mut found);
        let places: Vec<&str> = found.iter().map(|difference| difference.at.as_str()).collect();
        assert_eq!(places, ["/settled/amounts/1", "/settled/notes", "/settled/more"]);
        assert_eq!((&found[0].then, &found[0].now), (&json!(2), &json!(4)));
    }
}
