//! From a node's template to the pool's: the coinbase is added, with a hole for the nonces.

use std::sync::Arc;

use chimera_work::{Commitment, Template};

use crate::coinbase::{Recipe, halves};
use crate::gbt::{BadTemplate, Gbt};
use crate::merkle;
use crate::profile::Profile;

/// What the pool adds to every template.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) profile: Arc<Profile>,
    pub(crate) payout_script: Vec<u8>,
    pub(crate) tag: Vec<u8>,
    pub(crate) hole_bytes: usize,
}

impl Plan {
    pub(crate) fn template(&self, id: u64, gbt: &Gbt) -> Result<Template, BadTemplate> {
        let Profile { algorithm, coinbase, header, .. } = &*self.profile;
        let time = gbt.time.max(gbt.time_min);
        let coinbase_time = coinbase.time.then_some(time);
        let (head, tail) = halves(&Recipe {
            version: coinbase.version,
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
        let fees = gbt.transactions.iter().filter_map(|transaction| transaction.fee);
        Ok(Template {
            id,
            height: gbt.height,
            algorithm: *algorithm,
            version: gbt.version,
            version_mask: header.roll_mask,
            previous: gbt.previous,
            bits: gbt.bits,
            target: gbt.bits.target()?,
            time,
            // Verge refuses a header older than its coinbase.
            time_min: coinbase_time.unwrap_or(gbt.time_min),
            time_max: time.saturating_add(header.time_ahead_s),
            commitment: Commitment { head, tail, branch: merkle::branch(&txids) },
            reward: gbt.coinbase_value,
            tx_fees: fees.fold(0, u64::saturating_add),
        })
    }
}
