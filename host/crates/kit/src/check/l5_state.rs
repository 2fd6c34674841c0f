//! L5: state outlives builds. What a build wrote it can read; what nobody wrote is refused in
//! words; and where a kind promises it, two halves make the whole.

use chimera_plugin::{Cause, DifficultyStrategy, PayoutScheme, PluginError};

use super::l2_money::{Unpaid, occasions, paid};
use super::l6_difficulty::batch;
use super::{LevelReport, Subject};
use crate::dice::Dice;
use crate::rounds::{Occasion, Round};
use crate::subject::Loaded;

/// Random states tried.
const STATES: usize = 100;

pub(super) fn run(subject: &Subject<'_>, report: &mut LevelReport) {
    let mut dice = Dice::new(subject.options.seed);
    match &subject.loaded {
        Loaded::Payout(scheme) => {
            migrates(scheme, &mut dice, report);
            random_state(scheme, &mut dice, report);
            if scheme.plan().kind.accrues() {
                adds_up(subject, scheme, &mut dice, report);
            }
        }
        Loaded::Difficulty(strategy) => random_words(strategy, &mut dice, report),
        Loaded::Auth(_) => report.fact("auth policies have no state of their own".to_owned()),
    }
}

fn migrates(scheme: &PayoutScheme, dice: &mut Dice, report: &mut LevelReport) {
    let info = scheme.info();
    for &occasion in occasions(scheme.plan().kind) {
        let round = Round::random(dice, occasion, scheme.plan(), 5);
        let Ok((_, distribution)) = paid(scheme, &round) else { continue };
        report.tried();
        if let Err(error) = scheme.migrate(info.state_version, distribution.state()) {
            report.error(
                "own state",
                "migrate accepts what this build writes, at its own version",
                error.to_string(),
                "return the state as it is if `since` is the current version",
            );
        }
    }
    let later = info.state_version.wrapping_add(1);
    report.require(
        scheme.migrate(later, &[]).is_err(),
        "future state",
        "state of a later version is refused",
        || format!("version {later} is accepted"),
        "refuse every version above state-version",
    );
    for since in info.state_accepts_since.saturating_sub(1)..=later {
        for _ in 0..STATES / 4 {
            let state = bytes(dice);
            not_a_trap(scheme.migrate(since, &state), "migrate", report);
        }
    }
}

fn random_state(scheme: &PayoutScheme, dice: &mut Dice, report: &mut LevelReport) {
    for &occasion in occasions(scheme.plan().kind) {
        for _ in 0..STATES {
            let mut round = Round::random(dice, occasion, scheme.plan(), 3);
            round.state = bytes(dice);
            let (request, _) = round.request(scheme.plan());
            not_a_trap(scheme.settle(&request), "settle", report);
        }
    }
}

fn not_a_trap<T>(answer: Result<T, PluginError>, call: &str, report: &mut LevelReport) {
    report.tried();
    if let Err(error) = answer
        && let Cause::Trap(trap) = error.cause
    {
        report.error(
            "random state",
            "bytes that are no state are refused in words",
            format!("{call}: {trap}"),
            "check the length and every value of the state before using it",
        );
    }
}

/// Work settled in two halves earns what it earns at once, up to the rounding of one unit.
fn adds_up(
    subject: &Subject<'_>,
    scheme: &PayoutScheme,
    dice: &mut Dice,
    report: &mut LevelReport,
) {
    for _ in 0..10 {
        let whole = Round::random(dice, Occasion::Interval, scheme.plan(), 9);
        let half = Round { capacity: whole.capacity, ..whole.halved() };
        let parts = paid(scheme, &half).and_then(|(first, distribution)| {
            let second = Round { state: distribution.state().to_vec(), ..half.clone() };
            Ok((first, paid(scheme, &second)?.0))
        });
        report.tried();
        match (parts, paid(scheme, &whole)) {
            (Ok((first, second)), Ok((whole, _))) => {
                let sums = first.iter().zip(&second).map(|(one, two)| one + two);
                let off = sums.zip(&whole).map(|(sum, whole)| sum.abs_diff(*whole)).max();
                if off > Some(1) && !subject.excepts("additive") {
                    report.error(
                        "additive",
                        "two halves of an interval pay what the whole does, up to one unit",
                        format!("an account gets {} units more or less", off.unwrap_or(0)),
                        "keep fractions of a unit in the state and add them next time",
                    );
                }
            }
            (Err(Unpaid::Declined(why) | Unpaid::Wrong(why)), _)
            | (_, Err(Unpaid::Declined(why) | Unpaid::Wrong(why))) => report.error(
                "additive",
                "an interval after another is settled",
                why,
                "accept the state that the previous settlement answered",
            ),
        }
    }
}

fn random_words(strategy: &DifficultyStrategy, dice: &mut Dice, report: &mut LevelReport) {
    for _ in 0..STATES {
        let mut batch = batch(dice, 16, strategy.state_words());
        batch.state.iter_mut().for_each(|word| *word = dice.next() >> dice.below(64));
        not_a_trap(strategy.retarget(batch), "retarget", report);
    }
}

fn bytes(dice: &mut Dice) -> Vec<u8> {
    let most = 1 << dice.below(10);
    let length = dice.below(most);
    (0..length).map(|_| dice.next() as u8).collect()
}
