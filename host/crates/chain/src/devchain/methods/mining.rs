//! Calls that make blocks.

use chimera_pow::{PowHash, sha256d};
use serde_json::{Value, json};

use super::{Arguments, DevChain, code, fault};
use crate::devchain::NotAccepted;
use crate::devchain::address::Payee;
use crate::devchain::check::BLOCK_BYTES_MAX;
use crate::devchain::dev_block::{header, set_nonce};
use crate::devchain::tree::{Placed, work};
use crate::dialect::Dialect;
use crate::gbt::Gbt;
use crate::rpc::RpcFault;
use crate::template::Plan;

/// BIP 9's top bits with no deployment signalled.
const VERSION: u32 = 0x2000_0000;

/// Core's default `maxtries` of `generatetoaddress`.
const TRIES_DEFAULT: i64 = 1_000_000;
/// 8 s of hashing on one core; a process that stops waits for it.
const TRIES_MAX: i64 = 50_000_000;
/// More would not end within a client's patience.
const GENERATED_MAX: i64 = 1_000;

/// Space for a number that makes coinbases differ.
const HOLE_BYTES: usize = 8;

/// Blocks the network's hash rate is estimated over (Core's default).
const RATE_BLOCKS: usize = 120;

impl DevChain {
    pub(super) fn get_block_template(
        &self,
        arguments: &Arguments<'_>,
        now: u64,
    ) -> Result<Value, RpcFault> {
        let request = arguments.get(0).unwrap_or(&Value::Null);
        // BIP 23's proposals are not offered: submitblock says all a proposal would.
        if request.get("mode").is_some_and(|mode| mode != "template") {
            return Err(fault(code::PARAMETER, "Invalid mode"));
        }
        let rules = request.get("rules").and_then(Value::as_array);
        if !rules.is_some_and(|rules| rules.iter().any(|rule| rule == "segwit")) {
            return Err(fault(
                code::PARAMETER,
                "getblocktemplate must be called with the segwit rule set \
                 (call with {\"rules\": [\"segwit\"]})",
            ));
        }
        Ok(self.template(now))
    }

    fn template(&self, now: u64) -> Value {
        let state = self.state();
        let tip = state.tree.tip();
        let height = tip.height + 1;
        let time_min = u64::from(state.tree.median_time(tip.hash.0)) + 1;
        let bits = state.tree.bits_after(tip.hash.0, self.params());
        json!({
            "capabilities": [],
            "version": VERSION,
            "rules": ["segwit"],
            "vbavailable": {},
            "vbrequired": 0,
            "previousblockhash": tip.hash.to_string(),
            "transactions": [],
            "coinbaseaux": {},
            "coinbasevalue": self.params().subsidy_at(height),
            "longpollid": tip.hash.to_string(),
            "target": bits.target().map_or(Value::Null, |target| target.to_string().into()),
            "mintime": time_min,
            "mutable": ["time", "transactions", "prevblock"],
            "noncerange": "00000000ffffffff",
            "sizelimit": BLOCK_BYTES_MAX,
            "curtime": now.max(time_min),
            "bits": bits.to_string(),
            "height": height,
        })
    }

    /// `null` when the block is the new tip, else a word why not, as BIP 22 says.
    pub(super) fn submit_block(
        &self,
        arguments: &Arguments<'_>,
        now: u64,
    ) -> Result<Value, RpcFault> {
        let undecodable = || fault(code::DESERIALIZATION, "Block decode failed");
        let bytes = hex::decode(arguments.text(0, "hexdata")?).map_err(|_| undecodable())?;
        match self.submit(&bytes, now) {
            Ok(Placed::Tip) => Ok(Value::Null),
            // Valid, but whether it will be part of the chain is open.
            Ok(Placed::Side) => Ok("inconclusive".into()),
            Err(NotAccepted::Malformed) => Err(undecodable()),
            Err(NotAccepted::Refused(refusal)) => Ok(refusal.reason().into()),
            Err(NotAccepted::Disk(error)) => {
                Err(fault(code::DATABASE, format!("Block cannot be stored: {error}")))
            }
        }
    }

    pub(super) fn get_mining_info(&self) -> Value {
        let state = self.state();
        let tip = state.tree.tip();
        let bits = state.tree.bits_after(tip.hash.0, self.params());
        let next = bits.target().ok();
        // Mined blocks only: genesis has a time of its own.
        let mined = state.tree.back_from(tip.hash.0).take_while(|entry| entry.height > 0);
        let recent: Vec<_> = mined.take(RATE_BLOCKS + 1).collect();
        let span_s = match (recent.first(), recent.last()) {
            (Some(newest), Some(oldest)) => newest.block.time().saturating_sub(oldest.block.time()),
            _ => 0,
        };
        let solved = recent.split_last().map_or(&[][..], |(_, solved)| solved);
        let hashes: u128 = solved.iter().map(|entry| work(entry.block.bits()).hashes()).sum();
        let rate = hashes.checked_div(span_s.into()).unwrap_or(0);
        json!({
            "blocks": tip.height,
            "chain": self.params().network,
            "algorithm": self.params().algorithm.name(),
            "difficulty": next.map(|target| target.difficulty().get()),
            "networkhashps": rate as f64,
            "pooledtx": 0,
            "bits": bits.to_string(),
            "target": next.map(|target| target.to_string()),
            "warnings": [],
        })
    }

    /// Truly hashes; returns the hashes of the blocks found within the tries.
    pub(super) fn generate_to_address(
        &self,
        arguments: &Arguments<'_>,
        now: u64,
    ) -> Result<Value, RpcFault> {
        let count = arguments.integer(0, "nblocks")?;
        let address = arguments.text(1, "address")?;
        let tries = match arguments.get(2) {
            None => TRIES_DEFAULT,
            Some(_) => arguments.integer(2, "maxtries")?,
        };
        if !(0..=GENERATED_MAX).contains(&count) || !(0..=TRIES_MAX).contains(&tries) {
            let message = format!("nblocks is at most {GENERATED_MAX}, maxtries {TRIES_MAX}");
            return Err(fault(code::PARAMETER, message));
        }
        let payee = Payee::parse(&self.params().network, address)
            .map_err(|error| fault(code::NOT_FOUND, format!("Error: Invalid address: {error}")))?;
        let plan = Plan {
            dialect: Dialect::DEVCHAIN,
            algorithm: self.params().algorithm,
            payout_script: payee.script(),
            tag: Vec::new(),
            hole_bytes: HOLE_BYTES,
        };
        let mut tries = u64::try_from(tries).expect("not negative: checked above");
        let mut found = Vec::new();
        for _ in 0..count {
            let Some(hash) = self.generate(&plan, now, &mut tries)? else { break };
            found.push(Value::from(hash.to_string()));
        }
        Ok(found.into())
    }

    /// Mines one block on the tip; `None` when the tries are used up or the tip moved.
    fn generate(
        &self,
        plan: &Plan,
        now: u64,
        tries: &mut u64,
    ) -> Result<Option<PowHash>, RpcFault> {
        let broken = |cause: String| fault(code::DATABASE, cause);
        let gbt = Gbt::parse(&self.template(now)).map_err(|error| broken(error.to_string()))?;
        let template = plan.template(0, &gbt).map_err(|error| broken(error.to_string()))?;
        let commitment = &template.commitment;
        // Differs for every block ever seen: an orphan is never found a second time.
        let hole: [u8; HOLE_BYTES] = (self.state().tree.len() as u64).to_le_bytes();
        let coinbase = [&commitment.head[..], &hole, &commitment.tail].concat();
        let (previous, root) = (&template.previous, sha256d(&coinbase));
        let mut header = header(template.version, previous, &root, template.time, template.bits, 0);
        let mut nonce: u32 = 0;
        let hash = loop {
            if *tries == 0 {
                return Ok(None);
            }
            *tries -= 1;
            set_nonce(&mut header, nonce);
            let hash = template.algorithm.hash(&header);
            if template.target.is_met_by(&hash) {
                break hash;
            }
            let Some(next) = nonce.checked_add(1) else { return Ok(None) };
            nonce = next;
        };
        let block = [&header[..], &[1], &coinbase].concat();
        match self.submit(&block, now) {
            Ok(Placed::Tip) => Ok(Some(hash)),
            Ok(Placed::Side) | Err(NotAccepted::Malformed | NotAccepted::Refused(_)) => Ok(None),
            Err(NotAccepted::Disk(error)) => Err(broken(error.to_string())),
        }
    }
}
