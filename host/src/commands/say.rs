//! Text for people on standard output: colours where they are wanted, never in pipes.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};

const DONE: Style = AnsiColor::Green.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const TROUBLE: Style = AnsiColor::Red.on_default().bold();
const NAME: Style = AnsiColor::Cyan.on_default();

/// A line of text.
pub(super) fn line(text: impl Display) {
    anstream::println!("{text}");
}

/// A step that went well.
pub(super) fn done(what: impl Display, detail: impl Display) {
    line(format_args!("{DONE}✓{DONE:#} {what:<10} {detail}"));
}

/// A step that went, and could go better.
pub(super) fn warn(what: impl Display, detail: impl Display) {
    line(format_args!("{WARNING}!{WARNING:#} {what:<10} {detail}"));
}

/// A step that failed.
pub(super) fn trouble(what: impl Display, detail: impl Display) {
    line(format_args!("{TROUBLE}✗{TROUBLE:#} {what:<10} {detail}"));
}

/// A name and what belongs to it.
pub(super) fn field(name: impl Display, value: impl Display) {
    line(format_args!("  {NAME}{name:<14}{NAME:#} {value}"));
}

/// One JSON value on a line of its own.
pub(super) fn json(value: &serde_json::Value) {
    line(value);
}
