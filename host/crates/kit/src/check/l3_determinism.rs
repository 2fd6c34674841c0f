//! L3: the same question has the same answer: of one instance asked twice, of a fresh one, of
//! one that has done other things before, and of two engines.

use chimera_plugin::{DifficultyStrategy, Engines, PayoutScheme, Services};

use super::l2_money::occasions;
use super::l6_auth::attempts;
use super::l6_difficulty::{batch, hellos};
use super::{LevelReport, Subject};
use crate::dice::Dice;
use crate::doubles::{self, Endpoint};
use crate::rounds::Round;
use crate::subject::Loaded;

/// Questions of each kind.
const QUESTIONS: usize = 10;

const MEND: &str = "use nothing but the arguments: no counters, no addresses of memory, no maps \
                    that are walked in random order, no floats whose NaN bits are looked at";

pub(super) fn run(subject: &Subject<'_>, report: &mut LevelReport) {
    match &subject.loaded {
        Loaded::Payout(scheme) => payout(subject, scheme, report),
        Loaded::Auth(_) => auth(subject, report),
        Loaded::Difficulty(strategy) => difficulty(subject, strategy, report),
    }
    let first = subject.loaded.info();
    if let Some(other) = engine(subject, subject.second, "second engine", report) {
        let same = other.info() == first && other.canonical() == subject.loaded.canonical();
        let found = || format!("{:?} and {first:?}", other.info());
        report.require(same, "two engines", "the same description and configuration", found, MEND);
    }
}

fn engine(
    subject: &Subject<'_>,
    engines: &Engines,
    rule: &'static str,
    report: &mut LevelReport,
) -> Option<Loaded> {
    report.tried();
    let loaded = subject.again(engines, doubles::services(Endpoint::Answers));
    match loaded {
        Ok(loaded) => Some(loaded),
        Err(problem) => {
            report.error(rule, "it loads once more", problem, MEND);
            None
        }
    }
}

fn payout(subject: &Subject<'_>, scheme: &PayoutScheme, report: &mut LevelReport) {
    let Some(Loaded::Payout(second)) = engine(subject, subject.second, "two engines", report)
    else {
        return;
    };
    let plan = scheme.plan();
    let mut dice = Dice::new(subject.options.seed);
    for occasion in occasions(plan.kind) {
        for question in 0..QUESTIONS {
            let round = Round::random(&mut dice, *occasion, plan, 1 + 7 * question);
            let (request, _) = round.request(plan);
            let answer = text(scheme.settle(&request));
            same(report, "fresh instance", &answer, &text(scheme.settle(&request)));
            same(report, "two engines", &answer, &text(second.settle(&request)));
            let thrice = scheme.settle_repeatedly(&request, 3);
            report.tried();
            let Ok(thrice) = thrice else { continue };
            for (proposal, usage) in &thrice {
                let again = format!("{:?}", Ok::<_, String>(proposal));
                same(report, "same instance", &answer, &again);
                // The first call may grow the memory; the others do the very same work.
                let off = usage.fuel.abs_diff(thrice[1].1.fuel);
                report.require(
                    off <= thrice[1].1.fuel / 10 + 10_000,
                    "same fuel",
                    "the same question costs about the same, whenever it is asked",
                    || format!("{} and {} units of fuel", usage.fuel, thrice[1].1.fuel),
                    "keep nothing from call to call",
                );
            }
        }
    }
}

fn auth(subject: &Subject<'_>, report: &mut LevelReport) {
    for attempt in attempts() {
        let decide = |engines: &Engines| -> String {
            match subject.again(engines, doubles::services(Endpoint::Answers)) {
                Ok(Loaded::Auth(policy)) => text(policy.authorize(&attempt)),
                Ok(_) => String::new(),
                Err(problem) => problem,
            }
        };
        let answer = decide(subject.engines);
        same(report, "fresh instance", &answer, &decide(subject.engines));
        same(report, "two engines", &answer, &decide(subject.second));
    }
}

fn difficulty(subject: &Subject<'_>, strategy: &DifficultyStrategy, report: &mut LevelReport) {
    let Some(Loaded::Difficulty(second)) = engine(subject, subject.second, "two engines", report)
    else {
        return;
    };
    let mut dice = Dice::new(subject.options.seed);
    for _ in 0..QUESTIONS {
        let (hello, batch) = (hellos(&mut dice, 20), batch(&mut dice, 20, strategy.state_words()));
        let fresh = match subject.again(subject.engines, Services::none()) {
            Ok(Loaded::Difficulty(fresh)) => fresh,
            _ => return,
        };
        let answer = |strategy: &DifficultyStrategy| {
            format!("{} {}", text(strategy.initial(&hello)), text(strategy.retarget(batch.clone())))
        };
        // The long-lived instance has answered other questions before.
        let first = answer(strategy);
        same(report, "same instance", &first, &answer(strategy));
        same(report, "fresh instance", &first, &answer(&fresh));
        same(report, "two engines", &first, &answer(&second));
    }
}

fn text<T: std::fmt::Debug>(answer: Result<T, chimera_plugin::PluginError>) -> String {
    format!("{:?}", answer.map_err(|error| error.to_string()))
}

fn same(report: &mut LevelReport, rule: &'static str, one: &str, other: &str) {
    report.require(
        one == other,
        rule,
        "the same answer to the same question",
        || format!("{}, and then {}", around(one, other), around(other, one)),
        MEND,
    );
}

/// The part where a text differs from another.
fn around<'a>(text: &'a str, other: &str) -> &'a str {
    let at = text.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let start = text.floor_char_boundary(at.saturating_sub(40));
    let end = text.floor_char_boundary((at + 60).min(text.len()));
    &text[start..end]
}
