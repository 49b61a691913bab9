//! Says what an event leaves of what it is about: for every type of event, from the contract. A type that has neither a
//! state before nor one after leaves nothing. Where `State` has no field for what a type is about, there is no build.

use std::{collections::BTreeMap, error::Error};

use protox::prost_reflect::{DescriptorPool, MessageDescriptor};

use super::camel;

/// The code that takes the state after out of an event's data, and of the kinds that there are.
pub fn code(pool: &DescriptorPool) -> Result<String, Box<dyn Error>> {
    let message = |name: &str| pool.get_message_by_name(name).ok_or_else(|| format!("no message {name}"));
    let (event, state) = (message("roster.v1.Event")?, message("roster.v1.State")?);
    let things = data_of(&state)?;
    let mut arms = String::new();
    for (field, data) in data_of(&event)? {
        let side = |name: &str| data.get_field_by_name(name).and_then(|field| field.kind().as_message().cloned());
        let (before, after) = (side("before"), side("after"));
        let variant = camel(&field);
        let Some(thing) = after.as_ref().or(before.as_ref()) else {
            arms += &format!("event::Data::{variant}(_) => Some(None),\n");
            continue;
        };
        let (kind, _) = things
            .iter()
            .find(|(_, of)| of.full_name() == thing.full_name())
            .ok_or_else(|| format!("{field}: State has no {}", thing.name()))?;
        let taken = match &after {
            Some(_) => format!("data.after.map_or(Rest::Gone, |thing| Rest::Is(state::Data::{}(thing)))", camel(kind)),
            None => "Rest::Gone".to_owned(),
        };
        let is_there = match (&before, &after) {
            (Some(_), Some(_)) => "data.before.is_some() || data.after.is_some()",
            (Some(_), None) => "data.before.is_some()",
            _ => "data.after.is_some()",
        };
        arms += &format!("event::Data::{variant}(data) => ({is_there}).then_some(Some({taken})),\n");
    }
    let mut code = format!(
        "/// What an event's data leaves, if it is about a thing; none at all where the data does not say what it has to.
        fn rest(data: event::Data) -> Option<Option<Rest>> {{ match data {{ {arms} }} }}\n"
    );
    for (kind, thing) in &things {
        let (variant, name) = (camel(kind), thing.name());
        code += &format!(
            "impl From<crate::proto::v1::{name}> for state::Data {{
                fn from(thing: crate::proto::v1::{name}) -> Self {{ Self::{variant}(thing) }}
            }}\n"
        );
    }
    Ok(code)
}

/// The messages of the oneof `data`, by the names of their fields.
fn data_of(message: &MessageDescriptor) -> Result<BTreeMap<String, MessageDescriptor>, Box<dyn Error>> {
    let data = message.oneofs().find(|oneof| oneof.name() == "data").ok_or("no data")?;
    let fields = data.fields().map(|field| {
        let of = field.kind().as_message().cloned().ok_or_else(|| format!("{}: no message", field.full_name()))?;
        Ok((field.name().to_owned(), of))
    });
    fields.collect()
}
