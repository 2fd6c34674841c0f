//! The nonce space and who holds which part of it.
//!
//! Layout of the hole in the commitment:
//!
//! ```text
//! | job salt (8) | extranonce1: leased to one session (4) | extranonce2: the miner's (8) |
//! ```
//!
//! Two sessions with the same extranonce1 would do the same work and rob each other, so a
//! part of the space has one holder at a time, and after its holder is gone it rests until
//! every job it was used with is stale.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::SALT_BYTES;

/// cgminer refuses to submit more; WhatsMiner fails above it.
const EXTRANONCE2_BYTES_USUAL_MAX: u8 = 8;
/// What cpuminer's buffers hold.
const EXTRANONCE2_BYTES_MAX: u8 = 16;

/// How many bytes of the hole belong to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NonceLayout {
    extranonce1: u8,
    extranonce2: u8,
}

/// Sizes no miner could work with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "extranonce sizes {extranonce1} + {extranonce2} are unusable: the session's part is 4 bytes, \
     the miner's 2 to {max}", max = EXTRANONCE2_BYTES_USUAL_MAX
)]
pub struct UnusableLayout {
    extranonce1: u8,
    extranonce2: u8,
}

impl NonceLayout {
    /// 4 + 8 bytes: every miner known accepts it.
    pub const DEFAULT: Self = Self { extranonce1: 4, extranonce2: 8 };

    /// Checks sizes in bytes.
    ///
    /// # Errors
    /// When some miner could not work with them.
    pub fn new(extranonce1: u8, extranonce2: u8) -> Result<Self, UnusableLayout> {
        let usable = extranonce1 == 4 && (2..=EXTRANONCE2_BYTES_USUAL_MAX).contains(&extranonce2);
        usable
            .then_some(Self { extranonce1, extranonce2 })
            .ok_or(UnusableLayout { extranonce1, extranonce2 })
    }

    /// The miner's part, in bytes.
    pub const fn extranonce2_bytes(self) -> u8 {
        self.extranonce2
    }

    /// The whole hole a template leaves: salt and both parts, in bytes.
    pub const fn hole_bytes(self) -> usize {
        SALT_BYTES + self.extranonce1 as usize + self.extranonce2 as usize
    }
}

/// The session's part of the nonce space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Extranonce1(pub [u8; 4]);

/// The miner's part of the nonce space, as submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extranonce2 {
    bytes: [u8; EXTRANONCE2_BYTES_MAX as usize],
    len: u8,
}

impl Extranonce2 {
    /// From submitted bytes; `None` if there are more than any miner may use.
    pub fn new(submitted: &[u8]) -> Option<Self> {
        let mut bytes = [0; EXTRANONCE2_BYTES_MAX as usize];
        bytes.get_mut(..submitted.len())?.copy_from_slice(submitted);
        Some(Self { bytes, len: u8::try_from(submitted.len()).ok()? })
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Their number.
    pub const fn len(&self) -> u8 {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// The right to use one [`Extranonce1`]; ends when dropped.
#[derive(Debug)]
pub struct ExtranonceLease {
    extranonce1: Extranonce1,
    /// Where the space sees that the holder is gone.
    held: Option<Arc<Bits>>,
}

impl ExtranonceLease {
    /// A lease outside every space: for replaying recorded sessions.
    #[doc(hidden)]
    pub const fn recorded(extranonce1: Extranonce1) -> Self {
        Self { extranonce1, held: None }
    }

    /// What is leased.
    pub const fn extranonce1(&self) -> Extranonce1 {
        self.extranonce1
    }

    /// Its number in its space.
    const fn counter(&self) -> u32 {
        let [_, a, b, c] = self.extranonce1.0;
        u32::from_be_bytes([0, a, b, c])
    }
}

impl Drop for ExtranonceLease {
    fn drop(&mut self) {
        if let Some(held) = &self.held {
            held.clear(self.counter());
        }
    }
}

/// A bit for every extranonce of an instance: two megabytes, however many come and go.
struct Bits(Box<[AtomicU64]>);

impl Bits {
    fn new(capacity: u32) -> Self {
        Self((0..capacity.div_ceil(u64::BITS)).map(|_| AtomicU64::new(0)).collect())
    }

    fn place(&self, number: u32) -> (&AtomicU64, u64) {
        (&self.0[(number / u64::BITS) as usize], 1 << (number % u64::BITS))
    }

    fn is_set(&self, number: u32) -> bool {
        let (word, bit) = self.place(number);
        word.load(Ordering::Acquire) & bit != 0
    }

    fn set(&self, number: u32) {
        let (word, bit) = self.place(number);
        word.fetch_or(bit, Ordering::AcqRel);
    }

    fn clear(&self, number: u32) {
        let (word, bit) = self.place(number);
        word.fetch_and(!bit, Ordering::AcqRel);
    }

    /// Makes them those of another; how many are set.
    fn take_from(&self, other: &Self) -> usize {
        let words = self.0.iter().zip(&other.0);
        words.fold(0, |count, (word, other)| {
            let bits = other.load(Ordering::Acquire);
            word.store(bits, Ordering::Release);
            count + bits.count_ones() as usize
        })
    }
}

impl fmt::Debug for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bits")
    }
}

/// All extranonce1 of one pool instance: the first byte is the instance, three count.
#[derive(Debug)]
pub struct ExtranonceSpace {
    instance: u8,
    next: u32,
    capacity: u32,
    /// Held or resting.
    taken: Bits,
    taken_count: usize,
    /// Shared with the leases, which end by themselves.
    held: Arc<Bits>,
}

/// All of the space is held or resting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("all {0} extranonces of this instance are in use or resting until the next block")]
pub struct SpaceExhausted(u32);

impl ExtranonceSpace {
    /// The space of one instance; instances of one pool must have different numbers.
    pub fn new(instance: u8) -> Self {
        Self::with_capacity(instance, 1 << 24)
    }

    /// A space of so few extranonces that a test can exhaust it.
    #[doc(hidden)]
    pub fn with_capacity(instance: u8, capacity: u32) -> Self {
        let capacity = capacity.min(1 << 24);
        let (taken, held) = (Bits::new(capacity), Arc::new(Bits::new(capacity)));
        Self { instance, next: 0, capacity, taken, taken_count: 0, held }
    }

    /// Leases an extranonce1 nobody holds and no live job was used with.
    ///
    /// # Errors
    /// When the whole space is held or resting.
    pub fn lease(&mut self) -> Result<ExtranonceLease, SpaceExhausted> {
        if self.taken_count >= self.capacity as usize {
            return Err(SpaceExhausted(self.capacity));
        }
        while self.taken.is_set(self.next) {
            self.next = (self.next + 1) % self.capacity;
        }
        let counter = self.next;
        self.next = (self.next + 1) % self.capacity;
        Ok(self.take(counter))
    }

    /// Leases an extranonce1 that another process of this instance had leased; `None` if it
    /// is another instance's, or held already.
    pub fn lease_again(&mut self, extranonce1: Extranonce1) -> Option<ExtranonceLease> {
        let [instance, a, b, c] = extranonce1.0;
        let counter = u32::from_be_bytes([0, a, b, c]);
        let free =
            instance == self.instance && counter < self.capacity && !self.taken.is_set(counter);
        free.then(|| self.take(counter))
    }

    fn take(&mut self, counter: u32) -> ExtranonceLease {
        self.taken.set(counter);
        self.taken_count += 1;
        self.held.set(counter);
        let [_, a, b, c] = counter.to_be_bytes();
        let extranonce1 = Extranonce1([self.instance, a, b, c]);
        ExtranonceLease { extranonce1, held: Some(Arc::clone(&self.held)) }
    }

    /// Takes back what no job was issued over: nothing was found there that could be found
    /// again, so it need not rest.
    pub fn give_back(&mut self, lease: ExtranonceLease) {
        if lease.held.as_ref().is_some_and(|held| Arc::ptr_eq(held, &self.held)) {
            self.taken.clear(lease.counter());
            self.taken_count -= 1;
        }
    }

    /// A new round began: every earlier job is stale, so what its holder has given back
    /// has rested long enough.
    pub fn round_changed(&mut self) {
        self.taken_count = self.taken.take_from(&self.held);
    }

    /// How many are held or resting.
    pub fn taken(&self) -> usize {
        self.taken_count
    }
}
