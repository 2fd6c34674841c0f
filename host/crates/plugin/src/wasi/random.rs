//! `wasi:random`: one stream of numbers per call, which follows from what was asked. Good for
//! hash maps and tie-breaks that shall be the same everywhere; no good for secrets.

use wasmtime::component::Val;

use super::{Call, Function, bytes};

/// Seeds are tens of bytes.
const BYTES_MAX: u64 = 64 << 10;

pub(super) const ALL: &[Function] = &[
    ("wasi:random/random", "get-random-bytes", |mut call| call.random_bytes().map(Some)),
    ("wasi:random/random", "get-random-u64", |mut call| Ok(Some(Val::U64(call.random())))),
    ("wasi:random/insecure", "get-insecure-random-bytes", |mut call| call.random_bytes().map(Some)),
    ("wasi:random/insecure", "get-insecure-random-u64", |mut call| {
        Ok(Some(Val::U64(call.random())))
    }),
    ("wasi:random/insecure-seed", "insecure-seed", |mut call| Ok(Some(call.seed()))),
    ("wasi:random/insecure-seed", "get-insecure-seed", |mut call| Ok(Some(call.seed()))),
];

impl Call<'_> {
    fn random(&mut self) -> u64 {
        let mut number = [0; 8];
        self.ambient().moment.fill(&mut number);
        u64::from_le_bytes(number)
    }

    fn seed(&mut self) -> Val {
        let halves = [self.random(), self.random()];
        Val::Tuple(halves.map(Val::U64).to_vec())
    }

    fn random_bytes(&mut self) -> wasmtime::Result<Val> {
        let length = self.length(0);
        if length > BYTES_MAX {
            let problem = format!("{length} random bytes at once; {BYTES_MAX} are allowed");
            return Err(wasmtime::Error::msg(problem));
        }
        let mut random = vec![0; length as usize];
        self.ambient().moment.fill(&mut random);
        Ok(bytes(random))
    }
}
