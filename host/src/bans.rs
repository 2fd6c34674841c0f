//! Addresses nobody is let in from: the operator's, and those the pool and the auth component
//! have had enough of. Asked in memory; every change is written behind, in order, by a task.
//!
//! A ban is about who comes: behind one address there may be many, and those connected go on.
//! The operator's is also about who is there: shards send them away (`operators_changes`).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chimera_store::{BanRow, BanSource, Store};
use tokio::sync::{mpsc, oneshot};

use crate::clock::now_ms;
use crate::gate::customer;
use crate::policy::Recent;

/// Bans nobody asked for; beyond it the one that was asked about longest ago ends.
const AUTOMATIC_MAX: usize = 10_000;
/// Changes that may wait for a slow disk: as many as one flood makes.
const CHANGES_MAX: usize = 2 * AUTOMATIC_MAX;
const NOT_KEPT: &str = "this holds only until the pool's next start: the ledger cannot be written";

/// Who is banned.
#[derive(Debug)]
pub(crate) struct BanList {
    bans: Mutex<Bans>,
    /// Counts the operator's bans.
    operators_changes: AtomicU64,
}

/// What is still to be written.
#[derive(Debug)]
pub(crate) struct Unwritten(mpsc::Receiver<Change>);

#[derive(Debug)]
struct Bans {
    /// Never pushed out, and in no address's way: an address is in one of the two.
    operators: HashMap<IpAddr, BanRow>,
    automatic: Recent<IpAddr, BanRow>,
    /// `None` once the pool stops.
    changes: Option<mpsc::Sender<Change>>,
}

#[derive(Debug)]
struct Change {
    what: What,
    /// Whether it changed anything, for those who wait; dropped if it could not be written.
    written: Option<oneshot::Sender<bool>>,
}

#[derive(Debug)]
enum What {
    Set(BanRow),
    Lift(IpAddr),
}

impl BanList {
    /// Goes on with the bans of before, oldest first.
    pub(crate) fn new(rows: Vec<BanRow>) -> (Self, Unwritten) {
        let (changes, unwritten) = mpsc::channel(CHANGES_MAX);
        let mut automatic = Recent::new(AUTOMATIC_MAX);
        let mut operators = HashMap::new();
        for row in rows {
            if row.source == BanSource::Operator {
                operators.insert(row.address, row);
            } else {
                automatic.put(row.address, row);
            }
        }
        let bans = Bans { operators, automatic, changes: Some(changes) };
        // Those who were banned before this start may have come over from another process.
        let operators_changes = AtomicU64::new(1);
        (Self { bans: Mutex::new(bans), operators_changes }, Unwritten(unwritten))
    }

    /// Bans whoever an address belongs to, unless a ban is in force that counts more.
    pub(crate) fn ban(&self, address: IpAddr, seconds: u64, reason: &str, source: BanSource) {
        let (address, created_ms) = (customer(address), now_ms());
        let until_ms = Some(ending(created_ms, seconds));
        let row = BanRow { address, until_ms, reason: reason.to_owned(), source, created_ms };
        let mut bans = self.lock();
        let known = bans.operators.get(&address).or(bans.automatic.peek(&address));
        if known.is_some_and(|known| !row.replaces(known)) {
            return;
        }
        tracing::warn!(%address, seconds, reason, by = source.name(), "address banned");
        bans.operators.remove(&address);
        let pushed_out = bans.automatic.put(address, row.clone());
        bans.write_behind(What::Set(row), None);
        if let Some(pushed_out) = pushed_out {
            bans.write_behind(What::Lift(pushed_out), None);
        }
    }

    /// Bans an address as an operator wants it; without `seconds` for ever. The first address
    /// of an IPv6 /64 stands for all of it.
    ///
    /// # Errors
    /// When it is in force but could not be kept.
    pub(crate) async fn set(
        &self,
        address: IpAddr,
        seconds: Option<u64>,
        reason: String,
    ) -> Result<BanRow, String> {
        let (address, created_ms) = (address.to_canonical(), now_ms());
        let until_ms = seconds.map(|seconds| ending(created_ms, seconds));
        let row = BanRow { address, until_ms, reason, source: BanSource::Operator, created_ms };
        tracing::info!(%address, seconds, row.reason, "address banned by the operator");
        let (told, written) = oneshot::channel();
        {
            let mut bans = self.lock();
            bans.automatic.remove(&address);
            bans.operators.insert(address, row.clone());
            self.operators_changes.fetch_add(1, Ordering::Release);
            bans.write_behind(What::Set(row.clone()), Some(told));
        }
        written.await.map(|_| row).map_err(|_| NOT_KEPT.to_owned())
    }

    /// Lifts every ban an address is under; false if there was none.
    ///
    /// # Errors
    /// When it is lifted but that could not be kept.
    pub(crate) async fn lift(&self, address: IpAddr) -> Result<bool, String> {
        let mut lifted = false;
        for key in keys(address) {
            let (told, written) = oneshot::channel();
            {
                let mut bans = self.lock();
                lifted |= bans.operators.remove(&key).is_some();
                lifted |= bans.automatic.remove(&key).is_some();
                // Also one that only the disk still knows.
                bans.write_behind(What::Lift(key), Some(told));
            }
            lifted |= written.await.map_err(|_| NOT_KEPT.to_owned())?;
        }
        if lifted {
            tracing::info!(%address, "ban lifted");
        }
        Ok(lifted)
    }

    /// Every ban in force, oldest first.
    pub(crate) fn list(&self) -> Vec<BanRow> {
        let now_ms = now_ms();
        let mut bans = self.lock();
        bans.operators.retain(|_, row| !row.is_over(now_ms));
        let all = bans.operators.values().chain(bans.automatic.values());
        let mut rows: Vec<_> = all.filter(|row| !row.is_over(now_ms)).cloned().collect();
        rows.sort_by_key(|row| (row.created_ms, row.address));
        rows
    }

    /// What is said to an address nobody is let in from; `None` if it is not banned.
    pub(crate) fn refusal(&self, address: IpAddr) -> Option<String> {
        self.refusal_at(address, now_ms())
    }

    /// Another number than before: the operator has banned somebody meanwhile.
    pub(crate) fn operators_changes(&self) -> u64 {
        self.operators_changes.load(Ordering::Acquire)
    }

    /// As [`refusal`](Self::refusal), by the operator's bans alone.
    pub(crate) fn operators_refusal(&self, address: IpAddr) -> Option<String> {
        let now_ms = now_ms();
        let bans = self.lock();
        let mut rows = keys(address).filter_map(|key| bans.operators.get(&key));
        rows.find(|row| !row.is_over(now_ms)).map(|row| refusal(row, now_ms))
    }

    fn refusal_at(&self, address: IpAddr, now_ms: u64) -> Option<String> {
        let mut bans = self.lock();
        keys(address).find_map(|key| {
            let Bans { operators, automatic, .. } = &mut *bans;
            let row = operators.get(&key).or_else(|| automatic.get(&key))?;
            if row.is_over(now_ms) {
                operators.remove(&key);
                automatic.remove(&key);
                return None;
            }
            Some(refusal(row, now_ms))
        })
    }

    /// Writes no more; what was changed before still is.
    pub(crate) fn close(&self) {
        self.lock().changes = None;
    }

    fn lock(&self) -> MutexGuard<'_, Bans> {
        self.bans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is said to somebody under a ban that is not over.
fn refusal(row: &BanRow, now_ms: u64) -> String {
    let reason = &row.reason;
    match row.until_ms {
        Some(until_ms) => {
            let left_s = until_ms.saturating_sub(now_ms).div_ceil(1_000);
            format!("your address is banned for another {left_s} s: {reason}")
        }
        None => format!("your address is banned: {reason}"),
    }
}

impl Bans {
    /// Under the lock, so that changes are written in the order they were made; waits for
    /// nothing.
    fn write_behind(&self, what: What, written: Option<oneshot::Sender<bool>>) {
        let full = match &self.changes {
            Some(changes) => changes.try_send(Change { what, written }).err(),
            None => return,
        };
        if let Some(error) = full {
            tracing::error!(%error, "a change of the bans is lost with the pool's next start");
        }
    }
}

impl Unwritten {
    /// Writes until the list is closed or gone.
    pub(crate) async fn write(mut self, store: Arc<Store>) {
        while let Some(Change { what, written }) = self.0.recv().await {
            let done = match &what {
                What::Set(row) => store.set_ban(row).await,
                What::Lift(address) => store.lift_ban(*address).await,
            };
            match (done, written) {
                // The caller may have hung up.
                (Ok(changed), Some(written)) => drop(written.send(changed)),
                (Ok(_), None) => {}
                (Err(error), _) => {
                    tracing::error!(%error, ?what, "a change of the bans is not kept");
                }
            }
        }
    }
}

/// Under which an address may be banned: its own, and its customer's.
fn keys(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    let (own, customer) = (address.to_canonical(), customer(address));
    std::iter::once(own).chain((customer != own).then_some(customer))
}

const fn ending(now_ms: u64, seconds: u64) -> u64 {
    now_ms.saturating_add(seconds.saturating_mul(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use BanSource::{Auth, Conduct, Operator};

    fn at(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn row(address: &str, source: BanSource, until_ms: Option<u64>) -> BanRow {
        let reason = source.name().to_owned();
        BanRow { address: at(address), until_ms, reason, source, created_ms: 1 }
    }

    #[test]
    fn a_ban_ends_with_its_time_and_is_told_with_its_reason() {
        let rows = vec![row("192.0.2.1", Conduct, Some(10_000)), row("192.0.2.2", Operator, None)];
        let (bans, _unwritten) = BanList::new(rows);
        for (address, now_ms, expected) in [
            ("192.0.2.1", 1, Some("your address is banned for another 10 s: conduct")),
            ("::ffff:192.0.2.1", 9_999, Some("your address is banned for another 1 s: conduct")),
            ("192.0.2.1", 10_000, None),
            // It was let go.
            ("192.0.2.1", 0, None),
            ("192.0.2.2", u64::MAX, Some("your address is banned: operator")),
            ("192.0.2.3", 1, None),
        ] {
            let found = bans.refusal_at(at(address), now_ms);
            assert_eq!(found.as_deref(), expected, "{address} at {now_ms}");
        }
    }

    #[tokio::test]
    async fn an_ipv6_customer_is_a_64_but_the_operator_may_mean_one_address() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("pool.sqlite")).await.unwrap();
        let store = Arc::new(store);
        let (bans, unwritten) = BanList::new(Vec::new());
        let writing = tokio::spawn(unwritten.write(Arc::clone(&store)));
        let banned = |address: &str| bans.refusal(at(address)).is_some();
        bans.set(at("2001:db8::5"), None, "x".to_owned()).await.unwrap();
        assert!(banned("2001:db8::5") && !banned("2001:db8::6"));
        bans.ban(at("2001:db8::6"), 60, "junk", Conduct);
        assert!(banned("2001:db8::7") && !banned("2001:db8:0:1::7"));
        assert_eq!(bans.list().len(), 2);
        // Whoever is lifted is let in: from under both.
        assert_eq!(bans.lift(at("2001:db8::5")).await, Ok(true));
        assert!(!banned("2001:db8::5") && !banned("2001:db8::7"));
        assert_eq!(bans.lift(at("2001:db8::5")).await, Ok(false));
        bans.ban(at("192.0.2.1"), 60, "junk", Auth);
        bans.close();
        writing.await.unwrap();
        let kept = store.bans(0).await.unwrap();
        assert_eq!(kept, bans.list());
        assert_eq!(kept[0].address, at("192.0.2.1"));
        // Nothing is kept any more, and that is said.
        assert!(bans.lift(at("192.0.2.1")).await.is_err());
        assert!(!banned("192.0.2.1"));
    }

    #[test]
    fn strangers_fill_no_memory_and_push_out_no_ban_of_the_operator() {
        let rows = vec![row("0.0.0.0", Operator, None), row("192.0.2.1", Conduct, Some(u64::MAX))];
        let (bans, mut unwritten) = BanList::new(rows);
        for n in 0..=u32::try_from(AUTOMATIC_MAX).expect("few") {
            bans.ban(IpAddr::from(n.to_be_bytes()), 1_000, "junk", Conduct);
        }
        let list = bans.list();
        assert_eq!(list.len(), AUTOMATIC_MAX + 1);
        assert!(list.contains(&row("0.0.0.0", Operator, None)));
        assert_eq!(bans.refusal(at("192.0.2.1")), None, "the oldest made room");
        // On the disk as well.
        let mut lifted = Vec::new();
        while let Ok(change) = unwritten.0.try_recv() {
            if let What::Lift(address) = change.what {
                lifted.push(address);
            }
        }
        assert_eq!(lifted, [at("192.0.2.1")]);
    }

    #[test]
    fn the_longer_ban_counts() {
        let (bans, _unwritten) = BanList::new(Vec::new());
        let address = at("192.0.2.1");
        for (seconds, source, in_force) in
            [(60, Auth, "auth"), (30, Conduct, "auth"), (600, Conduct, "conduct")]
        {
            bans.ban(address, seconds, source.name(), source);
            let found = bans.refusal(address).expect("banned");
            assert!(found.ends_with(in_force), "{found}");
        }
    }
}
