//! The components built from `plugins/` by this crate's build script, embedded.

include!(concat!(env!("OUT_DIR"), "/shipped.rs"));
