//! The database file: opened once, brought up to date, written by one connection.

use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, SqliteConnection};
use tokio::sync::Mutex;
use tracing::Instrument as _;

use crate::StoreError;
use crate::generations::payout_generation_at;
use crate::number::{int, uint32};
use crate::shares::last_seq;
use crate::totals::Counting;
use crate::workers::{Register, newest_worker};
use crate::writer::{Transaction, Writer};

pub(crate) static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// Enough for the API beside a settlement reading its window.
const READERS_MAX: u32 = 4;
/// What the writer keeps of the file in memory, in KiB. A large settlement writes all over its
/// indices; with SQLite's 2 MB nearly every row reads a page again.
const WRITER_CACHE_KIB: u32 = 64 << 10;
/// Pages of the write-ahead log after which the writer itself brings it into the file, which
/// shares wait for; [`Store::checkpoint`] is to come first. 64 MB.
const WAL_PAGES_MAX: u32 = 16 << 10;
/// Checkpoints and a slow disk hold the file for milliseconds; this is a defect.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// What a crash left of the totals is caught up with at the start, for so long.
const CATCH_UP_MAX: Duration = Duration::from_secs(5);
const LOCK_ATTEMPTS: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// When a write counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// When the disk has it: survives a power cut.
    #[default]
    Full,
    /// When the system has it: survives `kill -9`, a power cut may lose the last seconds.
    Relaxed,
}

/// What the operator decides about the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreOptions {
    /// When a write counts as done.
    pub durability: Durability,
}

/// What a repeatable write found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Booking {
    /// It was new and is done.
    Booked,
    /// It was done before; nothing changed.
    AlreadyBooked,
}

/// Everything the pool must not forget. Cheap to share behind an `Arc`; dropping it
/// without [`Store::close`] is as safe as a crash.
#[derive(Debug)]
pub struct Store {
    pub(crate) writer: Writer,
    pub(crate) readers: SqlitePool,
    /// What is written for people's sake waits here for its turn: shares are behind one of
    /// them, never behind a thousand.
    pub(crate) patient: Mutex<()>,
    pub(crate) register: Register,
    pub(crate) counting: Counting,
    /// Held while the store lives: two pools on one database would number shares twice. None
    /// for a store that only reads, or is closed.
    lock: std::sync::Mutex<Option<File>>,
}

impl Store {
    /// Opens the database, creating it if it is missing, with full durability.
    ///
    /// # Errors
    /// See [`Store::open_with`].
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, StoreOptions::default()).await
    }

    /// Opens the database, creating it if it is missing, and brings its schema up to date.
    ///
    /// # Errors
    /// When another pool uses it, when a later version of this program wrote it, or when
    /// the file cannot be used.
    pub async fn open_with(path: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        let lock = lock_beside(path).await?;
        let file = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(match options.durability {
                Durability::Full => SqliteSynchronous::Full,
                Durability::Relaxed => SqliteSynchronous::Normal,
            })
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging();
        named("open the database", async {
            let writing = file
                .clone()
                .pragma("cache_size", format!("-{WRITER_CACHE_KIB}"))
                .pragma("wal_autocheckpoint", WAL_PAGES_MAX.to_string());
            migrate(&mut writing.connect().await?).await?;
            let readers = lasting()
                .max_connections(READERS_MAX)
                .connect_with(file.pragma("query_only", "ON"))
                .await?;
            Self::of(Writer::new(writing), readers, Some(lock)).await
        })
        .await
    }

    /// Opens a database for reading only, also one that a running pool writes: readers see
    /// the last finished transaction and hold nobody up.
    ///
    /// # Errors
    /// When there is none, or one of another version of this program.
    pub async fn open_to_read(path: &Path) -> Result<Self, StoreError> {
        if !path.is_file() {
            return Err(StoreError::Missing(path.to_path_buf()));
        }
        // Not SQLite's read-only mode: that cannot open a log whose index is missing.
        let file = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(false)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("query_only", "ON")
            .disable_statement_logging();
        named("open the database to read", async {
            let readers = lasting().max_connections(READERS_MAX).connect_with(file.clone()).await?;
            let found = schema_version(&mut *readers.acquire().await?).await?;
            let known = newest_schema();
            match found {
                found if found > known => Err(StoreError::NewerSchema { found, known }),
                found if found < known => Err(StoreError::OlderSchema { found, known }),
                _ => Self::of(Writer::new(file), readers, None).await,
            }
        })
        .await
    }

    async fn of(
        writer: Writer,
        readers: SqlitePool,
        lock: Option<File>,
    ) -> Result<Self, StoreError> {
        let newest = newest_worker(&mut *readers.acquire().await?).await?;
        Ok(Self {
            writer,
            readers,
            patient: Mutex::default(),
            register: Register::new(newest),
            counting: Counting::default(),
            lock: std::sync::Mutex::new(lock),
        })
    }

    /// Counts a start of the pool: another number every time, also after a crash.
    ///
    /// Shares a crash lost were never answered; a block found behind them is put back to the
    /// log's end, or the next shares would count as found before it. Totals a crash left
    /// behind catch up.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn begin_run(&self) -> Result<u32, StoreError> {
        // A long way is gone on with when miners are served.
        if let Ok(counted) = tokio::time::timeout(CATCH_UP_MAX, self.count_shares()).await {
            counted?;
        }
        named("begin a run", async {
            let mut tx = self.begin().await?;
            let (runs,): (i64,) =
                sqlx::query_as("UPDATE pool SET runs = runs + 1 WHERE id = 1 RETURNING runs")
                    .fetch_one(&mut *tx)
                    .await?;
            put_back_blocks(&mut tx).await?;
            tx.commit().await?;
            uint32("the count of runs", runs)
        })
        .await
    }

    /// Puts blocks that were placed behind shares which were then lost back to the log's end,
    /// or the next shares would count as found before them.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn put_back_blocks(&self) -> Result<(), StoreError> {
        named("put back blocks", async {
            let mut tx = self.begin().await?;
            put_back_blocks(&mut tx).await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    /// Brings the write-ahead log into the file, so that the writer need not do it while
    /// shares wait. To be called every now and then.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn checkpoint(&self) -> Result<(), StoreError> {
        named("check the write-ahead log in", async {
            // Passive: holds up neither shares nor readers, and takes what it can get.
            let checkpoint = "PRAGMA wal_checkpoint(PASSIVE)";
            sqlx::query(checkpoint).execute(&self.readers).await?;
            // What came meanwhile is little, and once it is in, the log begins anew. Under load
            // it would never be empty while somebody writes, and grow to its limit.
            self.writer.execute(sqlx::query(checkpoint)).await?;
            Ok(())
        })
        .await
    }

    /// Finishes what is being written, closes the file, and lets another pool open it. Whoever
    /// still holds the store is told that it is closed.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Starts a transaction that writes. Undone unless committed.
    pub(crate) async fn begin(&self) -> Result<Transaction, StoreError> {
        Ok(self.writer.begin().await?)
    }
}

async fn put_back_blocks(tx: &mut SqliteConnection) -> Result<(), StoreError> {
    let last = last_seq(tx).await?;
    let ahead: Option<(i64,)> = sqlx::query_as("SELECT number FROM block WHERE seq > ?1 LIMIT 1")
        .bind(int("sequence number", last)?)
        .fetch_optional(&mut *tx)
        .await?;
    if ahead.is_some() {
        // Their place decides who settles them.
        let generation = payout_generation_at(tx, last).await?;
        sqlx::query(
            "UPDATE block SET seq = ?1,
                    generation = CASE WHEN state IN ('settled', 'reversed') THEN generation
                                      ELSE ?2 END
             WHERE seq > ?1",
        )
        .bind(int("sequence number", last)?)
        .bind(generation.0)
        .execute(tx)
        .await?;
    }
    Ok(())
}

/// Runs a transaction under its name, which errors and traces carry.
pub(crate) async fn named<T>(
    transaction: &'static str,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let span = tracing::debug_span!("store", transaction);
    work.instrument(span).await.map_err(|error| error.during(transaction))
}

/// Connections that stay: a file needs no fresh ones.
fn lasting() -> SqlitePoolOptions {
    SqlitePoolOptions::new().max_lifetime(None).idle_timeout(None).test_before_acquire(false)
}

/// A program that this process is just starting (a settlement) holds copies of its files for
/// a moment, also of a lock that was let go of meanwhile: so it is asked for a few times.
async fn lock_beside(database: &Path) -> Result<File, StoreError> {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    let opened = File::options().create(true).truncate(false).write(true).open(&path);
    let file = match opened {
        Ok(file) => file,
        Err(source) => return Err(StoreError::LockFile { path, source }),
    };
    for attempt in 1.. {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if attempt < LOCK_ATTEMPTS => {
                tokio::time::sleep(LOCK_PAUSE).await;
            }
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse { path }),
            Err(TryLockError::Error(source)) => return Err(StoreError::LockFile { path, source }),
        }
    }
    // Tells people, and `chimera upgrade`, whose it is.
    let written = file.set_len(0).and_then(|()| write!(&file, "{}", std::process::id()));
    match written {
        Ok(()) => Ok(file),
        Err(source) => Err(StoreError::LockFile { path, source }),
    }
}

/// The process that has a database open as its pool; `None` if nobody has.
///
/// # Errors
/// When the lock beside it cannot be looked at.
pub fn used_by(database: &Path) -> std::io::Result<Option<u32>> {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    let file = match File::options().read(true).write(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match file.try_lock() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => {
            let text = std::io::read_to_string(&file)?;
            let number = text.trim().parse();
            number.map(Some).map_err(|_| std::io::Error::other("the lock names no process"))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The version of the schema this program writes.
pub fn newest_schema() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// 0 for a database that is new.
async fn schema_version(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    let (tracked,): (i64,) =
        sqlx::query_as("SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'")
            .fetch_one(&mut *connection)
            .await?;
    if tracked == 0 {
        return Ok(0);
    }
    let (found,): (i64,) = sqlx::query_as("SELECT coalesce(max(version), 0) FROM _sqlx_migrations")
        .fetch_one(connection)
        .await?;
    Ok(found)
}

async fn migrate(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let (found, known) = (schema_version(connection).await?, newest_schema());
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    MIGRATIONS.run(connection).await.map_err(StoreError::Migration)
}
