//! The database, as far as something there endangers the promises: the keys that sign.

use super::Report;
use crate::{
    audit::signers::{self, Noted},
    cli::open_database,
    clock::Clock,
    config::Config,
    db::Db,
    error::Result,
    events::store,
};

const PROOF: &str = "whoever proves an export or a checkpoint has one key: what another one signed is not proven by it";

/// Opens the database that is configured, where there is one.
pub async fn open(config: &Config, report: &mut Report) -> Option<Db> {
    if !config.location.is_made() {
        return None;
    }
    let opened = async {
        let db = open_database(config).await.map_err(|error| error.to_string())?;
        let head = async { store::head(&mut db.snapshot().await?).await };
        let (head, _) = head.await.map_err(|error| error.told())?;
        Ok::<_, String>((db, head))
    };
    match opened.await {
        Ok((db, head)) => {
            report.examined.push(format!("the database, with {head} events"));
            Some(db)
        }
        Err(error) => {
            let remedy = "check database_url or data_dir; a database of an earlier version needs `roster migrate`";
            let why = "every call fails while the database cannot be read";
            report.error("database.reachable", format!("the database cannot be read: {error}"), why, remedy);
            None
        }
    }
}

/// Examines the keys that sign.
pub async fn examine(config: &Config, db: &Db, report: &mut Report) {
    let noted = match noted(db).await {
        Ok(noted) => noted,
        Err(error) => {
            let remedy = "bring the database up to date with `roster migrate`, or let it answer, and ask again";
            return report.warning("audit.keys", error.told(), PROOF, remedy);
        }
    };
    let present = signers::present(&noted, Clock::system().now());
    if present.len() > 1 {
        let keys: Vec<_> = present.iter().copied().collect();
        let what = format!("replicas sign with {} keys, or did within minutes: {}", keys.len(), keys.join(", "));
        let remedy = "set audit_key_file to the same key at every replica; while a key is changed, this passes";
        return report.warning("audit.keys", what, PROOF, remedy);
    }
    let Some(file) = config.audit.key.as_ref().filter(|file| file.path.exists()) else { return };
    let (Ok(signer), Some(last)) = (file.read(), noted.first()) else { return };
    let key = signer.verifier().to_string();
    if key != last.verifier {
        let what = format!("{} is the key {key}, and {} signed last", file.path.display(), last.verifier);
        let remedy = "give the service this file, or this command the service's (audit_key_file, audit_name)";
        report.warning("audit.keys", what, PROOF, remedy);
    }
}

async fn noted(db: &Db) -> Result<Vec<Noted>> {
    signers::all(&mut db.snapshot().await?).await
}
