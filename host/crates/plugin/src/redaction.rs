//! What of a configuration may be shown to everybody: what its schema describes, less what the
//! schema marks as secret (`"writeOnly": true`, JSON Schema's word for it).

use serde_json::{Map, Value};

use crate::{Cause, Info, PluginError};

/// Stands where a secret was.
pub(crate) const HIDDEN: &str = "(hidden)";

impl Info {
    /// A configuration as anybody may see it: values the schema marks `"writeOnly": true`, and
    /// values it does not describe, are replaced by `"(hidden)"`; names are not. `None` if there is no schema to
    /// go by, or if the configuration is no JSON: then nothing of it may be shown.
    pub fn shown_config(&self, config: &str) -> Option<Value> {
        let schema = self.usable_schema()?;
        Some(shown(&schema, serde_json::from_str(config).ok()?))
    }
}

/// What a text must not repeat; what is shorter ("x", "12") is no secret, and in half of all
/// texts.
const SECRET_BYTES_MIN: usize = 4;

impl Info {
    /// A refusal whose findings know which of them [`Info::shown_config`] would not show.
    pub(crate) fn marked(&self, config: &str, mut error: PluginError) -> PluginError {
        let Cause::Config(findings) = &mut error.cause else { return error };
        let Some(schema) = self.usable_schema() else { return error };
        let mut secrets = Vec::new();
        match serde_json::from_str::<Value>(config) {
            Ok(config) => collect(&schema, &config, &mut secrets),
            Err(_) => secrets.push(config.trim().to_owned()),
        }
        secrets.retain(|secret| secret.len() >= SECRET_BYTES_MIN);
        let repeats = |text: &str| secrets.iter().any(|secret| text.contains(secret.as_str()));
        for finding in findings {
            finding.hidden = is_hidden_at(&schema, &finding.at) || repeats(&finding.message);
            finding.hint = finding.hint.take().filter(|hint| !repeats(hint));
        }
        error
    }

    /// The schema, if a configuration can be shown by it.
    fn usable_schema(&self) -> Option<Value> {
        serde_json::from_str(&self.config_schema)
            .ok()
            .filter(|schema: &Value| schema["type"] == "object")
    }
}

fn shown(schema: &Value, value: Value) -> Value {
    if is_hidden(schema) {
        return HIDDEN.into();
    }
    match value {
        Value::Object(fields) => {
            let field = |(key, value): (String, Value)| {
                let value = shown(property(schema, &key), value);
                (key, value)
            };
            Value::Object(fields.into_iter().map(field).collect::<Map<_, _>>())
        }
        Value::Array(items) => {
            let items = items.into_iter().enumerate();
            items.map(|(index, value)| shown(item(schema, index), value)).collect()
        }
        plain => plain,
    }
}

/// What describes a property. Where names are described by patterns, none is described for
/// sure: a property may match any of them.
fn property<'a>(schema: &'a Value, key: &str) -> &'a Value {
    if schema.get("patternProperties").is_some() {
        return &Value::Null;
    }
    match &schema["properties"][key] {
        Value::Null => &schema["additionalProperties"],
        property => property,
    }
}

fn item(schema: &Value, index: usize) -> &Value {
    match &schema["prefixItems"][index] {
        Value::Null => &schema["items"],
        item => item,
    }
}

/// Whether a JSON Pointer leads to or into what is marked, or described elsewhere or in several
/// ways; or is none. What is not described at all (a misspelt name) has no secret place.
fn is_hidden_at(schema: &Value, pointer: &str) -> bool {
    let mut names = pointer.split('/');
    if names.next() != Some("") {
        return true;
    }
    let mut schema = schema;
    for name in names {
        if is_marked(schema) {
            return true;
        }
        let name = name.replace("~1", "/").replace("~0", "~");
        schema = match (property(schema, &name), name.parse::<usize>()) {
            (Value::Null, Ok(index)) => item(schema, index),
            (property, _) => property,
        };
    }
    is_marked(schema)
}

/// The texts and numbers of a configuration that are hidden, as messages could repeat them.
fn collect(schema: &Value, value: &Value, secrets: &mut Vec<String>) {
    let hidden = is_hidden(schema);
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let described = if hidden { &Value::Null } else { property(schema, key) };
                collect(described, value, secrets);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                let described = if hidden { &Value::Null } else { item(schema, index) };
                collect(described, value, secrets);
            }
        }
        Value::String(text) if hidden => {
            // As it is, as Rust quotes it, as JSON does: without the quotes.
            for quoted in [format!("{text:?}"), value.to_string()] {
                secrets.push(quoted[1..quoted.len() - 1].to_owned());
            }
            secrets.push(text.clone());
        }
        Value::Number(number) if hidden => secrets.push(number.to_string()),
        _ => {}
    }
}

/// What is marked, what is not described, and what is described elsewhere or in several ways.
fn is_hidden(schema: &Value) -> bool {
    !schema.is_object() || is_marked(schema)
}

fn is_marked(schema: &Value) -> bool {
    let indirect = [
        "$ref",
        "$dynamicRef",
        "$recursiveRef",
        "anyOf",
        "oneOf",
        "allOf",
        "not",
        "if",
        "then",
        "else",
        "dependentSchemas",
        "dependencies",
        "contains",
    ];
    schema["writeOnly"] == true || indirect.iter().any(|key| schema.get(key).is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Diagnostic, Severity};

    fn info(schema: &str) -> Info {
        Info { config_schema: schema.to_owned(), ..Info::default() }
    }

    #[test]
    fn what_the_schema_marks_or_does_not_describe_is_hidden() {
        let schema = json!({
            "type": "object",
            "properties": {
                "accounts": { "type": "array", "items": { "type": "string" } },
                "passwords": {
                    "type": "object", "writeOnly": true,
                    "additionalProperties": { "type": "string" }
                },
                "limits": {
                    "type": "object",
                    "properties": {
                        "sessions": { "type": "integer" },
                        "key": { "type": "string", "writeOnly": true }
                    }
                },
                "names": { "type": "object", "additionalProperties": { "type": "string" } },
                "either": { "anyOf": [{ "type": "string", "writeOnly": true }, { "type": "null" }] }
            }
        });
        let config = json!({
            "accounts": ["alice"], "passwords": { "alice": "pw1" },
            "limits": { "sessions": 3, "key": "pw2", "other": "pw3" },
            "names": { "a": "b" }, "either": "pw4", "unknown": { "deep": "pw5" }
        });
        let shown = info(&schema.to_string()).shown_config(&config.to_string()).unwrap();
        assert!(!shown.to_string().contains("pw"), "{shown}");
        assert_eq!(
            shown,
            json!({
                "accounts": ["alice"], "passwords": "(hidden)",
                "limits": { "sessions": 3, "key": "(hidden)", "other": "(hidden)" },
                "names": { "a": "b" }, "either": "(hidden)", "unknown": "(hidden)"
            })
        );
    }

    #[test]
    fn without_a_schema_nothing_is_shown() {
        for schema in ["", "{}", "[]", "not json", r#"{"type":"array"}"#] {
            assert_eq!(info(schema).shown_config(r#"{"password":"x"}"#), None, "{schema}");
        }
        assert_eq!(info(r#"{"type":"object"}"#).shown_config("secret"), None);
    }

    #[test]
    fn what_is_described_in_several_ways_is_hidden() {
        let secret = json!({ "type": "string", "writeOnly": true });
        let plain = json!({ "type": "string" });
        let described = json!({ "pin": plain });
        for (schema, config, expected) in [
            (
                json!({ "patternProperties": { "^p": secret }, "properties": described }),
                json!({ "pin": "pw", "other": "pw" }),
                json!({ "pin": "(hidden)", "other": "(hidden)" }),
            ),
            (
                json!({ "additionalProperties": { "prefixItems": [plain, secret], "items": plain } }),
                json!({ "list": ["a", "pw", "b"] }),
                json!({ "list": ["a", "(hidden)", "b"] }),
            ),
            (
                json!({ "then": secret, "properties": described }),
                json!({ "pin": "pw" }),
                HIDDEN.into(),
            ),
            (
                json!({ "else": secret, "properties": described }),
                json!({ "pin": "pw" }),
                HIDDEN.into(),
            ),
            (
                json!({ "dependentSchemas": { "pin": secret }, "properties": described }),
                json!({ "pin": "pw" }),
                HIDDEN.into(),
            ),
        ] {
            let mut whole = schema.clone();
            whole["type"] = "object".into();
            let shown = info(&whole.to_string()).shown_config(&config.to_string());
            assert_eq!(shown, Some(expected), "{schema}");
        }
    }

    #[test]
    fn a_finding_does_not_repeat_what_is_hidden() {
        let schema = json!({
            "type": "object", "additionalProperties": false,
            "properties": {
                "passwords": {
                    "type": "object", "writeOnly": true,
                    "additionalProperties": { "type": "string" }
                },
                "sessions": { "type": "integer" },
                "either": { "anyOf": [{ "type": "string" }, { "type": "null" }] }
            }
        })
        .to_string();
        let config = json!({
            "passwords": { "alice": "hunter\"2" }, "sessions": "many", "pasword": "letmein"
        })
        .to_string();
        for (schema, at, message, is_hidden) in [
            (&*schema, "/passwords", "no map", true),
            (&*schema, "/passwords/alice", "too short", true),
            (&*schema, "/either", "neither", true),
            (&*schema, "passwords", "no pointer", true),
            (&*schema, "/sessions", "invalid type: string \"many\"", false),
            (&*schema, "/sessions", "not as hunter\"2", true),
            (&*schema, "", "invalid type: string \"hunter\\\"2\"", true),
            (&*schema, "", "too much of everything", false),
            (&*schema, "/pasword", "unknown field `pasword`", false),
            (&*schema, "/pasword", "what is letmein", true),
            ("{}", "/sessions", "not even", true),
            ("no schema", "", "not even", true),
        ] {
            let hint = Some("a hint".to_owned());
            let finding = Diagnostic {
                severity: Severity::Error,
                at: at.to_owned(),
                message: message.to_owned(),
                hint: hint.clone(),
                hidden: true,
            };
            let error = PluginError::new("it", "validate", Cause::Config(vec![finding]));
            let error = info(schema).marked(&config, error);
            assert!(error.to_string().contains(message), "{error}");
            let Cause::Config(findings) = error.shown().cause else { panic!("{error}") };
            let expected = if is_hidden { "the value is not shown" } else { message };
            assert_eq!(findings[0].message, expected, "{at}: {message}");
            assert_eq!((findings[0].at.as_str(), &findings[0].hint), (at, &hint));
        }
        let (once, twice) = ("{\"password\":1}".to_owned(), "{\"password\":2}".to_owned());
        let unstable = PluginError::new("it", "validate", Cause::UnstableConfig { once, twice });
        assert!(!unstable.shown().to_string().contains("password"), "{}", unstable.shown());
    }
}
