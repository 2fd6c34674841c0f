//! The bytes of a request and of an outcome: what is hashed, and what goes to the process
//! that settles. Defined here and nowhere else, the same for ever.
//!
//! Numbers are little-endian in their own width. A list is its length as u64, then its
//! entries; a text is a list of UTF-8 bytes. An option is a byte 0, or 1 and the value. A
//! variant is a byte, in the order of `wit/0.1/payout.wit`, then its fields. Records are
//! their fields in the order of `wit/0.1/payout.wit`, nothing between them.
//!
//! A digest is BLAKE3 of `chimera request 1` or `chimera outcome 1`, a zero byte, and these
//! bytes with the 32 bytes of the state's hash ([`Hash256::of_state`]) in place of the state:
//! it can still be checked when an old state is no longer kept.

use crate::{Accounts, Allocation, Event, Hash256, Proposal, Request, Slices};

/// Bytes that are no request or outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBytes {
    /// They end too early.
    #[error("{what} at byte {at} needs more bytes than there are")]
    Truncated {
        /// What was to be read.
        what: &'static str,
        /// Where.
        at: usize,
    },
    /// They go on behind the end.
    #[error("{0} bytes too many")]
    TooLong(usize),
    /// A variant that does not exist, or a text that is none.
    #[error("no {what} at byte {at}")]
    Unknown {
        /// What was to be read.
        what: &'static str,
        /// Where.
        at: usize,
    },
}

impl Request {
    /// Its canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.written(|out| out.bytes(&self.state))
    }

    /// The same with an empty state, where that is kept apart.
    pub fn to_bytes_without_state(&self) -> Vec<u8> {
        self.written(|out| out.bytes(&[]))
    }

    fn written(&self, state: impl Fn(&mut Encoder)) -> Vec<u8> {
        let rows = self.accounts.rows();
        let cells = self.slices.account.len();
        let mut out = Encoder::with_capacity(160 + 20 * rows + 14 * cells + self.state.len());
        out.event(&self.event);
        out.list(&self.accounts.key, |out, key| out.u64(*key));
        out.list(&self.accounts.work, |out, work| out.u64(*work));
        out.list(&self.accounts.fee_ppm, |out, fee| out.i32(*fee));
        out.list(&self.slices.account, |out, account| out.u32(*account));
        out.list(&self.slices.bucket, |out, bucket| out.u16(*bucket));
        out.list(&self.slices.work, |out, work| out.u64(*work));
        out.u64(self.carry);
        state(&mut out);
        out.0
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// When they are not exactly one request.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadBytes> {
        let mut input = Decoder { bytes, at: 0 };
        let request = Self {
            event: input.event()?,
            accounts: Accounts {
                key: input.column("a column of keys", u64::from_le_bytes)?,
                work: input.column("a column of work", u64::from_le_bytes)?,
                fee_ppm: input.column("a column of fees", i32::from_le_bytes)?,
            },
            slices: Slices {
                account: input.column("a column of rows", u32::from_le_bytes)?,
                bucket: input.column("a column of buckets", u16::from_le_bytes)?,
                work: input.column("a column of work", u64::from_le_bytes)?,
            },
            carry: input.u64("a carry")?,
            state: input.bytes("a state")?.to_vec(),
        };
        input.end()?;
        Ok(request)
    }

    /// What it is known by.
    pub fn digest(&self) -> Hash256 {
        self.digest_with(&Hash256::of_state(&self.state))
    }

    /// What it is known by, if its state is the one of this hash.
    pub fn digest_with(&self, state: &Hash256) -> Hash256 {
        Hash256::of("chimera request 1", &[&self.written(|out| out.hash(state))])
    }
}

impl Proposal {
    /// Its canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.written(|out| out.bytes(&self.state))
    }

    /// The same with an empty state, where that is kept apart.
    pub fn to_bytes_without_state(&self) -> Vec<u8> {
        self.written(|out| out.bytes(&[]))
    }

    fn written(&self, state: impl Fn(&mut Encoder)) -> Vec<u8> {
        let (Allocation::Weights(entries) | Allocation::Amounts(entries)) = &self.allocation;
        let mut out = Encoder::with_capacity(64 + 8 * entries.len() + self.state.len());
        out.u8(u8::from(matches!(self.allocation, Allocation::Amounts(_))));
        out.list(entries, |out, entry| out.u64(*entry));
        out.u64(self.pool_fee);
        out.u64(self.carry);
        state(&mut out);
        out.list(&self.notes, |out, note| out.bytes(note.as_bytes()));
        out.0
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// When they are not exactly one outcome.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadBytes> {
        let mut input = Decoder { bytes, at: 0 };
        let allocation = match input.u8("an allocation")? {
            0 => Allocation::Weights(input.column("weights", u64::from_le_bytes)?),
            1 => Allocation::Amounts(input.column("amounts", u64::from_le_bytes)?),
            _ => return Err(input.unknown("allocation")),
        };
        let (pool_fee, carry) = (input.u64("a fee")?, input.u64("a carry")?);
        let state = input.bytes("a state")?.to_vec();
        let mut notes = Vec::new();
        for _ in 0..input.length("notes", 8)? {
            let note = String::from_utf8(input.bytes("a note")?.to_vec());
            notes.push(note.map_err(|_| input.unknown("text"))?);
        }
        input.end()?;
        Ok(Self { allocation, pool_fee, carry, state, notes })
    }

    /// What it is known by.
    pub fn digest(&self) -> Hash256 {
        self.digest_with(&Hash256::of_state(&self.state))
    }

    /// What it is known by, if its state is the one of this hash.
    pub fn digest_with(&self, state: &Hash256) -> Hash256 {
        Hash256::of("chimera outcome 1", &[&self.written(|out| out.hash(state))])
    }
}

/// Canonical bytes being written.
pub(crate) struct Encoder(pub(crate) Vec<u8>);

impl Encoder {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn i32(&mut self, value: i32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.u64(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(crate) fn hash(&mut self, hash: &Hash256) {
        self.0.extend_from_slice(hash.as_bytes());
    }

    pub(crate) fn list<T>(&mut self, entries: &[T], write: impl Fn(&mut Self, &T)) {
        self.u64(entries.len() as u64);
        for entry in entries {
            write(self, entry);
        }
    }

    fn event(&mut self, event: &Event) {
        match *event {
            Event::Block { height, reward, tx_fees, window_work, found_at_ms, finder } => {
                self.u8(0);
                for field in [height, reward, tx_fees, window_work, found_at_ms] {
                    self.u64(field);
                }
                self.u8(u8::from(finder.is_some()));
                if let Some(row) = finder {
                    self.u32(row);
                }
            }
            Event::Interval {
                started_at_ms,
                ended_at_ms,
                network_work,
                expected_reward,
                expected_fees,
            } => {
                self.u8(1);
                let fields =
                    [started_at_ms, ended_at_ms, network_work, expected_reward, expected_fees];
                for field in fields {
                    self.u64(field);
                }
            }
        }
    }
}

/// Canonical bytes being read.
struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Decoder<'a> {
    fn take(&mut self, what: &'static str, count: usize) -> Result<&'a [u8], BadBytes> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(BadBytes::Truncated { what, at: self.at })?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], BadBytes> {
        Ok(self.take(what, N)?.try_into().expect("as many as were asked for"))
    }

    fn u8(&mut self, what: &'static str) -> Result<u8, BadBytes> {
        Ok(self.array::<1>(what)?[0])
    }

    fn u64(&mut self, what: &'static str) -> Result<u64, BadBytes> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// A length, refused if so many entries cannot follow.
    fn length(&mut self, what: &'static str, entry_bytes: usize) -> Result<usize, BadBytes> {
        let at = self.at;
        let length = usize::try_from(self.u64(what)?).ok();
        let fits = |length: &usize| {
            let bytes = length.checked_mul(entry_bytes);
            bytes.is_some_and(|bytes| bytes <= self.bytes.len() - self.at)
        };
        length.filter(fits).ok_or(BadBytes::Truncated { what, at })
    }

    fn column<T, const N: usize>(
        &mut self,
        what: &'static str,
        read: impl Fn([u8; N]) -> T,
    ) -> Result<Vec<T>, BadBytes> {
        let length = self.length(what, N)?;
        let (entries, _) = self.take(what, length * N)?.as_chunks::<N>();
        Ok(entries.iter().map(|entry| read(*entry)).collect())
    }

    fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], BadBytes> {
        let length = self.length(what, 1)?;
        self.take(what, length)
    }

    fn event(&mut self) -> Result<Event, BadBytes> {
        let kind = self.u8("an event")?;
        let mut fields = [0; 5];
        for field in &mut fields {
            *field = self.u64("an event")?;
        }
        match (kind, fields) {
            (0, [height, reward, tx_fees, window_work, found_at_ms]) => {
                let finder = match self.u8("a finder")? {
                    0 => None,
                    1 => Some(u32::from_le_bytes(self.array("a finder")?)),
                    _ => return Err(self.unknown("finder")),
                };
                Ok(Event::Block { height, reward, tx_fees, window_work, found_at_ms, finder })
            }
            (1, [started_at_ms, ended_at_ms, network_work, expected_reward, expected_fees]) => {
                Ok(Event::Interval {
                    started_at_ms,
                    ended_at_ms,
                    network_work,
                    expected_reward,
                    expected_fees,
                })
            }
            _ => Err(self.unknown("event")),
        }
    }

    fn unknown(&self, what: &'static str) -> BadBytes {
        BadBytes::Unknown { what, at: self.at }
    }

    fn end(self) -> Result<(), BadBytes> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            more => Err(BadBytes::TooLong(more)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request {
            event: Event::Block {
                height: 1,
                reward: 2,
                tx_fees: 3,
                window_work: 4,
                found_at_ms: 5,
                finder: Some(6),
            },
            accounts: Accounts { key: vec![7], work: vec![8], fee_ppm: vec![-1] },
            slices: Slices { account: vec![0], bucket: vec![9], work: vec![10] },
            carry: 11,
            state: vec![0xaa, 0xbb],
        }
    }

    fn outcome() -> Proposal {
        Proposal {
            allocation: Allocation::Amounts(vec![1]),
            pool_fee: 2,
            carry: 3,
            state: vec![0xcc],
            notes: vec!["é".to_owned()],
        }
    }

    /// Records of today are checked by programs of later years, and of other people.
    #[test]
    fn the_bytes_never_change() {
        let expected = [
            "00",
            "0100000000000000",
            "0200000000000000",
            "0300000000000000",
            "0400000000000000",
            "0500000000000000",
            "0106000000",
            "01000000000000000700000000000000",
            "01000000000000000800000000000000",
            "0100000000000000ffffffff",
            "010000000000000000000000",
            "01000000000000000900",
            "01000000000000000a00000000000000",
            "0b00000000000000",
            "0200000000000000aabb",
        ]
        .concat();
        assert_eq!(hex::encode(request().to_bytes()), expected);
        let interval = Request {
            event: Event::Interval {
                started_at_ms: 1,
                ended_at_ms: 2,
                network_work: 3,
                expected_reward: 4,
                expected_fees: 5,
            },
            accounts: Accounts::default(),
            slices: Slices::default(),
            carry: 0,
            state: Vec::new(),
        };
        let expected = [
            "01010000000000000002000000000000000300000000000000",
            "04000000000000000500000000000000",
            &"00".repeat(8 * 8),
        ]
        .concat();
        assert_eq!(hex::encode(interval.to_bytes()), expected);
        let expected = "01010000000000000001000000000000000200000000000000030000000000000001000000000000\
             00cc01000000000000000200000000000000c3a9";
        assert_eq!(hex::encode(outcome().to_bytes()), expected);
        let digest = |domain: &str, bytes: &[u8]| {
            *blake3::hash(&[domain.as_bytes(), &[0], bytes].concat()).as_bytes()
        };
        let state = |bytes: &[u8]| digest("chimera state 1", bytes);
        let bytes = request().to_bytes();
        let (head, _) = bytes.split_at(bytes.len() - 10);
        let hashed = [head, &state(&[0xaa, 0xbb])].concat();
        assert_eq!(*request().digest().as_bytes(), digest("chimera request 1", &hashed));
        let bytes = outcome().to_bytes();
        let hashed = [&bytes[..33], &state(&[0xcc]), &bytes[42..]].concat();
        assert_eq!(*outcome().digest().as_bytes(), digest("chimera outcome 1", &hashed));
    }

    #[test]
    fn every_prefix_and_every_longer_text_is_refused() {
        let (bytes, answer) = (request().to_bytes(), outcome().to_bytes());
        assert_eq!(Request::from_bytes(&bytes), Ok(request()));
        assert_eq!(Proposal::from_bytes(&answer), Ok(outcome()));
        for end in 0..bytes.len() {
            assert!(Request::from_bytes(&bytes[..end]).is_err(), "{end} bytes");
        }
        for end in 0..answer.len() {
            assert!(Proposal::from_bytes(&answer[..end]).is_err(), "{end} bytes");
        }
        assert_eq!(Request::from_bytes(&[bytes, vec![0]].concat()), Err(BadBytes::TooLong(1)));
        // A length of 2^64 - 1 is no reason to ask for so much memory.
        assert!(Proposal::from_bytes(&[&[0], &[0xff; 8][..]].concat()).is_err());
    }
}
