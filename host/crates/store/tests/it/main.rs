//! The store from outside: one binary, a real file each time.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene has failed")]

mod bans;
mod blocks;
mod books;
mod kv;
mod legs;
mod model;
mod rounds;
mod scene;
mod share_log;
mod takeovers;
mod windows;
mod workers;
