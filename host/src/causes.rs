//! An error with its causes, for people: each cause once.

/// The error and its causes, from the outermost in, joined by `: `. Many errors have their cause
/// in their own text already; it is not said again.
pub fn causes(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if said.is_empty() {
            said = cause;
        } else if !said.contains(&cause) {
            said = format!("{said}: {cause}");
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::causes;

    #[derive(Debug, thiserror::Error)]
    #[error("file x: {source}")]
    struct Unreadable {
        source: std::io::Error,
    }

    /// (Found by use: "file x: denied: denied".)
    #[test]
    fn a_cause_that_was_said_is_not_said_again() {
        let source = std::io::Error::other("denied");
        let error = anyhow::Error::new(Unreadable { source }).context("slot auth");
        assert_eq!(causes(&error), "slot auth: file x: denied");
        let plain = anyhow::anyhow!("inner").context("outer");
        assert_eq!(causes(&plain), "outer: inner");
    }
}
