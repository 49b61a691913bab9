//! Replies that are lost: the connection to PostgreSQL fails exactly at COMMIT, and the caller, who was told that
//! nobody knows, asks again with the same `request_id`. There is one effect, and they get the answer to it.

mod by_itself;
mod frozen;
mod own_writes;
mod writes;

use std::time::Duration;

use roster::db::{Db, Location};
use serde_json::{Value, json};
use tonic::Code;

use crate::support::{
    Caller, Engine, TestServer,
    name_server::NameServer,
    reason, text,
    wire_tap::{Failure, Moment, WireTap},
};

/// What the transaction of every write with a `request_id` runs, and no other.
const WRITE: &str = "INSERT INTO requests";
/// How long what happens by itself may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server whose connections to PostgreSQL go through a proxy.
struct House {
    server: TestServer,
    tap: WireTap,
    dns: NameServer,
    /// Past the proxy.
    db: Db,
}

impl House {
    async fn build() -> Self {
        let mut server = TestServer::start(Engine::Postgres).await;
        let (location, dns) = (server.location(), NameServer::start().await);
        let Location::Postgres { url, connections_max } = &location else { unreachable!() };
        let tap = WireTap::before(url).await;
        server
            .restart(|config| {
                config.location = Location::Postgres { url: tap.url.clone(), connections_max: *connections_max };
                config.domains.dns_servers = vec![dns.address];
            })
            .await;
        let db = Db::open(&location).await.unwrap();
        Self { server, tap, dns, db }
    }

    /// The types of all events there are, of every tenant, in the order in which they were written; but of mails, which
    /// go out by themselves.
    async fn log(&self) -> Vec<String> {
        let sql = "SELECT type FROM events WHERE type <> 'invitation.mail_sent' ORDER BY row_id";
        let types: Vec<(String,)> = self.db.snapshot().await.unwrap().fetch_all(sql, Vec::new()).await.unwrap();
        types.into_iter().map(|(name,)| name).collect()
    }

    /// Asks for a write whose answer is lost, and then again. Answers what the caller got in the end, and what the log
    /// has of it.
    async fn lost(&self, caller: &Caller, method: &str, request: &Value, moment: Moment) -> (Value, Vec<String>) {
        let before = self.log().await;
        let mishap = self.tap.befall(WRITE, moment, Failure::Cut);
        let told = caller.try_call(method, request.clone()).await.expect_err(method);
        assert!(mishap.has_happened(), "{method}: {told:?}");
        assert_eq!((told.code(), reason(&told)), (Code::Unavailable, "OUTCOME_UNKNOWN".to_owned()), "{method}");
        let meanwhile = self.log().await;
        let answer = caller.call(method, request.clone()).await;
        let after = self.log().await;
        let done = if moment == Moment::Before { &before } else { &after };
        assert_eq!(&meanwhile, done, "{method}, cut {moment:?}: what is committed by then");
        assert_eq!(caller.call(method, request.clone()).await, answer, "{method}: once more");
        assert_eq!(self.log().await, after, "{method}: once more");
        (answer, after[before.len()..].to_vec())
    }

    /// Every stream and the whole log are without a gap.
    async fn assert_whole(&self) {
        let begin = std::time::Instant::now();
        loop {
            let mut tx = self.db.snapshot().await.unwrap();
            let sql = "SELECT COUNT(*), COUNT(position), COALESCE(MIN(position), 1), COALESCE(MAX(position), 0)
                FROM events LEFT JOIN events_positions ON events_positions.row_id = events.row_id";
            let log @ (events, numbered, first, last): (i64, i64, i64, i64) =
                tx.fetch_one(sql, Vec::new()).await.unwrap();
            if (numbered, first, last) == (events, 1, events) {
                break;
            }
            assert!(begin.elapsed() < PATIENCE, "events, positions, the first and the last: {log:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let sql = "SELECT stream_id FROM events GROUP BY tenant_id, stream_id
            HAVING COUNT(*) <> MAX(sequence) OR MIN(sequence) <> 1";
        let broken: Vec<(uuid::Uuid,)> = self.db.snapshot().await.unwrap().fetch_all(sql, Vec::new()).await.unwrap();
        assert_eq!(broken, []);
    }
}

/// Whether whoever has a secret is let in.
async fn assert_good(house: &House, secret: &Value) {
    let holder = Caller::connect(&house.server.address, Some(text(secret))).await;
    holder.call("UserService/ListUsers", json!({})).await;
}
