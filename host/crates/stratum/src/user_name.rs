//! The name of a worker, however its firmware spells it.

use std::borrow::Cow;

use crate::params::Params;
use crate::{Fault, Param};

/// The first parameter of authorize and submit.
///
/// Some firmware (Avalon, WhatsMiner) sends special characters of names as `%2B` and its
/// like, not always in both messages. That is undone here, once and before anybody sees the
/// name: one worker has one name, for policy, bans and credit. Nobody gains a name by it:
/// who sends `a%2Eb` could have sent `a.b`.
pub(crate) fn parse<'a>(params: &Params<'a>) -> Result<Cow<'a, str>, Fault> {
    let sent = params.required(0, Param::User)?;
    Ok(decoded(&sent).map_or(sent, Cow::Owned))
}

/// `None` if there is nothing to decode. Only visible ASCII is: an escape must not bring a
/// line end into a log, and a percent sign that begins none is part of the name.
fn decoded(name: &str) -> Option<String> {
    let mut rest = name;
    let mut decoded = String::new();
    while let Some(at) = rest.find('%') {
        let (before, escape) = rest.split_at(at);
        decoded.push_str(before);
        let (character, length) = visible(escape).map_or(('%', 1), |character| (character, 3));
        decoded.push(character);
        rest = &escape[length..];
    }
    if rest.len() == name.len() {
        return None;
    }
    decoded.push_str(rest);
    Some(decoded)
}

/// The character an escape at the beginning stands for.
fn visible(escape: &str) -> Option<char> {
    let mut byte = [0];
    hex::decode_to_slice(escape.get(1..3)?, &mut byte).ok()?;
    byte[0].is_ascii_graphic().then(|| char::from(byte[0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_visible_characters_are_undone_once() {
        for (sent, meant) in [
            ("alice.rig1", None),
            ("alice%2Erig1", Some("alice.rig1")),
            ("alice%2erig%2D1", Some("alice.rig-1")),
            ("%61lice", Some("alice")),
            ("a%252Eb", Some("a%2Eb")),
            ("%7E", Some("~")),
            // No escape of a visible character: as it was.
            ("100%", Some("100%")),
            ("50%off", Some("50%off")),
            ("%2", Some("%2")),
            ("%%2E", Some("%.")),
            ("%00%0a%20%7f%C3%A9", Some("%00%0a%20%7f%C3%A9")),
            ("%é%2é", Some("%é%2é")),
        ] {
            assert_eq!(decoded(sent).as_deref(), meant, "{sent}");
        }
    }
}
