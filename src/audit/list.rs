//! What happened, the newest first.

use crate::{
    clock::Timestamp,
    db::{
        Tx,
        page::{Page, Paged},
    },
    error::Result,
    events::{
        Record,
        read::{
            Filter,
            store::{self, Room},
        },
        store as log,
    },
    ids::TenantId,
};

/// The most that a page weighs; one event comes whatever it weighs.
const PAGE_BYTES_MAX: i64 = 2 << 20;
/// How many positions are looked at at once, and how many times for one page: a filter that lets nothing through is no long
/// statement, and no long call.
const RANGE: i64 = 10_000;
const RANGES_MAX: usize = 20;

/// Which events.
#[derive(Debug, Clone)]
pub struct Query {
    /// Of which stream, of which types, about what, by whom.
    pub filter: Filter,
    /// Occurred then or later.
    pub since: Timestamp,
    /// Occurred before.
    pub until: Timestamp,
}

/// One page. The log is looked at range by range, from its end or from where the last page ended.
pub async fn newest(tx: &mut Tx, tenant_id: TenantId, query: &Query, page: &Page) -> Result<Paged<Record>> {
    let room = Room { events: page.limit() - 1, bytes: PAGE_BYTES_MAX };
    let bottom = log::dropped_position(tx).await?;
    let mut up_to = match page.after::<i64>()? {
        Some(before) => before.saturating_sub(1),
        None => log::head(tx).await?.0,
    };
    for _ in 0..RANGES_MAX {
        let after = bottom.max(up_to.saturating_sub(RANGE));
        let range = (after, up_to);
        let times = (query.since, query.until);
        let found = store::by_position_back(tx, tenant_id, &query.filter, range, times, room).await?;
        let last = found.records.last().and_then(|record| record.position);
        up_to = last.filter(|_| found.more).map_or(after, |last| last - 1);
        if !found.records.is_empty() || up_to <= bottom {
            let more = up_to > bottom;
            let next_page_token = if more { page.token(&(up_to + 1).to_string()) } else { String::new() };
            return Ok(Paged { items: found.records, next_page_token });
        }
    }
    Ok(Paged { items: Vec::new(), next_page_token: page.token(&(up_to + 1).to_string()) })
}
