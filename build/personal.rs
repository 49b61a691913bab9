//! Takes the personal fields out of an event, for every message of it that has some (`personal` in the contract).
//!
//! What was taken and what is left are put together again by protobuf itself, which merges messages but not the elements
//! of a list: where those have personal fields, the list must be marked. Otherwise there is no build.

use std::{collections::BTreeSet, error::Error};

use protox::prost_reflect::{
    Cardinality, DescriptorPool, ExtensionDescriptor, FieldDescriptor, MessageDescriptor, OneofDescriptor,
};

use super::camel;

/// The code that implements `Personal` for an event, for a state, and for what they are made of.
pub fn code(pool: &DescriptorPool) -> Result<String, Box<dyn Error>> {
    let option = pool.get_extension_by_name("roster.v1.personal").ok_or("no option in the contract")?;
    let mut writer = Writer { option, code: String::new(), done: BTreeSet::new() };
    for name in ["roster.v1.Event", "roster.v1.State"] {
        writer.message(&pool.get_message_by_name(name).ok_or("no such message")?)?;
    }
    Ok(writer.code)
}

struct Writer {
    option: ExtensionDescriptor,
    code: String,
    done: BTreeSet<String>,
}

impl Writer {
    fn message(&mut self, message: &MessageDescriptor) -> Result<(), Box<dyn Error>> {
        if !self.done.insert(message.name().to_owned()) {
            return Ok(());
        }
        let mut takes = String::new();
        let alone = |field: &FieldDescriptor| field.containing_oneof().is_none_or(|oneof| oneof.is_synthetic());
        for field in message.fields().filter(alone) {
            let name = field.name();
            if self.is_personal(&field) {
                takes += &format!("any |= take(&mut self.{name}, &mut taken.{name});\n");
            } else if let Some(inner) = self.within(&field) {
                if field.cardinality() == Cardinality::Repeated {
                    return Err(format!("{}: mark the whole field as personal", field.full_name()).into());
                }
                takes += &format!("any |= take_within(&mut self.{name}, &mut taken.{name});\n");
                self.message(&inner)?;
            }
        }
        for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            if self.oneof(message, &oneof)? {
                let name = oneof.name();
                takes += &format!("any |= take_within(&mut self.{name}, &mut taken.{name});\n");
            }
        }
        let body = format!("let (mut taken, mut any) = (Self::default(), false); {takes} any.then_some(taken)");
        self.implement(message.name(), &body);
        Ok(())
    }

    /// Whether any of its messages has personal fields.
    fn oneof(&mut self, message: &MessageDescriptor, oneof: &OneofDescriptor) -> Result<bool, Box<dyn Error>> {
        let mut arms = String::new();
        for field in oneof.fields() {
            if self.is_personal(&field) {
                return Err(format!("{}: mark what is within it as personal", field.full_name()).into());
            }
            if let Some(inner) = self.within(&field) {
                let variant = camel(field.name());
                arms += &format!("Self::{variant}(inner) => inner.take_personal().map(Self::{variant}),\n");
                self.message(&inner)?;
            }
        }
        if !arms.is_empty() {
            let name = format!("{}::{}", snake(message.name()), camel(oneof.name()));
            self.implement(&name, &format!("match self {{ {arms} _ => None }}"));
        }
        Ok(!arms.is_empty())
    }

    fn implement(&mut self, name: &str, body: &str) {
        self.code += &format!(
            "impl Personal for crate::proto::v1::{name} {{
                fn take_personal(&mut self) -> Option<Self> {{ {body} }}
            }}\n"
        );
    }

    fn is_personal(&self, field: &FieldDescriptor) -> bool {
        field.options().get_extension(&self.option).as_bool() == Some(true)
    }

    /// The message of a field, where it has personal fields.
    fn within(&self, field: &FieldDescriptor) -> Option<MessageDescriptor> {
        let message = field.kind().as_message().cloned();
        message.filter(|message| self.holds_personal(message))
    }

    /// Whether a message, or one within it, has a personal field. No event is recursive.
    fn holds_personal(&self, message: &MessageDescriptor) -> bool {
        message.fields().any(|field| self.is_personal(&field) || self.within(&field).is_some())
    }
}

/// `EventActor` as prost names its module: `event_actor`.
fn snake(name: &str) -> String {
    let letter = |(index, letter): (usize, char)| match letter.is_uppercase() && index > 0 {
        true => format!("_{}", letter.to_lowercase()),
        false => letter.to_lowercase().to_string(),
    };
    name.chars().enumerate().map(letter).collect()
}
