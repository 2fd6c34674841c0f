//! What has become of a swap, for people.

use serde_json::Value;

use super::super::say;

/// Shows a swap's steps, and how it stands.
pub(super) fn show_swap(slot: &str, answer: &Value) {
    for step in answer["steps"].as_array().into_iter().flatten() {
        let (name, detail) = (step["step"].as_str(), step["detail"].as_str());
        say::field(name.unwrap_or_default(), detail.unwrap_or_default());
    }
    let message = answer["message"].as_str().unwrap_or_default();
    match answer["outcome"].as_str() {
        Some("active") if answer["generation"].is_null() => say::done(slot, message),
        Some("active") => say::done(slot, format_args!("generation {}", answer["generation"])),
        Some("refused") => say::trouble(slot, message),
        other => say::done(slot, other.unwrap_or_default()),
    }
}
