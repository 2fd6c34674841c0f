//! What the documents show is what the program does.

use chimera::cli::Cli;
use chimera::config::Config;
use clap::Parser as _;

const README: &str = include_str!("../../README.md");

/// Every command line of the README's console blocks, without its `$ `.
fn commands() -> Vec<&'static str> {
    README.lines().filter_map(|line| line.strip_prefix("$ ")).collect()
}

#[test]
fn every_command_shown_is_understood() {
    let mut understood = 0;
    for command in commands() {
        let arguments = match command.strip_prefix("cargo run") {
            Some(rest) => rest.trim_start().trim_start_matches("--").split_whitespace(),
            None => continue,
        };
        let line = std::iter::once("chimera").chain(arguments);
        Cli::try_parse_from(line).unwrap_or_else(|error| panic!("{command}: {error}"));
        understood += 1;
    }
    assert!(understood >= 5, "{understood} commands are shown");
}

/// Settings shown are settings the program reads.
#[test]
fn every_setting_shown_is_understood() {
    let blocks: Vec<&str> =
        README.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 2, "{} blocks are shown", blocks.len());
    for block in blocks {
        Config::parse(block, &[]).unwrap_or_else(|error| panic!("{block}: {error}"));
    }
}

#[test]
fn ci_runs_the_test_command_shown() {
    let shown = commands().into_iter().find(|command| command.starts_with("cargo test"));
    assert_eq!(shown, Some("cargo test --workspace --locked"));
}

/// The routes of the README and of the index are the routes there are (T30).
#[test]
fn the_routes_shown_are_the_routes_served() {
    for route in chimera_api::ROUTES.iter().filter(|route| route.path != "/") {
        assert!(README.contains(&format!("`{}`", route.path)), "{} is not shown", route.path);
    }
}

#[test]
fn the_components_shown_are_the_components_shipped() {
    let shipped = chimera_plugin::Registry::new(None).expect("nothing to read");
    for name in shipped.names().expect("nothing to read") {
        assert!(README.contains(&format!("`{name}`")), "{name} is not shown");
    }
}

#[test]
fn files_linked_are_there() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    for link in README.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        let there = link.starts_with("https://") || std::path::Path::new(root).join(link).exists();
        assert!(there, "{link} is linked and missing");
    }
}
