//! What components say, in the host's log: bounded, so that chatter costs nothing.

use std::sync::Arc;

use tracing::{debug, error, info, warn};

use crate::bindings::component::chimera::pool::log::Level;

/// Enough for a table of diagnostics; more in one call is chatter.
const MESSAGES_PER_CALL_MAX: u32 = 64;
/// A long line of text; a panic with its place is shorter.
const MESSAGE_BYTES_MAX: usize = 1024;

/// The `log` import of one instance.
pub(crate) struct Voice {
    plugin: Arc<str>,
    messages: u32,
    last_error: Option<String>,
}

impl Voice {
    pub(crate) fn new(plugin: Arc<str>) -> Self {
        Self { plugin, messages: 0, last_error: None }
    }

    pub(crate) fn begin_call(&mut self) {
        self.messages = 0;
        self.last_error = None;
    }

    pub(crate) fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// A line of standard output or standard error. A panic's text comes in several, after
    /// each other, on standard error.
    pub(crate) fn print(&mut self, level: Level, line: &str) {
        let before = self.last_error.take();
        self.write(level, line);
        self.last_error = before;
        if level == Level::Warn {
            let said = self.last_error.get_or_insert_default();
            if said.len() + line.len() < MESSAGE_BYTES_MAX {
                said.push_str(if said.is_empty() { "" } else { "; " });
                said.push_str(line);
            }
        }
    }

    pub(crate) fn write(&mut self, level: Level, message: &str) {
        let message = &message[..message.floor_char_boundary(MESSAGE_BYTES_MAX)];
        // Kept even when the log is full: it explains a trap.
        if level == Level::Error {
            self.last_error = Some(message.to_owned());
        }
        self.messages = self.messages.saturating_add(1);
        let plugin = &*self.plugin;
        if self.messages == MESSAGES_PER_CALL_MAX + 1 {
            warn!(plugin, limit = MESSAGES_PER_CALL_MAX, "plugin logs too much; rest dropped");
        }
        if self.messages > MESSAGES_PER_CALL_MAX {
            return;
        }
        match level {
            Level::Debug => debug!(plugin, said = message, "plugin says"),
            Level::Info => info!(plugin, said = message, "plugin says"),
            Level::Warn => warn!(plugin, said = message, "plugin says"),
            Level::Error => error!(plugin, said = message, "plugin says"),
        }
    }
}
