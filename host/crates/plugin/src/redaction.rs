//! What of a configuration may be shown to everybody: what its schema describes, less what the
//! schema marks as secret (`"writeOnly": true`, JSON Schema's word for it).

use serde_json::{Map, Value};

use crate::Info;

/// Stands where a secret was.
const HIDDEN: &str = "(hidden)";

impl Info {
    /// A configuration as anybody may see it: values the schema marks `"writeOnly": true`, and
    /// values it does not describe, are replaced by `"(hidden)"`. `None` if there is no schema to
    /// go by, or if the configuration is no JSON: then nothing of it may be shown.
    pub fn shown_config(&self, config: &str) -> Option<Value> {
        let schema: Value = serde_json::from_str(&self.config_schema).ok()?;
        if schema["type"] != "object" {
            return None;
        }
        Some(shown(&schema, serde_json::from_str(config).ok()?))
    }
}

fn shown(schema: &Value, value: Value) -> Value {
    if is_hidden(schema) {
        return HIDDEN.into();
    }
    match value {
        Value::Object(fields) => Value::Object(
            fields.into_iter().map(|(key, value)| field(schema, key, value)).collect::<Map<_, _>>(),
        ),
        Value::Array(items) => {
            items.into_iter().map(|item| shown(&schema["items"], item)).collect()
        }
        plain => plain,
    }
}

fn field(schema: &Value, key: String, value: Value) -> (String, Value) {
    let described = match &schema["properties"][&key] {
        Value::Null => &schema["additionalProperties"],
        property => property,
    };
    let value = shown(described, value);
    (key, value)
}

/// What is marked, what is not described, and what is described elsewhere or in several ways.
fn is_hidden(schema: &Value) -> bool {
    let indirect = ["$ref", "$dynamicRef", "anyOf", "oneOf", "allOf", "not", "if"];
    !schema.is_object()
        || schema["writeOnly"] == true
        || indirect.iter().any(|key| schema.get(key).is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
}
