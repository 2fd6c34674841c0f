//! Sessions of different software, from their first line on.

use chimera_plugin_sdk::check_config;
use chimera_plugin_sdk::testing::{Miner, Sessions, hello};

use super::*;

const ONE: u64 = 1 << 32;

fn config(text: &str) -> Config {
    check_config::<Agent>(text).unwrap_or_else(|problems| panic!("{problems:?}")).config
}

fn first(config: &Config, agent: &str, hint: Option<u64>) -> u64 {
    Agent::initial(config, vec![Hello { hint, ..hello(agent) }]).unwrap()[0]
}

#[test]
fn a_session_begins_where_its_software_must() {
    let own = r#"{"agents": [
        {"agent": "cgminer", "minimum": 16, "maximum": 64},
        {"agent": "miner", "fixed": "0.5"}
    ]}"#;
    for (text, agent, hint, difficulty) in [
        ("", "NiceHash/1.0.0", None, 500_000 * ONE),
        ("", "NiceHash/1.0.0", Some(ONE), 500_000 * ONE),
        ("", "cpuminer-multi/1.3.7", Some(ONE), 42_949_672),
        ("", "cpuminer/2.5.1", Some(ONE), ONE),
        ("", "cpuminer/2.5.1", None, 1),
        (own, "CGMiner/4.11", None, 16 * ONE),
        (own, "bfgminer/5.5", Some(ONE), ONE / 2),
        (own, "bitaxe", Some(ONE), ONE),
    ] {
        assert_eq!(first(&config(text), agent, hint), difficulty, "{text} {agent} {hint:?}");
    }
}

/// Where a miner of so many difficulty-one shares per minute is after an hour.
fn after_an_hour(config: &Config, agent: &str, rate: f64) -> u64 {
    let mut sessions = Sessions::<Agent>::new(vec![Miner::new(rate, 7)], 10_000);
    sessions.difficulty = vec![first(config, agent, None)];
    for _ in 0..360 {
        sessions.tick(config);
        let rule = config.agents.iter().find(|rule| rule.covers(agent));
        let at_least = rule.and_then(|rule| rule.minimum.as_ref()).map_or(1, |least| least.units());
        assert!(sessions.difficulty[0] >= at_least, "{agent}");
    }
    sessions.difficulty[0]
}

#[test]
fn bounds_hold_for_the_whole_session_and_in_between_the_rate_decides() {
    let config = config("");
    // agent, difficulty-one shares per minute, lowest and highest difficulty after an hour
    for (agent, rate, low, high) in [
        ("NiceHash/1.0.0", 20.0, 5e5, 5e5),
        ("NiceHash/1.0.0", 2e8, 8e6, 12e6),
        ("cpuminer-multi/1.3.7", 2e3, 0.00999, 0.01),
        ("cpuminer-multi/1.3.7", 0.002, 0.8e-4, 1.2e-4),
        ("cpuminer/2.5.1", 2e3, 80.0, 120.0),
    ] {
        let difficulty = after_an_hour(&config, agent, rate) as f64 / ONE as f64;
        assert!((low..=high).contains(&difficulty), "{agent} at {rate}: {difficulty}");
    }
}

#[test]
fn a_fixed_difficulty_stays() {
    let config = config(r#"{"agents": [{"agent": "x", "fixed": 2}]}"#);
    assert_eq!(after_an_hour(&config, "x", 1e9), 2 * ONE);
}

#[test]
fn nonsense_is_refused_with_its_place() {
    for (text, at) in [
        (r#"{"agents": [{"agent": "x"}]}"#, "/agents/0"),
        (r#"{"agents": [{"agent": "x", "fixed": 1, "minimum": 1}]}"#, "/agents/0"),
        (r#"{"agents": [{"agent": "", "fixed": 1}]}"#, "/agents/0/agent"),
        (r#"{"agents": [{"agent": "x", "minimum": 2, "maximum": 1}]}"#, "/agents/0/minimum"),
        (r#"{"agents": [{"agent": "x", "minimum": 0}]}"#, "/agents/0/minimum"),
        (r#"{"agents": [{"contains": "x"}]}"#, "/agents/0/contains"),
        (r#"{"target_shares_per_minute": 0}"#, "/target_shares_per_minute"),
    ] {
        assert_eq!(check_config::<Agent>(text).err().unwrap()[0].at, at, "{text}");
    }
}
