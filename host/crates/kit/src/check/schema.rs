//! JSON Schema, as far as configurations use it: is it one, and does a value fit it?

use serde_json::Value;

const TYPES: [&str; 7] = ["object", "array", "string", "number", "integer", "boolean", "null"];

/// What is wrong with a schema, with the place; empty if nothing is.
pub(super) fn problems(schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if schema["type"] != "object" {
        found.push("/type: not \"object\": a configuration is a JSON object".to_owned());
    }
    walk("", schema, &mut found);
    found
}

fn walk(at: &str, schema: &Value, found: &mut Vec<String>) {
    let Some(fields) = schema.as_object() else {
        if !schema.is_boolean() {
            found.push(format!("{at}: {schema} is no schema; an object or a boolean is"));
        }
        return;
    };
    for (key, value) in fields {
        let at = format!("{at}/{key}");
        let mut expect = |holds: bool, what: &str| {
            if !holds {
                found.push(format!("{at}: {value} is not {what}"));
            }
        };
        match key.as_str() {
            "type" => {
                let known = |ty: &Value| ty.as_str().is_some_and(|ty| TYPES.contains(&ty));
                let list = value.as_array().is_some_and(|types| types.iter().all(known));
                expect(known(value) || list, "a type of JSON Schema, or a list of them");
            }
            "properties" | "$defs" | "patternProperties" => match value.as_object() {
                Some(properties) => {
                    for (name, property) in properties {
                        walk(&format!("{at}/{name}"), property, found);
                    }
                }
                None => expect(false, "an object of schemas"),
            },
            "items" | "additionalProperties" | "not" | "propertyNames" => walk(&at, value, found),
            "anyOf" | "oneOf" | "allOf" | "prefixItems" => match value.as_array() {
                Some(schemas) => {
                    for (index, schema) in schemas.iter().enumerate() {
                        walk(&format!("{at}/{index}"), schema, found);
                    }
                }
                None => expect(false, "a list of schemas"),
            },
            "required" => {
                let names = value.as_array().is_some_and(|all| all.iter().all(Value::is_string));
                expect(names, "a list of names");
            }
            "enum" | "examples" => expect(value.is_array(), "a list"),
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => {
                expect(value.is_number(), "a number");
            }
            "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties"
            | "maxProperties" => expect(value.is_u64(), "a count"),
            "title" | "description" | "$schema" | "$id" | "$ref" | "pattern" | "format"
            | "$comment" => expect(value.is_string(), "a text"),
            _ => {}
        }
    }
}

/// Why a value does not fit a schema, with the place; empty if it fits.
pub(super) fn misfits(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    fit("", schema, value, &mut found);
    found
}

fn fit(at: &str, schema: &Value, value: &Value, found: &mut Vec<String>) {
    let whole = if at.is_empty() { "the whole" } else { at };
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !types.is_empty() && !types.iter().any(|ty| is_a(value, ty)) {
        found.push(format!("{whole}: {value} is not of type {}", types.join(" or ")));
    }
    if let Some(choices) = schema["enum"].as_array()
        && !choices.contains(value)
    {
        found.push(format!("{whole}: {value} is none of {}", schema["enum"]));
    }
    if let Some(number) = value.as_f64() {
        let bound = |key: &str| schema[key].as_f64();
        if bound("minimum").is_some_and(|low| number < low)
            || bound("maximum").is_some_and(|high| number > high)
        {
            found.push(format!("{whole}: {value} is out of its bounds"));
        }
    }
    if let Some(fields) = value.as_object() {
        for (key, value) in fields {
            let at = format!("{at}/{key}");
            let property = &schema["properties"][key];
            if !property.is_null() {
                fit(&at, property, value, found);
            } else if schema["additionalProperties"] == false {
                found.push(format!("{at}: no such property"));
            }
        }
    }
    if let (Some(items), true) = (value.as_array(), schema["items"].is_object()) {
        for (index, item) in items.iter().enumerate() {
            fit(&format!("{at}/{index}"), &schema["items"], item, found);
        }
    }
}

fn is_a(value: &Value, ty: &str) -> bool {
    match ty {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_is_told_from_what_is_none() {
        for (schema, expected) in [
            (json!({"type": "object", "properties": {"a": {"type": "integer"}}}), ""),
            (json!({}), "/type: not \"object\""),
            (json!([]), "is no schema"),
            (json!({"type": "objet"}), "/type: "),
            (json!({"type": "object", "properties": {"a": 7}}), "/properties/a: 7 is no schema"),
            (json!({"type": "object", "required": "a"}), "/required: \"a\" is not a list of names"),
            (json!({"type": "object", "properties": {"a": {"minimum": "0"}}}), "is not a number"),
        ] {
            let found = problems(&schema).join("; ");
            assert!(found.contains(expected) && found.is_empty() == expected.is_empty(), "{found}");
        }
    }

    #[test]
    fn a_value_fits_or_the_place_is_told() {
        let schema = json!({"type": "object", "additionalProperties": false, "properties": {
            "fee": {"type": "integer", "minimum": 0, "maximum": 9},
            "mode": {"enum": ["a", "b"]},
            "names": {"type": "array", "items": {"type": "string"}}}});
        for (value, expected) in [
            (json!({"fee": 3, "mode": "b", "names": ["x"]}), ""),
            (json!({"fee": 10}), "/fee: 10 is out of its bounds"),
            (json!({"fee": 0.5}), "/fee: 0.5 is not of type integer"),
            (json!({"mode": "c"}), "/mode: \"c\" is none of"),
            (json!({"names": [1]}), "/names/0: 1 is not of type string"),
            (json!({"free": 1}), "/free: no such property"),
            (json!([]), "the whole: [] is not of type object"),
        ] {
            let found = misfits(&schema, &value).join("; ");
            assert!(found.contains(expected) && found.is_empty() == expected.is_empty(), "{found}");
        }
    }
}
