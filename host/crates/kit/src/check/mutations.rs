//! Configurations as they arrive: mistyped, out of range, cut off, or made by an enemy.

use serde_json::{Map, Value, json};

use crate::dice::Dice;

/// Text that may or may not be a configuration, made from a good one.
pub(super) fn mutated(good: &Value, dice: &mut Dice) -> String {
    let mut value = good.clone();
    for _ in 0..=dice.below(2) {
        change(&mut value, dice);
    }
    let text = value.to_string();
    match dice.below(10) {
        0 => cut(&text, dice),
        1 => garbled(&text, dice),
        _ => text,
    }
}

fn change(value: &mut Value, dice: &mut Dice) {
    let Some(fields) = value.as_object_mut() else {
        *value = strange(dice);
        return;
    };
    let keys: Vec<String> = fields.keys().cloned().collect();
    if keys.is_empty() || dice.below(6) == 0 {
        add(fields, dice);
        return;
    }
    let key = dice.pick(&keys).clone();
    match dice.below(8) {
        0 => drop(fields.remove(&key)),
        1 => {
            // A letter too much, as fingers do.
            let moved = fields.remove(&key).unwrap_or_default();
            fields.insert(format!("{key}s"), moved);
        }
        2 | 3 => near(&mut fields[&key], dice),
        _ => fields[&key] = strange(dice),
    }
}

/// Something of the same kind.
fn near(value: &mut Value, dice: &mut Dice) {
    *value = match value {
        Value::Number(number) => {
            let number = number.as_i64().unwrap_or_default();
            json!(*dice.pick(&[number.wrapping_add(1), number.wrapping_neg(), 0, 1, number / 2]))
        }
        Value::String(text) => json!(format!("{text}{}", dice.pick(&["x", " ", "\u{7}", "é"]))),
        Value::Bool(set) => json!(!*set),
        Value::Array(items) => {
            let mut items = items.clone();
            items.push(strange(dice));
            Value::Array(items)
        }
        Value::Object(fields) => {
            let mut fields = fields.clone();
            add(&mut fields, dice);
            Value::Object(fields)
        }
        Value::Null => strange(dice),
    };
}

fn add(fields: &mut Map<String, Value>, dice: &mut Dice) {
    let key = dice.pick(&["", "a/b", "~", "__proto__", "fee", "名", "\u{0}"]).to_string();
    fields.insert(key, strange(dice));
}

fn strange(dice: &mut Dice) -> Value {
    match dice.below(16) {
        0 => Value::Null,
        1 => json!(0),
        2 => json!(-1),
        3 => json!(u64::MAX),
        4 => json!(i64::MIN),
        5 => json!(0.5),
        6 => json!(1e300),
        7 => json!(""),
        8 => json!("x".repeat(1 + dice.below(5000) as usize)),
        9 => json!("\u{202e}\u{0}é名🪙"),
        10 => json!([]),
        11 => json!({}),
        12 => nested(dice.below(100)),
        13 => json!([1, "a", null, {"b": []}]),
        14 => json!(true),
        _ => json!(dice.next()),
    }
}

fn nested(depth: u64) -> Value {
    (0..depth).fold(json!(1), |inner, _| json!([inner]))
}

fn cut(text: &str, dice: &mut Dice) -> String {
    let end = dice.below(text.len() as u64 + 1) as usize;
    text[..text.floor_char_boundary(end)].to_owned()
}

fn garbled(text: &str, dice: &mut Dice) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    if !letters.is_empty() {
        let at = dice.below(letters.len() as u64) as usize;
        letters[at] = *dice.pick(&['{', '}', '"', ',', ':', '\\', '\u{0}', '9', 'e', '-']);
    }
    letters.into_iter().collect()
}
