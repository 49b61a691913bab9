//! Bringing the schema up to date.

use sqlx::migrate::Migrator;

use super::{Db, fault};
use crate::error::{Error, Result};

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

fn migration_fault(error: sqlx::migrate::MigrateError) -> Error {
    match error {
        sqlx::migrate::MigrateError::Execute(error) => fault(error),
        error => Error::internal(error),
    }
}
