//! What a run found: one JSON object, and lines for people. `host/LOAD.md` explains the keys.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::LoadPlan;
use super::histogram::{Histogram, millis};
use super::plan::Shares;
use super::tally::{Answers, Step, Tally};
use super::waves::Wave;

/// A finished run.
#[derive(Debug)]
pub struct LoadReport {
    pool: SocketAddr,
    connections: u32,
    in_flight: u32,
    slow_readers: u32,
    threads: u32,
    shares: Shares,
    warmup: Duration,
    pub(super) measured: Duration,
    pub(super) tally: Tally,
    pub(super) rss_before_kb: Option<u64>,
    pub(super) rss_held_kb: Option<u64>,
    pub(super) rss_end_kb: Option<u64>,
    pub(super) generator_cpu_s: Option<f64>,
    pub(super) pool_cpu_s: Option<f64>,
}

impl LoadReport {
    pub(super) fn new(plan: &LoadPlan) -> Self {
        Self {
            pool: plan.pool,
            connections: plan.connections,
            in_flight: plan.in_flight,
            slow_readers: plan.slow_readers,
            threads: plan.threads,
            shares: plan.shares,
            warmup: plan.warmup,
            measured: Duration::ZERO,
            tally: Tally::default(),
            rss_before_kb: None,
            rss_held_kb: None,
            rss_end_kb: None,
            generator_cpu_s: None,
            pool_cpu_s: None,
        }
    }

    /// Accepted while it was measured, per second.
    pub fn accepted_per_s(&self) -> f64 {
        self.per_s(self.tally.window.accepted)
    }

    /// Accepted from the first submit to the last answer: what the pool must have on record.
    pub const fn accepted(&self) -> u64 {
        self.tally.total.accepted
    }

    /// Refused from the first submit to the last answer.
    pub fn rejected(&self) -> u64 {
        self.tally.total.rejected()
    }

    /// Submits that were never answered.
    pub fn unanswered(&self) -> u64 {
        self.tally.unanswered()
    }

    /// Connections that came to hold a job, of those asked for.
    pub const fn held(&self) -> (u64, u32) {
        (self.tally.opening.job.count, self.connections)
    }

    fn per_s(&self, count: u64) -> f64 {
        let seconds = self.measured.as_secs_f64();
        if seconds > 0.0 { rounded(count as f64 / seconds, 10.0) } else { 0.0 }
    }

    /// Everything, with keys that stay.
    pub fn to_json(&self) -> Value {
        let tally = &self.tally;
        let window = &tally.window;
        let per_s = |count| self.per_s(count);
        json!({
            "pool": self.pool.to_string(),
            "connections": self.connections,
            "in_flight": self.in_flight,
            "shares": match self.shares {
                Shares::Canned => "canned".to_owned(),
                Shares::Mined(algorithm) => format!("mined {algorithm}"),
            },
            "threads": self.threads,
            "warmup_s": self.warmup.as_secs_f64(),
            "measured_s": rounded(self.measured.as_secs_f64(), 1000.0),
            "accepted_per_s": self.accepted_per_s(),
            "rejected_per_s": per_s(window.rejected()),
            "replies_per_s": per_s(window.accepted + window.rejected()),
            "accepted": window.accepted,
            "rejected": window.rejected(),
            "rejected_by_code": by_code(window),
            "reply_ms": tally.times.to_json(),
            "total": {
                "submits": tally.submits,
                "accepted": tally.total.accepted,
                "rejected": tally.total.rejected(),
                "rejected_by_code": by_code(&tally.total),
                "unanswered": tally.unanswered(),
                "unanswered_lost": tally.unanswered_lost,
                "unanswered_cut": tally.unanswered_cut,
                "unanswered_end": tally.unanswered_end,
                "bad_sent": tally.bad_sent,
                "bad_accepted": tally.total.bad_accepted,
            },
            "opening": self.opening(),
            "jobs": self.jobs(),
            "lost_connections": tally.lost,
            "cut_connections": tally.cut,
            "reopened_connections": tally.reopened,
            "cut_back_ms": tally.back_ns.map(millis),
            "reconnects_asked": tally.reconnects,
            "difficulty_changes": tally.difficulty_changes,
            "slow_readers": self.slow(),
            "memory": self.memory(),
            "generator_cpu_s": self.generator_cpu_s.map(|s| rounded(s, 100.0)),
            "pool_cpu_s": self.pool_cpu_s.map(|s| rounded(s, 100.0)),
            "errors": tally.errors,
        })
    }

    fn opening(&self) -> Value {
        let opening = &self.tally.opening;
        let begun = opening.first_connect_ns.unwrap_or(0);
        let step = |step: Step| {
            let ms = (step.count > 0).then(|| millis(step.last_ns.saturating_sub(begun)));
            json!({ "count": step.count, "last_ms": ms })
        };
        let seconds = opening.job.last_ns.saturating_sub(begun) as f64 / 1e9;
        let per_s = (seconds > 0.0).then(|| rounded(opening.job.count as f64 / seconds, 10.0));
        json!({
            "connected": step(opening.connected),
            "subscribed": step(opening.subscribed),
            "authorized": step(opening.authorized),
            "first_job": step(opening.job),
            "connects_per_s": per_s,
            "to_job_ms": opening.to_job.to_json(),
        })
    }

    fn jobs(&self) -> Value {
        let tally = &self.tally;
        let (complete, partial): (Vec<&Wave>, Vec<&Wave>) =
            tally.waves.0.iter().partition(|wave| wave.is_complete());
        let mut spans = Histogram::default();
        complete.iter().for_each(|wave| spans.record(wave.span_ns()));
        let each: Vec<f64> = complete.iter().map(|wave| millis(wave.span_ns())).collect();
        json!({
            "notifies": tally.jobs,
            "new_blocks": complete.len(),
            "new_blocks_partial": partial.len(),
            "first_to_last_ms": spans.to_json(),
            "first_to_last_each_ms": each,
            "near_reply_ms": tally.near.to_json(),
        })
    }

    fn slow(&self) -> Value {
        let slow = &self.tally.slow;
        let dropped = slow.dropped_after.count();
        json!({
            "asked": self.slow_readers,
            "working": slow.working,
            "lines": slow.lines,
            "dropped": dropped,
            "alive": slow.working - dropped,
            "dropped_after_ms": slow.dropped_after.to_json(),
        })
    }

    fn memory(&self) -> Value {
        let held = self.tally.opening.job.count;
        let each = match (self.rss_before_kb, self.rss_held_kb) {
            (Some(before), Some(after)) if held > 0 => {
                Some(rounded((after as f64 - before as f64) / held as f64, 100.0))
            }
            _ => None,
        };
        json!({
            "rss_before_kb": self.rss_before_kb,
            "rss_held_kb": self.rss_held_kb,
            "rss_end_kb": self.rss_end_kb,
            "kb_per_connection": each,
        })
    }

    /// For people: names and values.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let tally = &self.tally;
        let mut lines = Vec::new();
        let mut line = |name, text| lines.push((name, text));
        let (held, asked) = self.held();
        let opening = self.opening();
        line(
            "opened",
            format!(
                "{held} of {asked}: all connected {}, subscribed {}, authorised {}, first job {} ms",
                opening["connected"]["last_ms"],
                opening["subscribed"]["last_ms"],
                opening["authorized"]["last_ms"],
                opening["first_job"]["last_ms"],
            ),
        );
        line("to first job", times(&tally.opening.to_job));
        if tally.submits > 0 {
            let window = &tally.window;
            let seconds = self.measured.as_secs_f64();
            line(
                "accepted/s",
                format!("{:.0} ({} in {seconds:.1} s)", self.accepted_per_s(), window.accepted),
            );
            line("rejected", format!("{}{}", window.rejected(), codes(window)));
            line("reply", times(&tally.times));
            line(
                "unanswered",
                format!(
                    "{} (lost {}, cut {}, end {})",
                    tally.unanswered(),
                    tally.unanswered_lost,
                    tally.unanswered_cut,
                    tally.unanswered_end
                ),
            );
        }
        if tally.bad_sent > 0 {
            let accepted = tally.total.bad_accepted;
            line("bad on purpose", format!("{} sent, {accepted} accepted", tally.bad_sent));
        }
        if !tally.waves.0.is_empty() {
            let jobs = self.jobs();
            let spans = &jobs["first_to_last_ms"];
            line(
                "new blocks",
                format!(
                    "{} to all, {} not; first to last p50 {} max {} ms",
                    jobs["new_blocks"], jobs["new_blocks_partial"], spans["p50"], spans["max"]
                ),
            );
            if tally.near.count() > 0 {
                line("reply near them", times(&tally.near));
            }
        }
        line(
            "connections",
            format!(
                "{} lost, {} cut, {} reopened, {} asked to reconnect",
                tally.lost, tally.cut, tally.reopened, tally.reconnects
            ),
        );
        if let Some(ns) = tally.back_ns {
            line("back after cut", format!("{} ms", millis(ns)));
        }
        if self.slow_readers > 0 {
            let slow = self.slow();
            line(
                "slow readers",
                format!(
                    "{} of {} dropped, after p50 {} max {} ms",
                    slow["dropped"],
                    slow["working"],
                    slow["dropped_after_ms"]["p50"],
                    slow["dropped_after_ms"]["max"]
                ),
            );
        }
        if let (Some(before), Some(after)) = (self.rss_before_kb, self.rss_held_kb) {
            let each = &self.memory()["kb_per_connection"];
            line("memory", format!("{before} kB, then {after} kB: {each} kB per connection"));
        }
        if let Some(own) = self.generator_cpu_s {
            let pool = self.pool_cpu_s.map_or(String::new(), |s| format!(", pool {s:.2} s"));
            line("CPU", format!("generator {own:.2} s{pool}"));
        }
        for (kind, count) in &tally.errors {
            line("error", format!("{count} x {kind}"));
        }
        lines
    }
}

fn rounded(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}

fn by_code(answers: &Answers) -> Value {
    let codes = answers.by_code.iter().map(|(code, (count, _))| (code.to_string(), json!(count)));
    let reasons = answers.by_reason.iter().map(|(reason, count)| {
        let name = if reason.is_empty() { "no reason given" } else { reason };
        (name.to_owned(), json!(count))
    });
    Value::Object(codes.chain(reasons).collect::<Map<_, _>>())
}

fn codes(answers: &Answers) -> String {
    let codes =
        answers.by_code.iter().map(|(code, (count, text))| format!("{count} x {code} {text}"));
    let reasons = answers.by_reason.iter().map(|(reason, count)| format!("{count} x {reason}"));
    let all: Vec<String> = codes.chain(reasons).collect();
    if all.is_empty() { String::new() } else { format!(" ({})", all.join(", ")) }
}

fn times(times: &Histogram) -> String {
    let ms = |per_million| times.at(per_million).map_or(0.0, millis);
    format!(
        "p50 {:.3}  p90 {:.3}  p99 {:.3}  p99.9 {:.3}  max {:.3} ms",
        ms(500_000),
        ms(900_000),
        ms(990_000),
        ms(999_000),
        millis(times.max_ns())
    )
}
