//! Calls that make blocks.

use serde_json::{Value, json};

use super::{Arguments, DevChain, code, fault};
use crate::devchain::NotAccepted;
use crate::devchain::State;
use crate::devchain::check::{Asked, PLAIN_BYTES_MAX};
use crate::devchain::dev_block::Candidate;
use crate::devchain::miner::VERSION;
use crate::devchain::rules::DevRules;
use crate::devchain::tree::{Placed, work};
use crate::devchain::verge;
use crate::rpc::RpcFault;

/// Core's default `maxtries` of `generatetoaddress`.
const TRIES_DEFAULT: i64 = 1_000_000;
/// 8 s of hashing on one core; a process that stops waits for it.
const TRIES_MAX: i64 = 50_000_000;
/// More would not end within a client's patience.
const GENERATED_MAX: i64 = 1_000;

/// Blocks the network's hash rate is estimated over (Core's default).
const RATE_BLOCKS: usize = 120;

impl DevChain {
    pub(super) fn get_block_template(
        &self,
        arguments: &Arguments<'_>,
        now: u64,
    ) -> Result<Value, RpcFault> {
        let request = arguments.get(0).unwrap_or(&Value::Null);
        match request.get("mode").map(|mode| mode.as_str()) {
            None | Some(Some("template")) => {}
            Some(Some("proposal")) if self.params().rules.is_bitcoin() => {
                return self.judge_proposal(request, now);
            }
            _ => return Err(fault(code::PARAMETER, "Invalid mode")),
        }
        let rules = request.get("rules").and_then(Value::as_array);
        let segwit = rules.is_some_and(|rules| rules.iter().any(|rule| rule == "segwit"));
        if !segwit && matches!(self.params().rules, DevRules::Plain | DevRules::Bitcoin) {
            return Err(fault(
                code::PARAMETER,
                "getblocktemplate must be called with the segwit rule set \
                 (call with {\"rules\": [\"segwit\"]})",
            ));
        }
        let mut state = self.state();
        if state.initial_download {
            let name = if self.params().rules.is_verge() { "Verge" } else { "Bitcoin Core" };
            let message = format!("{name} is in initial sync and waiting for blocks...");
            return Err(fault(code::INITIAL_DOWNLOAD, message));
        }
        match self.params().rules {
            DevRules::Plain => Ok(self.plain_template(&state, now)),
            DevRules::Bitcoin | DevRules::BitcoinNoSegwit => {
                Ok(self.bitcoin_template(&mut state, now))
            }
            DevRules::Verge => self.verge_template(&state, arguments, now),
        }
    }

    /// What all templates have.
    fn basic_template(&self, state: &State, now: u64) -> Value {
        let tip = state.tree.tip();
        let height = tip.height + 1;
        let time_min = u64::from(state.tree.median_time(tip.hash.0)) + 1;
        let bits = state.tree.bits_after(tip.hash.0, self.params());
        json!({
            "capabilities": ["proposal"],
            "version": VERSION,
            "rules": ["csv"],
            "vbavailable": {},
            "vbrequired": 0,
            "previousblockhash": tip.hash.to_string(),
            "transactions": [],
            "coinbaseaux": {},
            "coinbasevalue": self.params().subsidy_at(height),
            "longpollid": format!("{}{}", tip.hash, state.mempool.changes()),
            "target": bits.target().map_or(Value::Null, |target| target.to_string().into()),
            "mintime": time_min,
            "mutable": ["time", "transactions", "prevblock"],
            "noncerange": "00000000ffffffff",
            "curtime": now.max(time_min),
            "bits": bits.to_string(),
            "height": height,
        })
    }

    fn plain_template(&self, state: &State, now: u64) -> Value {
        let mut template = self.basic_template(state, now);
        template["capabilities"] = json!([]);
        template["rules"] = json!(["segwit"]);
        template["longpollid"] = state.tree.tip().hash.to_string().into();
        template["sizelimit"] = PLAIN_BYTES_MAX.into();
        template
    }

    fn bitcoin_template(&self, state: &mut State, now: u64) -> Value {
        let mut template = self.basic_template(state, now);
        let rules = self.params().rules;
        let subsidy = self.params().subsidy_at(state.tree.tip().height + 1);
        let selected = state.mempool.select(rules);
        template["coinbasevalue"] = (subsidy + selected.fees).into();
        template["transactions"] = selected.json.clone();
        if rules.segwit() {
            template["rules"] = json!(["csv", "!segwit", "taproot"]);
            template["sigoplimit"] = 80_000.into();
            template["sizelimit"] = 4_000_000.into();
            template["weightlimit"] = 4_000_000.into();
            template["default_witness_commitment"] = hex::encode(&selected.commitment).into();
        } else {
            template["sigoplimit"] = 20_000.into();
            template["sizelimit"] = 1_000_000.into();
        }
        template
    }

    /// The second argument names the algorithm; without it the template is for scrypt, as
    /// the node's default is.
    fn verge_template(
        &self,
        state: &State,
        arguments: &Arguments<'_>,
        now: u64,
    ) -> Result<Value, RpcFault> {
        let algorithm = match arguments.get(1) {
            None => 0,
            Some(_) => match arguments.text(1, "algo")? {
                "blake" | "blake2s" => verge::BLAKE,
                "scrypt" => 0,
                _ => return Err(fault(code::PARAMETER, "Invalid algorithm")),
            },
        };
        let mut template = self.basic_template(state, now);
        template["version"] = (verge::VERSION | algorithm).into();
        template["rules"] = json!(["segwit"]);
        template["coinbaseaux"] = json!({ "flags": "" });
        template["sigoplimit"] = 80_000.into();
        template["sizelimit"] = 4_000_000.into();
        template["weightlimit"] = 4_000_000.into();
        template["mining_disabled"] = state.mining_disabled.into();
        Ok(template)
    }

    /// BIP 23: what `submitblock` would say of a block that has no proof of work yet.
    fn judge_proposal(&self, request: &Value, now: u64) -> Result<Value, RpcFault> {
        let undecodable = || fault(code::DESERIALIZATION, "Block decode failed");
        let data = request.get("data").and_then(Value::as_str);
        let data = data.ok_or_else(|| fault(-3, "Missing data String key for proposal"))?;
        let bytes = hex::decode(data).map_err(|_| undecodable())?;
        let candidate = Candidate::parse(&bytes, self.params()).ok_or_else(undecodable)?;
        let mut state = self.state();
        if candidate.block.previous() != state.tree.tip().hash.0 {
            return Ok("inconclusive-not-best-prevblk".into());
        }
        let asked = Asked { now: Some(now), work: false };
        match self.checked(&mut state, &candidate, asked) {
            Ok(height) => Ok(state.ledger.would_connect(self.params(), &candidate, height).into()),
            Err(NotAccepted::Refused(refusal)) => Ok(refusal.reason().into()),
            Err(_) => Err(undecodable()),
        }
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
            Ok((_, Placed::Tip)) => Ok(Value::Null),
            // Valid, but whether it will be part of the chain is open.
            Ok((_, Placed::Side)) => Ok("inconclusive".into()),
            Err(NotAccepted::Malformed) => Err(undecodable()),
            Err(NotAccepted::Refused(refusal)) => Ok(refusal.reason().into()),
            Err(NotAccepted::Unsignable) => Err(fault(code::MISC, verge::UNSIGNABLE)),
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
        let mut answer = json!({
            "blocks": tip.height,
            "chain": self.params().network,
            "difficulty": next.map(|target| target.difficulty().get()),
            "networkhashps": rate as f64,
            "pooledtx": state.mempool.pooled().len(),
            "bits": bits.to_string(),
            "target": next.map(|target| target.to_string()),
            "warnings": [],
        });
        // Real nodes do not say.
        if self.params().rules == DevRules::Plain {
            answer["algorithm"] = self.params().algorithm.name().into();
        }
        answer
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
        let known = self
            .wallet
            .look_up(self.params(), address)
            .map_err(|error| fault(code::NOT_FOUND, format!("Error: Invalid address: {error}")))?;
        let script = known.mining_script();
        let mut tries = u64::try_from(tries).expect("not negative: checked above");
        let mut found = Vec::new();
        for _ in 0..count {
            let mined = self.mine_one(None, &script, now, &mut tries).map_err(not_stored)?;
            let Some(mined) = mined.filter(|mined| mined.placed == Placed::Tip) else { break };
            found.push(Value::from(mined.id.to_string()));
        }
        Ok(found.into())
    }
}

pub(in crate::devchain) fn not_stored(error: NotAccepted) -> RpcFault {
    match error {
        NotAccepted::Disk(error) => fault(code::DATABASE, error.to_string()),
        other => fault(code::DATABASE, format!("{other:?}")),
    }
}
