//! What a component finds wrong with its configuration.

use std::fmt;

use crate::bindings::component::chimera::pool::types;
use crate::error::clip;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// It would work, perhaps not as meant.
    Warning,
    /// Good to know.
    Info,
}

/// One finding: where, what, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// JSON Pointer (RFC 6901) into the configuration; empty for the whole.
    pub at: String,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub hint: Option<String>,
    /// Whether the message may repeat what nobody else may see: see [`Self::shown`].
    pub hidden: bool,
}

impl Diagnostic {
    /// The finding as anybody may see it.
    #[must_use]
    pub fn shown(&self) -> Self {
        let mut shown = self.clone();
        if self.hidden {
            "the value is not shown".clone_into(&mut shown.message);
        }
        shown
    }
}

impl From<types::Diagnostic> for Diagnostic {
    fn from(found: types::Diagnostic) -> Self {
        Self {
            severity: match found.severity {
                types::Severity::Error => Severity::Error,
                types::Severity::Warning => Severity::Warning,
                types::Severity::Info => Severity::Info,
            },
            at: clip(found.at),
            message: clip(found.message),
            hint: found.hint.map(clip),
            // Until the schema is asked.
            hidden: true,
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.severity {
            Severity::Error => {}
            Severity::Warning => f.write_str("warning: ")?,
            Severity::Info => f.write_str("note: ")?,
        }
        let at = if self.at.is_empty() { "the whole" } else { &self.at };
        write!(f, "{at}: {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " (expected: {hint})"),
            None => Ok(()),
        }
    }
}
