//! Which work a settlement looks at, read from the share log.
//!
//! Sequence numbers decide, never the clock: shares of one millisecond, or a clock that
//! was set back, cannot fall between two pages. The walk begins at the last share that
//! was durable when the block was found, which excludes the winning share, as exact PPLNS
//! asks (Rosenfeld, arXiv 1112.4980, 3.3).

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use chimera_ledger::{
    AccountName, Accounts, Contribution, Names, Plan, SCORE_PER_BLOCK, Salt, SaltedKey, Slices,
    WINDOW_BLOCKS_MAX, WindowSize,
};
use chimera_work::WorkerId;

use crate::cut::{Cut, Groups};
use crate::number::{fee, uint32};
use crate::records::salt_of;
use crate::score::{Extent, score};
use crate::store::named;
use crate::workers::miner;
use crate::{Store, StoreError};

/// A window counted back from a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowQuery {
    /// The newest share that may count: the last durable one when the block was found.
    pub upto_seq: u64,
    /// Shares up to here never count: an accruing scheme has paid them.
    pub floor_seq: u64,
    /// How far back.
    pub size: WindowSize,
    /// The log's end when the pool's previous block was found; where
    /// [`WindowSize::SinceLastBlock`] ends.
    pub previous_block_seq: u64,
    /// Equal-work slices wanted, 1 to 1024; other numbers are moved into that range.
    pub buckets: u16,
    /// When the block was found, ms since the Unix epoch.
    pub found_at_ms: u64,
    /// Who found it.
    pub finder: WorkerId,
}

/// The work a settlement looks at, as the columns of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// The account of each row.
    pub names: Vec<AccountName>,
    /// The same, to strangers.
    pub salted: Vec<SaltedKey>,
    /// One row per account whose work scores at least 2^-52 of a block.
    pub accounts: Accounts,
    /// The same work by age; empty for a single bucket.
    pub slices: Slices,
    /// The score the window could hold: the sum of `accounts.work` unless the log is too
    /// short to fill it.
    pub window_work: u64,
    /// The finder's row.
    pub finder: Option<u32>,
    /// The shares that count are those after this one,
    pub from_seq: u64,
    /// up to and with this one.
    pub to_seq: u64,
}

impl Store {
    /// The window of a block on record, for the plan of the generation that settles it.
    ///
    /// Work that an earlier, accruing generation paid never counts again. The previous
    /// block is the latest that was found at an earlier place of the log and came to
    /// something: two blocks found within one batch divide the same round.
    ///
    /// # Errors
    /// When the block is unknown, or the database cannot be read.
    pub async fn window_of_block(&self, id: &str, plan: &Plan) -> Result<Window, StoreError> {
        let block = self.block(id).await?;
        let query = WindowQuery {
            upto_seq: block.seq,
            floor_seq: self.paid_floor(block.generation).await?,
            size: plan.window,
            previous_block_seq: self.previous_block_seq(block.seq).await?,
            buckets: plan.buckets,
            found_at_ms: block.found_at_ms,
            finder: block.worker,
        };
        self.window(&query).await
    }

    /// Walks the log backward and cuts the window out, exactly: the share on the border
    /// counts with the part inside.
    ///
    /// Work becomes score once per account, network work and bucket, rounded down. A
    /// window never spans more than [`WINDOW_BLOCKS_MAX`] blocks of work. Where nobody's
    /// work counts, the finder stands alone: in a window of fixed size with the least work
    /// there is, so that the window is as empty as it was; else, and for
    /// [`WindowSize::None`], with the one block of work that was won.
    ///
    /// # Errors
    /// When the log is damaged or cannot be read.
    pub async fn window(&self, query: &WindowQuery) -> Result<Window, StoreError> {
        named("cut a window", async {
            let workers = self.accounts_of_workers().await?;
            let buckets = u128::from(query.buckets.clamp(1, 1024));
            let limit = limit_of(query.size);
            let ends_at = |limit: Extent| -> Vec<Extent> {
                let denominator = limit.denominator * buckets;
                let ends = (1..=buckets)
                    .map(|end| Extent { numerator: limit.numerator * end, denominator });
                ends.collect()
            };
            if query.size == WindowSize::None {
                return Ok(finder_alone(query, &workers));
            }
            let fixed = matches!(query.size, WindowSize::NetworkWorkMilli(_));
            let ends = if fixed { ends_at(limit) } else { vec![limit] };
            let (mut groups, walked) = self.fill(query, Cut::new(ends)).await?;
            if !fixed && buckets > 1 {
                // How much work there is shows only at the end: walk again, knowing it.
                let total =
                    Extent { numerator: total_score(&groups), denominator: SCORE_PER_BLOCK.into() };
                let mut ends = ends_at(total);
                *ends.last_mut().expect("at least one bucket") = limit;
                (groups, _) = self.fill(query, Cut::new(ends)).await?;
            }
            let mut window = columns(&groups, &workers, query.buckets > 1);
            if window.names.is_empty() {
                return Ok(finder_alone(query, &workers));
            }
            let held: u64 = window.accounts.work.iter().sum();
            let holds = u64::try_from(limit.score()).unwrap_or(u64::MAX);
            window.window_work = if fixed && !walked.full { holds.max(held) } else { held };
            window.from_seq = walked.oldest_seq - 1;
            window.to_seq = query.upto_seq;
            let finder = workers.get(&query.finder).map(|(name, ..)| name);
            let row = window.names.iter().position(|name| Some(name) == finder);
            window.finder = row.map(|row| u32::try_from(row).expect("worker ids are 32 bits"));
            Ok(window)
        })
        .await
    }

    /// The work of all shares after `from_seq`, up to and with `to_seq`, for schemes that
    /// pay work as it comes. Should it be more than [`WINDOW_BLOCKS_MAX`] blocks of work,
    /// the result ends early: its `to_seq` says where, and the next interval goes on there.
    ///
    /// # Errors
    /// When the log is damaged or cannot be read.
    pub async fn work_between(&self, from_seq: u64, to_seq: u64) -> Result<Window, StoreError> {
        named("sum an interval", async {
            let workers = self.accounts_of_workers().await?;
            let mut cut = Cut::new(vec![blocks(WINDOW_BLOCKS_MAX)]);
            let mut reached = from_seq;
            self.walk_forward(from_seq, to_seq, |seq, share| {
                let (work, network_work) = (share.work.hashes(), share.network_work.hashes());
                // A first share that is too large alone counts with what fits.
                if reached > from_seq && !cut.fits(work, network_work) {
                    return ControlFlow::Break(());
                }
                reached = seq;
                let more = cut.take(share.worker, work, network_work);
                if more { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })
            .await?;
            let mut window = columns(&cut.finish(), &workers, false);
            window.window_work = window.accounts.work.iter().sum();
            (window.from_seq, window.to_seq) = (from_seq, reached);
            Ok(window)
        })
        .await
    }

    /// Feeds the log to a cut, newest first.
    async fn fill(
        &self,
        query: &WindowQuery,
        mut cut: Cut,
    ) -> Result<(Groups, Walked), StoreError> {
        let floor_seq = match query.size {
            WindowSize::SinceLastBlock => query.floor_seq.max(query.previous_block_seq),
            _ => query.floor_seq,
        };
        let oldest_ms = match query.size {
            WindowSize::DurationMs(duration) => query.found_at_ms.saturating_sub(duration),
            _ => 0,
        };
        let mut walked = Walked { oldest_seq: query.upto_seq + 1, full: false };
        self.walk_back(query.upto_seq, floor_seq, |seq, share| {
            if share.time_ms < oldest_ms {
                return ControlFlow::Break(());
            }
            walked.oldest_seq = seq;
            let more = cut.take(share.worker, share.work.hashes(), share.network_work.hashes());
            walked.full = !more;
            if more { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .await?;
        Ok((cut.finish(), walked))
    }

    async fn accounts_of_workers(&self) -> Result<Workers, StoreError> {
        let rows: Vec<(i64, String, Vec<u8>, i64)> = sqlx::query_as(
            "SELECT worker.id, account.name, account.salt, account.fee_ppm
             FROM worker JOIN account ON account.id = worker.account",
        )
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter()
            .map(|(id, account, salt, fee_ppm)| {
                let worker = WorkerId(uint32("a worker's id", id)?);
                Ok((worker, (miner(&account)?, salt_of(&salt)?, fee(fee_ppm)?)))
            })
            .collect()
    }
}

/// Whom each worker's work belongs to, and that account's salt and fee.
type Workers = HashMap<WorkerId, (AccountName, Salt, i32)>;

#[derive(Debug, Clone, Copy)]
struct Walked {
    oldest_seq: u64,
    /// Nothing more would have fitted.
    full: bool,
}

const fn blocks(count: u64) -> Extent {
    Extent { numerator: count as u128, denominator: 1 }
}

/// The most work a window may hold.
fn limit_of(size: WindowSize) -> Extent {
    match size {
        WindowSize::NetworkWorkMilli(milli) => {
            Extent { numerator: milli.min(WINDOW_BLOCKS_MAX * 1_000).into(), denominator: 1_000 }
        }
        WindowSize::None | WindowSize::DurationMs(_) | WindowSize::SinceLastBlock => {
            blocks(WINDOW_BLOCKS_MAX)
        }
    }
}

fn finder_alone(query: &WindowQuery, workers: &Workers) -> Window {
    let (work, window_work) = match query.size {
        WindowSize::NetworkWorkMilli(_) => {
            let holds = u64::try_from(limit_of(query.size).score()).unwrap_or(u64::MAX);
            (1, holds.max(1))
        }
        _ => (SCORE_PER_BLOCK, SCORE_PER_BLOCK),
    };
    let contributions = workers
        .get(&query.finder)
        .map(|(name, salt, fee_ppm)| Contribution {
            account: name.clone(),
            salted: SaltedKey::of(name, salt),
            work,
            fee_ppm: *fee_ppm,
        })
        .into_iter()
        .collect();
    let (accounts, Names { accounts: names, salted }) = Accounts::of(contributions);
    let slices = match query.buckets {
        0 | 1 => Slices::default(),
        _ => Slices {
            account: vec![0; names.len()],
            bucket: vec![0; names.len()],
            work: accounts.work.clone(),
        },
    };
    Window {
        finder: (!names.is_empty()).then_some(0),
        names,
        salted,
        accounts,
        slices,
        window_work,
        from_seq: query.upto_seq,
        to_seq: query.upto_seq,
    }
}

fn total_score(groups: &Groups) -> u128 {
    let of = |((_, network_work), group): (&(u16, u128), &HashMap<WorkerId, u128>)| {
        score(group.values().sum(), *network_work)
    };
    groups.iter().map(of).sum()
}

/// Rows per account, and slices if asked for.
fn columns(groups: &Groups, workers: &Workers, sliced: bool) -> Window {
    let mut per_bucket: BTreeMap<(u16, &AccountName), u64> = BTreeMap::new();
    let mut totals: BTreeMap<&AccountName, (u64, &Salt, i32)> = BTreeMap::new();
    for (&(bucket, network_work), group) in groups {
        let mut work: HashMap<&AccountName, (u128, &Salt, i32)> = HashMap::new();
        for (worker, hashes) in group {
            // Every share's worker was on record when it was appended, and stays there.
            let (name, salt, fee_ppm) = workers.get(worker).expect("workers are never deleted");
            let sum = work.entry(name).or_insert((0, salt, *fee_ppm));
            sum.0 += hashes;
        }
        for (name, (hashes, salt, fee_ppm)) in work {
            let score = score(hashes, network_work);
            let score = u64::try_from(score).expect("a window scores below 2^63");
            if score > 0 {
                *per_bucket.entry((bucket, name)).or_default() += score;
                totals.entry(name).or_insert((0, salt, fee_ppm)).0 += score;
            }
        }
    }
    let contributions = totals
        .into_iter()
        .map(|(name, (work, salt, fee_ppm))| Contribution {
            account: name.clone(),
            salted: SaltedKey::of(name, salt),
            work,
            fee_ppm,
        })
        .collect();
    let (accounts, Names { accounts: names, salted }) = Accounts::of(contributions);
    let slices = if sliced { slices(&per_bucket, &names) } else { Slices::default() };
    let (window_work, finder, from_seq, to_seq) = (0, None, 0, 0);
    Window { names, salted, accounts, slices, window_work, finder, from_seq, to_seq }
}

fn slices(per_bucket: &BTreeMap<(u16, &AccountName), u64>, names: &[AccountName]) -> Slices {
    let rows: HashMap<&AccountName, u32> = names.iter().zip(0..).collect();
    let mut cells: Vec<(u16, u32, u64)> =
        per_bucket.iter().map(|(&(bucket, name), &work)| (bucket, rows[name], work)).collect();
    cells.sort_unstable();
    Slices {
        account: cells.iter().map(|cell| cell.1).collect(),
        bucket: cells.iter().map(|cell| cell.0).collect(),
        work: cells.iter().map(|cell| cell.2).collect(),
    }
}
