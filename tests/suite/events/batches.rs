//! Whoever reads the whole log reads it in batches of a bounded weight.

use roster::{db::Db, events::store};
use serde_json::json;

use crate::{
    on_both_engines,
    support::{Engine, TestServer, text},
};

/// How much is read at once.
const BATCH_BYTES: usize = 8 << 20;
const UPDATES: usize = 100;

on_both_engines! {
    async fn batches_are_bounded_in_bytes_and_leave_nothing_out(server) {
        let made = server.root.call("OrganizationService/CreateOrganization", json!({"slug": "acme"})).await;
        let id = text(&made["organization"]["organizationId"]);
        for update in 0..UPDATES {
            let entries = (0..50).map(|entry| (format!("k{entry}"), json!(format!("{update:03}{}", "漢".repeat(490)))));
            let metadata: serde_json::Map<_, _> = entries.collect();
            let organization = json!({"organizationId": id, "metadata": metadata});
            let request = json!({"organization": organization, "updateMask": "metadata"});
            server.root.call("OrganizationService/UpdateOrganization", request).await;
        }
        let events = server.root.events(&id).await.len();
        assert!(events > UPDATES);
        let db = Db::open(&server.location()).await.unwrap();
        let begin = std::time::Instant::now();
        while store::unnumbered(&mut db.snapshot().await.unwrap()).await.unwrap() > 0 {
            assert!(begin.elapsed().as_secs() < 60, "nobody numbers");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let (mut after, mut batches, mut heaviest) = (0, Vec::new(), 0);
        loop {
            let mut tx = db.snapshot().await.unwrap();
            let records = store::after_position_everywhere(&mut tx, after, 5_000).await.unwrap();
            let Some(last) = records.last() else { break };
            let positions: Vec<_> = records.iter().map(|record| record.position.unwrap()).collect();
            assert!(positions.iter().copied().eq(after + 1..=last.position.unwrap()), "{positions:?} after {after}");
            after = last.position.unwrap();
            let weight: usize = records.iter().map(|record| record.payload.len()).sum();
            heaviest = heaviest.max(records.iter().map(|record| record.payload.len()).max().unwrap());
            batches.push(weight);
        }
        assert!(usize::try_from(after).unwrap() >= UPDATES);
        assert!(batches.len() >= 2, "{batches:?}: the events are too light for this test");
        assert!(batches.iter().all(|weight| *weight < BATCH_BYTES + heaviest), "{batches:?}");
        assert!(batches[0] + heaviest > BATCH_BYTES - heaviest, "a batch is as large as it may be: {batches:?}");
        db.close().await;
    }
}
