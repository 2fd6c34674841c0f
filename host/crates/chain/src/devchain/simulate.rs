//! Doing what an [`Action`] says.

use std::sync::atomic::Ordering;

use bitcoin::absolute::LockTime;
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut};
use chimera_pow::PowHash;
use serde_json::{Value, json};

use super::action::Action;
use super::faults::{Fault, FaultRule};
use super::methods::{code, fault, not_stored};
use super::miner::Mined;
use super::rules::DevRules;
use super::spend::{COINBASE_MATURITY, anybody, proof};
use super::{DevChain, DevNode, State};
use crate::rpc::RpcFault;

/// Hashes for one block of a simulation: some minutes at most.
const TRIES: u64 = 1 << 32;

/// Blocks a reorganisation may take beyond one more, where retargeting made them lighter.
const EXTRA_BLOCKS: u32 = 50;

impl DevNode {
    /// Makes something happen and says what there is then: the tip, or how many
    /// transactions wait. It may hash; over JSON-RPC this is the call `simulate`.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use chimera_chain::{Action, DevChain, DevNode, DevParams, DevRules, system_clock};
    ///
    /// let chain = DevChain::in_memory(DevParams::regtest(DevRules::Bitcoin))?;
    /// let node = DevNode::new(Arc::new(chain), system_clock());
    /// node.simulate(Action::Mine { blocks: 3 })?;
    /// node.simulate(Action::Reorg { depth: 2 })?;
    /// assert_eq!(node.chain().tip().borrow().height, 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When it cannot happen now, with what would be needed.
    pub fn simulate(&self, action: Action) -> Result<Value, RpcFault> {
        let (chain, now) = (self.chain(), self.now());
        match action {
            Action::Fault(rule) => self.set_fault(rule)?,
            Action::ClearFaults => self.faults().clear(),
            Action::Mine { blocks } => chain.simulate_mining(blocks, now)?,
            Action::Reorg { depth } => chain.simulate_reorg(depth, now)?,
            Action::Flap { times } => chain.simulate_flapping(times, now)?,
            Action::Transactions { count, bytes, fee } => {
                chain.simulate_transactions(count, bytes as usize, fee)?;
            }
            Action::MiningDisabled(value) => chain.state().mining_disabled = value,
            Action::InitialDownload(value) => chain.state().initial_download = value,
            Action::ClockOffset { seconds } => self.offset().store(seconds, Ordering::Relaxed),
        }
        let state = chain.state();
        let tip = state.tree.tip();
        let waiting = state.mempool.pooled().len();
        Ok(json!({ "tip": tip.hash.to_string(), "height": tip.height, "mempool": waiting }))
    }

    fn set_fault(&self, rule: FaultRule) -> Result<(), RpcFault> {
        let template = if rule.fault == Fault::Stale {
            let ask = json!([{ "rules": ["segwit"] }, "blake2s"]);
            Some(self.chain().rpc("getblocktemplate", &ask, self.now())?)
        } else {
            None
        };
        self.faults().set(rule, template);
        Ok(())
    }
}

impl DevChain {
    fn simulate_mining(&self, blocks: u32, now: u64) -> Result<(), RpcFault> {
        for nth in 0..blocks {
            // Where difficulty follows the times, blocks come in their time.
            let pace = if self.params().retargets() { self.params().spacing_s } else { 0 };
            self.simulate_block(None, now + u64::from(nth) * u64::from(pace))?;
        }
        Ok(())
    }

    fn simulate_block(&self, parent: Option<[u8; 32]>, now: u64) -> Result<Mined, RpcFault> {
        let script = self.wallet.own_script(self.params());
        let mined = self.mine_one(parent, &script, now, &mut TRIES.clone()).map_err(not_stored)?;
        mined.ok_or_else(|| fault(code::MISC, "simulate: another block came first, or the rules allow none now (mining_disabled, clock)"))
    }

    fn simulate_reorg(&self, depth: u32, now: u64) -> Result<(), RpcFault> {
        let before = *self.tip().borrow();
        let fork = before.height.checked_sub(depth.into()).and_then(|at| self.state().tree.at(at));
        let mut parent = fork.ok_or_else(|| {
            let message = format!(
                "simulate: \"depth\" is {depth}; the chain has {} blocks above genesis",
                before.height
            );
            fault(code::PARAMETER, message)
        })?;
        for nth in 0..=depth + EXTRA_BLOCKS {
            // Blocks that come at their pace weigh what those they replace did.
            let due = self.state().tree.get(parent).map_or(0, |entry| entry.block.time());
            let due = u64::from(due) + u64::from(self.params().spacing_s);
            let now = if self.params().retargets() { due } else { now };
            parent = self.simulate_block(Some(parent), now)?.id.0;
            if nth >= depth && self.tip().borrow().hash == PowHash(parent) {
                return Ok(());
            }
        }
        Err(fault(code::MISC, "simulate: the other branch did not get more work"))
    }

    fn simulate_flapping(&self, times: u32, now: u64) -> Result<(), RpcFault> {
        let tip = *self.tip().borrow();
        let parent = tip.height.checked_sub(1).and_then(|below| self.state().tree.at(below));
        let parent = parent.ok_or_else(|| {
            fault(code::MISC, "simulate: there is only genesis; mine a block first")
        })?;
        let rival = self.simulate_block(Some(parent), now)?.id;
        for nth in 0..times {
            self.prefer(if nth % 2 == 0 { rival.0 } else { tip.hash.0 });
        }
        Ok(())
    }

    /// Chains of transactions, one from each coin there is, as even as can be.
    fn simulate_transactions(&self, count: u32, bytes: usize, fee: u64) -> Result<(), RpcFault> {
        let rules = self.params().rules;
        if !rules.is_bitcoin() {
            let message = format!("simulate: chains with {rules} rules have coinbases only");
            return Err(fault(code::MISC, message));
        }
        let mut state = self.state();
        let state = &mut *state;
        let mut coins = spendable(state, rules);
        let next = state.next();
        for nth in 0..count as usize {
            coins.retain(|(_, value)| *value > fee);
            let places = coins.len();
            let Some((point, value)) = coins.get_mut(nth % places.max(1)) else {
                let message = format!(
                    "simulate: no coin is left to spend; blocks mined by the simulator pay it, \
                     {} deep: {{\"action\":\"mine\",\"n\":{}}}",
                    COINBASE_MATURITY,
                    COINBASE_MATURITY + 1
                );
                return Err(fault(code::MISC, message));
            };
            *value -= fee;
            let transaction = spend(rules, *point, *value, bytes);
            let txid = state
                .mempool
                .add(&state.ledger, next, transaction)
                .map_err(|refusal| fault(code::VERIFY_REJECTED, refusal.reason()))?;
            *point = OutPoint { txid, vout: 0 };
        }
        Ok(())
    }
}

/// Coins anybody may spend now, the oldest first; those in the mempool if there are no others.
fn spendable(state: &State, rules: DevRules) -> Vec<(OutPoint, u64)> {
    let (script, height) = (anybody(rules.segwit()), state.next().height);
    let mature = |coin: &super::spend::Coin| {
        coin.output.script_pubkey == script
            && (!coin.coinbase || coin.height + COINBASE_MATURITY <= height)
    };
    let mut found: Vec<_> = state
        .ledger
        .coins()
        .iter()
        .filter(|(point, coin)| mature(coin) && !state.mempool.spends(point))
        .collect();
    if found.is_empty() {
        found = state.mempool.unspent().filter(|(_, coin)| mature(coin)).collect();
    }
    found.sort_by_key(|(point, coin)| (coin.height, **point));
    found.into_iter().map(|(point, coin)| (*point, coin.output.value.to_sat())).collect()
}

/// A transaction of exactly so many bytes, whose first output anybody may spend.
fn spend(rules: DevRules, point: OutPoint, value: u64, bytes: usize) -> Transaction {
    let output = |value, script_pubkey| TxOut { value: Amount::from_sat(value), script_pubkey };
    let mut transaction = Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output: point,
            script_sig: ScriptBuf::new(),
            // As wallets do: replaceable, no relative lock.
            sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
            witness: proof(rules.segwit()),
        }],
        output: vec![output(value, anybody(rules.segwit()))],
    };
    let missing = bytes.saturating_sub(transaction.total_size());
    for script_bytes in padding(missing) {
        // OP_RETURN and empty items: a script of data, as nodes relay them.
        let script = [vec![0x6a], vec![0; script_bytes - 1]].concat();
        transaction.output.push(output(0, ScriptBuf::from_bytes(script)));
    }
    transaction
}

/// Script sizes of outputs that together have this many bytes: 8 of value, a length of 1 or
/// 3 bytes, the script.
fn padding(bytes: usize) -> Vec<usize> {
    match bytes {
        0..10 => Vec::new(),
        10..=261 => vec![bytes - 9],
        // No length fits: 252 is the last of one byte.
        262 | 263 => vec![1, bytes - 19],
        more => vec![more - 11],
    }
}
