//! The payout tables of `tests/cases/payout`: what each shipped scheme pays, to the last unit,
//! through the component and the ledger's own check. `README.md` there says how they read.

use std::fs;
use std::path::Path;

use chimera_ledger::{Accounts, Distribution, Event, Limits, Request, SCORE_PER_BLOCK, Slices};
use chimera_plugin::{Grants, PayoutScheme};

use crate::{engines, shipped};

/// One line with something in it.
#[derive(Clone, Copy)]
struct Line<'a> {
    text: &'a str,
    place: &'a str,
}

impl<'a> Line<'a> {
    fn word(self) -> &'a str {
        self.text.split_whitespace().next().unwrap()
    }

    fn rest(self) -> &'a str {
        self.text.trim_start()[self.word().len()..].trim()
    }

    /// The value of a word that follows `key`.
    fn value(self, key: &str) -> Option<&'a str> {
        let mut words = self.rest().split_whitespace();
        words.find(|word| *word == key)?;
        words.next()
    }

    fn number(self, key: &str) -> Option<u64> {
        self.value(key).map(|text| number(text).unwrap_or_else(|| panic!("{}: {text}", self.place)))
    }
}

/// `1_000`, `2^63`, `b` (the work of one block), `2b`, `3b/4`, and sums of them: `2^63-1`.
fn number(text: &str) -> Option<u64> {
    if let Some(cut) = text.rfind(['+', '-']) {
        let (left, right) = (number(&text[..cut])?, number(&text[cut + 1..])?);
        return if text.as_bytes()[cut] == b'+' {
            left.checked_add(right)
        } else {
            left.checked_sub(right)
        };
    }
    if let Some((base, power)) = text.split_once('^') {
        return base.parse::<u64>().ok()?.checked_pow(power.parse().ok()?);
    }
    if let Some((times, parts)) = text.split_once('b') {
        let times = if times.is_empty() { 1 } else { times.parse().ok()? };
        let parts = if parts.is_empty() { 1 } else { parts.strip_prefix('/')?.parse().ok()? };
        return SCORE_PER_BLOCK.checked_mul(times)?.checked_div(parts);
    }
    text.replace('_', "").parse().ok()
}

/// One row of a table: name, work, account fee, amount, and at will its work by age.
struct Row {
    work: u64,
    fee_ppm: i32,
    amount: u64,
    /// (bucket, work)
    ages: Vec<(u16, u64)>,
}

impl Row {
    fn read(line: Line) -> Self {
        let words: Vec<&str> = line.text.split_whitespace().collect();
        let [_, work, fee, amount, ages @ ..] = words.as_slice() else {
            panic!("{}: a row is name, work, fee, amount", line.place)
        };
        let number = |text: &str| number(text).unwrap_or_else(|| panic!("{}: {text}", line.place));
        let ages = ages.iter().map(|age| {
            let (bucket, work) = age.split_once(':').expect("an age is bucket:work");
            (bucket.parse().unwrap(), number(work))
        });
        Self {
            work: number(work),
            fee_ppm: if *fee == "-" { 0 } else { fee.parse().unwrap() },
            amount: number(amount),
            ages: ages.collect(),
        }
    }
}

/// What one case has come to.
#[derive(Default)]
struct Standing {
    state: Vec<u8>,
    carry: u64,
}

fn request(head: Line, rows: &[Row], standing: &Standing) -> Request {
    let accounts = Accounts {
        key: (1..=rows.len() as u64).collect(),
        work: rows.iter().map(|row| row.work).collect(),
        fee_ppm: rows.iter().map(|row| row.fee_ppm).collect(),
    };
    let reward = head.number("reward").expect("every event has a reward");
    let fees = head.number("fees").unwrap_or(0);
    let event = match head.word() {
        "block" => Event::Block {
            height: 1,
            reward,
            tx_fees: fees,
            window_work: head.number("window").unwrap_or_else(|| accounts.work.iter().sum()),
            found_at_ms: 1,
            finder: head.number("finder").map(|row| u32::try_from(row - 1).unwrap()),
        },
        _ => Event::Interval {
            started_at_ms: 0,
            ended_at_ms: 1,
            network_work: head.number("network").unwrap_or(SCORE_PER_BLOCK),
            expected_reward: reward,
            expected_fees: fees,
        },
    };
    let mut cells: Vec<(u16, u32, u64)> = (0..)
        .zip(rows)
        .flat_map(|(row, line)| line.ages.iter().map(move |(bucket, work)| (*bucket, row, *work)))
        .collect();
    cells.sort_unstable();
    let slices = Slices {
        account: cells.iter().map(|cell| cell.1).collect(),
        bucket: cells.iter().map(|cell| cell.0).collect(),
        work: cells.iter().map(|cell| cell.2).collect(),
    };
    let carry = head.number("carry").unwrap_or(standing.carry);
    Request { event, accounts, slices, carry, state: standing.state.clone() }
}

/// Plays one event, as often as it says, and compares what it pays.
fn play(scheme: &PayoutScheme, lines: &[Line], standing: &mut Standing) {
    let head = lines[0];
    let place = head.place;
    let indented = |line: &&Line| line.text.starts_with(' ');
    let rows: Vec<Row> = lines[1..].iter().filter(indented).map(|line| Row::read(*line)).collect();
    let said = |word: &str| {
        let of_word = move |line: &&Line| !line.text.starts_with(' ') && line.word() == word;
        lines[1..].iter().filter(of_word).map(|line| line.rest()).collect::<Vec<_>>()
    };
    if let [refusal] = said("refused")[..] {
        let error = scheme.settle(&request(head, &rows, standing)).unwrap_err();
        assert!(error.to_string().contains(refusal), "{place}: {error}");
        return;
    }
    let mut amounts = vec![0; rows.len()];
    let (mut pool, mut notes) = (0, Vec::new());
    for _ in 0..head.number("times").unwrap_or(1) {
        let request = request(head, &rows, standing);
        let proposal = scheme.settle(&request).unwrap_or_else(|error| panic!("{place}: {error}"));
        let name = &scheme.info().name;
        let checked =
            Distribution::check(name, &request, scheme.plan(), proposal, &Limits::default())
                .unwrap_or_else(|error| panic!("{place}: {error}"));
        amounts.iter_mut().zip(checked.amounts()).for_each(|(sum, amount)| *sum += amount);
        pool += checked.pool_fee();
        notes = checked.notes().to_vec();
        *standing = Standing { state: checked.state().to_vec(), carry: checked.carry_out() };
    }
    let expected: Vec<u64> = rows.iter().map(|row| row.amount).collect();
    assert_eq!(amounts, expected, "{place}: amounts");
    let one = |word| said(word).first().map_or(0, |text| number(text).unwrap());
    assert_eq!((pool, standing.carry), (one("pool"), one("carry")), "{place}: pool and carry");
    assert_eq!(notes, said("note"), "{place}: notes");
}

/// Plays all cases of one file; how many there were.
fn play_file(path: &Path) -> usize {
    let text = fs::read_to_string(path).unwrap();
    let file = path.file_name().unwrap().to_str().unwrap();
    let places: Vec<String> =
        (1..=text.lines().count()).map(|line| format!("{file}:{line}")).collect();
    let lines: Vec<Line> = text
        .lines()
        .zip(&places)
        .map(|(text, place)| Line { text: text.split('#').next().unwrap().trim_end(), place })
        .filter(|line| !line.text.is_empty())
        .collect();
    let (mut scheme, mut standing, mut cases) = (None, Standing::default(), 0);
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        let begins = |line: &Line| ["scheme", "case", "block", "interval"].contains(&line.word());
        let mut end = at + 1;
        while end < lines.len() && !begins(&lines[end]) {
            end += 1;
        }
        match line.word() {
            "scheme" => {
                let (name, config) = line.rest().split_once(' ').unwrap_or((line.rest(), ""));
                let loaded = PayoutScheme::load(engines(), &shipped(name), config, &Grants::none());
                scheme = Some(loaded.unwrap_or_else(|error| panic!("{}: {error}", line.place)));
            }
            "case" => (standing, cases) = (Standing::default(), cases + 1),
            _ => play(scheme.as_ref().expect("a scheme first"), &lines[at..end], &mut standing),
        }
        at = end;
    }
    cases
}

#[test]
fn every_table_is_paid_as_written() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/cases/payout");
    let mut played = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            assert!(play_file(&path) > 0, "{} has no case", path.display());
            played.push(path.file_stem().unwrap().to_str().unwrap().to_owned());
        }
    }
    played.sort();
    let schemes = ["fpps", "pplns", "pps", "pps-plus", "prop", "score", "solo", "tides"];
    assert_eq!(played, schemes, "one file for each shipped scheme");
}

#[test]
fn numbers_are_read_as_written() {
    for (text, expected) in [
        ("1_000", Some(1000)),
        ("2^63-1", Some((1 << 63) - 1)),
        ("b", Some(SCORE_PER_BLOCK)),
        ("3b/4", Some(3 * SCORE_PER_BLOCK / 4)),
        ("2b-8+1", Some(2 * SCORE_PER_BLOCK - 7)),
        ("2^64-1", None),
        ("x", None),
    ] {
        assert_eq!(number(text), expected, "{text}");
    }
}
