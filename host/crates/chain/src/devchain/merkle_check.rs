//! The merkle root as Bitcoin Core's `consensus/merkle.cpp` computes it for a check: a list
//! with a repeated end has the root of the list without, so equal neighbours are told.

use chimera_pow::sha256d;

/// The root (`None` of no transactions), and whether equal neighbours were met.
pub(super) fn root(ids: &[[u8; 32]]) -> (Option<[u8; 32]>, bool) {
    let mut level = ids.to_vec();
    let mut mutated = false;
    while level.len() > 1 {
        mutated |= level.chunks_exact(2).any(|pair| pair[0] == pair[1]);
        level = level
            .chunks(2)
            .map(|pair| sha256d(&[pair[0], *pair.last().expect("no chunk is empty")].concat()))
            .collect();
    }
    (level.first().copied(), mutated)
}
