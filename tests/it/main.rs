//! End-to-end and cross-crate tests: one binary, real sockets, real components.

mod authoring;
mod bans;
mod chains;
mod conduct;
mod door;
mod doors;
mod found_blocks;
mod guides;
mod harness;
mod kit_check;
mod layering;
mod load;
mod node;
mod plugins;
mod policies;
mod pool_life;
mod process;
mod readme;
mod settings;
mod started;
mod swap;
mod swap_guide;
mod swap_kill;
mod swap_soak;
mod upgrade;
mod verifiable;
