//! The one table of verdicts: what a refusal is on the wire, in metrics, and in the
//! account of misbehaviour.

use std::fmt;

use chimera_work::Reject;

use crate::Fault;

/// Why a request was refused: by the judge of shares or by the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// A share earned nothing.
    Share(Reject),
    /// The request could not be carried out.
    Request(Fault),
}

impl Refusal {
    /// Stratum V1's code, 20 to 25; miners read only the text, so refinements go there.
    pub const fn code(self) -> u8 {
        self.row().0
    }

    /// A fixed word for metric labels and the API.
    pub const fn label(self) -> &'static str {
        self.row().1
    }

    /// What it adds to the account of misbehaviour. 0 for what an honest miner cannot avoid.
    pub const fn score(self) -> u32 {
        self.row().2
    }

    const fn row(self) -> (u8, &'static str, u32) {
        match self {
            Self::Share(reject) => {
                let (code, score) = match reject {
                    Reject::UnknownJob | Reject::Stale => (21, 0),
                    Reject::Duplicate => (22, 1),
                    Reject::LowDifficulty => (23, 1),
                    Reject::TooManyShares => (20, 0),
                    Reject::Extranonce2Length { .. }
                    | Reject::TimeTooOld
                    | Reject::TimeTooNew
                    | Reject::VersionMask => (20, 1),
                };
                (code, reject.label(), score)
            }
            Self::Request(fault) => match fault {
                Fault::LineTooLong => (20, "line-too-long", 1),
                Fault::NotJson => (20, "not-json", 1),
                Fault::IdTooLong => (20, "id-too-long", 1),
                Fault::UnknownMethod => (20, "unknown-method", 1),
                Fault::Missing(_) => (20, "missing-parameter", 1),
                Fault::HexWidth { .. } | Fault::Extranonce2Width { .. } => (20, "hex-width", 1),
                Fault::NotHex(_) => (20, "not-hex", 1),
                Fault::NotADifficulty => (20, "not-a-difficulty", 1),
                Fault::UserTooLong { .. } => (20, "user-too-long", 1),
                Fault::TooManyWorkers => (20, "too-many-workers", 1),
                Fault::Unauthorized => (24, "unauthorized", 1),
                Fault::NotSubscribed => (25, "not-subscribed", 1),
                Fault::NotStored => (20, "not-stored", 0),
                Fault::NoSeat => (20, "no-extranonce", 0),
            },
        }
    }
}

impl From<Reject> for Refusal {
    fn from(reject: Reject) -> Self {
        Self::Share(reject)
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Request(fault)
    }
}

/// The text a miner sees.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(reject) => reject.fmt(f),
            Self::Request(fault) => fault.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_stay_between_20_and_25_and_texts_are_never_empty() {
        let faults = [
            Fault::LineTooLong,
            Fault::NotJson,
            Fault::IdTooLong,
            Fault::UnknownMethod,
            Fault::NotADifficulty,
            Fault::TooManyWorkers,
            Fault::Unauthorized,
            Fault::NotSubscribed,
            Fault::NotStored,
            Fault::NoSeat,
        ];
        let all = Reject::ALL.map(Refusal::from).into_iter().chain(faults.map(Refusal::from));
        for refusal in all {
            assert!((20..=25).contains(&refusal.code()), "{refusal:?}");
            assert!(!refusal.to_string().is_empty() && !refusal.label().is_empty());
        }
    }
}
