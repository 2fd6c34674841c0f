//! End-to-end and cross-crate tests: one binary, real sockets, real components.

mod door;
mod harness;
mod layering;
mod node;
mod plugins;
mod pool_life;
mod process;
mod readme;
mod settings;
