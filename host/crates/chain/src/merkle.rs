//! The merkle tree over transaction ids, seen from its first leaf, the coinbase.

use chimera_pow::sha256d;

/// The hashes that lead from the coinbase to the root, leaf level first. `txids` are those
/// of the other transactions, in internal byte order.
pub(crate) fn branch(txids: &[[u8; 32]]) -> Vec<[u8; 32]> {
    let mut branch = Vec::new();
    let mut level = txids.to_vec();
    while let Some((sibling, others)) = level.split_first() {
        branch.push(*sibling);
        // A lone last node is paired with itself.
        level = others.chunks(2).map(|pair| join(&pair[0], &pair[pair.len() - 1])).collect();
    }
    branch
}

/// The root over a leaf and its branch.
pub(crate) fn root(leaf: [u8; 32], branch: &[[u8; 32]]) -> [u8; 32] {
    branch.iter().fold(leaf, |node, sibling| join(&node, sibling))
}

fn join(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut pair = [0; 64];
    pair[..32].copy_from_slice(left);
    pair[32..].copy_from_slice(right);
    sha256d(&pair)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, over all leaves.
    fn root_of_all(mut level: Vec<[u8; 32]>) -> [u8; 32] {
        while level.len() > 1 {
            level = level.chunks(2).map(|pair| join(&pair[0], &pair[pair.len() - 1])).collect();
        }
        level[0]
    }

    #[test]
    fn the_branch_leads_to_the_root_of_the_whole_tree() {
        for count in 0..70_u8 {
            let others: Vec<_> = (0..count).map(|n| sha256d(&[n])).collect();
            let coinbase = sha256d(b"coinbase");
            let whole = root_of_all([vec![coinbase], others.clone()].concat());
            assert_eq!(root(coinbase, &branch(&others)), whole, "{count} transactions");
        }
    }
}
