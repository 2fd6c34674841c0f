//! From a solution to the block a node accepts.

use chimera_pow::{PowHash, sha256d};
use chimera_work::Solution;

use crate::coinbase;
use crate::merkle;
use crate::profile::Profile;
use crate::templates::Transactions;
use crate::wire::put_compact_size;

/// A solved block, ready to be handed in. All of it can be stored and handed in again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What the node knows it by: a hash in display order (see [`BlockId`](crate::BlockId)).
    pub id: String,
    /// Its height.
    pub height: u64,
    /// Its proof of work.
    pub pow_hash: PowHash,
    /// The whole block as `submitblock` takes it.
    pub bytes: Vec<u8>,
}

impl Block {
    /// How to ask for it later.
    pub fn block_ref(&self) -> BlockRef {
        BlockRef { id: self.id.clone(), height: self.height }
    }
}

/// Names a block handed in earlier; what the store keeps of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockRef {
    /// [`Block::id`].
    pub id: String,
    /// [`Block::height`].
    pub height: u64,
}

/// A solution no block can be made of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssembleError {
    /// Its template is not among the last 64, or of another run.
    #[error("template {template} of height {height} is not kept any more")]
    UnknownTemplate {
        /// The template's id.
        template: u64,
        /// The height it could have won.
        height: u64,
    },
    /// Header and commitment do not belong together.
    #[error("the header of the solution to template {template} does not commit to its coinbase")]
    ForeignCommitment {
        /// The template's id.
        template: u64,
    },
}

pub(crate) fn assemble(
    profile: &Profile,
    solution: &Solution,
    transactions: &Transactions,
) -> Result<Block, AssembleError> {
    let Solution { template, header, commitment, hash, .. } = solution;
    let root = merkle::root(sha256d(commitment), &template.commitment.branch);
    if header[36..68] != root {
        return Err(AssembleError::ForeignCommitment { template: template.id });
    }
    let mut bytes = header.to_vec();
    put_compact_size(&mut bytes, 1 + transactions.serialised.len());
    if transactions.witness {
        bytes.extend(coinbase::with_witness(commitment));
    } else {
        bytes.extend_from_slice(commitment);
    }
    for transaction in &transactions.serialised {
        bytes.extend_from_slice(transaction);
    }
    if profile.block_signature {
        // An empty signature: the node's wallet signs when it is handed in.
        bytes.push(0);
    }
    let id = profile.block_id(header, *hash);
    Ok(Block { id, height: template.height, pow_hash: *hash, bytes })
}
