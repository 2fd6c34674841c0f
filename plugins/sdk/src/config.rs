//! Configuration: JSON in, either every default filled in or diagnostics that point at the place.

use serde_json::Value;
use serde_path_to_error::Segment;

use crate::{Component, Diagnostic, Severity};

/// A configuration that passed, parsed and in canonical form.
pub struct Checked<C> {
    /// For the component.
    pub config: C,
    /// All defaults filled in, keys sorted, no spaces: what settlement records hash.
    pub canonical: String,
}

/// Parses and checks a configuration. Empty text means "all defaults".
///
/// # Errors
/// One diagnostic per problem, each with a JSON Pointer and what would be right.
pub fn check_config<C: Component>(text: &str) -> Result<Checked<C::Config>, Vec<Diagnostic>> {
    let text = if text.trim().is_empty() { "{}" } else { text };
    // serde would read an array as the fields in order.
    if !text.trim_start().starts_with('{') {
        return Err(vec![problem("", "no JSON object", "one JSON object, e.g. {}")]);
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let config: C::Config = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| vec![shape_problem::<C>(&error)])?;
    json.end().map_err(|error| vec![problem("", error.to_string(), "one JSON object")])?;
    let problems = C::check(&config);
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(problems);
    }
    let value = serde_json::to_value(&config)
        .map_err(|error| vec![problem("", error.to_string(), "a defect of the component")])?;
    Ok(Checked { config, canonical: canonical(&value) })
}

/// An error diagnostic: where (JSON Pointer), what is wrong, what would be right.
pub fn problem(at: &str, message: impl Into<String>, hint: &str) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        at: at.to_owned(),
        message: message.into(),
        hint: (!hint.is_empty()).then(|| hint.to_owned()),
    }
}

fn shape_problem<C: Component>(
    error: &serde_path_to_error::Error<serde_json::Error>,
) -> Diagnostic {
    let message = without_position(&error.inner().to_string());
    if !error.inner().is_data() {
        return problem("", error.inner().to_string(), "one JSON object, e.g. {}");
    }
    let mut at = String::new();
    for segment in error.path() {
        at.push('/');
        match segment {
            Segment::Seq { index } => at.push_str(&index.to_string()),
            Segment::Map { key } => at.push_str(&escape(key)),
            Segment::Enum { variant } => at.push_str(&escape(variant)),
            Segment::Unknown => at.push('?'),
        }
    }
    let hint = hint::<C>(&at);
    problem(&at, message, &hint)
}

/// The schema's description of the property pointed at, or the list of properties.
fn hint<C: Component>(at: &str) -> String {
    let schema: Value = serde_json::from_str(C::CONFIG_SCHEMA).unwrap_or_default();
    let key = at.split('/').nth(1).unwrap_or_default();
    if let Some(description) = schema["properties"][key]["description"].as_str() {
        return description.to_owned();
    }
    match schema["properties"].as_object() {
        Some(known) if !known.is_empty() => {
            let names: Vec<&str> = known.keys().map(String::as_str).collect();
            format!("known keys: {}", names.join(", "))
        }
        _ => "this component has no settings: {}".to_owned(),
    }
}

/// serde_json appends a position; the pointer says it better.
fn without_position(message: &str) -> String {
    message.rsplit_once(" at line ").map_or(message, |(text, _)| text).to_owned()
}

/// RFC 6901: `~` and `/` inside a key.
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Sorted keys whatever map serde_json was built with.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            let fields: Vec<String> = entries
                .into_iter()
                .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), canonical(value)))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        scalar => scalar.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Deserialize, Serialize)]
    #[serde(default, deny_unknown_fields)]
    struct Config {
        zeal: u8,
        fee_ppm: u32,
        names: Vec<String>,
    }

    impl Default for Config {
        fn default() -> Self {
            Self { zeal: 7, fee_ppm: 10_000, names: vec![] }
        }
    }

    struct Sample;

    impl Component for Sample {
        type Config = Config;
        const NAME: &'static str = "sample";
        const VERSION: &'static str = "1";
        const DESCRIPTION: &'static str = "for tests";
        const CONFIG_SCHEMA: &'static str = r#"{"properties": {
            "fee_ppm": {"description": "0 to 1000000"}, "names": {}, "zeal": {}}}"#;
        fn check(config: &Config) -> Vec<Diagnostic> {
            let mut problems = Vec::new();
            if config.fee_ppm > 1_000_000 {
                problems.push(problem("/fee_ppm", "above the whole", "0 to 1000000"));
            }
            if config.zeal > 100 {
                problems.push(problem("/zeal", "too much", "0 to 100"));
            }
            problems
        }
    }

    #[test]
    fn canonical_form_fills_defaults_sorts_keys_and_is_a_fixed_point() {
        for text in ["", "{}", r#" { "zeal" : 7 } "#] {
            let canonical = check_config::<Sample>(text).ok().unwrap().canonical;
            assert_eq!(canonical, r#"{"fee_ppm":10000,"names":[],"zeal":7}"#);
            assert_eq!(check_config::<Sample>(&canonical).ok().unwrap().canonical, canonical);
        }
    }

    #[test]
    fn a_diagnostic_points_at_the_place() {
        // configuration, pointer, part of the message, hint
        for (text, at, message, hint) in [
            (r#"{"fee_ppm": "x"}"#, "/fee_ppm", "invalid type", "0 to 1000000"),
            (r#"{"fee_ppm": -1}"#, "/fee_ppm", "invalid value", "0 to 1000000"),
            (r#"{"names": ["a", 2]}"#, "/names/1", "invalid type", "known keys"),
            (r#"{"feee": 1}"#, "/feee", "unknown field `feee`", "known keys: fee_ppm, names, zeal"),
            (r#"{"zeal": 300}"#, "/zeal", "invalid value", "known keys"),
            (r#"{"zeal": 1"#, "", "EOF", "one JSON object"),
            (r#"{} {}"#, "", "trailing", "one JSON object"),
            (r#"[]"#, "", "no JSON object", "one JSON object"),
        ] {
            let problems = check_config::<Sample>(text).err().unwrap_or_default();
            assert_eq!(problems.len(), 1, "{text}");
            assert_eq!(problems[0].at, at, "{text}");
            assert!(problems[0].message.contains(message), "{text}: {}", problems[0].message);
            assert!(problems[0].hint.as_deref().unwrap().contains(hint), "{text}: {problems:?}");
        }
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let problems = check_config::<Sample>(r#"{"fee_ppm": 2000000, "zeal": 101}"#).err();
        let places: Vec<String> = problems.unwrap().into_iter().map(|problem| problem.at).collect();
        assert_eq!(places, ["/fee_ppm", "/zeal"]);
    }
}
