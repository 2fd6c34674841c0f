//! What is being mined and whether an answer is right. Pure: time, bytes and identities
//! are arguments; a [`Share`] comes only from [`JobBook::judge`].
#![forbid(unsafe_code)]
#![deny(clippy::float_arithmetic)]

mod extranonce;
mod job;
mod job_book;
mod judge;
mod reject;
mod seen;
mod share;
mod template;

pub use extranonce::{
    Extranonce1, Extranonce2, ExtranonceLease, ExtranonceSpace, NonceLayout, SpaceExhausted,
    UnusableLayout,
};
pub use job::{Job, JobId, JobSequence, SALT_BYTES, SequenceState};
pub use job_book::{BookState, IssuedState, JOBS_KEPT_MAX, JobBook};
pub use judge::{Judgement, Submission, judge_header};
pub use reject::Reject;
pub use share::{Level, Share, Solution, WorkerId};
pub use template::{Commitment, Template};
