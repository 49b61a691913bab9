//! Which keys sign: every replica notes its own, and those that differ are told apart for as long as both are there.

use std::{collections::BTreeSet, time::Duration};

use roster::{
    audit::signers::{self, Signers},
    db::Db,
};

use crate::{
    on_both_engines,
    support::{Engine, TestClock, TestServer},
};

/// The keys that replicas have now, and how many there ever were.
async fn keys(db: &Db, clock: &TestClock) -> (BTreeSet<String>, usize) {
    let noted = signers::all(&mut db.snapshot().await.unwrap()).await.unwrap();
    let present = signers::present(&noted, clock.clock().now()).into_iter().map(str::to_owned).collect();
    (present, noted.len())
}

on_both_engines! {
    async fn keys_that_differ_are_known_while_replicas_have_them(server) {
        let db = Db::open(&server.location()).await.unwrap();
        let clock = TestClock::default();
        let (own, _) = keys(&db, &clock).await;
        assert_eq!(own.len(), 1, "the server's own: {own:?}");
        // Another replica with the same key, one without any, and one with another.
        let own_key = own.first().unwrap().clone();
        Signers::begin(db.clone(), clock.clock(), Some(own_key.clone())).await.unwrap();
        Signers::begin(db.clone(), clock.clock(), None).await.unwrap();
        assert_eq!(keys(&db, &clock).await, (own, 1));
        Signers::begin(db.clone(), clock.clock(), Some("other+00000000+AQ==".to_owned())).await.unwrap();
        let both = BTreeSet::from([own_key, "other+00000000+AQ==".to_owned()]);
        assert_eq!(keys(&db, &clock).await, (both, 2));
        // Minutes later nobody is known to have either; both are remembered, for what they signed.
        clock.advance(Duration::from_mins(4));
        assert_eq!(keys(&db, &clock).await, (BTreeSet::new(), 2));
        Signers::begin(db.clone(), clock.clock(), Some("other+00000000+AQ==".to_owned())).await.unwrap();
        assert_eq!(keys(&db, &clock).await, (BTreeSet::from(["other+00000000+AQ==".to_owned()]), 2));
        db.close().await;
    }
}
