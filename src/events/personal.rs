//! The personal data of events, apart from them: the log is never changed, and erasing a person empties it all the same.
//!
//! What an event says of the user whom it is about, and of the user whose call made it, is stored beside the log, by who
//! that is. Both are fields of the envelope in protobuf: a message is the concatenation of its fields, and messages
//! within it are merged (Protocol Buffers encoding, "last one wins"), so a reader appends them to the rest.

use prost::Message as _;

use crate::{
    ids::UserId,
    proto::v1::{self as pb, EventActorKind},
};

/// What may have personal fields: implemented for what an event is made of by build.rs, from the contract.
pub trait Personal: Sized {
    /// Takes the personal fields out; none where there are none.
    fn take_personal(&mut self) -> Option<Self>;
}

include!(concat!(env!("OUT_DIR"), "/personal.rs"));

/// Whether there was anything to take.
fn take<T: Default + PartialEq>(from: &mut T, to: &mut T) -> bool {
    std::mem::swap(from, to);
    *to != T::default()
}

fn take_within<T: Personal>(from: &mut Option<T>, to: &mut Option<T>) -> bool {
    *to = from.as_mut().and_then(T::take_personal);
    to.is_some()
}

/// An event as it is stored.
#[derive(Debug, Default)]
pub struct Parts {
    /// What is nobody's.
    pub payload: Vec<u8>,
    /// What is of the user whom it is about.
    pub subject: Option<Part>,
    /// What is of the user whose call it was.
    pub actor: Option<Part>,
}

/// What an event says of a person.
#[derive(Debug)]
pub struct Part {
    /// Who.
    pub user_id: UserId,
    /// Fields of the envelope.
    pub payload: Vec<u8>,
}

impl Parts {
    /// Splits an event that is about this user, if about one. What is of somebody who is no user stays with the rest.
    pub fn of(event: &pb::Event, about: Option<UserId>) -> Self {
        let by = event.actor.as_ref().filter(|actor| actor.kind() == EventActorKind::User);
        let by: Option<UserId> = by.and_then(|actor| actor.id.parse().ok());
        if about.is_none() && by.is_none() {
            return Self { payload: event.encode_to_vec(), ..Self::default() };
        }
        let mut rest = event.clone();
        let part = |user_id, event: pb::Event| Part { user_id, payload: event.encode_to_vec() };
        let subject = about.and_then(|user_id| {
            let data = Some(rest.data.as_mut()?.take_personal()?);
            Some(part(user_id, pb::Event { data, ..pb::Event::default() }))
        });
        let actor = by.and_then(|user_id| {
            let actor = Some(rest.actor.as_mut()?.take_personal()?);
            Some(part(user_id, pb::Event { actor, ..pb::Event::default() }))
        });
        Self { payload: rest.encode_to_vec(), subject, actor }
    }

    /// What the event weighs.
    pub fn bytes(&self) -> usize {
        let parts = [&self.subject, &self.actor].into_iter().flatten();
        self.payload.len() + parts.map(|part| part.payload.len()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::event::Data;

    fn user(name: &str) -> pb::User {
        pb::User {
            user_id: "user_1".into(),
            email: format!("{name}@example.com"),
            display_name: name.into(),
            external_id: format!("x-{name}"),
            metadata: [("who".to_owned(), name.to_owned())].into(),
            identities: vec![pb::Identity { issuer: "i".into(), subject: name.into() }],
            etag: "7".into(),
            ..pb::User::default()
        }
    }

    fn event(kind: EventActorKind, actor: &str) -> pb::Event {
        let data = pb::UserUpdated { before: Some(user("Ada")), after: Some(user("Countess")) };
        pb::Event {
            actor: Some(pb::EventActor {
                kind: kind.into(),
                id: actor.into(),
                address: "192.0.2.7".into(),
                user_agent: "Analytical/1".into(),
            }),
            data: Some(Data::UserUpdated(data)),
            reason: "because".into(),
            ..pb::Event::default()
        }
    }

    fn holds(bytes: &[u8], text: &str) -> bool {
        bytes.windows(text.len()).any(|part| part == text.as_bytes())
    }

    #[test]
    fn the_parts_of_an_event_are_the_event_and_the_rest_is_nobodys() {
        let (about, by) = (UserId::generate(), UserId::generate());
        let event = event(EventActorKind::User, &by.to_string());
        let parts = Parts::of(&event, Some(about));
        for text in ["Ada", "Countess", "@example.com", "192.0.2.7", "Analytical"] {
            assert!(!holds(&parts.payload, text), "{text}");
        }
        let (subject, actor) = (parts.subject.unwrap(), parts.actor.unwrap());
        assert_eq!((subject.user_id, actor.user_id), (about, by));
        assert!(holds(&subject.payload, "Countess") && !holds(&subject.payload, "192.0.2.7"));
        assert!(holds(&actor.payload, "192.0.2.7") && !holds(&actor.payload, "Ada"));
        let whole = [&parts.payload[..], &subject.payload, &actor.payload].concat();
        assert_eq!(pb::Event::decode(&*whole).unwrap(), event);

        let mut without = event.clone();
        without.take_personal();
        assert_eq!(pb::Event::decode(&*parts.payload).unwrap(), without);
        let Some(Data::UserUpdated(data)) = without.data else { panic!("another event") };
        let bare = pb::User { user_id: "user_1".into(), etag: "7".into(), ..pb::User::default() };
        assert_eq!((data.before, data.after), (Some(bare.clone()), Some(bare)));
    }

    #[test]
    fn what_is_of_nobody_known_stays_in_one_piece() {
        let event = event(EventActorKind::ApiKey, "key_1");
        let parts = Parts::of(&event, None);
        assert!(parts.subject.is_none() && parts.actor.is_none());
        assert_eq!(pb::Event::decode(&*parts.payload).unwrap(), event);
        let parts = Parts::of(&pb::Event { data: None, ..event }, Some(UserId::generate()));
        assert!(parts.subject.is_none() && parts.actor.is_none(), "nothing personal");
    }
}
