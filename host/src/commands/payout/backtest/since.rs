//! Where a backtest begins: at a day, or so many blocks back.

use std::str::FromStr;

/// The beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// The last so many blocks.
    Blocks(usize),
    /// Blocks found from this moment on, ms since the Unix epoch.
    Time(u64),
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let problem = || format!("{text:?} is neither a day (2026-01-31) nor a number of blocks");
        if let Ok(blocks) = text.parse() {
            return if blocks > 0 { Ok(Self::Blocks(blocks)) } else { Err(problem()) };
        }
        let parts: Vec<u64> =
            text.split('-').map(str::parse).collect::<Result<_, _>>().map_err(|_| problem())?;
        match parts[..] {
            [year @ 1970..=9999, month @ 1..=12, day @ 1..=31] if day <= days_of(year, month) => {
                Ok(Self::Time(days_since_epoch(year, month, day) * 86_400_000))
            }
            _ => Err(problem()),
        }
    }
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of(year: u64, month: u64) -> u64 {
    match month {
        2 => 28 + u64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_since_epoch(year: u64, month: u64, day: u64) -> u64 {
    let years: u64 = (1970..year).map(|year| 365 + u64::from(is_leap(year))).sum();
    let months: u64 = (1..month).map(|month| days_of(year, month)).sum();
    years + months + day - 1
}

#[cfg(test)]
mod tests {
    use super::Since;

    #[test]
    fn a_beginning_is_a_day_or_a_number_of_blocks() {
        const DAY: u64 = 86_400_000;
        for (text, expected) in [
            ("7", Some(Since::Blocks(7))),
            ("1970-01-01", Some(Since::Time(0))),
            ("1970-03-01", Some(Since::Time(59 * DAY))),
            ("2000-02-29", Some(Since::Time(11_016 * DAY))),
            ("2026-01-31", Some(Since::Time(20_484 * DAY))),
            ("2026-02-29", None),
            ("2026-13-01", None),
            ("0", None),
            ("-3", None),
            ("yesterday", None),
        ] {
            assert_eq!(text.parse::<Since>().ok(), expected, "{text}");
        }
    }
}
