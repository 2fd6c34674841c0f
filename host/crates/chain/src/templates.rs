//! The transactions of the last templates, so that a solution can become a block, even one
//! that comes late.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use chimera_work::Template;
use serde::{Deserialize, Serialize};

use crate::gbt::{BadTemplate, Gbt};
use crate::template::Plan;

/// A session can answer its last 16 jobs; four times that covers jobs it skipped.
const TEMPLATES_KEPT_MAX: usize = 64;

/// What a block has besides its coinbase.
#[derive(Debug)]
pub(crate) struct Transactions {
    template: u64,
    pub(crate) serialised: Vec<Arc<[u8]>>,
    /// Whether the coinbase commits to witnesses and must show its own.
    pub(crate) witness: bool,
}

/// The newest templates as data: a process that takes this one's place can make blocks of
/// the work that is out.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct TemplatesState {
    next_id: u64,
    /// Every transaction once, hex.
    transactions: Vec<String>,
    kept: Vec<KeptState>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct KeptState {
    template: u64,
    /// Places in the list of transactions.
    transactions: Vec<u32>,
    witness: bool,
}

#[derive(Debug)]
pub(crate) struct Templates {
    next_id: u64,
    kept: VecDeque<Arc<Transactions>>,
    /// Of the newest template, by `wtxid`, the hash of the bytes: consecutive templates share most.
    newest: HashMap<[u8; 32], Arc<[u8]>>,
}

impl Templates {
    pub(crate) fn new() -> Self {
        Self { next_id: 1, kept: VecDeque::new(), newest: HashMap::new() }
    }

    /// Makes a template of the node's and keeps its transactions.
    pub(crate) fn add(&mut self, plan: &Plan, gbt: Gbt) -> Result<Arc<Template>, BadTemplate> {
        let template = plan.template(self.next_id, &gbt)?;
        self.next_id += 1;
        let mut newest = HashMap::with_capacity(gbt.transactions.len());
        let mut serialised = Vec::with_capacity(gbt.transactions.len());
        for transaction in gbt.transactions {
            let known = self.newest.get(&transaction.wtxid).map(Arc::clone);
            let bytes = known.unwrap_or_else(|| transaction.data.into());
            newest.insert(transaction.wtxid, Arc::clone(&bytes));
            serialised.push(bytes);
        }
        self.newest = newest;
        if self.kept.len() == TEMPLATES_KEPT_MAX {
            self.kept.pop_front();
        }
        let witness = gbt.witness_commitment.is_some();
        self.kept.push_back(Arc::new(Transactions { template: template.id, serialised, witness }));
        Ok(Arc::new(template))
    }

    /// What is kept, as data.
    pub(crate) fn state(&self) -> TemplatesState {
        let mut state = TemplatesState { next_id: self.next_id, ..TemplatesState::default() };
        let mut places: HashMap<*const u8, u32> = HashMap::new();
        for kept in &self.kept {
            let of_it = kept.serialised.iter().map(|bytes| {
                // Templates share their transactions: the same bytes are at the same address.
                *places.entry(bytes.as_ptr()).or_insert_with(|| {
                    state.transactions.push(hex::encode(bytes));
                    u32::try_from(state.transactions.len() - 1).expect("fewer than four billion")
                })
            });
            let transactions = of_it.collect();
            let (template, witness) = (kept.template, kept.witness);
            state.kept.push(KeptState { template, transactions, witness });
        }
        state
    }

    /// Goes on with the templates of another process; `None` if the data is none of them.
    pub(crate) fn restore(state: TemplatesState) -> Option<Self> {
        let all: Option<Vec<Arc<[u8]>>> =
            state.transactions.iter().map(|text| hex::decode(text).ok().map(Arc::from)).collect();
        let all = all?;
        let kept: Option<VecDeque<Arc<Transactions>>> = state
            .kept
            .into_iter()
            .map(|KeptState { template, transactions, witness }| {
                let serialised: Option<Vec<_>> =
                    transactions.iter().map(|&place| all.get(place as usize).cloned()).collect();
                Some(Arc::new(Transactions { template, serialised: serialised?, witness }))
            })
            .collect();
        Some(Self { next_id: state.next_id.max(1), kept: kept?, newest: HashMap::new() })
    }

    pub(crate) fn transactions(&self, template: u64) -> Option<Arc<Transactions>> {
        self.kept.iter().rev().find(|kept| kept.template == template).map(Arc::clone)
    }
}
