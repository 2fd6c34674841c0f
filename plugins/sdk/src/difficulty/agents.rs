//! Miners by what they call themselves.

/// Whether a user agent contains a text, in whatever case.
pub fn agent_contains(user_agent: &str, text: &str) -> bool {
    let (agent, text) = (user_agent.as_bytes(), text.as_bytes());
    text.is_empty() || agent.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_does_not_matter() {
        for (agent, text, contained) in [
            ("cpuminer-multi/1.3.7", "cpuminer-multi", true),
            ("NiceHash/1.0.0", "nicehash", true),
            ("excavator (nicehash)", "NiceHash", true),
            ("cpuminer/2.5.1", "cpuminer-multi", false),
            ("", "a", false),
            ("anything", "", true),
        ] {
            assert_eq!(agent_contains(agent, text), contained, "{agent} {text}");
        }
    }
}
