//! Faults of the disk, made real through the writing connection.

use chimera_ledger::{AccountName, SchemeKind};
use chimera_pow::{Difficulty, PowHash, Work};
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;

use crate::store::MIGRATIONS;
use crate::{Booking, ShareRecord, Store, StoreError};

async fn open(directory: &TempDir) -> Store {
    Store::open(&directory.path().join("pool.db")).await.unwrap()
}

async fn batch(store: &Store, shares: usize) -> Vec<ShareRecord> {
    let worker = store.worker("ann", "rig", 0).await.unwrap();
    let share = ShareRecord {
        worker,
        work: Work::from_hashes(5),
        network_work: Work::from_hashes(100),
        difficulty: Difficulty::ONE,
        height: 1,
        time_ms: 0,
        hash: PowHash([0; 32]),
    };
    vec![share; shares]
}

/// Writes behind the store's back.
async fn write(store: &Store, sql: impl sqlx::SqlSafeStr) {
    let mut tx = store.begin().await.unwrap();
    sqlx::query(sql).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
}

/// Sets how far the database may grow: SQLite then answers as on a full disk.
async fn limit_pages(store: &Store, pages: i64) {
    write(store, sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"))).await;
}

async fn pages(store: &Store) -> i64 {
    let (pages,): (i64,) =
        sqlx::query_as("PRAGMA page_count").fetch_one(&store.readers).await.unwrap();
    pages
}

#[tokio::test]
async fn t23_a_full_disk_refuses_the_batch_and_nothing_else() {
    let directory = TempDir::new().unwrap();
    let mut store = open(&directory).await;
    let shares = batch(&store, 1_000).await;
    store.append_shares(1, &shares, 0).await.unwrap();

    store.count_shares().await.unwrap();

    limit_pages(&store, pages(&store).await).await;
    for _ in 0..3 {
        let error = store.append_shares(1_001, &shares, 0).await.unwrap_err();
        assert!(error.is_full() && error.is_retryable(), "{error}");
        assert!(error.to_string().starts_with("could not append shares: "), "{error}");
        assert_eq!(store.last_seq().await.unwrap(), 1_000);
        assert_eq!(store.stats(0).await.unwrap().shares, 1_000);
    }
    // Room again: the same batch goes in, once.
    limit_pages(&store, i64::from(u32::MAX - 1)).await;
    assert_eq!(store.append_shares(1_001, &shares, 0).await.unwrap(), Booking::Booked);
    drop(store);
    store = open(&directory).await;
    assert_eq!(store.append_shares(1_001, &shares, 0).await.unwrap(), Booking::AlreadyBooked);
    store.count_shares().await.unwrap();
    let stats = store.stats(0).await.unwrap();
    assert_eq!((stats.shares, stats.work), (2_000, Work::from_hashes(10_000)));
}

#[tokio::test]
async fn a_transaction_undone_by_sqlite_itself_does_not_stop_the_next() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory).await;
    let shares = batch(&store, 2).await;
    for _ in 0..3 {
        // What SQLite does on some I/O errors, behind the driver's back.
        let mut tx = store.begin().await.unwrap();
        sqlx::query("ROLLBACK").execute(&mut *tx).await.unwrap();
        drop(tx);
        store.append_shares(store.last_seq().await.unwrap() + 1, &shares, 0).await.unwrap();
    }
    store.count_shares().await.unwrap();
    assert_eq!(store.stats(0).await.unwrap().shares, 6);
}

#[tokio::test]
async fn a_call_that_is_dropped_half_way_leaves_nothing() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory).await;
    let shares = batch(&store, 2).await;
    for polls in 0..40 {
        let next = store.last_seq().await.unwrap() + 1;
        abandon(Box::pin(store.append_shares(next, &shares, 0)), polls).await;
        // Whether it was done or not, repeating it settles the matter.
        store.append_shares(next, &shares, 0).await.unwrap();
        assert_eq!(store.last_seq().await.unwrap(), next + 1);
        abandon(Box::pin(store.count_shares()), polls).await;
        store.count_shares().await.unwrap();
        assert_eq!(store.stats(0).await.unwrap().shares, next + 1);
    }
}

#[tokio::test]
async fn whoever_asked_along_with_a_call_that_was_dropped_is_still_answered() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory).await;
    for polls in 0..40 {
        let (first, second) = (format!("first {polls}"), format!("second {polls}"));
        let leading = abandon(Box::pin(store.worker(&first, "rig", 0)), polls);
        let ((), following) = tokio::join!(leading, store.worker(&second, "rig", 0));
        let worker = following.unwrap();
        let share = ShareRecord { worker, ..batch(&store, 1).await[0] };
        let next = store.last_seq().await.unwrap() + 1;
        store.append_shares(next, &[share], 0).await.unwrap();
    }
}

#[tokio::test]
async fn a_full_disk_is_told_to_everybody_who_is_new() {
    let directory = TempDir::new().unwrap();
    let store = std::sync::Arc::new(open(&directory).await);
    let known = store.worker("ann", "rig", 0).await.unwrap();
    limit_pages(&store, pages(&store).await).await;
    let mut tasks = tokio::task::JoinSet::new();
    for miner in 0..200 {
        let store = std::sync::Arc::clone(&store);
        tasks.spawn(async move { store.worker(&format!("{miner:0100}"), "rig", 0).await });
    }
    // The first few may still find room on pages that are there.
    let outcomes = tasks.join_all().await;
    let errors: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    assert!(errors.len() > 100, "{}", errors.len());
    for error in errors {
        assert!(error.is_full() && error.is_retryable(), "{error}");
        assert!(error.to_string().starts_with("could not register workers: "), "{error}");
    }
    assert_eq!(store.worker("ann", "rig", 0).await.unwrap(), known, "whom it knows it admits");
}

/// Polls a call so often, then drops it.
async fn abandon(mut call: std::pin::Pin<Box<impl Future>>, polls: u32) {
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 || call.as_mut().poll(context).is_ready() {
            return std::task::Poll::Ready(());
        }
        left -= 1;
        std::task::Poll::Pending
    })
    .await;
}

#[tokio::test]
async fn a_damaged_batch_is_named_not_paid() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory).await;
    let shares = batch(&store, 2).await;
    store.append_shares(1, &shares, 0).await.unwrap();
    write(&store, "UPDATE share_batch SET shares = substr(shares, 1, 50)").await;
    let error = store.work_between(0, 2).await.unwrap_err();
    assert_eq!(error.to_string(), "the database is damaged: share batch 1: wrong checksum");
}

#[tokio::test]
async fn books_that_were_tampered_with_are_noticed() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory).await;
    store.verify_books().await.unwrap();
    write(&store, "UPDATE account SET credits_lo = 1 WHERE name = 'pool:fee'").await;
    let error = store.verify_books().await.unwrap_err();
    assert!(matches!(error, StoreError::BooksDisagree { credits: 1, .. }), "{error}");
}

#[tokio::test]
async fn a_database_of_a_later_version_is_refused_and_left_alone() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory).await;
    write(
        &store,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9000, 'from the future', TRUE, x'00', 0)",
    )
    .await;
    store.close().await;
    let error = Store::open(&directory.path().join("pool.db")).await.unwrap_err();
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap();
    assert_eq!(
        error.to_string(),
        format!(
            "the database has schema version 9000, this program knows up to {known}; use the \
             program that wrote it"
        )
    );
}

/// A pool of the first release, with a fee, a worker and a generation, opens with this one.
#[tokio::test]
async fn a_database_of_the_first_release_is_brought_up_to_date() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("pool.db");
    let file = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut old = SqliteConnection::connect_with(&file).await.unwrap();
    let first = MIGRATIONS.iter().filter(|migration| migration.version == 1).cloned();
    Migrator::with_migrations(first.collect()).run(&mut old).await.unwrap();
    sqlx::raw_sql(
        "INSERT INTO account (id, name, fee_ppm) VALUES (9, 'miner:ann', 5000);
         INSERT INTO worker (account, name, created_ms) VALUES (9, 'rig', 7);
         INSERT INTO component VALUES (zeroblob(32), x'00');
         INSERT INTO generation (slot, digest, name, version, config, kind, from_seq,
                                 state_version, state, begun_ms)
         VALUES ('payout', zeroblob(32), 'payout-pps', '0.1.0', '{}', 'accrue', 0, 1, x'07', 3)",
    )
    .execute(&mut old)
    .await
    .unwrap();
    old.close().await.unwrap();

    let store = Store::open(&path).await.unwrap();
    let generation = store.generation_current("payout").await.unwrap().unwrap();
    assert_eq!(generation.facts.kind, Some(SchemeKind::Accrue));
    assert_eq!((generation.facts.state, generation.begun_at_ms), (vec![7], 3));
    let ann = store.miner(&AccountName::new("ann").unwrap(), 0).await.unwrap().unwrap();
    assert_eq!(ann.fee_ppm, 5000);
    store.verify_books().await.unwrap();
}

#[tokio::test]
async fn full_durability_is_the_default() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory).await;
    let mode = async |sql: &'static str| -> String {
        let mut tx = store.begin().await.unwrap();
        sqlx::query_scalar::<_, String>(sql).fetch_one(&mut *tx).await.unwrap()
    };
    assert_eq!(mode("SELECT journal_mode FROM pragma_journal_mode").await, "wal");
    assert_eq!(mode("SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous").await, "2");
}
