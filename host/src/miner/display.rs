//! What people and scripts see of a running miner: one live line on a terminal, plain
//! lines where there is none, one JSON object per line for scripts.

use std::io::{IsTerminal as _, Write};
use std::time::{Duration, Instant};

use chimera_pow::Algorithm;
use serde_json::{Value, json};

use super::client::Event;
use super::session::Answered;
use super::tally::MinerReport;

/// How often a status line is written where it cannot be overwritten.
const PERIOD: Duration = Duration::from_secs(10);
const CLEAR_LINE: &str = "\r\x1b[2K";

/// Who reads the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// People, on standard error: live on a terminal, plain lines elsewhere.
    Human,
    /// Scripts, on standard output: one JSON object per line, each with an `event`.
    Json,
    /// Nobody.
    Silent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Live { colour: bool },
    Plain,
    Json,
    Silent,
}

/// Writes a run's events and status. A reader that is gone never stops the miner.
pub(super) struct Display {
    out: Box<dyn Write + Send>,
    style: Style,
    algorithm: Algorithm,
    /// Of the last job shown, so that only changes are said.
    difficulty: Option<f64>,
    written_at: Option<Instant>,
}

impl Display {
    /// For this process's own streams. Colours only on a terminal, and not with `NO_COLOR`.
    pub(super) fn new(output: Output, algorithm: Algorithm) -> Self {
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let (out, style): (Box<dyn Write + Send>, Style) = match output {
            Output::Human if std::io::stderr().is_terminal() => {
                (Box::new(std::io::stderr()), Style::Live { colour })
            }
            Output::Human => (Box::new(std::io::stderr()), Style::Plain),
            Output::Json => (Box::new(std::io::stdout()), Style::Json),
            Output::Silent => (Box::new(std::io::sink()), Style::Silent),
        };
        Self::over(out, style, algorithm)
    }

    fn over(out: Box<dyn Write + Send>, style: Style, algorithm: Algorithm) -> Self {
        Self { out, style, algorithm, difficulty: None, written_at: None }
    }

    /// Shows what happened.
    pub(super) fn event(&mut self, event: &Event, report: &MinerReport) {
        match self.style {
            Style::Silent => {}
            Style::Json => self.write(&format!("{}\n", event_json(event))),
            Style::Live { .. } | Style::Plain => {
                if let Some((tone, text)) = self.sentence(event, report) {
                    self.say(tone, &text);
                }
            }
        }
    }

    /// Shows how it goes; called about once per second.
    pub(super) fn status(&mut self, report: &MinerReport, rate: f64, now: Instant) {
        let due = self.written_at.is_none_or(|at| now.duration_since(at) >= PERIOD);
        match self.style {
            Style::Live { .. } => {
                let line = format!("{CLEAR_LINE}{}", status_line(self.algorithm, report, rate));
                self.write(&line);
            }
            Style::Plain if due => {
                self.written_at = Some(now);
                self.write(&format!("{}\n", status_line(self.algorithm, report, rate)));
            }
            Style::Json if due => {
                self.written_at = Some(now);
                self.write(&format!("{}\n", report_json("status", report, rate)));
            }
            Style::Plain | Style::Json | Style::Silent => {}
        }
    }

    /// Shows what the run came to.
    pub(super) fn finish(&mut self, report: &MinerReport) {
        let rate = report.hashes_per_s();
        match self.style {
            Style::Silent => {}
            Style::Json => self.write(&format!("{}\n", report_json("stopped", report, rate))),
            Style::Live { .. } | Style::Plain => {
                let line = status_line(self.algorithm, report, rate);
                self.say(Tone::Usual, &format!("stopped: {line}"));
                for (reason, count) in &report.rejections {
                    self.say(Tone::Bad, &format!("  rejected {count}: {reason}"));
                }
                if report.unanswered > 0 {
                    self.say(Tone::Bad, &format!("  never answered: {}", report.unanswered));
                }
            }
        }
    }

    fn sentence(&mut self, event: &Event, report: &MinerReport) -> Option<(Tone, String)> {
        Some(match event {
            Event::Connecting(endpoint) => (Tone::Usual, format!("connecting to {endpoint}")),
            Event::Subscribed { extranonce1, resumed: false } => {
                (Tone::Good, format!("connected, extranonce {extranonce1}"))
            }
            Event::Subscribed { extranonce1, resumed: true } => {
                (Tone::Good, format!("connected again, extranonce {extranonce1} kept"))
            }
            Event::Job(job) => {
                let difficulty = job.difficulty().get();
                let changed = self.difficulty.replace(difficulty) != Some(difficulty);
                return changed
                    .then(|| (Tone::Usual, format!("share difficulty {}", brief(difficulty))));
            }
            Event::Accepted(share) if share.block => {
                (Tone::Good, format!("a share that makes a block: {}", share.hash))
            }
            // Counted in the status line; a fast miner would flood the screen.
            Event::Accepted(_) => return None,
            Event::Rejected(_, reason) => {
                // The 1st, 10th, 100th ...: each reason is read, and none floods the screen.
                let count = report.rejections.get(reason).copied().unwrap_or(1);
                let told = 10_u64.pow(count.checked_ilog10().unwrap_or(0)) == count;
                let so_far = if count > 1 { format!(" ({count} so far)") } else { String::new() };
                return told.then(|| (Tone::Bad, format!("share rejected: {reason}{so_far}")));
            }
            Event::Message(text) => (Tone::Usual, format!("the pool says: {text}")),
            Event::Ignored(what) => (Tone::Bad, format!("left aside: {what}")),
            Event::Disconnected { cause, retry_in, .. } => {
                (Tone::Bad, format!("{cause}; again in {:.0} s", retry_in.as_secs_f64().ceil()))
            }
        })
    }

    fn say(&mut self, tone: Tone, text: &str) {
        let line = match self.style {
            Style::Live { colour: true } => {
                format!("{CLEAR_LINE}\x1b[{}m{text}\x1b[0m\n", tone.colour())
            }
            Style::Live { colour: false } => format!("{CLEAR_LINE}{text}\n"),
            _ => format!("{text}\n"),
        };
        self.write(&line);
    }

    fn write(&mut self, text: &str) {
        // A closed pipe is the reader's choice, not the miner's failure.
        let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
    }
}

#[derive(Debug, Clone, Copy)]
enum Tone {
    Usual,
    Good,
    Bad,
}

impl Tone {
    /// The terminal's own colours, so that they suit its background.
    const fn colour(self) -> u8 {
        match self {
            Self::Usual => 0,
            Self::Good => 32,
            Self::Bad => 33,
        }
    }
}

fn status_line(algorithm: Algorithm, report: &MinerReport, rate: f64) -> String {
    let number = |difficulty: Option<chimera_pow::Difficulty>| {
        difficulty.map_or_else(|| "-".to_owned(), |value| brief(value.get()))
    };
    format!(
        "{algorithm} {}  accepted {}  rejected {}  difficulty {}  best {}  {}",
        hashrate(rate),
        report.accepted,
        report.rejected,
        number(report.difficulty),
        number(report.best),
        clock(report.elapsed),
    )
}

/// Hashes per second with the unit that leaves one to three digits before the point.
pub fn hashrate(per_s: f64) -> String {
    const UNITS: [&str; 7] = ["H/s", "kH/s", "MH/s", "GH/s", "TH/s", "PH/s", "EH/s"];
    let mut scaled = if per_s.is_finite() { per_s.max(0.0) } else { 0.0 };
    let mut unit = 0;
    // 999.995 would be shown as 1000.00.
    while scaled >= 999.995 && unit + 1 < UNITS.len() {
        scaled /= 1000.0;
        unit += 1;
    }
    format!("{scaled:.2} {}", UNITS[unit])
}

/// Four significant digits: difficulties lie anywhere between 1e-9 and 1e15.
fn brief(value: f64) -> String {
    let plain = value == 0.0 || (1e-4..1e6).contains(&value.abs());
    let text = if plain {
        let whole_digits = value.abs().max(1e-4).log10().floor() as i32 + 1;
        let decimals = usize::try_from(4 - whole_digits).unwrap_or(0);
        format!("{value:.decimals$}")
    } else {
        format!("{value:.3e}")
    };
    let (digits, exponent) = text.find('e').map_or((text.as_str(), ""), |at| text.split_at(at));
    let digits = match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.'),
        false => digits,
    };
    format!("{digits}{exponent}")
}

fn clock(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn event_json(event: &Event) -> Value {
    let share = |share: &Answered, result: &str, reason: Option<&str>| {
        json!({
            "event": "share",
            "result": result,
            "reason": reason,
            "difficulty": share.difficulty.get(),
            "proved": share.proved.get(),
            "hash": share.hash.to_string(),
            "block": share.block,
            "latency_ms": share.latency.as_secs_f64() * 1000.0,
        })
    };
    match event {
        Event::Connecting(endpoint) => {
            json!({ "event": "connecting", "pool": endpoint.to_string() })
        }
        Event::Subscribed { extranonce1, resumed } => {
            json!({ "event": "connected", "extranonce1": extranonce1, "resumed": resumed })
        }
        Event::Job(job) => json!({
            "event": "job",
            "id": job.id(),
            "difficulty": job.difficulty().get(),
            "clean": job.clean(),
        }),
        Event::Accepted(answered) => share(answered, "accepted", None),
        Event::Rejected(answered, reason) => share(answered, "rejected", Some(reason)),
        Event::Message(text) => json!({ "event": "message", "text": text }),
        Event::Ignored(what) => json!({ "event": "ignored", "what": what }),
        Event::Disconnected { cause, retry_in, unanswered } => json!({
            "event": "disconnected",
            "cause": cause,
            "retry_in_ms": u64::try_from(retry_in.as_millis()).unwrap_or(u64::MAX),
            "unanswered": unanswered,
        }),
    }
}

fn report_json(event: &str, report: &MinerReport, rate: f64) -> Value {
    json!({
        "event": event,
        "hashes_per_s": rate,
        "hashes": report.hashes,
        "elapsed_ms": u64::try_from(report.elapsed.as_millis()).unwrap_or(u64::MAX),
        "accepted": report.accepted,
        "accepted_work": report.accepted_work.to_string(),
        "rejected": report.rejected,
        "rejections": report.rejections,
        "unanswered": report.unanswered,
        "blocks": report.blocks,
        "difficulty": report.difficulty.map(chimera_pow::Difficulty::get),
        "best": report.best.map(chimera_pow::Difficulty::get),
        "jobs": report.jobs,
        "connections": report.connections,
    })
}

#[cfg(test)]
#[path = "display_tests.rs"]
mod tests;
