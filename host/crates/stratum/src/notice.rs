//! What a pool says unasked. Notifications carry `"id":null`.

use std::io::Write as _;

use chimera_pow::Difficulty;
use chimera_work::{Extranonce1, NonceLayout};

/// Where a miner is asked to go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reconnect {
    /// Host and port; `None` for the same place. cgminer obeys only inside its domain.
    pub to: Option<(String, u16)>,
    /// How many seconds to wait first.
    pub wait_s: u32,
}

/// A whole number without a point, else every digit and no exponent: firmware parses
/// numbers by hand.
pub(crate) fn set_difficulty(difficulty: Difficulty, out: &mut Vec<u8>) {
    notification(out, "mining.set_difficulty", format_args!("[{difficulty}]"));
}

pub(crate) fn set_version_mask(mask: u32, out: &mut Vec<u8>) {
    notification(out, "mining.set_version_mask", format_args!("[\"{mask:08x}\"]"));
}

pub(crate) fn set_extranonce(part: Extranonce1, layout: NonceLayout, out: &mut Vec<u8>) {
    let (part, size) = (hex::encode(part.0), layout.extranonce2_bytes());
    notification(out, "mining.set_extranonce", format_args!("[\"{part}\",{size}]"));
}

pub(crate) fn show_message(text: &str, out: &mut Vec<u8>) {
    let text = json_string(text);
    notification(out, "client.show_message", format_args!("[{text}]"));
}

pub(crate) fn reconnect(reconnect: &Reconnect, out: &mut Vec<u8>) {
    let wait_s = reconnect.wait_s;
    match &reconnect.to {
        Some((host, port)) => {
            let host = json_string(host);
            notification(out, "client.reconnect", format_args!("[{host},{port},{wait_s}]"));
        }
        None if wait_s == 0 => notification(out, "client.reconnect", format_args!("[]")),
        None => notification(out, "client.reconnect", format_args!("[\"\",0,{wait_s}]")),
    }
}

/// A request of the pool's own, without parameters.
pub(crate) fn request(id: u32, method: &str, out: &mut Vec<u8>) {
    writeln!(out, "{{\"id\":{id},\"method\":\"{method}\",\"params\":[]}}")
        .expect("a vector takes every byte");
}

fn notification(out: &mut Vec<u8>, method: &str, params: std::fmt::Arguments<'_>) {
    writeln!(out, "{{\"id\":null,\"method\":\"{method}\",\"params\":{params}}}")
        .expect("a vector takes every byte");
}

pub(crate) fn json_string(text: &str) -> String {
    serde_json::to_string(text).expect("a string is always JSON")
}
