//! An organization as it was: rebuilt from the log, as far as it had come.

use std::collections::BTreeMap;

use crate::{
    clock::Timestamp,
    db::Tx,
    error::{Error, Result},
    events::{
        Record, Stream, base, horizon,
        read::{
            Filter,
            store::{self, Room},
        },
        state::{self, Subject},
        store as log,
    },
    ids::{OrganizationId, TenantId},
    proto::v1::{self as pb, state::Data},
    rebuild::Fold,
};

/// How much is read at once.
const ROOM: Room = Room { events: 2_000, bytes: 8 << 20 };
/// What of the tenant's own stream says who has access in an organization. Of users only that they were suspended is told:
/// who they are is for those who may read users.
pub const OF_TENANT: [&str; 3] = ["permission", "policy", "role"];
/// What changes whether a user is suspended.
const OF_USERS: [&str; 4] = ["user.suspended", "user.reactivated", "user.deleted", "user.erased"];

/// As of when.
#[derive(Debug, Clone, Copy)]
pub enum When {
    /// Now.
    Now,
    /// After the event of this sequence.
    Sequence(i64),
    /// At this time.
    Time(Timestamp),
}

/// How far both streams had come. Fails with `RANGE_DROPPED` where retention has dropped what was last then: what came later
/// does not say how it was.
pub async fn find(tx: &mut Tx, tenant_id: TenantId, id: OrganizationId, when: When) -> Result<pb::AsOf> {
    let (stream, tenant) = (Stream::Organization(id), Stream::Tenant(tenant_id));
    let last = log::organization_sequence(tx, tenant_id, id).await?.unwrap_or(0);
    let horizon = horizon::of(tx, tenant_id, Some(stream)).await?;
    let (sequence, time) = match when {
        When::Now => {
            let tenant_sequence = log::tenant_sequence(tx, tenant_id).await?;
            return Ok(pb::AsOf { sequence: last, tenant_sequence, ..pb::AsOf::default() });
        }
        When::Sequence(sequence) if sequence > last => {
            return Err(Error::invalid_field("sequence", format!("the stream ends at {last}")));
        }
        When::Sequence(sequence) if sequence < horizon.sequence => return Err(horizon.dropped_sequence("sequence")),
        // The event itself may be gone: then it was the last one before the horizon.
        When::Sequence(sequence) if sequence == horizon.sequence && sequence > 0 => {
            (sequence, Timestamp(horizon.before.0 - 1))
        }
        When::Sequence(sequence) => (sequence, store::occurred_at(tx, tenant_id, stream, sequence).await?),
        When::Time(time) if horizon.hides(time) => return Err(horizon.dropped_sequence("time")),
        When::Time(time) => (store::sequence_at(tx, tenant_id, stream, time).await?.max(horizon.sequence), time),
    };
    let horizon = horizon::of(tx, tenant_id, Some(tenant)).await?;
    if horizon.hides(time) {
        let field = if matches!(when, When::Time(_)) { "time" } else { "sequence" };
        let why = "the roles, permissions and policies that the tenant had then are dropped: ask for a later time";
        return Err(Error::dropped(field, why).with("first_time", horizon.before));
    }
    let tenant_sequence = store::sequence_at(tx, tenant_id, tenant, time).await?.max(horizon.sequence);
    Ok(pb::AsOf { sequence, tenant_sequence, ..pb::AsOf::default() })
}

/// How the tenant combined roles then, and everything that there was: of the tenant what the caller may see, of these kinds.
/// Behind a membership comes its user, where that was suspended in the whole tenant.
pub async fn states(
    tx: &mut Tx,
    tenant_id: TenantId,
    id: OrganizationId,
    as_of: &pb::AsOf,
    of_tenant: &[&str],
) -> Result<(pb::RoleMode, impl Iterator<Item = pb::State> + use<>)> {
    let (stream, mut fold) = (Stream::Tenant(tenant_id), Fold::default());
    let about = Filter::about(&[of_tenant, &["tenant"]].concat());
    apply(tx, tenant_id, stream, &about, as_of.tenant_sequence, &mut |records| fold.take(records)).await?;
    let tenant = fold.remove(&Subject { stream, kind: "tenant".to_owned(), id: tenant_id.to_string() });
    let role_mode = match tenant.and_then(|state| state.data) {
        Some(Data::Tenant(tenant)) => tenant.role_mode(),
        _ => pb::RoleMode::Union, // before there was the tenant: a new one has this mode
    };
    let (stream, everything) = (Stream::Organization(id), Filter::default());
    apply(tx, tenant_id, stream, &everything, as_of.sequence, &mut |records| fold.take(records)).await?;
    let mut suspended = suspended(tx, tenant_id, as_of.tenant_sequence).await?;
    let states = fold.into_states().flat_map(move |state| {
        let user = match &state.data {
            Some(Data::Membership(membership)) => suspended.remove(&membership.user_id),
            _ => None,
        };
        [Some(state), user].into_iter().flatten()
    });
    Ok((role_mode, states))
}

/// The users of the tenant that were suspended then, by their ids; of each that it was so, and nothing else.
async fn suspended(tx: &mut Tx, tenant_id: TenantId, up_to: i64) -> Result<BTreeMap<String, pb::State>> {
    let (stream, mut suspended) = (Stream::Tenant(tenant_id), BTreeMap::new());
    let about = Filter::about(&["user"]).of_types(&OF_USERS);
    let mut take = |records: Vec<Record>| {
        for record in records {
            let left = state::of(stream, record.decode("")?);
            let Some(left) = left.map_err(|_| Error::internal("an event whose data is not of its type"))? else {
                continue;
            };
            suspended.remove(&left.subject.id);
            suspended.extend(left.state.and_then(bare));
        }
        Ok(())
    };
    apply(tx, tenant_id, stream, &about, up_to, &mut take).await?;
    Ok(suspended)
}

/// That a user is suspended, where it is.
fn bare(state: pb::State) -> Option<(String, pb::State)> {
    let Some(Data::User(user)) = &state.data else { return None };
    let is_suspended = user.status() == pb::UserStatus::Suspended;
    let bare = pb::User { user_id: user.user_id.clone(), status: user.status, ..pb::User::default() };
    is_suspended.then(|| (user.user_id.clone(), pb::State { data: Some(Data::User(bare)), ..state }))
}

/// Hands over a stream's events up to a sequence: what is left of those that were dropped, then the others.
async fn apply(
    tx: &mut Tx,
    tenant_id: TenantId,
    stream: Stream,
    about: &Filter,
    up_to: i64,
    take: &mut impl FnMut(Vec<Record>) -> Result<()>,
) -> Result<()> {
    let mut after = 0;
    loop {
        let left = base::left(tx, tenant_id, stream, about, after, ROOM.events).await?;
        let Some(last) = left.last() else { break };
        after = last.sequence;
        take(left)?;
    }
    after = horizon::of(tx, tenant_id, Some(stream)).await?.sequence;
    loop {
        let range = (after, up_to);
        let found = store::by_sequence(tx, tenant_id, stream.uuid(), about, range, ROOM).await?;
        let Some(last) = found.records.last() else { return Ok(()) };
        after = last.sequence;
        take(found.records)?;
    }
}
