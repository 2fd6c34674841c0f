//! The plugin author's kit behind `chimera plugin`: from a template to a checked component.

mod dice;
mod doubles;
mod rounds;
mod subject;

pub mod build;
pub mod check;
pub mod diff;
pub mod inspect;
pub mod replay;
pub mod scaffold;
pub mod vectors;
