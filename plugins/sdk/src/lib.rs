//! What a Chimera component is written with.
//!
//! A component is plain Rust: a configuration, a few pure functions, one macro line.
//! The logic runs and is tested natively; only the macro's glue knows WebAssembly.
//!
//! ```text
//! struct Solo;
//! impl Component for Solo { /* name, configuration, schema */ }
//! impl PayoutScheme for Solo { /* plan, settle */ }
//! chimera_plugin_sdk::export_payout_scheme!(Solo);
//! ```

mod auth;
pub mod bindings;
mod component;
mod config;
mod difficulty;
mod distribution;
mod export;
mod log;
mod money;
mod payout;

pub use auth::{
    Attempt, AuthPolicy, Decision, Denial, Grant, NAME_BYTES_MAX, UserName, default_worker_problem,
    deny,
};
pub use bindings::component::chimera::pool::types::{Diagnostic, PluginError, Severity};
pub use component::Component;
pub use config::{Checked, check_config, fee_problem, problem};
pub use difficulty::{Batch, Difficulties, DifficultyStrategy, Hello, Verdicts};
pub use distribution::{distribute, pool_takes_all};
pub use log::{debug, error, info, warn};
pub use money::{PPM, mul_div_floor, ppm_floor, split_exact};
pub use payout::{
    Accounts, Allocation, BlockEvent, Event, IntervalEvent, Outcome, PayoutScheme, Plan, Request,
    SchemeKind, Slices, WindowSize,
};

#[doc(hidden)]
pub use export::report_panics;
