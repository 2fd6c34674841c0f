//! The one connection that writes, and whose turn it is: first come, first served.
//!
//! Not a pool of one: that asks the connection's thread after every use whether it is still
//! there, which costs as much as a small commit.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions};
use sqlx::{ConnectOptions as _, Connection as _, Sqlite, SqliteConnection};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// SQLite's result code for what makes no sense, such as undoing what was not begun.
const SQLITE_ERROR: &str = "1";

/// Who may write, one at a time.
#[derive(Debug)]
pub(crate) struct Writer {
    options: SqliteConnectOptions,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    connection: Option<SqliteConnection>,
    /// Nothing is written any more.
    closed: bool,
    /// What was begun has not ended well: a transaction may be open.
    unfinished: bool,
}

impl Writer {
    /// Connects at the first turn.
    pub(crate) fn new(options: SqliteConnectOptions) -> Self {
        Self { options, kept: Arc::default() }
    }

    /// Waits for the connection, and holds it for something that is to end well.
    async fn turn(&self) -> Result<Turn, sqlx::Error> {
        let mut kept = Arc::clone(&self.kept).lock_owned().await;
        if kept.closed {
            return Err(sqlx::Error::PoolClosed);
        }
        if kept.unfinished {
            kept.undo().await;
        }
        if kept.connection.is_none() {
            kept.connection = Some(self.options.connect().await?);
        }
        kept.unfinished = true;
        Ok(Turn(kept))
    }

    /// Runs a statement that is a transaction of its own: one round trip instead of three. The
    /// number of rows it changed.
    pub(crate) async fn execute(
        &self,
        statement: Query<'_, Sqlite, SqliteArguments>,
    ) -> Result<u64, sqlx::Error> {
        let mut turn = self.turn().await?;
        let done = statement.execute(&mut *turn).await?;
        turn.0.unfinished = false;
        Ok(done.rows_affected())
    }

    /// Starts a transaction. Undone unless committed: at the latest when the next one begins.
    pub(crate) async fn begin(&self) -> Result<Transaction, sqlx::Error> {
        let mut turn = self.turn().await?;
        // Immediate: a transaction that begins by reading could be refused when it writes.
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *turn).await?;
        Ok(Transaction(turn))
    }

    /// Closes the file for good.
    pub(crate) async fn close(&self) {
        let mut kept = self.kept.lock().await;
        kept.closed = true;
        if let Some(connection) = kept.connection.take() {
            let _ = connection.close().await;
        }
    }
}

impl Kept {
    /// Undoes what was left open. SQLite may have done so itself (disk full, I/O error), and
    /// says then that there is nothing to undo; a connection that cannot even say that goes.
    async fn undo(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        let usable = match sqlx::query("ROLLBACK").execute(connection).await {
            Ok(_) => true,
            Err(sqlx::Error::Database(error)) => error.code().as_deref() == Some(SQLITE_ERROR),
            Err(_) => false,
        };
        if !usable {
            self.connection = None;
        }
        self.unfinished = false;
    }
}

/// The connection, held.
#[derive(Debug)]
struct Turn(OwnedMutexGuard<Kept>);

impl Deref for Turn {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        self.0.connection.as_ref().expect("a turn begins with a connection")
    }
}

impl DerefMut for Turn {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        self.0.connection.as_mut().expect("a turn begins with a connection")
    }
}

/// The connection, in a transaction.
#[derive(Debug)]
pub(crate) struct Transaction(Turn);

impl Transaction {
    /// Makes what was written last.
    pub(crate) async fn commit(mut self) -> Result<(), sqlx::Error> {
        sqlx::query("COMMIT").execute(&mut *self.0).await?;
        self.0.0.unfinished = false;
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.0
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.0
    }
}
