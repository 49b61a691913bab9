//! What an event leaves of what it is about: the one rule by which events amount to a state.

use super::{Stream, type_name};
use crate::proto::v1::{self as pb, event, state};

include!(concat!(env!("OUT_DIR"), "/state.rs"));

/// A thing of a stream, before or after a change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// Whose it is: slugs are unique in their stream alone.
    pub stream: Stream,
    /// What kind of thing.
    pub kind: String,
    /// Which one.
    pub id: String,
}

/// What an event leaves.
#[derive(Debug, Clone)]
pub struct Left {
    /// Of what.
    pub subject: Subject,
    /// The number of the event in its stream.
    pub sequence: i64,
    /// The state after it; none where the subject is no more.
    pub state: Option<pb::State>,
    /// Whether everything that its stream had before is no more either.
    pub ends_stream: bool,
}

/// What is left of a thing.
#[expect(clippy::large_enum_variant, reason = "it is taken apart at once")]
enum Rest {
    /// It is no more.
    Gone,
    /// Its state.
    Is(state::Data),
}

/// An event whose data is not what its type says.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

/// What an event of a stream leaves; nothing where it is about no thing that has a state.
pub fn of(stream: Stream, event: pb::Event) -> Result<Option<Left>, Malformed> {
    let (Some(subject), Some(data)) = (event.subject, event.data) else { return Err(Malformed) };
    if type_name(&data) != event.r#type {
        return Err(Malformed);
    }
    let ends_stream = matches!(data, event::Data::OrganizationPurged(_));
    let Some(rest) = rest(data).ok_or(Malformed)? else { return Ok(None) };
    let state = match rest {
        Rest::Gone => None,
        Rest::Is(thing) => Some(pb::State {
            kind: subject.kind.clone(),
            id: subject.id.clone(),
            tenant_id: event.tenant_id,
            organization_id: event.organization_id,
            sequence: event.sequence,
            position: event.position,
            stream_epoch: event.stream_epoch,
            change_time: event.occur_time,
            data: Some(thing),
        }),
    };
    let subject = Subject { stream, kind: subject.kind, id: subject.id };
    Ok(Some(Left { subject, sequence: event.sequence, state, ends_stream }))
}

/// The key of a thing on the topic of states.
impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.stream, self.kind, self.id)
    }
}

impl std::str::FromStr for Subject {
    type Err = ();

    fn from_str(key: &str) -> Result<Self, ()> {
        let mut parts = key.splitn(3, '/');
        let mut next = || parts.next().filter(|part| !part.is_empty()).ok_or(());
        let stream = next()?.parse()?;
        Ok(Self { stream, kind: next()?.to_owned(), id: next()?.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::OrganizationId;

    #[test]
    fn a_key_names_its_subject_whatever_its_id_has() {
        let stream = Stream::Organization(OrganizationId::generate());
        for id in ["core", "doc/7", "a/b/c"] {
            let subject = Subject { stream, kind: "resource".into(), id: id.into() };
            assert_eq!(subject.to_string().parse(), Ok(subject));
        }
        for key in ["", "org_x/team/1", &stream.to_string(), &format!("{stream}/team"), &format!("{stream}/team/")] {
            assert_eq!(key.parse::<Subject>(), Err(()), "{key}");
        }
    }
}
