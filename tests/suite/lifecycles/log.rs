//! The log of a tenant, read as it grows, and held against what the model says that it must have.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};

use super::{
    model::{Act, By, Id, Told},
    names::{Names, difference},
};
use crate::support::{Caller, text};

/// What happens at no certain time.
const MAIL: &str = "invitation.mail_sent";

/// What a tenant has from its beginning.
const TENANTS: [&str; 4] = ["tenant", "api_key", "permission", "tenant_role"];

/// What a log was read up to, and the last state that it told of each thing.
pub struct Log {
    caller: Caller,
    tenant_id: String,
    /// Up to which sequence each stream was read.
    read: BTreeMap<String, i64>,
    /// By kind and id.
    last: HashMap<(String, String), Value>,
}

impl Log {
    /// From now on.
    pub async fn from_now(caller: &Caller, tenant_id: &str) -> Self {
        let (caller, tenant_id) = (caller.clone(), tenant_id.to_owned());
        let mut log = Self { caller, tenant_id, read: BTreeMap::new(), last: HashMap::new() };
        log.news(None, &Names::default()).await;
        log
    }

    /// What was last told of a thing.
    pub fn last(&self, kind: &str, id: &str) -> &Value {
        self.last.get(&key(kind, id)).unwrap_or_else(|| panic!("the log has told nothing of {kind} {id}"))
    }

    /// How many things there are, by what was told.
    pub fn count(&self) -> usize {
        self.last.keys().filter(|(kind, _)| !TENANTS.contains(&kind.as_str())).count()
    }

    /// The events of a stream since it was last read: an organization's, or the tenant's own.
    pub async fn news(&mut self, org: Option<Id>, names: &Names) -> Vec<Value> {
        let stream = org.map_or_else(|| self.tenant_id.clone(), |org| names.of(org));
        let read = self.read.entry(stream.clone()).or_default();
        let request = json!({"streamId": stream, "afterSequence": read.to_string(), "pageSize": 1000});
        let events = self.caller.list("EventService/ListEvents", request, "events").await;
        for event in &events {
            *read += 1;
            assert_eq!(event["sequence"], json!(read.to_string()), "a gap in {stream}: {event}");
        }
        events.iter().for_each(|event| self.follow(event));
        events.into_iter().filter(|event| event["type"] != MAIL).collect()
    }

    /// Takes the events of one call, or of one thing that happened by itself, and holds them against what was acted out.
    /// Answers, for each thing, the state that it was left in.
    pub fn take(act: &Act, names: &mut Names, mut news: BTreeMap<Option<Id>, Vec<Value>>) -> Left {
        let correlation = news.values().flatten().next().map(|event| event["correlationId"].clone());
        let streams = act.told.iter().map(|told| told.stream).chain(news.keys().copied());
        let streams: BTreeSet<Option<Id>> = streams.collect();
        let mut pairs: Vec<(&Told, Value)> = Vec::new();
        for stream in streams {
            let told: Vec<&Told> = act.told.iter().filter(|told| told.stream == stream).collect();
            let events = news.remove(&stream).unwrap_or_default();
            let (expected, actual): (Vec<_>, Vec<_>) =
                (types(&told), events.iter().map(|it| text(&it["type"])).collect());
            assert_eq!(expected, actual, "by the model, and in the log of {stream:?}");
            pairs.extend(in_order(&told, events, names));
        }
        for (told, event) in &pairs {
            names.learn(told, event);
        }
        let mut left = Left::default();
        for (told, event) in pairs {
            assert_eq!(Some(&event["correlationId"]), correlation.as_ref(), "one call: {event}");
            one(act, names, told, &event);
            if told.after.is_some() {
                left.0.insert(told.id, data(&event)["after"].clone());
            }
        }
        left
    }

    /// Every `before` is the `after` of the event before about the same thing.
    fn follow(&mut self, event: &Value) {
        let (event_type, data, about) = (text(&event["type"]), data(event), about(event));
        if !data["before"].is_null() {
            assert_eq!(self.last.get(&about), Some(&data["before"]), "{event_type} of {about:?} begins elsewhere");
        } else if !event_type.ends_with(".erased") {
            assert!(!self.last.contains_key(&about), "{event_type} of {about:?}, which is there");
        }
        if event_type == MAIL {
            // It goes out at no certain time, but of a pending invitation alone, and once.
            assert_eq!(data["before"]["status"], "INVITATION_STATUS_PENDING", "{event}");
            let mails = ["before", "after"].map(|state| text(&data[state]["mailStatus"]));
            assert_eq!(mails, ["INVITATION_MAIL_STATUS_PENDING", "INVITATION_MAIL_STATUS_SENT"], "{event}");
        }
        if event_type == "organization.purged" {
            self.last.retain(|_, value| value["organizationId"] != about.1.as_str());
        }
        match &data["after"] {
            Value::Null => drop(self.last.remove(&about)),
            after => drop(self.last.insert(about, after.clone())),
        }
    }

    /// SPEC: "erasing replaces personal fields by nothing and leaves ids", in the log, too.
    pub fn forget(&mut self, user_id: &str) {
        for ((kind, id), value) in &mut self.last {
            if kind == "user" && id == user_id {
                for field in ["email", "displayName", "externalId"] {
                    value[field] = json!("");
                }
                (value["metadata"], value["identities"]) = (json!({}), json!([]));
            } else if kind == "invitation" && value["userId"] == user_id {
                for field in ["email", "message", "mailError"] {
                    value[field] = json!("");
                }
                value["metadata"] = json!({});
            } else if kind == "membership" && value["userId"] == user_id {
                value["metadata"] = json!({});
            }
        }
    }
}

/// The states that a call left things in.
#[derive(Default)]
pub struct Left(HashMap<Id, Value>);

impl Left {
    pub fn get(&self, id: Id) -> Option<&Value> {
        self.0.get(&id)
    }
}

fn key(kind: &str, id: &str) -> (String, String) {
    (kind.to_owned(), id.to_owned())
}

/// Kind and id; roles are told apart by their organization.
fn about(event: &Value) -> (String, String) {
    let (kind, id) = (text(&event["subject"]["kind"]), text(&event["subject"]["id"]));
    match (kind.as_str(), event["organizationId"].as_str().unwrap()) {
        ("role", "") => ("tenant_role".to_owned(), id),
        ("role", org) => (kind, format!("{org}/{id}")),
        _ => (kind, id),
    }
}

/// One event, beside what the model says of it.
fn one(act: &Act, names: &Names, told: &Told, event: &Value) {
    let thing = told.after.as_ref().or(told.before.as_ref()).expect("one of them");
    let about = (text(&event["subject"]["kind"]), text(&event["subject"]["id"]));
    assert_eq!(about, key(told.kind, &names.subject(told.id, thing)), "{event}");
    assert_eq!(told.cascaded, event["causationId"] != "", "follows from another: {event}");
    let actor = &event["actor"];
    match (&act.by, act.caller) {
        (By::Itself, _) => assert_eq!(actor["kind"], "EVENT_ACTOR_KIND_SYSTEM", "{event}"),
        (_, None) => assert_eq!(actor["kind"], "EVENT_ACTOR_KIND_API_KEY", "{event}"),
        (_, Some(user)) => {
            let who = (text(&actor["kind"]), text(&actor["id"]));
            assert_eq!(who, ("EVENT_ACTOR_KIND_USER".to_owned(), names.of(user)), "{event}");
        }
    }
    let data = data(event);
    for (state, expected) in [("before", &told.before), ("after", &told.after)] {
        let differs = match expected {
            None => (!data[state].is_null()).then(|| format!("there is one: {event}")),
            Some(thing) => difference(&names.show(&act.state, told.id, thing), &data[state]),
        };
        assert!(differs.is_none(), "{} {state}: {}", told.event, differs.unwrap_or_default());
    }
}

fn types(told: &[&Told]) -> Vec<String> {
    told.iter().map(|told| told.event.to_owned()).collect()
}

/// What happened, typed: the field that is named by the event's type.
pub fn data(event: &Value) -> &Value {
    let mut words = event["type"].as_str().unwrap().split(['.', '_']);
    let first = words.next().unwrap().to_owned();
    let name = words.fold(first, |name, word| name + &word[..1].to_uppercase() + &word[1..]);
    &event[&name]
}

/// What was told, each with its event. In which order places in several teams end is nobody's promise.
fn in_order<'t>(told: &[&'t Told], events: Vec<Value>, names: &Names) -> Vec<(&'t Told, Value)> {
    let mut events: Vec<Option<Value>> = events.into_iter().map(Some).collect();
    let mut pairs = Vec::new();
    for (index, told) in told.iter().enumerate() {
        let place = match &told.before {
            Some(thing) if told.event == "team.member_removed" => {
                let subject = names.subject(told.id, thing);
                let is_it =
                    |event: &Option<Value>| event.as_ref().is_some_and(|it| it["subject"]["id"] == subject.as_str());
                events.iter().position(is_it).unwrap_or_else(|| panic!("no end of {subject}"))
            }
            _ => index,
        };
        pairs.push((*told, events[place].take().expect("one for each")));
    }
    pairs
}
