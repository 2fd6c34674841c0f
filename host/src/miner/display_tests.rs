//! What stands on the screen.

use std::sync::{Arc, Mutex};

use chimera_pow::PowHash;

use super::*;
use crate::miner::job::tests::{difficulty, known_job};

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no writer panicked").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Page {
    fn display(&self, style: Style) -> Display {
        Display::over(Box::new(self.clone()), style, Algorithm::Blake2s)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no writer panicked").clone()).expect("text")
    }
}

fn share(block: bool) -> Answered {
    Answered {
        difficulty: difficulty(0.001),
        proved: difficulty(0.0123),
        hash: PowHash([0; 32]),
        block,
        latency: Duration::from_micros(1500),
    }
}

fn some_events() -> Vec<Event> {
    let job = Arc::new(known_job("0a0b0c0d", 0.001));
    vec![
        Event::Connecting("127.0.0.1:3333".parse().expect("an address")),
        Event::Subscribed { extranonce1: "0a0b0c0d".to_owned(), resumed: false },
        Event::Job(Arc::clone(&job)),
        Event::Job(job),
        Event::Accepted(share(false)),
        Event::Accepted(share(true)),
        Event::Rejected(share(false), "stale job".to_owned()),
        Event::Message("hello".to_owned()),
        Event::Disconnected {
            cause: "the pool closed the connection".to_owned(),
            retry_in: Duration::from_millis(1200),
            unanswered: 0,
        },
    ]
}

#[test]
fn people_without_a_terminal_read_plain_lines_and_no_escapes() {
    let page = Page::default();
    let mut display = page.display(Style::Plain);
    some_events().iter().for_each(|event| display.event(event, &MinerReport::default()));
    let zeros = "0".repeat(64);
    assert_eq!(
        page.text(),
        format!(
            "connecting to 127.0.0.1:3333\n\
             connected, extranonce 0a0b0c0d\n\
             share difficulty 0.001\n\
             a share that makes a block: {zeros}\n\
             share rejected: stale job\n\
             the pool says: hello\n\
             the pool closed the connection; again in 2 s\n"
        )
    );
}

#[test]
fn a_flood_of_one_refusal_does_not_flood_the_screen() {
    let page = Page::default();
    let mut display = page.display(Style::Plain);
    let mut report = MinerReport::default();
    let stale = Event::Rejected(share(false), "stale job".to_owned());
    for _ in 0..250 {
        report.note(&stale);
        display.event(&stale, &report);
    }
    assert_eq!(
        page.text(),
        "share rejected: stale job\n\
         share rejected: stale job (10 so far)\n\
         share rejected: stale job (100 so far)\n"
    );
}

#[test]
fn plain_status_is_periodic_and_the_live_line_overwrites_itself() {
    let report = MinerReport {
        accepted: 12,
        best: Some(difficulty(0.0123)),
        elapsed: Duration::from_secs(3723),
        ..MinerReport::default()
    };
    let line = "blake2s 5.42 MH/s  accepted 12  rejected 0  difficulty -  best 0.0123  1:02:03";
    let start = Instant::now();
    let run = |style| {
        let page = Page::default();
        let mut display = page.display(style);
        for second in 0..=10 {
            display.status(&report, 5_421_000.0, start + Duration::from_secs(second));
        }
        page.text()
    };
    assert_eq!(run(Style::Plain), format!("{line}\n{line}\n"));
    let live = run(Style::Live { colour: true });
    assert_eq!(live.matches(CLEAR_LINE).count(), 11);
    assert!(!live.contains('\n') && live.ends_with(line));
    assert_eq!(run(Style::Silent), "");
}

#[test]
fn colours_only_where_they_are_wanted() {
    for (style, coloured) in
        [(Style::Live { colour: true }, true), (Style::Live { colour: false }, false)]
    {
        let page = Page::default();
        let hello = Event::Message("hello".to_owned());
        page.display(style).event(&hello, &MinerReport::default());
        assert_eq!(page.text().contains("\x1b[0m"), coloured);
    }
}

#[test]
fn scripts_read_one_object_per_line_all_numbers_finite() {
    let page = Page::default();
    let mut display = page.display(Style::Json);
    some_events().iter().for_each(|event| display.event(event, &MinerReport::default()));
    display.status(&MinerReport::default(), 0.0, Instant::now());
    display.finish(&MinerReport::default());
    let text = page.text();
    let events: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("one object")).collect();
    let names: Vec<&str> = events.iter().filter_map(|event| event["event"].as_str()).collect();
    let expected = [
        "connecting",
        "connected",
        "job",
        "job",
        "share",
        "share",
        "share",
        "message",
        "disconnected",
        "status",
        "stopped",
    ];
    assert_eq!(names, expected);
    assert_eq!(events[6]["reason"], "stale job");
    assert_eq!(events[5]["latency_ms"], 1.5);
    assert_eq!(events[10]["hashes_per_s"], 0.0);
}

#[test]
fn a_report_names_why_shares_were_refused() {
    let page = Page::default();
    let report = MinerReport {
        rejections: [("stale job".to_owned(), 3)].into(),
        unanswered: 1,
        ..MinerReport::default()
    };
    page.display(Style::Plain).finish(&report);
    assert!(page.text().ends_with("  rejected 3: stale job\n  never answered: 1\n"));
}

#[test]
fn rates_and_difficulties_are_short_and_finite() {
    for (per_s, shown) in [
        (0.0, "0.00 H/s"),
        (f64::NAN, "0.00 H/s"),
        (999.0, "999.00 H/s"),
        (999.999, "1.00 kH/s"),
        (5_421_000.0, "5.42 MH/s"),
        (3.2e12, "3.20 TH/s"),
        (1e24, "1000000.00 EH/s"),
    ] {
        assert_eq!(hashrate(per_s), shown);
    }
    for (value, shown) in [
        (1.0, "1"),
        (0.001, "0.001"),
        (0.012_345_6, "0.01235"),
        (1234.56, "1235"),
        (123_456.0, "123456"),
        (0.000_001, "1e-6"),
        (0.000_063_985_586, "6.399e-5"),
        (0.0, "0"),
        (2e9, "2e9"),
    ] {
        assert_eq!(brief(value), shown);
    }
}
