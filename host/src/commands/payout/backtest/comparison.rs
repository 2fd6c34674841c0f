//! What was paid beside what would have been: sums, differences, and how much income varies.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// One settled block, and the work that came before it since the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// The block's height.
    pub height: u64,
    /// When it was found, ms since the Unix epoch.
    pub found_at_ms: u64,
    /// What the chain paid for it, in base units.
    pub reward: u64,
    /// What each account was paid, and would have been.
    pub accounts: BTreeMap<String, (u64, u64)>,
    /// What the scheme that paid, and the other one, took over from the step before less what
    /// they left for the next.
    pub carried: (i128, i128),
}

impl Step {
    /// What the pool kept of it, and would have kept: less than nothing where work was paid
    /// out of the reserve.
    pub(super) fn pool(&self) -> (i128, i128) {
        let (mut paid, mut would) = (i128::from(self.reward), i128::from(self.reward));
        paid += self.carried.0;
        would += self.carried.1;
        for (was, were) in self.accounts.values() {
            paid -= i128::from(*was);
            would -= i128::from(*were);
        }
        (paid, would)
    }
}

/// One account, or the pool.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    /// Whose.
    pub name: String,
    /// What was paid, in base units.
    pub paid: i128,
    /// What would have been.
    pub would: i128,
    /// Standard deviation of what was paid from block to block.
    pub paid_deviation: f64,
    /// The same of what would have been.
    pub would_deviation: f64,
}

impl Line {
    fn of(name: &str, incomes: &[(i128, i128)]) -> Self {
        Self {
            name: name.to_owned(),
            paid: incomes.iter().map(|income| income.0).sum(),
            would: incomes.iter().map(|income| income.1).sum(),
            paid_deviation: deviation(incomes.iter().map(|income| income.0)),
            would_deviation: deviation(incomes.iter().map(|income| income.1)),
        }
    }

    /// How much more it would have been.
    pub(super) fn difference(&self) -> i128 {
        self.would - self.paid
    }

    /// The same in parts of a hundred of what was paid, if anything was.
    pub(super) fn percent(&self) -> Option<f64> {
        (self.paid != 0).then(|| 100.0 * self.difference() as f64 / self.paid.unsigned_abs() as f64)
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "account": self.name,
            "paid": self.paid.to_string(),
            "would_be": self.would.to_string(),
            "difference": self.difference().to_string(),
            "percent": self.percent(),
            "paid_deviation": self.paid_deviation,
            "would_be_deviation": self.would_deviation,
        })
    }
}

/// All of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Comparison {
    /// Settled blocks.
    pub blocks: usize,
    /// What the chain paid for them, in base units.
    pub reward: u128,
    /// One line per account, who was paid most first.
    pub accounts: Vec<Line>,
    /// What is not paid to accounts.
    pub pool: Line,
}

impl Comparison {
    pub(super) fn of(steps: &[Step]) -> Self {
        let mut incomes: BTreeMap<&str, Vec<(i128, i128)>> = BTreeMap::new();
        for (number, step) in steps.iter().enumerate() {
            for (name, (paid, would)) in &step.accounts {
                // Blocks an account has nothing of are income, too: none.
                let income = incomes.entry(name).or_insert_with(|| vec![(0, 0); steps.len()]);
                income[number] = (i128::from(*paid), i128::from(*would));
            }
        }
        let mut accounts: Vec<Line> =
            incomes.iter().map(|(name, incomes)| Line::of(name, incomes)).collect();
        accounts.sort_by_key(|line| std::cmp::Reverse(line.paid.max(line.would)));
        let pool: Vec<(i128, i128)> = steps.iter().map(Step::pool).collect();
        Self {
            blocks: steps.len(),
            reward: steps.iter().map(|step| u128::from(step.reward)).sum(),
            accounts,
            pool: Line::of("(pool)", &pool),
        }
    }
}

/// Standard deviation of what comes with each block. For people, so it is not exact.
fn deviation(incomes: impl ExactSizeIterator<Item = i128> + Clone) -> f64 {
    let count = incomes.len() as f64;
    let mean = incomes.clone().sum::<i128>() as f64 / count;
    let squares: f64 = incomes.map(|income| (income as f64 - mean).powi(2)).sum();
    (squares / count).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(reward: u64, accounts: &[(&str, u64, u64)], carried: (i128, i128)) -> Step {
        let accounts = accounts.iter().map(|row| (row.0.to_owned(), (row.1, row.2))).collect();
        Step { height: 1, found_at_ms: 0, reward, accounts, carried }
    }

    #[test]
    fn what_was_paid_stands_beside_what_would_have_been() {
        let steps = [
            step(100, &[("ann", 90, 50), ("bob", 0, 45)], (0, -5)),
            step(100, &[("bob", 90, 105)], (0, 5)),
        ];
        let comparison = Comparison::of(&steps);
        assert_eq!((comparison.blocks, comparison.reward), (2, 200));
        let lines: Vec<_> = comparison
            .accounts
            .iter()
            .chain([&comparison.pool])
            .map(|line| (line.name.as_str(), line.paid, line.would, line.percent()))
            .collect();
        let percent = |would: f64, paid: f64| Some(100.0 * (would - paid) / paid);
        assert_eq!(
            lines,
            [
                ("bob", 90, 150, percent(150.0, 90.0)),
                ("ann", 90, 50, percent(50.0, 90.0)),
                ("(pool)", 20, 0, Some(-100.0)),
            ]
        );
        // All that was paid, and would have been, is what the chain paid.
        for side in [|line: &Line| line.paid, |line: &Line| line.would] {
            let accounts: i128 = comparison.accounts.iter().map(side).sum();
            assert_eq!(accounts + side(&comparison.pool), 200);
        }
    }

    #[test]
    fn income_that_comes_with_every_block_deviates_less() {
        let steps = [step(100, &[("ann", 100, 50)], (0, 0)), step(100, &[("ann", 0, 50)], (0, 0))];
        let ann = &Comparison::of(&steps).accounts[0];
        assert_eq!((ann.paid_deviation, ann.would_deviation), (50.0, 0.0));
    }
}
