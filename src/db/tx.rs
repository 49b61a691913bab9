//! A transaction, and the three ways to run a statement in it.

use sqlx::{
    AssertSqlSafe, FromRow, Postgres, Sqlite, Transaction,
    postgres::{PgArguments, PgRow},
    sqlite::{SqliteArguments, SqliteRow},
};

use super::{
    fault,
    value::{Value, arguments},
};
use crate::{
    error::{Error, Reason, Result},
    events::Ledger,
};

/// A row of either engine; a plain `derive(FromRow)` qualifies.
pub trait Row: Send + Unpin + for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> {}
impl<T> Row for T where T: Send + Unpin + for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> {}

/// A transaction. Dropped without a commit it leaves no trace.
pub struct Tx {
    engine: Engine,
    /// What this transaction has appended to the log.
    pub ledger: Ledger,
}

enum Engine {
    Postgres(Transaction<'static, Postgres>),
    Sqlite(Transaction<'static, Sqlite>),
    Done,
}

/// Runs a statement on whichever engine it is.
macro_rules! on_engine {
    ($self:expr, $query:path, $sql:expr, $values:expr, $method:ident) => {
        match &mut $self.engine {
            Engine::Postgres(tx) => {
                let arguments = arguments::<PgArguments>($values).map_err(fault)?;
                $query($sql, arguments).$method(&mut **tx).await
            }
            Engine::Sqlite(tx) => {
                let arguments = arguments::<SqliteArguments>($values).map_err(fault)?;
                $query($sql, arguments).$method(&mut **tx).await
            }
            Engine::Done => return Err(Error::internal("the transaction has ended")),
        }
    };
}

impl Tx {
    pub(super) fn postgres(tx: Transaction<'static, Postgres>) -> Self {
        Self { engine: Engine::Postgres(tx), ledger: Ledger::default() }
    }

    pub(super) fn sqlite(tx: Transaction<'static, Sqlite>) -> Self {
        Self { engine: Engine::Sqlite(tx), ledger: Ledger::default() }
    }

    pub(super) async fn commit(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.engine, Engine::Done) {
            Engine::Postgres(tx) => tx.commit().await.map_err(fault),
            Engine::Sqlite(tx) => tx.commit().await.map_err(fault),
            Engine::Done => Ok(()),
        }
        .map_err(|error| match error.reason() {
            Reason::StorageUnavailable => {
                let message = "the database was lost while it committed: read before trying again";
                Error::new(Reason::OutcomeUnknown, message).caused_by(error)
            }
            _ => error,
        })
    }

    pub(super) fn into_ledger(self) -> Ledger {
        self.ledger
    }

    /// Whether the engine is PostgreSQL: for the log and the lease alone, which say things that only one engine has.
    pub fn is_postgres(&self) -> bool {
        matches!(self.engine, Engine::Postgres(_))
    }

    /// The one row that the statement answers, if any.
    pub async fn fetch_optional<T: Row>(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Option<T>> {
        on_engine!(self, sqlx::query_as_with::<_, T, _>, sql, values, fetch_optional).map_err(fault)
    }

    /// The one row that the statement always answers.
    pub async fn fetch_one<T: Row>(&mut self, sql: &'static str, values: Vec<Value>) -> Result<T> {
        on_engine!(self, sqlx::query_as_with::<_, T, _>, sql, values, fetch_one).map_err(fault)
    }

    /// All rows that the statement answers.
    pub async fn fetch_all<T: Row>(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Vec<T>> {
        on_engine!(self, sqlx::query_as_with::<_, T, _>, sql, values, fetch_all).map_err(fault)
    }

    /// How many rows the statement changed.
    pub async fn execute(&mut self, sql: &'static str, values: Vec<Value>) -> Result<u64> {
        match &mut self.engine {
            Engine::Postgres(tx) => {
                let arguments = arguments::<PgArguments>(values).map_err(fault)?;
                sqlx::query_with(sql, arguments).execute(&mut **tx).await.map(|done| done.rows_affected())
            }
            Engine::Sqlite(tx) => {
                let arguments = arguments::<SqliteArguments>(values).map_err(fault)?;
                sqlx::query_with(sql, arguments).execute(&mut **tx).await.map(|done| done.rows_affected())
            }
            Engine::Done => return Err(Error::internal("the transaction has ended")),
        }
        .map_err(fault)
    }

    /// [`Self::execute`], where breaking a unique constraint means `taken`.
    pub async fn execute_unique(
        &mut self,
        sql: &'static str,
        values: Vec<Value>,
        taken: impl FnOnce() -> Error,
    ) -> Result<u64> {
        self.execute(sql, values).await.map_err(|error| if error.is_unique_violation() { taken() } else { error })
    }

    /// The row that the SELECT answers, locked against other writers until this transaction ends. Readers, and writers
    /// that only refer to the row, go on. (SQLite has one writer: nothing to lock.)
    pub async fn lock_one<T: Row>(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Option<T>> {
        match &mut self.engine {
            Engine::Postgres(tx) => {
                let arguments = arguments::<PgArguments>(values).map_err(fault)?;
                let sql = AssertSqlSafe(format!("{sql} FOR NO KEY UPDATE"));
                sqlx::query_as_with(sql, arguments).fetch_optional(&mut **tx).await.map_err(fault)
            }
            _ => self.fetch_optional(sql, values).await,
        }
    }

    /// [`Self::lock_one`], against writers that would newly refer to the row, too.
    pub async fn lock_alone<T: Row>(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Option<T>> {
        match &mut self.engine {
            Engine::Postgres(tx) => {
                let arguments = arguments::<PgArguments>(values).map_err(fault)?;
                let sql = AssertSqlSafe(format!("{sql} FOR UPDATE"));
                sqlx::query_as_with(sql, arguments).fetch_optional(&mut **tx).await.map_err(fault)
            }
            _ => self.fetch_optional(sql, values).await,
        }
    }

    /// Inserts many rows by one statement: `insert` is `INSERT INTO … (…)` without its values.
    pub async fn insert_all(&mut self, insert: &'static str, rows: Vec<Vec<Value>>) -> Result<()> {
        self.upsert_all(insert, "", rows).await
    }

    /// [`Self::insert_all`], where a row that is there already is treated as `or` says: `ON CONFLICT …`.
    pub async fn upsert_all(&mut self, insert: &'static str, or: &'static str, rows: Vec<Vec<Value>>) -> Result<()> {
        /// SQLite takes 32,766 parameters in a statement, PostgreSQL twice as many.
        const PARAMETERS_MAX: usize = 30_000;
        let Some(width) = rows.first().map(Vec::len) else { return Ok(()) };
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let batch: Vec<_> = rows.by_ref().take(PARAMETERS_MAX / width).collect();
            let sql = AssertSqlSafe(format!("{insert} VALUES {} {or}", placeholders(batch.len(), width)));
            let values: Vec<Value> = batch.into_iter().flatten().collect();
            match &mut self.engine {
                Engine::Postgres(tx) => {
                    let arguments = arguments::<PgArguments>(values).map_err(fault)?;
                    sqlx::query_with(sql, arguments).execute(&mut **tx).await.map(drop)
                }
                Engine::Sqlite(tx) => {
                    let arguments = arguments::<SqliteArguments>(values).map_err(fault)?;
                    sqlx::query_with(sql, arguments).execute(&mut **tx).await.map(drop)
                }
                Engine::Done => return Err(Error::internal("the transaction has ended")),
            }
            .map_err(fault)?;
        }
        Ok(())
    }
}

/// `($1, $2), ($3, $4)` for two rows of two.
fn placeholders(rows: usize, width: usize) -> String {
    let row = |row: usize| {
        let places: Vec<_> = (1..=width).map(|column| format!("${}", row * width + column)).collect();
        format!("({})", places.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

impl Error {
    fn is_unique_violation(&self) -> bool {
        self.source_ref::<sqlx::Error>()
            .and_then(sqlx::Error::as_database_error)
            .is_some_and(|fault| fault.is_unique_violation())
    }
}
