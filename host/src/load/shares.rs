//! What a connection submits: of its current job, never the same twice unless asked to.

use chimera_pow::Header;

use super::flights::{Flights, Kind};
use super::template::{Fields, Template};
use crate::miner::MinerJob;

/// Golden ratio: an odd factor, so that counters become nonces all over the space, none twice.
const SPREAD: u32 = 0x9e37_79b1;
/// A job no pool has given.
const NO_JOB: &[u8] = b"fffffffe";
/// Nonces of one extranonce2.
const NONCES: u64 = 1 << 32;

/// What is submitted next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Good,
    /// For a job the pool does not know.
    Stale,
    /// The one before once more.
    Duplicate,
    /// A hash above the target; of mined shares only, others are not hashed.
    Low,
}

impl Wanted {
    /// The kinds of bad ones, in turn.
    pub(super) const fn bad(turn: u64, mined: bool) -> Self {
        let kinds = if mined { 3 } else { 2 };
        [Self::Stale, Self::Duplicate, Self::Low][(turn % kinds) as usize]
    }
}

/// A job being hashed, and where.
#[derive(Debug)]
struct Mined {
    job: MinerJob,
    header: Header,
    nonce: u64,
}

/// A connection's current job.
#[derive(Debug, Default)]
pub(super) struct Work {
    template: Template,
    stale: Option<Template>,
    /// Counts on over jobs: what was submitted once does not come again by chance.
    serial: u64,
    last: Option<(u64, u32)>,
    mined: Option<Box<Mined>>,
}

impl Work {
    /// Turns to a new job; `mined` is the same to be hashed.
    pub(super) fn turn_to(&mut self, fields: Fields<'_>, mined: Option<MinerJob>, bad: bool) {
        self.template = Template::new(fields);
        self.stale = bad.then(|| Template::new(Fields { job_id: NO_JOB, ..fields }));
        self.last = None;
        self.mined = mined.map(|job| {
            self.serial += 1;
            let header = job.header(u128::from(self.serial) & job.extranonce2_max());
            Box::new(Mined { job, header, nonce: 0 })
        });
    }

    /// Forgets the job: the connection is gone.
    pub(super) fn clear(&mut self) {
        *self = Self { serial: self.serial, ..Self::default() };
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.template.is_empty()
    }

    /// Appends one submit. False: `hashes` were not enough, the search goes on next time.
    #[inline]
    pub(super) fn append(
        &mut self,
        out: &mut Vec<u8>,
        flights: &mut Flights,
        now_ns: u64,
        wanted: Wanted,
        hashes: &mut u64,
    ) -> bool {
        let (extranonce2, nonce) = match (wanted, self.last) {
            (Wanted::Duplicate, Some(last)) => last,
            _ => match self.find(wanted, hashes) {
                Some(found) => found,
                None => return false,
            },
        };
        let bad = match wanted {
            Wanted::Good => false,
            Wanted::Stale => true,
            Wanted::Duplicate => self.last.is_some(),
            Wanted::Low => self.mined.is_some(),
        };
        let kind = if bad { Kind::Bad } else { Kind::Good };
        let Some(id) = flights.depart(now_ns, kind) else { return true };
        match (&self.stale, wanted) {
            (Some(stale), Wanted::Stale) => stale.append(out, id, extranonce2, nonce),
            _ => self.template.append(out, id, extranonce2, nonce),
        }
        if !bad {
            self.last = Some((extranonce2, nonce));
        }
        true
    }

    fn find(&mut self, wanted: Wanted, hashes: &mut u64) -> Option<(u64, u32)> {
        let Some(mined) = &mut self.mined else {
            self.serial += 1;
            return Some((self.serial, (self.serial as u32).wrapping_mul(SPREAD)));
        };
        let (algorithm, target) = (mined.job.algorithm(), mined.job.target());
        while *hashes > 0 {
            if mined.nonce == NONCES {
                self.serial += 1;
                mined.nonce = 0;
                let extranonce2 = u128::from(self.serial) & mined.job.extranonce2_max();
                mined.header = mined.job.header(extranonce2);
            }
            *hashes -= 1;
            let nonce = mined.nonce as u32;
            mined.nonce += 1;
            mined.header[76..].copy_from_slice(&nonce.to_le_bytes());
            let met = target.is_met_by(&algorithm.hash(&mined.header));
            if met != (wanted == Wanted::Low) {
                return Some((self.serial, nonce));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn work() -> Work {
        let mut work = Work::default();
        let fields = Fields { user: "a", job_id: b"1", ntime: b"65000000", extranonce2_bytes: 4 };
        work.turn_to(fields, None, true);
        work
    }

    fn line(work: &mut Work, wanted: Wanted) -> String {
        let mut out = Vec::new();
        assert!(work.append(&mut out, &mut Flights::new(1), 0, wanted, &mut 0));
        let text = String::from_utf8(out).expect("text");
        text.split_once("\"params\"").expect("a submit").1.to_owned()
    }

    #[test]
    fn good_ones_are_never_the_same() {
        let mut work = work();
        let lines: BTreeSet<String> = (0..1000).map(|_| line(&mut work, Wanted::Good)).collect();
        assert_eq!(lines.len(), 1000);
    }

    #[test]
    fn bad_ones_are_bad_as_asked() {
        let mut work = work();
        let good = line(&mut work, Wanted::Good);
        assert_eq!(line(&mut work, Wanted::Duplicate), good);
        assert!(line(&mut work, Wanted::Stale).contains("\"fffffffe\""));
        assert!(line(&mut work, Wanted::Good).contains("\"1\""));
    }
}
