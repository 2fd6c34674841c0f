//! What goes between the pool and the process that settles: one question in, one answer out.
//!
//! A frame is a magic word of eight bytes and a number of sections, each a length (u64,
//! little-endian) and bytes. The first section is a small JSON head, the others are columns
//! and code, as they are.

use std::io::{self, Read};

use serde::{Deserialize, Serialize};

const QUESTION: &[u8; 8] = b"CHSETTQ1";
const ANSWER: &[u8; 8] = b"CHSETTA1";
/// No section is longer: a request of ten million rows, a component of 32 MB compiled.
const SECTION_BYTES_MAX: u64 = 1 << 30;

/// What the pool asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    pub head: QuestionHead,
    /// The component.
    pub wasm: Vec<u8>,
    /// Its code for each engine that is to be used, if the pool has it.
    pub native: Vec<u8>,
    pub portable: Vec<u8>,
    /// The request's canonical bytes.
    pub request: Vec<u8>,
}

/// Who is asked, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QuestionHead {
    pub component: String,
    pub config: String,
    pub grants: Vec<String>,
    /// Whether a second engine must come to the same answer.
    pub cross_check: bool,
}

/// What the process answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Why there is no outcome.
    pub failure: Option<Failure>,
    /// The outcome's canonical bytes.
    pub outcome: Vec<u8>,
    /// The failed call as a file, for whoever wants to repeat it.
    pub bundle: Vec<u8>,
}

/// Why there is no outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// For people: component, call, cause.
    pub message: String,
}

impl QuestionHead {
    fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers are JSON")
    }
}

impl Question {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let head = self.head.json();
        frame(QUESTION, &[&head, &self.wasm, &self.native, &self.portable, &self.request])
    }

    /// Reads a question, section by section, until its end.
    pub(crate) fn read(mut input: impl Read) -> io::Result<Self> {
        magic(&mut input, QUESTION)?;
        let head = serde_json::from_slice(&section(&mut input)?)?;
        let [wasm, native, portable, request] = [
            section(&mut input)?,
            section(&mut input)?,
            section(&mut input)?,
            section(&mut input)?,
        ];
        Ok(Self { head, wasm, native, portable, request })
    }
}

impl Answer {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let head = serde_json::to_vec(&self.failure).expect("texts are JSON");
        frame(ANSWER, &[&head, &self.outcome, &self.bundle])
    }

    pub(crate) fn read(mut input: &[u8]) -> io::Result<Self> {
        magic(&mut input, ANSWER)?;
        let failure = serde_json::from_slice(&section(&mut input)?)?;
        let (outcome, bundle) = (section(&mut input)?, section(&mut input)?);
        Ok(Self { failure, outcome, bundle })
    }
}

fn frame(magic: &[u8; 8], sections: &[&[u8]]) -> Vec<u8> {
    let bytes: usize = sections.iter().map(|section| 8 + section.len()).sum();
    let mut out = Vec::with_capacity(8 + bytes);
    out.extend_from_slice(magic);
    for section in sections {
        out.extend_from_slice(&(section.len() as u64).to_le_bytes());
        out.extend_from_slice(section);
    }
    out
}

fn magic(input: &mut impl Read, expected: &[u8; 8]) -> io::Result<()> {
    let mut found = [0; 8];
    input.read_exact(&mut found)?;
    if found == *expected {
        return Ok(());
    }
    Err(io::Error::other("not spoken by a program of this version"))
}

fn section(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 8];
    input.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > SECTION_BYTES_MAX {
        return Err(io::Error::other(format!("a section of {length} bytes")));
    }
    let mut bytes = Vec::new();
    // Grows with what comes: a length alone takes no memory.
    input.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_back_and_cut_ones_refused() {
        let head = QuestionHead {
            component: "payout-x".to_owned(),
            config: "{}".to_owned(),
            grants: vec!["interpreted".to_owned()],
            cross_check: true,
        };
        let question = Question {
            head,
            wasm: vec![0, 1],
            native: vec![],
            portable: vec![2; 100],
            request: vec![3],
        };
        let bytes = question.to_bytes();
        assert_eq!(Question::read(&bytes[..]).unwrap(), question);
        for end in 0..bytes.len() {
            assert!(Question::read(&bytes[..end]).is_err(), "{end} bytes");
        }
        let failure = Some(Failure { message: "no".to_owned() });
        let answer = Answer { failure, outcome: vec![], bundle: vec![7] };
        assert_eq!(Answer::read(&answer.to_bytes()).unwrap(), answer);
        assert!(Answer::read(&bytes).is_err(), "a question is no answer");
        assert!(Answer::read(&[&ANSWER[..], &[0xff; 8]].concat()).is_err());
    }
}
