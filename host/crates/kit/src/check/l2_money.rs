//! L2: what a payout scheme owes its miners. Conservation through the host's own check; the
//! rest by asking the same round in many guises.

use chimera_ledger::{Distribution, Limits, Plan, SchemeKind};
use chimera_plugin::{Cause, PayoutScheme};

use super::{LevelReport, Subject};
use crate::dice::Dice;
use crate::rounds::{Occasion, Round};

/// Rules a scheme may break by its nature, if its schema says so.
pub(super) const EXCEPTIONS: [&str; 6] =
    ["relabelling", "splitting", "scaling", "equal-work", "monotone", "additive"];

/// Rounds of every occasion.
const ROUNDS: usize = 12;
/// Accounts of a round; the last one fills the window.
const MINERS: usize = 9;

pub(super) fn run(subject: &Subject<'_>, scheme: &PayoutScheme, report: &mut LevelReport) {
    let mut dice = Dice::new(subject.options.seed);
    for &occasion in occasions(scheme.plan().kind) {
        let mut money = Money { subject, scheme, plan: *scheme.plan(), report };
        for _ in 0..ROUNDS {
            money.guises(&mut dice, occasion);
        }
        money.sizes(&mut dice, occasion);
        money.rewards(&mut dice, occasion);
        money.bonuses(&mut dice, occasion);
    }
    if !subject.exceptions.is_empty() {
        let declared: Vec<&str> = subject.exceptions.iter().map(String::as_str).collect();
        report.fact(format!("declared exceptions: {}", declared.join(", ")));
    }
}

/// What a scheme of this kind is asked about.
pub(crate) const fn occasions(kind: SchemeKind) -> &'static [Occasion] {
    match kind {
        SchemeKind::Distribute => &[Occasion::Block],
        SchemeKind::Accrue => &[Occasion::Interval],
        SchemeKind::Hybrid => &[Occasion::Block, Occasion::Interval],
    }
}

/// Why a round was not paid.
#[derive(Debug)]
pub(super) enum Unpaid {
    /// It declined in words.
    Declined(String),
    /// It failed, or what it proposed is no distribution.
    Wrong(String),
}

/// What each miner of a round is paid, and the distribution.
pub(super) fn paid(
    scheme: &PayoutScheme,
    round: &Round,
) -> Result<(Vec<u64>, Distribution), Unpaid> {
    let plan = scheme.plan();
    let (request, rows) = round.request(plan);
    let proposal = scheme.settle(&request).map_err(|error| match error.cause {
        Cause::Refused { .. } => Unpaid::Declined(error.to_string()),
        _ => Unpaid::Wrong(error.to_string()),
    })?;
    let name = &scheme.info().name;
    let checked = Distribution::check(name, &request, plan, proposal, &Limits::default())
        .map_err(|imbalance| Unpaid::Wrong(imbalance.to_string()))?;
    let amounts = rows.iter().map(|&row| checked.amounts()[row]).collect();
    Ok((amounts, checked))
}

struct Money<'a> {
    subject: &'a Subject<'a>,
    scheme: &'a PayoutScheme,
    plan: Plan,
    report: &'a mut LevelReport,
}

impl Money<'_> {
    /// Pays a round that every scheme must be able to pay.
    fn pay(&mut self, round: &Round, what: &str) -> Option<Vec<u64>> {
        self.report.tried();
        match paid(self.scheme, round) {
            Ok((amounts, _)) => Some(amounts),
            Err(Unpaid::Declined(why) | Unpaid::Wrong(why)) => {
                self.report.error(
                    "conservation",
                    "amounts, fee and carry are exactly what there is to divide, \
                     one entry per account, nothing for no work",
                    format!("{what}: {why}"),
                    "answer weights: the host divides exactly; let the SDK's `distribute` do it",
                );
                None
            }
        }
    }

    fn guises(&mut self, dice: &mut Dice, occasion: Occasion) {
        let round = Round::random(dice, occasion, &self.plan, MINERS);
        let Some(amounts) = self.pay(&round, "a round of nine") else { return };
        if round.miners.len() < MINERS {
            return;
        }
        self.relabelling(dice, &round, &amounts);
        self.splitting(&round, &amounts);
        self.scaling(&round, &amounts);
        self.equal_work(&round);
        self.monotone(&round, &amounts);
    }

    fn relabelling(&mut self, dice: &mut Dice, round: &Round, amounts: &[u64]) {
        let Some(renamed) = self.pay(&round.relabelled(dice), "the round under other keys") else {
            return;
        };
        let off = widest(amounts, &renamed);
        self.rule(
            "relabelling",
            off <= 1,
            "names decide one unit at most",
            || format!("an account gets {off} units more or less under another key"),
            "let amounts depend on work, and on keys only to break ties",
        );
    }

    fn splitting(&mut self, round: &Round, amounts: &[u64]) {
        let who = 1;
        let Some(parts) = self.pay(&round.split(who), "the round, one miner under two names")
        else {
            return;
        };
        let together = parts[who] + parts[parts.len() - 1];
        let off = together.abs_diff(amounts[who]);
        self.rule(
            "splitting",
            off <= 2,
            "two names get what one would, up to a unit each",
            || format!("{} units as one account, {together} as two", amounts[who]),
            "pay in proportion to work; if that is not meant, declare the exception",
        );
    }

    fn scaling(&mut self, round: &Round, amounts: &[u64]) {
        let Some(halved) = self.pay(&round.halved(), "the round with half of all work") else {
            return;
        };
        let off = widest(amounts, &halved);
        self.rule(
            "scaling",
            off <= 1,
            "only proportions of work count",
            || format!("with half of all work an account gets {off} units more or less"),
            "divide by the sum of work or the window's size, not by a constant",
        );
    }

    fn equal_work(&mut self, round: &Round) {
        let round = round.equalled(1, 2);
        let Some(amounts) = self.pay(&round, "a round with two equal miners") else { return };
        let off = amounts[1].abs_diff(amounts[2]);
        self.rule(
            "equal-work",
            off <= 1,
            "equal work is paid alike, up to one unit",
            || format!("{} and {} units for the same work", amounts[1], amounts[2]),
            "let nothing but work and fee decide",
        );
    }

    fn monotone(&mut self, round: &Round, amounts: &[u64]) {
        let more = round.capacity / 64;
        let Some(shifted) = self.pay(&round.shifted(1, more), "the round, one miner doing more")
        else {
            return;
        };
        self.rule(
            "monotone",
            shifted[1] + 1 >= amounts[1],
            "more work is never paid less",
            || format!("{} units, and {} for more work", amounts[1], shifted[1]),
            "look for a subtraction or an overflow in the weights",
        );
    }

    fn rule(
        &mut self,
        rule: &'static str,
        holds: bool,
        expected: &str,
        found: impl FnOnce() -> String,
        mend: &str,
    ) {
        if self.subject.excepts(rule) {
            return;
        }
        let mend =
            format!("{mend} (\"x-chimera-exceptions\": [{rule:?}] in the schema declares it)");
        self.report.require(holds, rule, expected, found, mend);
    }

    /// Nobody, one, and as many as a large pool has.
    fn sizes(&mut self, dice: &mut Dice, occasion: Occasion) {
        let none = Round { miners: vec![], ..Round::random(dice, occasion, &self.plan, 1) };
        let none = Round { finder: None, ..none };
        self.report.tried();
        match paid(self.scheme, &none) {
            Ok(_) => {}
            Err(Unpaid::Declined(why)) => {
                self.report.fact(format!("a round of nobody is declined: {why}"));
            }
            Err(Unpaid::Wrong(why)) => self.report.error(
                "nobody",
                "a round without accounts is settled or declined in words",
                why,
                "return an error of the interface, or give all to the pool",
            ),
        }
        for miners in [1, 2, 100_000] {
            let round = Round::random(dice, occasion, &self.plan, miners);
            self.pay(&round, &format!("{} accounts", round.miners.len()));
        }
        // Somebody whose shares all lie outside the window.
        let mut idle = Round::random(dice, occasion, &self.plan, 4);
        if idle.miners.len() > 2 {
            idle = idle.shifted(1, 0);
            for (_, work) in &mut idle.miners[1].work {
                *work = 0;
            }
            if let Some(amounts) = self.pay(&idle, "an account without work") {
                self.report.require(
                    amounts[1] == 0,
                    "no work, no pay",
                    "nothing for an account without work",
                    || format!("{} units", amounts[1]),
                    "give it the weight 0",
                );
            }
        }
    }

    /// Nothing, the smallest, and the largest there can be.
    fn rewards(&mut self, dice: &mut Dice, occasion: Occasion) {
        for reward in [0, 1, 2, u64::MAX] {
            for fees in [0, reward / 3, reward] {
                let round = Round::random(dice, occasion, &self.plan, MINERS);
                self.pay(&Round { reward, fees, ..round }, &format!("a reward of {reward}"));
            }
        }
    }

    /// Fees and bonuses of single accounts keep the books balanced, and nobody gains by a fee.
    fn bonuses(&mut self, dice: &mut Dice, occasion: Occasion) {
        let plain = Round::random(dice, occasion, &self.plan, MINERS);
        if plain.miners.len() < 2 {
            return;
        }
        let Some(before) = self.pay(&plain, "a round without extra fees") else { return };
        for fee_ppm in [-1_000_000, -5_000, 1, 20_000, 1_000_000] {
            let mut round = plain.clone();
            round.miners[1].fee_ppm = fee_ppm;
            let what = format!("an account with a fee of {fee_ppm} parts per million");
            let Some(amounts) = self.pay(&round, &what) else { continue };
            let gained = amounts[1].saturating_sub(before[1]);
            self.report.require(
                fee_ppm < 0 || gained <= 1,
                "extra fee",
                "an account with an extra fee does not get more for it",
                || format!("{fee_ppm} parts per million, and {gained} units more"),
                "the account's fee goes to the pool",
            );
        }
    }
}

/// The largest difference of two columns.
fn widest(one: &[u64], other: &[u64]) -> u64 {
    one.iter().zip(other).map(|(one, other)| one.abs_diff(*other)).max().unwrap_or(0)
}
