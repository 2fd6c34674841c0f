//! Components built against altered copies of `wit/0.1`, and what is said of them.

use wit_component::{ComponentEncoder, StringEncoding, WitPrinter, embed_component_metadata};
use wit_parser::ManglingAndAbi;

use super::*;
use crate::{Artifact, Engines, Grants, PayoutScheme, PluginError};

/// A component of a world of `wit/0.1` after these replacements; every function is a trap.
fn built_against(world: &str, changes: &[(&str, &str)]) -> Vec<u8> {
    let mut files = SourceMap::new();
    let mut made = vec![false; changes.len()];
    for (name, text) in SOURCES {
        let mut text = text.to_owned();
        for (made, (from, to)) in made.iter_mut().zip(changes) {
            *made |= text.contains(from);
            text = text.replacen(from, to, 1);
        }
        files.push_str(name, text);
    }
    assert!(made.iter().all(|made| *made), "a change without an effect: {changes:?}");
    let mut resolve = Resolve::new();
    let group = files.parse().map_err(|(_, error)| error).unwrap();
    let package = resolve.push_group(group).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let abi = ManglingAndAbi::Legacy(wit_parser::LiftLowerAbi::Sync);
    let mut module = wit_component::dummy_module(&resolve, world, abi);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let encoder = ComponentEncoder::default().validate(true).module(&module).unwrap();
    let mut encoder = encoder;
    encoder.encode().unwrap()
}

fn told(world: &str, changes: &[(&str, &str)]) -> String {
    Surface::of(&built_against(world, changes)).unwrap().against_host().to_string()
}

#[test]
fn a_component_of_this_package_fits_in_every_world() {
    for world in ["payout-scheme", "auth-policy", "difficulty-strategy"] {
        assert_eq!(told(world, &[]), "", "{world}");
    }
}

#[test]
fn what_differs_is_told_in_the_words_of_the_interface() {
    const D: &str = "difficulty-strategy";
    const P: &str = "payout-scheme";
    const A: &str = "auth-policy";
    // world, the author's wit where it differs, what the author reads
    for (world, from, to, expected) in [
        (
            D,
            "        rejected: list<u32>,\n",
            "",
            "difficulty: `retarget`: record `batch` has 9 fields, this host sends 10; \
             missing: `rejected`",
        ),
        (
            D,
            "hint: option<u64>,",
            "hint: option<u64>, mood: u8,",
            "difficulty: `initial`: record `hello` has 6 fields, this host sends 5; \
             unknown: `mood`",
        ),
        (
            D,
            "accepted: list<u32>,",
            "accepted: list<u64>,",
            "difficulty: `retarget`: record `batch`, field `accepted` is list<u64>, \
             this host sends list<u32>",
        ),
        (
            D,
            "minimum: list<u64>,\n        maximum: list<u64>,",
            "maximum: list<u64>,\n        minimum: list<u64>,",
            "difficulty: `retarget`: record `batch` has its fields as `current`, `maximum`",
        ),
        (
            D,
            "state-words: func() -> u32;",
            "state-words: func(rows: u32) -> u32;",
            "difficulty: `state-words`: takes (rows), this host sends ()",
        ),
        (
            D,
            "state-words: func() -> u32;",
            "state-words: func() -> u64;",
            "difficulty: `state-words`: result is u64, this host expects u32",
        ),
        (
            D,
            "state-words: func() -> u32;",
            "",
            "difficulty: `state-words`: missing; this host calls it",
        ),
        (
            P,
            "since-last-block,\n    }",
            "}",
            "payout: `make-plan`: variant `window-size` has 3 cases, this host expects 4; \
             missing: `since-last-block`",
        ),
        (
            P,
            "        /// Both (PPS+): intervals as for `accrue`, and blocks, of which only `tx-fees` \
             and the\n        /// carry are divided; the rest of the reward is the reserve that \
             pays the intervals.\n        hybrid,\n",
            "",
            "payout: `make-plan`: enum `scheme-kind` has 2 cases, this host expects 3; \
             missing: `hybrid`",
        ),
        (
            P,
            "fee-ppm: list<s32>,",
            "fee-ppm: list<u32>,",
            "payout: `settle`: record `accounts`, field `fee-ppm` is list<u32>, \
             this host sends list<s32>",
        ),
        (
            P,
            "settle: func(req: request)",
            "settle: func(request: request)",
            "payout: `settle`: takes (request), this host sends (req)",
        ),
        (P, "type base-units = u64;", "type base-units = s64;", "is s64, this host"),
        (
            P,
            "migrate: func(since: u32, state: list<u8>)",
            "migrate: func(since: u16, state: list<u8>)",
            "plugin: `migrate`: parameter `since` is u16, this host sends u32",
        ),
        (
            P,
            "settle: func(req: request)",
            "audit: func();\n    settle: func(req: request)",
            "payout: `audit`: unknown; this host has no such function",
        ),
        (
            P,
            "enum severity { error, warning, info }",
            "enum severity { error, warning }",
            "plugin: `validate`: enum `severity` has 2 cases, this host expects 3; missing: `info`",
        ),
        (
            A,
            "add: func(key: string, delta: s64, ttl-s: u32) -> result<s64, kv-error>;",
            "add: func(key: string, delta: s64) -> result<s64, kv-error>;",
            "kv: `add`: takes (key, delta), this host expects (key, delta, ttl-s)",
        ),
        (
            A,
            "not-a-number, unavailable }",
            "unavailable }",
            "kv: `get`: variant `kv-error` has 3 cases, this host sends 4; missing: `not-a-number`",
        ),
        (
            A,
            "get: func(name: string) -> option<list<u8>>;",
            "get: func(name: string) -> list<u8>;",
            "secrets: `get`: result is list<u8>, this host sends option<list<u8>>",
        ),
        (
            A,
            "package chimera:pool@0.1.0;",
            "package chimera:pool@0.2.0;",
            "auth: built against chimera:pool@0.2.0; this host speaks 0.1.0",
        ),
        (
            A,
            "package chimera:pool@0.1.0;",
            "package chimera:pool;",
            "auth: built against chimera:pool without a version; this host speaks 0.1.0",
        ),
    ] {
        let found = told(world, &[(from, to)]);
        assert!(found.contains(expected), "\nexpected {expected}\nfound    {found}");
    }
}

#[test]
fn a_difference_is_told_once_where_it_first_matters() {
    let found = told("payout-scheme", &[("internal(string),", "")]);
    assert_eq!(found.matches("plugin-error").count(), 2, "once per interface: {found}");
}

#[test]
fn two_components_are_compared_with_each_other() {
    let old = Surface::of(&built_against("auth-policy", &[])).unwrap();
    let changes = [("import secrets;", ""), ("ban-s: u32,", "")];
    let new = Surface::of(&built_against("auth-policy", &changes)).unwrap();
    assert!(old.against(&old).is_empty());
    let found = old.against(&new).to_string();
    for expected in [
        "chimera:pool/secrets@0.1.0: only the first imports it",
        "record `denial` has 3 fields, the second has 2; unknown: `ban-s`",
    ] {
        assert!(found.contains(expected), "{expected}: {found}");
    }
}

/// Both ways to be of another package, through the real loader: told as a difference.
#[test]
fn the_host_refuses_with_the_difference() {
    let engines = Engines::new(None).unwrap();
    for (changes, expected) in [
        (
            [("package chimera:pool@0.1.0;", "package chimera:pool@0.2.0;")],
            "load: built against another version of chimera:pool: \
             plugin: built against chimera:pool@0.2.0; this host speaks 0.1.0",
        ),
        (
            [("fee-ppm: list<s32>,", "fee-ppm: list<u32>,")],
            "load: built against another version of chimera:pool: payout: `settle`: record \
             `accounts`, field `fee-ppm` is list<u32>, this host sends list<s32>",
        ),
        (
            [("write: func(level: level,", "write: func(")],
            "log: `write`: takes (message), this host expects (level, message)",
        ),
    ] {
        let artifact = Artifact::kept("sample", built_against("payout-scheme", &changes));
        let refused = PayoutScheme::load(&engines, &artifact, "", &Grants::none()).err().unwrap();
        let PluginError { cause, .. } = &refused;
        assert!(matches!(cause, Cause::WrongTypes(_)), "{refused}");
        assert!(refused.to_string().contains(expected), "\nexpected {expected}\nfound {refused}");
    }
}

/// 0.1.0 is frozen: a change of it is another version, in another directory. Words of the
/// documentation may change; they are not printed.
#[test]
fn the_frozen_package_is_what_was_released() {
    let (resolve, package) = host().unwrap();
    let mut printer = WitPrinter::default();
    printer.emit_docs(false);
    printer.print(&resolve, package, &[]).unwrap();
    let printed = printer.output.to_string();
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../../tests/golden/components/wit-0.1.0.txt");
    if std::env::var_os("CHIMERA_GOLDEN_WRITE").is_some_and(|what| what == "wit") {
        std::fs::write(path, &printed).unwrap();
    }
    let released = std::fs::read_to_string(path).unwrap();
    assert!(printed == released, "wit/0.1 is not chimera:pool@0.1.0 any more:\n{printed}");
}
