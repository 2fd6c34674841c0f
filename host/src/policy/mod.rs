//! The host's side of the policies miners meet: who may mine, and how hard.

mod account_sessions;
mod answers;
mod auth;
mod auth_figures;
mod auth_shadow;
pub(crate) mod breaker;
mod calls;
mod difficulty;
mod difficulty_shadow;
mod flights;
mod guard;
mod native_vardiff;
mod origin;
mod recent;
mod slot;
mod trial;

#[cfg(test)]
mod desk_tests;

pub(crate) use account_sessions::Place;
pub(crate) use auth::{Admission, AuthDesk};
pub(crate) use calls::Calls;
pub(crate) use difficulty::{DifficultyDesk, Memory, Retarget};
pub(crate) use origin::Origin;
pub(crate) use recent::Recent;
pub(crate) use slot::{Filled, Slot};
pub(crate) use trial::{Mode, Report, Trial};
