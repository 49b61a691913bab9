//! Bringing the schema up to date.

use sqlx::migrate::Migrator;

use super::{Db, Tx, args, fault};
use crate::{
    clock::Timestamp,
    error::{Error, Result},
};

static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");
static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");

impl Db {
    /// Brings the schema up to date. Replicas that start together wait for one another.
    pub async fn migrate(&self) -> Result<()> {
        match self {
            Self::Postgres(pool) => POSTGRES.run(pool).await,
            Self::Sqlite { writer, .. } => SQLITE.run(writer).await,
        }
        .map_err(migration_fault)
    }
}

impl Db {
    /// Makes the partitions of the log for this month and the next two, where the engine has partitions.
    pub async fn make_months(&self) -> Result<()> {
        if let Self::Postgres(_) = self {
            self.write(async |tx| {
                // Whoever reads the log for long must not stop everybody else behind this.
                tx.execute("SET LOCAL lock_timeout = '100ms'", Vec::new()).await?;
                tx.execute("SELECT log_make_months(2)", Vec::new()).await
            })
            .await?;
        }
        Ok(())
    }
}

impl Db {
    /// Lets the planner look at tables that have at least doubled since it last did, on an engine that needs it.
    pub async fn analyze_grown(&self) -> Result<()> {
        let Self::Postgres(_) = self else { return Ok(()) };
        let mut after = String::new();
        loop {
            let behind = after;
            let next = self.write(async move |tx| tx.fetch_one("SELECT analyze_grown($1)", args![&behind]).await);
            let ((grown,), _): ((Option<String>,), _) = next.await?;
            let Some(grown) = grown else { return Ok(()) };
            after = grown;
        }
    }

    /// Drops the oldest month of the log where nobody needs it, on an engine that has months, and so many topics a mark;
    /// answers whether there was one.
    pub async fn drop_month(&self, now: Timestamp, sinks: i64) -> Result<bool> {
        let Self::Postgres(_) = self else { return Ok(false) };
        let (dropped, _) = self
            .write(async move |tx| {
                // Whoever reads the log for long must not stop everybody else behind this.
                tx.execute("SET LOCAL lock_timeout = '100ms'", Vec::new()).await?;
                let (dropped,) = tx.fetch_one("SELECT log_drop_month($1, $2)", args![now, sinks]).await?;
                Ok(dropped)
            })
            .await?;
        Ok(dropped)
    }
}

impl Tx {
    /// Lets this transaction wait for locks as long as it takes.
    pub async fn wait_for_locks(&mut self) -> Result<()> {
        if self.is_postgres() {
            self.execute("SET LOCAL lock_timeout = 0", Vec::new()).await?;
        }
        Ok(())
    }

    /// Whether there is a table of this name.
    pub async fn has_table(&mut self, name: &str) -> Result<bool> {
        let sql = match self.is_postgres() {
            true => "SELECT COUNT(*) FROM pg_class WHERE oid = to_regclass($1)",
            false => "SELECT COUNT(*) FROM sqlite_master WHERE name = $1",
        };
        let (count,): (i64,) = self.fetch_one(sql, args![name]).await?;
        Ok(count > 0)
    }
}

fn migration_fault(error: sqlx::migrate::MigrateError) -> Error {
    match error {
        sqlx::migrate::MigrateError::Execute(error) => fault(error),
        error => Error::internal(error),
    }
}
