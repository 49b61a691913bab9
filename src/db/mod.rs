//! Storage: two engines behind one SQL text. The only module that knows sqlx (slices derive its `FromRow` and `Type`).
//!
//! A statement is a `&'static str` with `$1 … $n`; times and ids are passed in. What only one engine has lives here, in
//! [`Tx::lock_one`], [`Tx::lock_alone`], [`wake`] and the opening of the pools.

mod migrate;
pub mod page;
mod tx;
mod value;
pub mod wake;

use std::{path::PathBuf, time::Duration};

use sqlx::{
    ConnectOptions as _, Connection as _, Executor as _, PgPool, SqlitePool,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
pub use sqlx::{FromRow, Type, types::Json};
pub use tx::{Row, Tx};
pub use value::Value;
pub(crate) use value::args;

use crate::{
    error::{Error, Reason, Result},
    events::Ledger,
};

/// Where the data is.
#[derive(Debug, Clone)]
pub enum Location {
    /// The embedded engine, in this folder.
    Folder(PathBuf),
    /// PostgreSQL, at this URL.
    Postgres {
        /// `postgres://user:password@host:port/database`.
        url: String,
        /// How many connections to hold at most.
        connections_max: u32,
    },
}

/// The file of the embedded engine, in its folder.
const FILE: &str = "roster.db";

impl Location {
    /// Whether there is a database already, as far as that is known without opening it.
    pub fn is_made(&self) -> bool {
        match self {
            Self::Folder(folder) => folder.join(FILE).is_file(),
            Self::Postgres { .. } => true,
        }
    }
}

/// The database.
#[derive(Debug, Clone)]
pub enum Db {
    /// PostgreSQL 14 or newer.
    Postgres(PgPool),
    /// SQLite has one writer at a time: writes queue for one connection instead of running into each other's locks.
    Sqlite {
        /// The one connection that writes.
        writer: SqlitePool,
        /// Connections that read, each from a snapshot of its own.
        readers: SqlitePool,
    },
}

/// How often a transaction that lost against others is tried again.
const ATTEMPTS_MAX: u32 = 10;
/// How long a connection that is given back may take to be free again; then it is closed.
const RELEASE_MAX: Duration = Duration::from_secs(3);
/// How every session of PostgreSQL is set. A process that is frozen or cut off must not keep its locks: they would stop
/// the whole log. And a commit that a crash may undo must not be acknowledged, nor published: whoever switched
/// `synchronous_commit` off did not mean these (its other values are about standby servers, and stay). Statements here read
/// little by an index: where the planner, without statistics yet, thinks of parallel workers or of compiling, that alone
/// takes longer than the statement.
const SESSION: &str = "SET idle_in_transaction_session_timeout = '5s'; SET lock_timeout = '10s';
    SET max_parallel_workers_per_gather = 0; SET jit = off;
    SELECT set_config('synchronous_commit', 'on', FALSE) WHERE current_setting('synchronous_commit') = 'off'";

impl Db {
    /// Opens the database; its folder is made where it is missing.
    pub async fn open(location: &Location) -> Result<Self> {
        match location {
            Location::Folder(folder) => Self::open_sqlite(folder).await,
            Location::Postgres { url, connections_max } => Self::open_postgres(url, *connections_max).await,
        }
    }

    async fn open_sqlite(folder: &PathBuf) -> Result<Self> {
        tokio::fs::create_dir_all(folder).await.map_err(Error::internal)?;
        let options = SqliteConnectOptions::new()
            .filename(folder.join(FILE))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10))
            .disable_statement_logging();
        let writer = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await.map_err(fault)?;
        let readers =
            SqlitePoolOptions::new().max_connections(8).connect_with(options.read_only(true)).await.map_err(fault)?;
        Ok(Self::Sqlite { writer, readers })
    }

    async fn open_postgres(url: &str, connections_max: u32) -> Result<Self> {
        let options: PgConnectOptions = url.parse().map_err(fault)?;
        let pool = PgPoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(Duration::from_secs(5))
            .after_connect(|connection, _| Box::pin(async move { connection.execute(SESSION).await.map(drop) }))
            .after_release(|connection, _| {
                Box::pin(async move {
                    // The pool waits for a rollback's end as long as it takes: for good, where nothing comes through.
                    let rolled_back = tokio::time::timeout(RELEASE_MAX, connection.ping()).await;
                    rolled_back.map_err(|_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))?.map(|()| true)
                })
            })
            .connect_with(options.application_name("roster").disable_statement_logging())
            .await
            .map_err(fault)?;
        Ok(Self::Postgres(pool))
    }

    /// Runs an operation in a transaction that may write; answers also what it appended to the log. It is tried again
    /// where it only lost against others. Where it fails it leaves no trace.
    pub async fn write<T>(&self, operation: impl AsyncFn(&mut Tx) -> Result<T>) -> Result<(T, Ledger)> {
        let mut attempt = 1;
        loop {
            let mut tx = self.begin().await?;
            let mut outcome = operation(&mut tx).await;
            if outcome.is_ok()
                && let Err(error) = tx.commit().await
            {
                outcome = Err(error);
            }
            match outcome {
                Ok(answer) => return Ok((answer, tx.into_ledger())),
                Err(error) if error.reason() == Reason::Conflict && attempt < ATTEMPTS_MAX => {
                    drop(tx); // rolls back
                    tracing::debug!(attempt, error = %error, "transaction lost against others");
                    tokio::time::sleep(Duration::from_millis(u64::from(attempt * attempt))).await;
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn begin(&self) -> Result<Tx> {
        Ok(match self {
            Self::Postgres(pool) => Tx::postgres(pool.begin().await.map_err(fault)?),
            Self::Sqlite { writer, .. } => Tx::sqlite(writer.begin_with("BEGIN IMMEDIATE").await.map_err(fault)?),
        })
    }

    /// Begins a transaction that reads, from one snapshot however many statements it runs.
    pub async fn snapshot(&self) -> Result<Tx> {
        match self {
            Self::Postgres(pool) => {
                let tx = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await;
                Ok(Tx::postgres(tx.map_err(fault)?))
            }
            Self::Sqlite { readers, .. } => Ok(Tx::sqlite(readers.begin().await.map_err(fault)?)),
        }
    }

    /// Closes all connections.
    pub async fn close(&self) {
        match self {
            Self::Postgres(pool) => pool.close().await,
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
        }
    }
}

/// What a fault of the engine means.
fn fault(error: sqlx::Error) -> Error {
    let reason = match &error {
        sqlx::Error::Database(fault) if lost_against_others(fault.as_ref()) => Reason::Conflict,
        sqlx::Error::Database(fault) if is_going_away(fault.as_ref()) => Reason::StorageUnavailable,
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Reason::StorageUnavailable,
        _ => Reason::Internal,
    };
    let message = match reason {
        Reason::Conflict => "other writers were in the way",
        Reason::StorageUnavailable => "the database cannot be reached",
        _ => "internal error",
    };
    Error::new(reason, message).caused_by(error)
}

/// Serialization failures, deadlocks, a busy SQLite; and a reference that was broken by somebody else's deletion: when
/// tried again, the operation finds that record missing and says so.
fn lost_against_others(fault: &dyn sqlx::error::DatabaseError) -> bool {
    fault.is_foreign_key_violation()
        || matches!(fault.code().as_deref(), Some("40001" | "40P01" | "55P03" | "5" | "261" | "517"))
}

/// PostgreSQL is stopping, starting, has no room, has become read-only, or gave up on us: classes 57, 53, 08 and two of
/// class 25 (PostgreSQL documentation, appendix A).
fn is_going_away(fault: &dyn sqlx::error::DatabaseError) -> bool {
    let gone = |code: &str| ["57", "53", "08"].iter().any(|class| code.starts_with(class));
    fault.code().is_some_and(|code| gone(&code) || ["25006", "25P03"].contains(&&*code))
}
