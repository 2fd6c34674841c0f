//! Everything that can be wrong with a component, told so that its author can mend it.

use std::sync::Arc;

use crate::bindings::component::chimera::pool::types;
use crate::redaction::HIDDEN;
use crate::{Diagnostic, PostMortem, Trap};

/// A component failed; the pool has lost a decision, nothing else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{plugin}: {call}: {cause}")]
pub struct PluginError {
    /// The component, by name.
    pub plugin: String,
    /// What was asked of it: `load`, or a function of its interface.
    pub call: &'static str,
    /// What went wrong.
    pub cause: Cause,
    /// Where it was, if it trapped.
    pub post_mortem: Option<Arc<PostMortem>>,
}

impl PluginError {
    pub(crate) fn new(plugin: &str, call: &'static str, cause: Cause) -> Self {
        Self { plugin: plugin.to_owned(), call, cause, post_mortem: None }
    }

    /// The error as anybody may see it: it repeats nothing of a configuration that its schema
    /// hides.
    #[must_use]
    pub fn shown(&self) -> Self {
        let hidden = || HIDDEN.to_owned();
        let cause = match &self.cause {
            Cause::Config(found) => Cause::Config(found.iter().map(Diagnostic::shown).collect()),
            Cause::UnstableConfig { .. } => {
                Cause::UnstableConfig { once: hidden(), twice: hidden() }
            }
            other => other.clone(),
        };
        Self { cause, ..self.clone() }
    }
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// Not WebAssembly at all.
    #[error("no WebAssembly: it begins with {0}")]
    NotWasm(String),
    /// WebAssembly, but not yet a component.
    #[error(
        "a core module, not a component: `chimera plugin build` in its project makes one \
         (of finished bytes, `wasm-tools component new` does)"
    )]
    CoreModule,
    /// The end is missing.
    #[error("truncated: {found} bytes where {needed} are announced")]
    Truncated {
        /// Bytes there are.
        found: usize,
        /// Bytes the last section needs, at least.
        needed: usize,
    },
    /// More than a component of its class has.
    #[error(
        "{bytes} bytes; a {world} has at most {limit}{}",
        if *.interpreted { "" } else { ", unless it is granted to be \"interpreted\"" }
    )]
    TooLarge {
        /// The world that was expected.
        world: &'static str,
        /// Its size.
        bytes: usize,
        /// What it may have.
        limit: usize,
        /// Whether the grant is given, or would not help.
        interpreted: bool,
    },
    /// It does not validate or compile.
    #[error("no valid component: {0}")]
    Invalid(String),
    /// It implements something else.
    #[error(
        "no {world}: it does not export {missing}; it exports {}", list(.exports)
    )]
    WrongWorld {
        /// The world that was expected.
        world: &'static str,
        /// The interface it lacks.
        missing: String,
        /// What it has.
        exports: Vec<String>,
    },
    /// It wants what the operator could give it, and has not.
    #[error(
        "asks for {}, which is not granted; to grant it: auth.grants = [{}]",
        list(.imports), .grants.join(", ")
    )]
    NotGranted {
        /// The interfaces it imports that take a grant.
        imports: Vec<String>,
        /// What its grants would have to be, quoted; `NAME` stands for a name of the operator's.
        grants: Vec<String>,
    },
    /// It wants what a component of its class does not get.
    #[error(
        "imports {}, which a {world} is not given{}", list(.imports), hint(.imports)
    )]
    NotGiven {
        /// The world that was expected.
        world: &'static str,
        /// What it wants beyond it.
        imports: Vec<String>,
    },
    /// The names are right, the types are not: built against another `wit/`.
    #[error("built against another version of chimera:pool: {0}")]
    WrongTypes(String),
    /// Its configuration does not pass its own validation.
    #[error("configuration refused{}", findings(.0))]
    Config(Vec<Diagnostic>),
    /// Validating its canonical configuration changes it.
    #[error("canonical configuration is none: {once} becomes {twice}")]
    UnstableConfig {
        /// What validate answered.
        once: String,
        /// What it answered to that.
        twice: String,
    },
    /// It declined, in words.
    #[error("{kind}: {message}")]
    Refused {
        /// In what way.
        kind: Refusal,
        /// Its reason.
        message: String,
    },
    /// It was stopped.
    #[error("{0}")]
    Trap(#[from] Trap),
    /// A column of its answer has not one entry per row.
    #[error("answered {found} {what} where {expected} are needed")]
    WrongLength {
        /// What was counted.
        what: &'static str,
        /// Entries needed.
        expected: usize,
        /// Entries found.
        found: usize,
    },
    /// A column of the question has not one entry per row: the caller's mistake.
    #[error("was to be asked with {found} of {what} where {expected} are needed")]
    UnevenBatch {
        /// The column.
        what: &'static str,
        /// Entries needed.
        expected: usize,
        /// Entries found.
        found: usize,
    },
    /// Its answer breaks a rule.
    #[error("answered {0}")]
    BadAnswer(String),
}

/// In what way a component declined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It cannot work with what it was given.
    #[error("invalid input")]
    InvalidInput,
    /// It does not do that.
    #[error("not supported")]
    Unsupported,
    /// It failed by itself.
    #[error("internal error")]
    Internal,
}

/// Longest text of a component that is kept: it goes into logs, health and the API.
const TEXT_BYTES_MAX: usize = 1024;

/// A component's text, as long as people read and without what could forge a line.
pub(crate) fn clip(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    if text.contains(char::is_control) { text.replace(char::is_control, " ") } else { text }
}

impl From<types::PluginError> for Cause {
    fn from(verdict: types::PluginError) -> Self {
        let (kind, message) = match verdict {
            types::PluginError::InvalidInput(message) => (Refusal::InvalidInput, message),
            types::PluginError::Unsupported(message) => (Refusal::Unsupported, message),
            types::PluginError::Internal(message) => (Refusal::Internal, message),
        };
        Self::Refused { kind, message: clip(message) }
    }
}

fn hint(imports: &[String]) -> &'static str {
    if imports.iter().any(|import| import.starts_with("wasi:")) {
        "; of wasi 0.2, cli, io, clocks, filesystem and random are answered (without a system \
         behind them), sockets and http never; for Rust, --target wasm32-unknown-unknown \
         avoids wasi imports"
    } else {
        ""
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

fn findings(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|diagnostic| format!("\n  {diagnostic}")).collect()
}
