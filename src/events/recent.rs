//! Which streams the latest events are of: what tells a watcher that there is nothing for them without asking the
//! database, so that watchers of quiet streams cost next to nothing while others write.

use std::collections::VecDeque;

use parking_lot::RwLock;
use uuid::Uuid;

use super::{Record, Stream};
use crate::ids::TenantId;

/// How many of the latest events are known.
const EVENTS_MAX: usize = 16_384;

/// The streams of the latest events, by position.
#[derive(Debug, Default)]
pub struct Recent(RwLock<Window>);

#[derive(Debug, Default)]
struct Window {
    /// The position before the first.
    before: i64,
    streams: VecDeque<(TenantId, Uuid)>,
}

impl Recent {
    /// Notes what was read: everything of a range of positions, without a gap, behind what was noted before.
    pub fn note(&self, records: &[Record]) {
        let Some(first) = records.first().and_then(|record| record.position) else { return };
        let mut window = self.0.write();
        if window.streams.is_empty() {
            window.before = first - 1;
        }
        window.streams.extend(records.iter().map(|record| (record.tenant_id, record.stream_id)));
        let excess = window.streams.len().saturating_sub(EVENTS_MAX);
        window.streams.drain(..excess);
        window.before += i64::try_from(excess).unwrap_or(0);
    }

    /// Whether there is nothing of a stream, or of any stream of the tenant, in `(after, up_to]`. No, where that is not
    /// known.
    pub fn has_nothing(&self, tenant: TenantId, stream: Option<Stream>, after: i64, up_to: i64) -> bool {
        let window = self.0.read();
        let place = |position: i64| usize::try_from(position - window.before).ok();
        let (Some(from), Some(to)) = (place(after), place(up_to)) else { return false };
        if from > to || to > window.streams.len() {
            return false;
        }
        let stream = stream.map(Stream::uuid);
        let wanted = |(of, id): &(TenantId, Uuid)| *of == tenant && stream.is_none_or(|stream| stream == *id);
        !window.streams.range(from..to).any(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::OrganizationId;

    fn record(position: i64, tenant_id: TenantId, stream_id: Uuid) -> Record {
        let (payload, subject_payload, actor_payload) = Default::default();
        let position = Some(position);
        Record { position, tenant_id, stream_id, sequence: 1, payload, subject_payload, actor_payload, erased: false }
    }

    #[test]
    fn nothing_is_said_of_what_is_not_known() {
        let (tenant, other) = (TenantId::generate(), TenantId::generate());
        let (a, b) = (OrganizationId::generate(), OrganizationId::generate());
        let recent = Recent::default();
        assert!(!recent.has_nothing(tenant, None, 0, 1));
        recent.note(&[record(11, tenant, a.uuid()), record(12, tenant, b.uuid()), record(13, tenant, a.uuid())]);
        let has_nothing =
            |stream, after, up_to| recent.has_nothing(tenant, Some(Stream::Organization(stream)), after, up_to);
        assert!(!has_nothing(b, 9, 11), "the tenth is not known");
        assert!(has_nothing(b, 10, 11) && !has_nothing(b, 10, 12) && has_nothing(b, 12, 13));
        assert!(!has_nothing(b, 12, 14), "nor is the fourteenth");
        assert!(!recent.has_nothing(tenant, None, 12, 13) && recent.has_nothing(other, None, 10, 13));
        for position in 14..20_000 {
            recent.note(&[record(position, tenant, a.uuid())]);
        }
        assert!(has_nothing(b, 19_000, 19_999) && !has_nothing(b, 11, 19_999), "the first are forgotten");
        assert!(!has_nothing(a, 19_998, 19_999));
    }
}
