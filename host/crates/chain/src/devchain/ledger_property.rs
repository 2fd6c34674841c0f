//! Whatever happens to a chain, its ledger is what its blocks say.

use super::ledger::Ledger;
use super::{Action, DevChain, DevNode, DevParams, DevRules};
use crate::clock::Clock;
use std::sync::Arc;

/// Numbers that look random (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

fn recomputed(chain: &DevChain) -> Ledger {
    let state = chain.state();
    let mut ledger = Ledger::default();
    for height in 1..=state.tree.tip().height {
        let hash = state.tree.at(height).expect("on the chain");
        let entry = state.tree.get(hash).expect("a block");
        ledger.connect(chain.params(), entry).expect("it was connected before");
    }
    ledger
}

/// One thing that happens.
fn step(node: &DevNode, dice: &mut Dice) {
    let action = match dice.roll(6) {
        0 => Action::Mine { blocks: 1 + dice.roll(3) as u32 },
        1 => Action::Reorg { depth: 1 + dice.roll(6) as u32 },
        2 => Action::Flap { times: 1 + dice.roll(3) as u32 },
        3 | 4 => {
            let (count, bytes) = (1 + dice.roll(20) as u32, 110 + dice.roll(400) as u32);
            Action::Transactions { count, bytes, fee: dice.roll(5000) }
        }
        _ => {
            let chain = node.chain();
            let below = chain.tip().borrow().height - dice.roll(5);
            let hash = chimera_pow::PowHash(chain.state().tree.at(below).expect("on the chain"));
            chain.orphan(hash).expect("above genesis");
            if dice.roll(2) == 0 {
                chain.reconsider(hash).expect("known");
            }
            return;
        }
    };
    node.simulate(action).expect("possible");
}

#[test]
fn the_ledger_is_what_the_blocks_say_through_reorganisations() {
    for (seed, rules) in [
        (1, DevRules::Bitcoin),
        (2, DevRules::Bitcoin),
        (3, DevRules::BitcoinNoSegwit),
        (4, DevRules::BitcoinNoSegwit),
    ] {
        let mut dice = Dice(seed);
        let chain = DevChain::in_memory(DevParams::regtest(rules)).expect("good parameters");
        let clock: Clock = Arc::new(|| 1_800_000_000);
        let node = DevNode::new(Arc::new(chain), clock);
        node.simulate(Action::Mine { blocks: 130 }).expect("mined");
        for nth in 0..60 {
            step(&node, &mut dice);
            let fresh = recomputed(node.chain());
            let state = node.chain().state();
            assert!(fresh.coins() == state.ledger.coins(), "seed {seed}, step {nth}");
            // Each that waits can be mined: its inputs are there.
            let mut known = state.ledger.coins().keys().map(|it| it.txid).collect::<Vec<_>>();
            known.extend(state.mempool.pooled().iter().map(|one| one.txid));
            let mut inputs = state.mempool.pooled().iter().flat_map(|one| &one.transaction.input);
            assert!(inputs.all(|input| known.contains(&input.previous_output.txid)));
        }
    }
}
