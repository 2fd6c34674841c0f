//! The comparison as a picture: two bars per account, what was paid and what would have been.

use std::fmt::Write as _;

use super::comparison::{Comparison, Line};

/// Beyond so many accounts the rest stands in one row.
const ROWS_MAX: usize = 24;
const WIDTH: f64 = 960.0;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 96.0;
const ROW: f64 = 38.0;
const BAR: f64 = 13.0;
const PAID: &str = "#7a8794";
const WOULD: &str = "#1f77b4";

/// A picture of its own, without scripts or fonts from elsewhere.
pub(super) fn svg(comparison: &Comparison, scheme: &str) -> String {
    let rows = rows(comparison);
    let amount = |line: &Line| line.paid.max(line.would).max(0);
    let scale = Scale::to(rows.iter().map(amount).max().unwrap_or(0));
    let bottom = TOP + ROW * rows.len() as f64;
    let mut text = String::new();
    let out = &mut text;
    let height = bottom + 56.0;
    element(
        out,
        format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"13\">"
        ),
    );
    element(out, format_args!("<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>"));
    let title = format!("What {scheme} would have paid for {} blocks", comparison.blocks);
    label(out, 24.0, 34.0, "start", 18, &title);
    legend(out, 24.0, PAID, "paid");
    legend(out, 104.0, WOULD, "would have been paid");
    for tick in scale.ticks() {
        let x = scale.x(tick);
        element(
            out,
            format_args!(
                "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\" stroke=\"#e3e6e9\"/>"
            ),
        );
        label(out, x, bottom + 18.0, "middle", 12, &short(tick));
    }
    label(out, LEFT + scale.width() / 2.0, bottom + 42.0, "middle", 12, "base units of the coin");
    for (number, line) in rows.iter().enumerate() {
        row(out, TOP + ROW * number as f64, line, &scale);
    }
    element(
        out,
        format_args!(
            "<line x1=\"{LEFT}\" y1=\"{TOP}\" x2=\"{LEFT}\" y2=\"{bottom}\" stroke=\"#333333\"/>"
        ),
    );
    text.push_str("</svg>\n");
    text
}

/// The accounts that had most, the rest together, and the pool.
fn rows(comparison: &Comparison) -> Vec<Line> {
    let (shown, rest) = comparison.accounts.split_at(comparison.accounts.len().min(ROWS_MAX));
    let mut rows = shown.to_vec();
    if !rest.is_empty() {
        rows.push(Line {
            name: format!("{} others", rest.len()),
            paid: rest.iter().map(|line| line.paid).sum(),
            would: rest.iter().map(|line| line.would).sum(),
            paid_deviation: 0.0,
            would_deviation: 0.0,
        });
    }
    rows.push(comparison.pool.clone());
    rows
}

fn row(out: &mut String, y: f64, line: &Line, scale: &Scale) {
    label(out, LEFT - 10.0, y + 23.0, "end", 13, &shortened(&line.name));
    for (offset, amount, colour) in [(5.0, line.paid, PAID), (5.0 + BAR, line.would, WOULD)] {
        let (top, width) = (y + offset, scale.x(amount.max(0)) - LEFT);
        element(
            out,
            format_args!(
                "<rect x=\"{LEFT}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{:.1}\" \
             fill=\"{colour}\"><title>{amount}</title></rect>",
                BAR - 1.0
            ),
        );
    }
    let end = scale.x(line.paid.max(line.would).max(0)) + 8.0;
    let change = match line.percent() {
        _ if line.would < 0 => format!("{} base units", line.would),
        Some(percent) => format!("{percent:+.2} %"),
        None => "new".to_owned(),
    };
    label(out, end, y + 23.0, "start", 12, &change);
}

/// From amounts to places: from nothing to a round number not below the largest.
struct Scale {
    step: i128,
    steps: i128,
}

impl Scale {
    fn to(largest: i128) -> Self {
        let mut step = 1;
        // 1, 2, 5, 10, 20, 50, ...: at most eight of them.
        while step * 8 < largest {
            let leading = step.to_string().starts_with('2');
            step = if leading { step / 2 * 5 } else { step * 2 };
        }
        Self {
            step,
            steps: largest.div_euclid(step) + i128::from(largest % step > 0 || largest == 0),
        }
    }

    fn width(&self) -> f64 {
        WIDTH - LEFT - RIGHT
    }

    fn x(&self, amount: i128) -> f64 {
        LEFT + self.width() * amount as f64 / (self.step * self.steps) as f64
    }

    fn ticks(&self) -> impl Iterator<Item = i128> {
        let step = self.step;
        (0..=self.steps).map(move |number| number * step)
    }
}

/// 5000000000 is "5 G".
fn short(amount: i128) -> String {
    let units = ["", " k", " M", " G", " T", " P", " E"];
    let mut power = 0;
    let mut scaled = amount;
    while power + 1 < units.len() && scaled != 0 && scaled % 1000 == 0 {
        scaled /= 1000;
        power += 1;
    }
    if power + 1 < units.len() && scaled >= 10_000 {
        return format!("{:.1}{}", scaled as f64 / 1000.0, units[power + 1]);
    }
    format!("{scaled}{}", units[power])
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= 24 {
        return name.to_owned();
    }
    let characters: Vec<char> = name.chars().collect();
    let part = |range: &[char]| range.iter().collect::<String>();
    format!("{}…{}", part(&characters[..12]), part(&characters[characters.len() - 10..]))
}

fn legend(out: &mut String, x: f64, colour: &str, name: &str) {
    element(
        out,
        format_args!("<rect x=\"{x}\" y=\"56\" width=\"14\" height=\"14\" fill=\"{colour}\"/>"),
    );
    label(out, x + 20.0, 68.0, "start", 13, name);
}

fn label(out: &mut String, x: f64, y: f64, anchor: &str, size: u32, text: &str) {
    element(
        out,
        format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-size=\"{size}\">{}</text>",
            escaped(text)
        ),
    );
}

fn element(out: &mut String, element: std::fmt::Arguments<'_>) {
    writeln!(out, "{element}").expect("memory is there");
}

/// Names are the miners' own: none of them may become markup.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(rows: &[(&str, i128, i128)]) -> Comparison {
        let line = |row: &(&str, i128, i128)| Line {
            name: row.0.to_owned(),
            paid: row.1,
            would: row.2,
            paid_deviation: 0.0,
            would_deviation: 0.0,
        };
        Comparison {
            blocks: 3,
            reward: 0,
            accounts: rows.iter().map(line).collect(),
            pool: line(&("(pool)", 10, -5)),
        }
    }

    #[test]
    fn every_account_has_two_bars_and_no_name_is_markup() {
        let picture = svg(&comparison(&[("ann", 900, 450), ("<script>", 0, 450)]), "payout-pps");
        assert_eq!(picture.matches("<title>").count(), 2 * 3);
        assert!(picture.contains("-50.00 %") && picture.contains("new"), "{picture}");
        assert!(picture.contains("&lt;script&gt;") && !picture.contains("<script>"));
        assert!(picture.contains("base units of the coin"));
        assert_eq!(picture.matches('<').count(), picture.matches('>').count());
    }

    #[test]
    fn many_accounts_share_the_last_row() {
        let names: Vec<String> = (0..100).map(|number| format!("miner{number}")).collect();
        let rows: Vec<_> = names.iter().map(|name| (name.as_str(), 5, 6)).collect();
        let picture = svg(&comparison(&rows), "payout-pps");
        assert!(picture.contains("76 others") && !picture.contains("miner24"));
    }

    #[test]
    fn axes_end_at_a_round_number() {
        for (largest, end, tick) in [
            (0, 1, "1"),
            (7, 7, "1"),
            (900, 1000, "200"),
            (5_000_000_000, 5_000_000_000, "1 G"),
            (12_345_678, 14_000_000, "2 M"),
        ] {
            let scale = Scale::to(largest);
            assert_eq!(scale.ticks().last(), Some(end), "{largest}");
            assert_eq!(short(scale.step), tick, "{largest}");
            assert!((scale.x(end) - (WIDTH - RIGHT)).abs() < 1e-6);
        }
    }
}
