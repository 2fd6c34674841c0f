//! The metrics there are, in one table, and their text form (Prometheus exposition
//! format 0.0.4). No label ever names a worker or an account: their number has no bound.

use std::fmt::Write as _;

/// How a metric moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only up, from 0 at every start.
    Counter,
    /// Up and down.
    Gauge,
    /// Buckets, sum and count.
    Histogram,
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// How it moves.
    pub kind: Kind,
    /// What it tells, with its unit and labels.
    pub help: &'static str,
}

/// Every metric, in the order they are written.
pub const METRICS: [Metric; 34] = {
    use Kind::{Counter, Gauge, Histogram};
    const fn metric(name: &'static str, kind: Kind, help: &'static str) -> Metric {
        Metric { name, kind, help }
    }
    [
        metric("chimera_build_info", Gauge, "Always 1; label version is the program's."),
        metric("chimera_uptime_seconds", Gauge, "Time since the process started."),
        metric("chimera_lifecycle", Gauge, "1 for the state the pool is in, by state."),
        metric("chimera_component_healthy", Gauge, "1 if the part works, by component."),
        metric("chimera_sessions", Gauge, "Miners: connected and authorised, by state."),
        metric("chimera_sessions_max", Gauge, "Connections above this are refused."),
        metric("chimera_height", Gauge, "Height of the block that can be won now."),
        metric("chimera_network_difficulty", Gauge, "Difficulty of that block."),
        metric("chimera_node_up", Gauge, "Whether a node of the chain answers."),
        metric("chimera_work_withdrawn", Gauge, "Whether miners have no work, 1 or 0."),
        metric("chimera_shares_total", Counter, "Judged submissions, by verdict."),
        metric("chimera_conduct_total", Counter, "What refused requests led to, by step."),
        metric("chimera_share_work_total", Counter, "Expected hashes of accepted shares."),
        metric("chimera_hashrate", Gauge, "Hashes per second of accepted work, by window."),
        metric("chimera_share_log_shares_total", Counter, "Shares made durable."),
        metric("chimera_share_log_commits_total", Counter, "Group commits of the share log."),
        metric("chimera_share_log_failures_total", Counter, "Group commits that failed."),
        metric("chimera_share_log_seconds_total", Counter, "Time spent in group commits."),
        metric("chimera_share_log_batch_max", Gauge, "Shares in the largest group commit."),
        metric("chimera_reply_seconds", Histogram, "From reading a submission to its reply."),
        metric("chimera_blocks_total", Gauge, "Found blocks on record, by state; they move."),
        metric("chimera_round_effort", Gauge, "Work since the last block, in expected blocks."),
        metric("chimera_luck", Gauge, "Expected work over work of the last blocks, by window."),
        metric("chimera_accounts", Gauge, "Accounts that ever mined."),
        metric("chimera_workers", Gauge, "Workers that ever mined."),
        metric("chimera_ledger_open", Gauge, "1 if the ledger could be read for this answer."),
        metric("chimera_plugin_calls_total", Counter, "Calls of a plugin, by slot."),
        metric("chimera_plugin_failures_total", Counter, "Failed calls of a plugin, by slot."),
        metric("chimera_plugin_breaker_closed", Gauge, "0 while a plugin is left alone, by slot."),
        metric("chimera_trial_decisions", Gauge, "Of the component on trial, by slot."),
        metric("chimera_trial_differences", Gauge, "Those unlike the one in force's, by slot."),
        metric("chimera_trial_failures", Gauge, "Those it could not make, by slot."),
        metric("chimera_auth_answers_total", Counter, "Logins decided without a call, by reason."),
        metric("chimera_native_retargets_total", Counter, "By the pool's own vardiff."),
    ]
};

/// A page of metrics being written.
#[derive(Debug, Default)]
pub(crate) struct Exposition(String);

impl Exposition {
    /// Heads a metric; its samples follow.
    ///
    /// # Panics
    /// When the name is not in [`METRICS`]: names are constants, and a test writes all.
    pub(crate) fn metric(&mut self, name: &'static str) -> Samples<'_> {
        let metric = METRICS.iter().find(|metric| metric.name == name);
        let Metric { kind, help, .. } = metric.expect("every name written is in the table");
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
        Samples { page: self, name }
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.0, "{line}").expect("writing to a String");
    }
}

/// The samples of one metric.
#[derive(Debug)]
pub(crate) struct Samples<'a> {
    page: &'a mut Exposition,
    name: &'static str,
}

impl Samples<'_> {
    /// A value without labels.
    pub(crate) fn value(&mut self, value: impl Into<Number>) {
        let Number(value) = value.into();
        self.page.line(format_args!("{} {value}", self.name));
    }

    /// A value with one label.
    pub(crate) fn labelled(&mut self, label: &str, text: &str, value: impl Into<Number>) {
        self.suffixed("", label, text, value);
    }

    /// A part of a histogram.
    pub(crate) fn suffixed(
        &mut self,
        suffix: &str,
        label: &str,
        text: &str,
        value: impl Into<Number>,
    ) {
        let Number(value) = value.into();
        let (name, text) = (self.name, escaped(text));
        self.page.line(format_args!("{name}{suffix}{{{label}=\"{text}\"}} {value}"));
    }

    /// The sum or the count of a histogram.
    pub(crate) fn total(&mut self, suffix: &str, value: impl Into<Number>) {
        let Number(value) = value.into();
        self.page.line(format_args!("{}{suffix} {value}", self.name));
    }
}

/// A finite number as text.
#[derive(Debug)]
pub(crate) struct Number(String);

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self(value.to_string())
    }
}

impl From<u128> for Number {
    fn from(value: u128) -> Self {
        Self(value.to_string())
    }
}

impl From<bool> for Number {
    fn from(value: bool) -> Self {
        Self(u8::from(value).to_string())
    }
}

/// What is no number is written as 0: one NaN spoils every sum it enters.
impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self(if value.is_finite() { value } else { 0.0 }.to_string())
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form() {
        let mut page = Exposition::default();
        let mut samples = page.metric("chimera_sessions");
        samples.labelled("state", "a\"b\\\n", 7_u64);
        page.metric("chimera_uptime_seconds").value(f64::NAN);
        page.metric("chimera_height").value(1.5);
        assert_eq!(
            page.into_text(),
            "# HELP chimera_sessions Miners: connected and authorised, by state.\n\
             # TYPE chimera_sessions gauge\n\
             chimera_sessions{state=\"a\\\"b\\\\\\n\"} 7\n\
             # HELP chimera_uptime_seconds Time since the process started.\n\
             # TYPE chimera_uptime_seconds gauge\n\
             chimera_uptime_seconds 0\n\
             # HELP chimera_height Height of the block that can be won now.\n\
             # TYPE chimera_height gauge\n\
             chimera_height 1.5\n"
        );
    }

    #[test]
    fn names_follow_the_conventions_and_are_unique() {
        let mut names: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
        assert!(names.iter().all(|name| name.starts_with("chimera_")));
        let counters = METRICS.iter().filter(|metric| metric.kind == Kind::Counter);
        assert!(counters.clone().all(|metric| metric.name.ends_with("_total")));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), METRICS.len());
    }
}
