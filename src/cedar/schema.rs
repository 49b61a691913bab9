//! What policies may speak of.

use std::{collections::BTreeSet, fmt::Write as _, sync::LazyLock};

use cedar_policy::{EntityId, EntityTypeName, EntityUid, Schema};

/// Everything but the actions. Teams and roles stand flat: a member is in each of them, however it came to that.
const FRAME: &str = r#"
namespace Roster {
    entity Role;
    entity Team;
    entity User in [Role, Team] = { "membership": String };
    entity Organization;
    entity Resource in [Resource, Organization] = { "type": String, "id": String };
    entity Attributes tags String;
    type Context = {
        "mfa"?: Bool,
        "ip"?: ipaddr,
        "time": datetime,
        "risk"?: Long,
        "delegated_by"?: String,
        "attributes": Attributes,
    };
"#;

/// Names of the types of entities.
pub(super) struct Types {
    pub user: EntityTypeName,
    pub role: EntityTypeName,
    pub team: EntityTypeName,
    pub action: EntityTypeName,
    pub resource: EntityTypeName,
    pub organization: EntityTypeName,
    pub attributes: EntityTypeName,
}

pub(super) static TYPES: LazyLock<Types> = LazyLock::new(|| {
    let name = |text: &str| text.parse().expect("a name");
    Types {
        user: name("Roster::User"),
        role: name("Roster::Role"),
        team: name("Roster::Team"),
        action: name("Roster::Action"),
        resource: name("Roster::Resource"),
        organization: name("Roster::Organization"),
        attributes: name("Roster::Attributes"),
    }
});

/// The entity of a type with this id.
pub(super) fn entity(of: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(of.clone(), EntityId::new(id))
}

/// The schema that a policy is held against. Every permission of a catalogue is an action like any other, so it has
/// those that the policy names and the catalogue has, and one that stands for all the rest.
pub(super) fn schema(named: &BTreeSet<String>, known: &BTreeSet<String>) -> Result<Schema, String> {
    let mut rest = "*".to_owned(); // no permission's slug
    while named.contains(&rest) {
        rest.push('*');
    }
    let mut text = FRAME.to_owned();
    for action in known.iter().chain([&rest]) {
        let _ = writeln!(
            text,
            "action {action:?} appliesTo {{ principal: User, resource: [Resource, Organization], context: Context }};"
        );
    }
    text.push('}');
    match Schema::from_cedarschema_str(&text) {
        Ok((schema, _)) => Ok(schema),
        Err(error) => Err(error.to_string()),
    }
}
