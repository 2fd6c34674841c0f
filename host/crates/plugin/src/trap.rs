//! How a call can die. A trap is a defect of the component, never a verdict.

use crate::class::{Budget, TICK};
use crate::host_state::HostState;

/// Why a component was stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trap {
    /// It computed for too long (classes limited by fuel).
    #[error("ran out of fuel ({fuel} units)")]
    OutOfFuel {
        /// What the call had.
        fuel: u64,
    },
    /// It computed for too long (classes limited by time).
    #[error("took longer than {budget_ms} ms")]
    Deadline {
        /// What the call had, rounded up.
        budget_ms: u64,
    },
    /// It wanted more memory than its class may have.
    #[error("wanted {wanted} bytes of memory; {limit} are allowed")]
    Memory {
        /// In all.
        wanted: usize,
        /// What the class may have.
        limit: usize,
    },
    /// It recursed too deeply.
    #[error("exhausted its stack")]
    Stack,
    /// Its answer was too large to be copied.
    #[error("answered with more than {limit} bytes")]
    AnswerTooLarge {
        /// What one call may answer.
        limit: usize,
    },
    /// Anything else: a panic, an access out of bounds, a broken value.
    #[error("crashed: {what}{}{}", place(.at), words(.said))]
    Crash {
        /// What the runtime calls it.
        what: String,
        /// The innermost function, as far as known.
        at: Option<String>,
        /// The last error it logged: with the SDK, the panic's text.
        said: Option<String>,
    },
}

impl Trap {
    /// Reads a failed call: the error says what happened, the host's state with what numbers.
    pub(crate) fn read(
        error: &wasmtime::Error,
        state: &HostState,
        budget: Budget,
        at: Option<&str>,
    ) -> Self {
        let room = state.room();
        if let Some(wanted) = state.refused_bytes() {
            return Self::Memory { wanted, limit: room.memory_bytes };
        }
        match (error.downcast_ref::<wasmtime::Trap>(), budget) {
            (Some(wasmtime::Trap::OutOfFuel), Budget::Fuel(fuel)) => Self::OutOfFuel { fuel },
            (Some(wasmtime::Trap::Interrupt), Budget::Ticks(ticks)) => {
                Self::Deadline { budget_ms: ticks * TICK.as_millis() as u64 }
            }
            (Some(wasmtime::Trap::StackOverflow), _) => Self::Stack,
            // The runtime keeps the type of this one to itself.
            _ if error.root_cause().to_string().contains("fuel allocated for hostcalls") => {
                Self::AnswerTooLarge { limit: room.answer_bytes }
            }
            _ => Self::Crash {
                what: error.root_cause().to_string().replacen("wasm trap: ", "", 1),
                at: at.map(str::to_owned),
                said: state.last_error().map(str::to_owned),
            },
        }
    }
}

fn place(at: &Option<String>) -> String {
    at.as_ref().map(|function| format!(" in {function}")).unwrap_or_default()
}

fn words(said: &Option<String>) -> String {
    said.as_ref().map(|text| format!("; it said: {text}")).unwrap_or_default()
}
