//! The catalogue as Markdown.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor,
};

use super::{comments::Comments, example};

/// What events are about: the kind, and its id.
const SUBJECTS: [(&str, &str); 15] = [
    ("tenant", "`tenant_…`"),
    ("api_key", "`key_…`"),
    ("user", "`user_…`"),
    ("permission", "its slug"),
    ("role", "its slug"),
    ("organization", "`org_…`"),
    ("membership", "`mem_…`"),
    ("team", "`team_…`"),
    ("team_member", "`team_…/mem_…`"),
    ("grant", "`grant_…`"),
    ("resource", "its type, `/`, its id"),
    ("policy", "its name"),
    ("invitation", "`inv_…`"),
    ("domain", "`dom_…`"),
    ("checkpoint", "the sequence that it covers"),
];

/// The part of the file that is written.
pub fn of(log: &[DynamicMessage]) -> String {
    let pool = roster::dynamic::contract().unwrap();
    let page = Page { comments: Comments::of(&pool), pool };
    let envelope = page.message("Event");
    let data = envelope.oneofs().find(|oneof| oneof.name() == "data").unwrap();
    let events: Vec<_> = roster::events::TYPES.iter().zip(data.fields()).collect();
    let mut records = Records::default();
    for name in ["EventSubject", "EventActor"] {
        records.add(&page.message(name));
    }
    let mut text = page.contents() + &page.envelope(&envelope) + "\n## Events\n";
    for (name, field) in events {
        let message = field.kind().as_message().unwrap().clone();
        message.fields().for_each(|field| records.follow(&field));
        text += &page.event(name, &message, log);
    }
    text += "\n## Records\n\nWhat events are made of, in the order of their names.\n";
    for message in records.messages.values() {
        text += &page.record(message);
    }
    text += "\n## Enums\n\nIn JSON by their names. A reader takes a value that it does not know for the first one.\n";
    for each in records.enums.values() {
        text += &page.values(each);
    }
    text
}

struct Page {
    pool: DescriptorPool,
    comments: Comments,
}

impl Page {
    fn message(&self, name: &str) -> MessageDescriptor {
        self.pool.get_message_by_name(&format!("roster.v1.{name}")).unwrap()
    }

    fn contents(&self) -> String {
        let mut kinds = BTreeMap::<&str, Vec<String>>::new();
        for name in roster::events::TYPES {
            let (kind, verb) = name.split_once('.').unwrap();
            kinds.entry(kind).or_default().push(format!("[{verb}](#{})", anchor(name)));
        }
        let rows = kinds.into_iter().map(|(kind, verbs)| format!("| `{kind}.` | {} |\n", verbs.join(", ")));
        format!("\n## Types\n\n| thing | events |\n|---|---|\n{}", rows.collect::<String>())
    }

    fn envelope(&self, envelope: &MessageDescriptor) -> String {
        let alone = envelope.fields().filter(|field| field.containing_oneof().is_none());
        let about = self.comments.at(&envelope.parent_file(), envelope.path());
        format!("\n## Envelope\n\n{about}\n\n{}", self.table(alone))
    }

    fn event(&self, name: &str, message: &MessageDescriptor, log: &[DynamicMessage]) -> String {
        let about = self.comments.at(&message.parent_file(), message.path());
        let mine: Vec<_> = log.iter().filter(|event| example::type_of(event) == name).collect();
        let subject = field(mine.first().unwrap_or_else(|| panic!("no {name} was made")), "subject");
        let subject = field(subject.as_message().unwrap(), "kind");
        let (kind, id) =
            SUBJECTS.into_iter().find(|(kind, _)| subject.as_str() == Some(kind)).expect("a known subject");
        // What somebody did says more than what the service does when it is set up.
        let shown = mine.iter().find(|event| !is_by_the_service(event)).unwrap_or(&mine[0]);
        format!(
            "\n### {name}\n\n{about}\n\n- Made by: {}.\n- Subject: `{kind}`, by {id}. In the stream of {}.\n\n{}\n\
             ```json\n{}\n```\n",
            self.made_by(name, about),
            stream_of(&mine),
            self.table(message.fields()),
            example::of(shown)
        )
    }

    /// The methods whose documentation names the event.
    fn made_by(&self, name: &str, about: &str) -> String {
        let mut makers = Vec::new();
        for service in self.pool.services() {
            for method in service.methods() {
                let words = self.comments.at(&method.parent_service().parent_file(), method.path());
                if words.contains(&format!("`{name}`")) {
                    makers.push(format!("{}/{}", service.name(), method.name()));
                }
            }
        }
        if about.contains("by itself") {
            makers.push("the service by itself".to_owned());
        }
        assert!(!makers.is_empty(), "{name}: no method says `{name}`, and the message does not say `by itself`");
        makers.join(", ")
    }

    fn record(&self, message: &MessageDescriptor) -> String {
        let about = self.comments.at(&message.parent_file(), message.path());
        format!("\n### {}\n\n{about}\n\n{}", message.name(), self.table(message.fields()))
    }

    fn values(&self, each: &EnumDescriptor) -> String {
        let file = each.parent_file();
        let about = self.comments.at(&file, each.path());
        let value = |value: prost_reflect::EnumValueDescriptor| {
            format!("| `{}` | {} | {} |\n", value.name(), value.number(), cell(self.comments.at(&file, value.path())))
        };
        let rows: String = each.values().map(value).collect();
        format!("\n### {}\n\n{about}\n\n| value | number | |\n|---|---|---|\n{rows}", each.name())
    }

    fn table(&self, fields: impl Iterator<Item = FieldDescriptor>) -> String {
        let personal = self.pool.get_extension_by_name("roster.v1.personal").unwrap();
        let row = |field: FieldDescriptor| {
            let about = self.comments.at(&field.parent_message().parent_file(), field.path());
            let personal = field.options().get_extension(&personal).as_bool() == Some(true);
            let mark = if personal { "yes" } else { "" };
            format!("| `{}` | {} | {mark} | {} |\n", field.name(), type_of(&field), cell(about))
        };
        format!("| field | type | personal | |\n|---|---|---|---|\n{}", fields.map(row).collect::<String>())
    }
}

/// The messages and enums of the contract that events are made of.
#[derive(Default)]
struct Records {
    messages: BTreeMap<String, MessageDescriptor>,
    enums: BTreeMap<String, EnumDescriptor>,
}

impl Records {
    fn follow(&mut self, field: &FieldDescriptor) {
        match field.kind() {
            Kind::Message(message) if message.is_map_entry() => self.follow(&message.map_entry_value_field()),
            Kind::Message(message) if message.package_name() == "roster.v1" => self.add(&message),
            Kind::Enum(each) => drop(self.enums.insert(each.name().to_owned(), each)),
            _ => {}
        }
    }

    fn add(&mut self, message: &MessageDescriptor) {
        if self.messages.insert(message.name().to_owned(), message.clone()).is_none() {
            message.fields().for_each(|field| self.follow(&field));
        }
    }
}

/// Where a heading of this name is on the page.
fn anchor(name: &str) -> String {
    name.to_lowercase().replace('.', "")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn type_of(field: &FieldDescriptor) -> String {
    if field.is_map() {
        let entry = field.kind();
        let entry = entry.as_message().unwrap();
        return format!(
            "map of {} to {}",
            type_of(&entry.map_entry_key_field()),
            type_of(&entry.map_entry_value_field())
        );
    }
    let name = match field.kind() {
        Kind::Message(message) if message.package_name() == "roster.v1" => link(message.name()),
        Kind::Message(message) => message.name().to_owned(),
        Kind::Enum(each) => link(each.name()),
        scalar => format!("{scalar:?}"),
    };
    let list = field.cardinality() == Cardinality::Repeated;
    if list { format!("list of {name}") } else { name }
}

fn link(name: &str) -> String {
    format!("[{name}](#{})", anchor(name))
}

fn field<'e>(message: &'e DynamicMessage, name: &str) -> std::borrow::Cow<'e, prost_reflect::Value> {
    message.get_field_by_name(name).unwrap()
}

fn is_by_the_service(event: &DynamicMessage) -> bool {
    let actor = field(event, "actor");
    field(actor.as_message().unwrap(), "kind").as_enum_number()
        == Some(roster::proto::v1::EventActorKind::System.into())
}

fn stream_of(events: &[&DynamicMessage]) -> &'static str {
    let of_tenant = |event: &&DynamicMessage| field(event, "organization_id").as_str() == Some("");
    let streams: BTreeSet<_> = events.iter().map(of_tenant).collect();
    match (streams.contains(&true), streams.contains(&false)) {
        (true, true) => "the organization that it is of, or of the tenant",
        (true, false) => "the tenant",
        _ => "its organization",
    }
}
