//! Many rows as one statement's argument: a JSON list of lists, which SQLite opens with
//! `json_each`. A batch of a thousand rows is one round trip instead of a thousand.

use std::fmt::Write as _;

/// One value of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cell<'a> {
    Int(i64),
    Text(&'a str),
}

/// Rows being collected.
#[derive(Debug)]
pub(crate) struct Rows(String);

impl Rows {
    pub(crate) fn new() -> Self {
        Self("[".to_owned())
    }

    pub(crate) fn push(&mut self, cells: &[Cell<'_>]) {
        self.0.push_str(if self.0.len() > 1 { ",[" } else { "[" });
        for (column, cell) in cells.iter().enumerate() {
            if column > 0 {
                self.0.push(',');
            }
            match cell {
                Cell::Int(value) => write!(self.0, "{value}").expect("writing to a String"),
                Cell::Text(text) => push_text(&mut self.0, text),
            }
        }
        self.0.push(']');
    }

    /// The argument.
    pub(crate) fn finish(mut self) -> String {
        self.0.push(']');
        self.0
    }
}

/// RFC 8259: quotes, backslashes and control characters are escaped.
fn push_text(json: &mut String, text: &str) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            c if c < ' ' => write!(json, "\\u{:04x}", u32::from(c)).expect("writing to a String"),
            c => json.push(c),
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_quotes() {
        let mut rows = Rows::new();
        rows.push(&[Cell::Int(-1), Cell::Text("a\"],[\\\n")]);
        rows.push(&[Cell::Text("жук")]);
        assert_eq!(rows.finish(), r#"[[-1,"a\"],[\\\u000a"],["жук"]]"#);
        assert_eq!(Rows::new().finish(), "[]");
    }
}
