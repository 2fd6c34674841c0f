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
//!
//! # Money
//!
//! A payout scheme moves no money: it proposes, and the host refuses what does not add up.
//! Amounts are integers of the smallest unit, products are taken in 128 bits, and nothing is
//! rounded but at the end. What a scheme needs for that is here, once:
//!
//! | for | use |
//! |---|---|
//! | what there is to divide | [`Request::pot`]: the reward and what was left over |
//! | a pot among those present, by work | [`distribute`] |
//! | a pot over a window of N blocks | [`distribute_window`], with an [`Unfilled`] policy |
//! | a pot by other weights than work | [`distribute_by`] |
//! | work as it comes, blocks or not | [`accrue`], which keeps fractions of units as state |
//! | what an account keeps | [`kept_ppm`]: one less the scheme's fee and its own |
//! | one exact part, to build other schemes from | [`Quota`], [`Fractions`], [`split_exact`] |
//!
//! All of them keep the same rules: amounts, fee and carry sum to the pot exactly; equal work
//! with equal fee differs by one unit at most; a fee of one account, or a bonus, moves nothing
//! but the pool's fee; ties are broken by key, never by order. They take the columns of a
//! request as [`Request::block`] and [`Request::interval`] checked them: call those first.
//!
//! A scheme that by its nature breaks a property of the conformance suite says so in its
//! schema, `"x-chimera-exceptions": ["scaling"]`: `splitting` (splitting an account changes what it
//! gets by more than one unit for each part), `scaling` (scaling all work changes the result),
//! `monotone` (more work may earn less), `relabelling` (other keys change amounts by more than
//! one unit), `equal-work` (equal work may be paid differently), `additive` (an interval paid in
//! two halves earns something else). A check refuses any other name.

mod accrual;
mod auth;
pub mod bindings;
mod component;
mod config;
mod difficulty;
mod distribution;
mod export;
mod fee;
pub mod fetch;
mod fractions;
pub mod kv;
mod log;
mod money;
mod payout;
mod quota;
pub mod secrets;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod window;

pub use accrual::accrue;
#[cfg(feature = "address")]
pub use auth::AddressForms;
pub use auth::{
    Attempt, AuthPolicy, Decision, Denial, Grant, Limits, NAME_BYTES_MAX, Protocol, UserName,
    default_worker_problem, deny, fewer_sessions, password, same_digest,
};
pub use bindings::component::chimera::pool::types::{Diagnostic, PluginError, Severity};
pub use component::Component;
pub use config::{Checked, check_config, problem};
pub use difficulty::{
    Aim, Batch, Bounds, Decimal, Difficulties, DifficultyStrategy, Hello, METER_WORDS, Meter, Pace,
    SHARE, Sums, Verdicts, agent_contains, aim_problems, beyond_luck, beyond_percent,
};
pub use distribution::{distribute, distribute_by, pool_takes_all};
pub use fee::{fee_problem, fee_problem_at, kept_ppm};
pub use fractions::Fractions;
pub use log::{debug, error, info, warn};
pub use money::{PPM, mul_div_floor, ppm_floor, split_exact};
pub use payout::{
    Accounts, Allocation, BLOCK_WORK, BlockEvent, Event, IntervalEvent, Outcome, PayoutScheme,
    Plan, Request, SchemeKind, Slices, WindowSize,
};
pub use quota::Quota;
pub use window::{Unfilled, distribute_window, window_problem};

#[doc(hidden)]
pub use export::report_panics;
