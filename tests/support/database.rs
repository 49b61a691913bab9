//! Fresh databases, one for each test.

use roster::db::Location;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// Which engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// A fresh database.
pub enum Database {
    Sqlite(tempfile::TempDir),
    Postgres { url: String },
}

impl Database {
    pub async fn fresh(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => Self::Sqlite(tempfile::tempdir().unwrap()),
            Engine::Postgres => Self::Postgres { url: create(&server_url()).await },
        }
    }

    pub fn location(&self) -> Location {
        match self {
            Self::Sqlite(folder) => Location::Folder(folder.path().to_owned()),
            Self::Postgres { url } => Location::Postgres { url: url.clone(), connections_max: 10 },
        }
    }

    /// Where mails go that no server takes.
    pub fn mail_folder(&self) -> std::path::PathBuf {
        match self {
            Self::Sqlite(folder) => folder.path().join("mail"),
            Self::Postgres { url } => std::env::temp_dir().join(url.rsplit('/').next().unwrap()).join("mail"),
        }
    }

    /// The arguments by which the binary uses this database.
    pub fn arguments(&self) -> Vec<String> {
        match self {
            Self::Sqlite(folder) => vec!["--data-dir".into(), folder.path().display().to_string()],
            Self::Postgres { url } => vec!["--database-url".into(), url.clone()],
        }
    }
}

/// The PostgreSQL that the tests use.
pub fn server_url() -> String {
    std::env::var("ROSTER_TEST_DATABASE_URL").expect(
        "the tests need a real PostgreSQL: run `make test`, or set ROSTER_TEST_DATABASE_URL to one whose role may \
         create databases",
    )
}

async fn create(server: &str) -> String {
    let name = format!("test_{}", uuid::Uuid::now_v7().simple());
    let mut connection = PgConnection::connect(server).await.expect("PostgreSQL answers");
    let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::query(create).execute(&mut connection).await.expect("a database is created");
    let (host, _) = server.rsplit_once('/').expect("a URL with a database");
    format!("{host}/{name}")
}
