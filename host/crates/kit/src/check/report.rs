//! What a check found: per level, how many rules were tried, and which did not hold.

use chimera_plugin::{Class, Digest};
use serde::Serialize;

/// The levels, in order: each looks at what the ones before it took for granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// What its bytes are.
    L0,
    /// Describing, validating, configuring.
    L1,
    /// Money (payout).
    L2,
    /// The same question has the same answer.
    L3,
    /// Fuel, time and memory.
    L4,
    /// State from one call to the next, and from one build to the next.
    L5,
    /// What its class needs besides: difficulty, auth.
    L6,
    /// The author's own cases.
    L7,
}

impl Level {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::L0, Self::L1, Self::L2, Self::L3, Self::L4, Self::L5, Self::L6, Self::L7];

    /// For people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::L0 => "static",
            Self::L1 => "lifecycle",
            Self::L2 => "money",
            Self::L3 => "determinism",
            Self::L4 => "resources",
            Self::L5 => "state",
            Self::L6 => "class rules",
            Self::L7 => "vectors",
        }
    }
}

impl std::str::FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found =
            Self::ALL.into_iter().find(|level| format!("{level:?}").eq_ignore_ascii_case(text));
        found.ok_or_else(|| format!("{text:?} is no level; L0 to L7 are"))
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// Worth knowing; nothing fails because of it, also not under `--strict`.
    Note,
    /// Worth knowing; an error under `--strict`.
    Warning,
    /// The component fails the check.
    Error,
}

/// A rule that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule.
    pub rule: &'static str,
    /// How bad.
    pub grade: Grade,
    /// What should be.
    pub expected: String,
    /// What is.
    pub found: String,
    /// What to do about it.
    pub mend: String,
}

/// What came of one level.
#[derive(Debug, Clone, Serialize)]
pub struct LevelReport {
    /// Which.
    pub level: Level,
    /// For people.
    pub title: &'static str,
    /// How many single checks were made.
    pub checks: u64,
    /// What did not hold; a rule is told once, with its first case.
    pub findings: Vec<Finding>,
    /// Figures worth knowing.
    pub facts: Vec<String>,
    /// Why it was left out, if it was.
    pub skipped: Option<String>,
}

/// What came of a check.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The component, by name.
    pub component: String,
    /// Its digest.
    pub digest: Digest,
    /// What it was checked as.
    pub class: Option<Class>,
    /// What the random cases were made from.
    pub seed: u64,
    /// Whether warnings count.
    pub strict: bool,
    /// Level by level.
    pub levels: Vec<LevelReport>,
}

impl Report {
    /// Whether it may be used.
    pub fn passed(&self) -> bool {
        let fails = |finding: &Finding| match finding.grade {
            Grade::Note => false,
            Grade::Warning => self.strict,
            Grade::Error => true,
        };
        !self.levels.iter().flat_map(|level| &level.findings).any(fails)
    }
}

impl LevelReport {
    /// Whether every rule holds; notes are no broken rules.
    pub fn holds(&self) -> bool {
        self.findings.iter().all(|finding| finding.grade == Grade::Note)
    }
}

impl LevelReport {
    pub(super) fn new(level: Level) -> Self {
        Self {
            level,
            title: level.title(),
            checks: 0,
            findings: Vec::new(),
            facts: Vec::new(),
            skipped: None,
        }
    }

    pub(super) fn skipped(level: Level, why: &str) -> Self {
        Self { skipped: Some(why.to_owned()), ..Self::new(level) }
    }

    /// Counts a single check.
    pub(super) const fn tried(&mut self) {
        self.checks += 1;
    }

    /// Counts a check, and tells it if it does not hold. Whether it held.
    pub(super) fn require(
        &mut self,
        holds: bool,
        rule: &'static str,
        expected: impl Into<String>,
        found: impl FnOnce() -> String,
        mend: impl Into<String>,
    ) -> bool {
        self.tried();
        if !holds {
            self.tell(Grade::Error, rule, expected.into(), found(), mend.into());
        }
        holds
    }

    pub(super) fn error(
        &mut self,
        rule: &'static str,
        expected: impl Into<String>,
        found: impl Into<String>,
        mend: impl Into<String>,
    ) {
        self.tell(Grade::Error, rule, expected.into(), found.into(), mend.into());
    }

    pub(super) fn note(
        &mut self,
        rule: &'static str,
        expected: impl Into<String>,
        found: impl Into<String>,
        mend: impl Into<String>,
    ) {
        self.tell(Grade::Note, rule, expected.into(), found.into(), mend.into());
    }

    pub(super) fn warning(
        &mut self,
        rule: &'static str,
        expected: impl Into<String>,
        found: impl Into<String>,
        mend: impl Into<String>,
    ) {
        self.tell(Grade::Warning, rule, expected.into(), found.into(), mend.into());
    }

    pub(super) fn fact(&mut self, fact: impl Into<String>) {
        self.facts.push(fact.into());
    }

    fn tell(
        &mut self,
        grade: Grade,
        rule: &'static str,
        expected: String,
        found: String,
        mend: String,
    ) {
        if !self.findings.iter().any(|finding| finding.rule == rule) {
            self.findings.push(Finding { rule, grade, expected, found, mend });
        }
    }
}
