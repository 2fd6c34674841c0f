//! One file per command of the command line.

pub mod config_check;
pub mod devnode;
pub mod mine;
pub mod rehearse;
pub mod run;
pub mod status;

mod exit;
mod say;

pub use exit::Exit;
