//! State and log come out of one transaction: whichever test there is, they agree when its server stops.

use roster::{db::Db, rebuild};

use super::Database;

/// Fails where the state that this database has is not the one that its log amounts to.
pub fn assert_proven(database: &Database) {
    let difference = std::thread::scope(|scope| {
        // A runtime of its own: this is called where one runs already.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        scope.spawn(move || runtime.block_on(prove(database))).join().unwrap()
    });
    assert_eq!(difference.different.first, [""; 0], "of {} things", difference.compared);
}

async fn prove(database: &Database) -> rebuild::Difference {
    let db = Db::open(&database.location()).await.unwrap();
    let difference = rebuild::prove(&mut db.snapshot().await.unwrap()).await.unwrap();
    db.close().await;
    difference
}
