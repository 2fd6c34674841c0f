//! The host's side of the policies miners meet: who may mine, and how hard.

mod auth;
mod calls;
mod difficulty;

pub(crate) use auth::AuthDesk;
pub(crate) use calls::Calls;
pub(crate) use difficulty::{DifficultyDesk, Retarget};
