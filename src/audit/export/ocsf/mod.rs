//! An export as events of the Open Cybersecurity Schema Framework, one a line (schema.ocsf.io).

mod class;
mod objects;
mod version;

use std::net::IpAddr;

use class::{Activity, Class};
use objects::States;
use serde_json::{Map, Value, json};
pub use version::Version;

use crate::{
    clock::Timestamp,
    error::{Error, Result},
    events::chain,
    proto::v1::{self as pb, event::Data},
};

/// The line of an event: as the contract has it, and as JSON.
pub fn record(event: &pb::Event, json: &Value, stream_epoch: &str, version: Version) -> Result<Vec<u8>> {
    let data = event.data.as_ref().ok_or_else(|| Error::internal("an event without data"))?;
    let line = Line { event, data, json, version };
    let mut line = chain::canonical(&line.write(stream_epoch)?)?;
    line.push(b'\n');
    Ok(line)
}

struct Line<'e> {
    event: &'e pb::Event,
    data: &'e Data,
    json: &'e Value,
    version: Version,
}

impl Line<'_> {
    fn write(&self, stream_epoch: &str) -> Result<Value> {
        let (class, activity) = class::of(self.data);
        let activity = activity.in_version(class, self.version);
        let mut rest = self.json.as_object().cloned().unwrap_or_default();
        rest.insert("streamEpoch".to_owned(), stream_epoch.into());
        let mut line = self.classified(class, activity)?;
        line.insert("metadata".to_owned(), self.metadata(class, &mut rest));
        line.extend(self.caller(class, &mut rest));
        line.extend(self.subject(class));
        if class == Class::EntityManagement {
            line.extend(rest.remove("reason").map(|reason| ("comment".to_owned(), reason)));
        }
        line.insert("unmapped".to_owned(), Value::Object(rest));
        Ok(Value::Object(line))
    }

    /// What kind of event it is, when it was, and how it went.
    fn classified(&self, class: Class, activity: Activity) -> Result<Map<String, Value>> {
        let verb = self.event.r#type.split_once('.').map_or("", |(_, verb)| verb);
        let (class_uid, activity_id) = (class as u32, activity.id(class));
        let time = self.event.occur_time.as_ref().and_then(|time| Timestamp::try_from(time).ok());
        let time = time.ok_or_else(|| Error::internal("an event without a time"))?;
        let failed = matches!(self.data, Data::InvitationMailFailed(_) | Data::DomainFailed(_));
        let notable = failed || matches!(self.data, Data::DomainLost(_));
        let subject = self.event.subject.clone().unwrap_or_default();
        let line = json!({
            "category_uid": 3,
            "category_name": "Identity & Access Management",
            "class_uid": class_uid,
            "class_name": class.name(),
            "activity_id": activity_id,
            "activity_name": activity.name().map_or_else(|| title(verb), str::to_owned),
            "type_uid": class_uid * 100 + activity_id,
            "type_name": format!("{}: {}", class.name(), activity.name().unwrap_or("Other")),
            "time": time.0.div_euclid(1_000),
            "severity_id": if notable { 2 } else { 1 },
            "severity": if notable { "Low" } else { "Informational" },
            "status_id": if failed { 2 } else { 1 },
            "status": if failed { "Failure" } else { "Success" },
            "message": format!("{}: {} {}", self.event.r#type, subject.kind, subject.id),
        });
        Ok(line.as_object().cloned().unwrap_or_default())
    }

    /// What is said about the event itself.
    fn metadata(&self, class: Class, rest: &mut Map<String, Value>) -> Value {
        let event = self.event;
        let stream = if event.organization_id.is_empty() { &event.tenant_id } else { &event.organization_id };
        let mut metadata = json!({
            "version": self.version.to_string(),
            "product": {"name": "Roster", "vendor_name": "Roster", "version": env!("CARGO_PKG_VERSION")},
            "uid": event.event_id,
            "event_code": event.r#type,
            "sequence": event.sequence,
            "correlation_uid": event.correlation_id,
            "log_name": stream,
            "log_version": event.schema_version.to_string(),
            "original_time": self.json["occurTime"],
            "tenant_uid": event.tenant_id,
        });
        if self.needs_host(class) {
            metadata["profiles"] = json!(["host"]);
        }
        for name in ["eventId", "type", "schemaVersion", "occurTime", "tenantId", "sequence", "correlationId"] {
            rest.remove(name);
        }
        metadata
    }

    /// Whether the class has an actor by a profile alone.
    fn needs_host(&self, class: Class) -> bool {
        class != Class::AccountChange && self.version < Version::ACTOR
    }

    /// Who did it, from where, and with which request.
    fn caller(&self, class: Class, rest: &mut Map<String, Value>) -> Map<String, Value> {
        let mut objects = Map::new();
        let Some(Value::Object(mut actor)) = rest.remove("actor") else { return objects };
        let text = |value: Option<Value>| value.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
        let kind = text(actor.remove("kind")).trim_start_matches("EVENT_ACTOR_KIND_").to_lowercase();
        let id = text(actor.remove("id"));
        objects.insert("actor".to_owned(), objects::actor(self.version, &kind, &id));
        if class == Class::AccountChange || self.version >= Version::CALLER {
            if let Some(ip) = address(&actor) {
                actor.remove("address");
                objects.insert("src_endpoint".to_owned(), json!({"ip": ip}));
            }
            let request: Map<_, _> = [("user_agent", actor.remove("userAgent")), ("uid", rest.remove("requestId"))]
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?)))
                .collect();
            if !request.is_empty() {
                objects.insert("http_request".to_owned(), Value::Object(request));
            }
        }
        if !actor.is_empty() {
            rest.insert("actor".to_owned(), Value::Object(actor));
        }
        objects
    }

    /// What it is about.
    fn subject(&self, class: Class) -> Map<String, Value> {
        let data = super::data(self.json);
        let state = |name| data.and_then(|data| data.get(name)).unwrap_or(&Value::Null);
        let states = States { before: state("before"), after: state("after") };
        objects::of(class, self.version, &self.json["subject"], states)
    }
}

/// The network address of a call, in its one form.
fn address(actor: &Map<String, Value>) -> Option<String> {
    let ip: IpAddr = actor.get("address")?.as_str()?.parse().ok()?;
    Some(ip.to_canonical().to_string())
}

/// Words of ours, such as `team_member`, as OCSF writes names: `Team Member`.
fn title(words: &str) -> String {
    let capital = |word: &str| match word.split_at_checked(1) {
        _ if word == "api" => "API".to_owned(),
        Some((first, rest)) => first.to_uppercase() + rest,
        None => String::new(),
    };
    words.split('_').map(capital).collect::<Vec<_>>().join(" ")
}
