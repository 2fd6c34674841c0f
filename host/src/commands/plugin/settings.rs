//! A configuration schema as people read it: key, type, default, meaning.

use serde_json::Value;

use crate::commands::say;

/// One setting.
#[derive(Debug, PartialEq, Eq)]
struct Setting {
    /// Its key; the keys above it stand before it, e.g. `limits.max_sessions`.
    key: String,
    /// Type, bounds and default.
    form: String,
    /// What it is for.
    meaning: String,
}

/// Prints the settings a schema describes.
pub(super) fn tell(schema: &Value) {
    let settings = settings("", schema);
    if settings.is_empty() {
        return say::field("settings", "none are described");
    }
    say::line("  settings");
    for Setting { key, form, meaning } in settings {
        say::line(format_args!("    {key}: {form}"));
        if !meaning.is_empty() {
            say::line(format_args!("      {meaning}"));
        }
    }
}

fn settings(prefix: &str, schema: &Value) -> Vec<Setting> {
    let mut settings = Vec::new();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let key = format!("{prefix}{name}");
        let meaning = property["description"].as_str().unwrap_or_default().to_owned();
        settings.push(Setting { form: form(property), meaning, key: key.clone() });
        settings.extend(self::settings(&format!("{key}."), property));
    }
    settings
}

fn form(schema: &Value) -> String {
    let mut form = kind(schema);
    match (schema["minimum"].as_number(), schema["maximum"].as_number()) {
        (Some(least), Some(most)) => form += &format!(" from {least} to {most}"),
        (Some(least), None) => form += &format!(" from {least}"),
        (None, Some(most)) => form += &format!(" up to {most}"),
        (None, None) => {}
    }
    if let Some(default) = schema.get("default") {
        form += &format!(", default {default}");
    }
    if schema["writeOnly"] == true {
        form += ", secret: hidden wherever the configuration is shown";
    }
    form
}

/// The type in words; whatever else a schema can say, as it is written.
fn kind(schema: &Value) -> String {
    if let Some(choices) = schema["enum"].as_array() {
        let choices: Vec<String> = choices.iter().map(Value::to_string).collect();
        return format!("one of {}", choices.join(", "));
    }
    match &schema["type"] {
        Value::String(ty) if ty == "array" && schema["items"].is_object() => {
            format!("array of {}", kind(&schema["items"]))
        }
        Value::String(ty) => ty.clone(),
        Value::Array(types) => {
            types.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or ")
        }
        _ => schema.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_are_told_with_type_bounds_default_and_meaning() {
        let schema = json!({ "type": "object", "properties": {
            "algorithm": { "enum": ["HS256", "EdDSA"], "default": "HS256", "description": "which" },
            "limits": { "type": "object", "properties": {
                "max": { "type": "integer", "minimum": 0, "maximum": 9 } } },
            "names": { "type": "array", "items": { "type": "string" }, "default": [] },
            "passwords": { "type": "object", "writeOnly": true },
        } });
        let told: Vec<(String, String)> =
            settings("", &schema).into_iter().map(|one| (one.key, one.form)).collect();
        let expected = [
            ("algorithm", "one of \"HS256\", \"EdDSA\", default \"HS256\""),
            ("limits", "object"),
            ("limits.max", "integer from 0 to 9"),
            ("names", "array of string, default []"),
            ("passwords", "object, secret: hidden wherever the configuration is shown"),
        ];
        let expected = expected.map(|(key, form)| (key.to_owned(), form.to_owned()));
        assert_eq!(told, expected);
        assert_eq!(settings("", &schema)[0].meaning, "which");
    }
}
