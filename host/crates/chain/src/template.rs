//! From a node's template to the pool's: the coinbase is added, with a hole for the nonces.

use chimera_pow::Algorithm;
use chimera_work::{Commitment, Template};

use crate::coinbase::{self, Recipe};
use crate::dialect::Dialect;
use crate::gbt::{BadTemplate, Gbt};
use crate::merkle;

/// What the pool adds to every template.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) dialect: Dialect,
    pub(crate) algorithm: Algorithm,
    pub(crate) payout_script: Vec<u8>,
    pub(crate) tag: Vec<u8>,
    pub(crate) hole_bytes: usize,
}

impl Plan {
    pub(crate) fn template(&self, id: u64, gbt: &Gbt) -> Result<Template, BadTemplate> {
        let dialect = &self.dialect;
        let time = gbt.time.max(gbt.time_min);
        let coinbase_time = dialect.coinbase_time.then_some(time);
        let (head, tail) = coinbase::halves(&Recipe {
            version: dialect.coinbase_version,
            time: coinbase_time,
            height: gbt.height,
            aux: &gbt.coinbase_aux,
            tag: &self.tag,
            hole_bytes: self.hole_bytes,
            value: gbt.coinbase_value,
            payout_script: &self.payout_script,
            witness_commitment: gbt.witness_commitment.as_deref(),
        })?;
        let txids: Vec<_> = gbt.transactions.iter().map(|transaction| transaction.txid).collect();
        let fees = gbt.transactions.iter().map(|transaction| transaction.fee);
        Ok(Template {
            id,
            height: gbt.height,
            algorithm: self.algorithm,
            version: gbt.version,
            version_mask: dialect.version_mask,
            previous: gbt.previous,
            bits: gbt.bits,
            target: gbt.bits.target()?,
            time,
            // Verge refuses a header older than its coinbase.
            time_min: coinbase_time.unwrap_or(gbt.time_min),
            time_max: time.saturating_add(dialect.time_ahead_s),
            commitment: Commitment { head, tail, branch: merkle::branch(&txids) },
            reward: gbt.coinbase_value,
            tx_fees: fees.fold(0, u64::saturating_add),
        })
    }
}
