//! `chimera settle`: one settlement in a process of its own. It locks itself in, reads the
//! question from standard input, asks the component, writes the answer to standard output,
//! and ends. It has no key, no socket, no database and no file.

use std::io::{self, Write as _};

use chimera_ledger::{Proposal, Request};
use chimera_plugin::{Artifact, CallBundle, Engines, Grants, PayoutScheme, PluginError};

use super::Exit;
use crate::confine::confine;
use crate::settle_frame::{Answer, Failure, Question};

/// A request that fails is kept as a file; beyond this it would be more than people read.
const BUNDLE_REQUEST_BYTES_MAX: usize = 4 << 20;

/// Answers one question. What goes wrong with the component is part of the answer; what goes
/// wrong with this process goes to standard error.
pub fn settle(seconds: u64) -> Exit {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .init();
    match answer(seconds) {
        Ok(()) => Exit::Done,
        Err(error) => {
            tracing::error!("{}", crate::causes(&error));
            Exit::Failed
        }
    }
}

fn answer(seconds: u64) -> anyhow::Result<()> {
    confine(seconds)?;
    let question = Question::read(io::stdin().lock())?;
    let answer = match ask(question) {
        Ok(outcome) => Answer { failure: None, outcome: outcome.to_bytes(), bundle: Vec::new() },
        Err(Failed { message, bundle }) => {
            Answer { failure: Some(Failure { message }), outcome: Vec::new(), bundle }
        }
    };
    let mut output = io::stdout().lock();
    output.write_all(&answer.to_bytes())?;
    Ok(output.flush()?)
}

/// Why there is no outcome, and the call as a file if there was one.
struct Failed {
    message: String,
    bundle: Vec<u8>,
}

impl<E: std::error::Error> From<E> for Failed {
    fn from(error: E) -> Self {
        Self { message: error.to_string(), bundle: Vec::new() }
    }
}

fn ask(question: Question) -> Result<Proposal, Failed> {
    let Question { head, wasm, native, portable, request } = question;
    let artifact = Artifact::kept(&head.component, wasm);
    let grants = Grants::parse(&head.grants)?;
    let request = Request::from_bytes(&request)?;
    let load = |engines: Engines, code: Vec<u8>| {
        let engines = engines.with_compiled(artifact.digest(), code);
        PayoutScheme::load(&engines, &artifact, &head.config, &grants)
    };
    let scheme = load(Engines::new(None)?, native)?;
    let outcome = scheme.settle(&request).map_err(|error| Failed {
        message: error.to_string(),
        bundle: bundle(&scheme, &request, error),
    })?;
    if head.cross_check {
        let again = load(Engines::portable(None)?, portable)?.settle(&request);
        check(&head.component, &outcome, again)?;
    }
    Ok(outcome)
}

/// Two compilers and two machines, one answer: else one of them is wrong, and no money moves.
fn check(
    component: &str,
    native: &Proposal,
    portable: Result<Proposal, PluginError>,
) -> Result<(), Failed> {
    let message = match portable {
        Ok(portable) if portable == *native => return Ok(()),
        Ok(portable) => format!(
            "{component}: settle: two engines disagree: native code answers {}, interpreted {}",
            native.digest(),
            portable.digest()
        ),
        Err(error) => format!("native code answers, interpreted it fails: {error}"),
    };
    Err(Failed { message, bundle: Vec::new() })
}

/// The failed call, as `chimera plugin replay` reads it.
fn bundle(scheme: &PayoutScheme, request: &Request, error: PluginError) -> Vec<u8> {
    if request.to_bytes().len() > BUNDLE_REQUEST_BYTES_MAX {
        return Vec::new();
    }
    CallBundle::settle(scheme, request, &Err(error)).to_json().into_bytes()
}
