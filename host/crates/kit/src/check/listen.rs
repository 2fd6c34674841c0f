//! Hears what a component logs while it is examined: secrets must not be in it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Runs `work`, and gives what was logged by this thread meanwhile.
pub(super) fn to<T>(work: impl FnOnce() -> T) -> (T, String) {
    let heard = Arc::new(Mutex::new(String::new()));
    let ear = Ear(Arc::clone(&heard));
    let answer = tracing::subscriber::with_default(ear, work);
    let text = std::mem::take(&mut *heard.lock().unwrap_or_else(PoisonError::into_inner));
    (answer, text)
}

struct Ear(Arc<Mutex<String>>);

impl Subscriber for Ear {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        event.record(&mut Words(&mut text));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Words<'a>(&'a mut String);

impl Visit for Words<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!("{}={value:?} ", field.name()));
    }
}
