//! What a set of policies reads. A question's world is built for every decision, so it has nothing in it that no policy
//! looks at: a set that asks for `context.mfa` alone gets nothing else.

use cedar_policy::{EntityUid, Policy};
use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::Value;

use super::schema::TYPES;
use crate::ids::{OrganizationId, TeamId};

/// The attributes of the context and of entities, by name.
#[derive(Debug, Default)]
pub(super) struct Needs {
    pub mfa: bool,
    pub ip: bool,
    pub time: bool,
    pub risk: bool,
    pub delegated_by: bool,
    pub attributes: bool,
    pub membership: bool,
    /// `type` or `id`.
    pub resource: bool,
    /// Somebody is named: it matters who asks.
    pub users: bool,
    /// Organizations that are named.
    pub organizations: FxHashSet<OrganizationId>,
    /// Resources that are named, by type and id with `/` between them.
    pub resources: FxHashMap<Box<str>, EntityUid>,
    /// Roles that are named.
    pub roles: FxHashMap<Box<str>, EntityUid>,
    /// Teams that are named.
    pub teams: FxHashMap<TeamId, EntityUid>,
}

impl Needs {
    /// Adds what a policy reads. One that cannot be looked through is taken to read everything.
    pub fn add(&mut self, policy: &Policy) {
        for uid in policy.entity_literals() {
            self.add_entity(uid);
        }
        match policy.to_json() {
            Ok(json) => self.add_expression(&json),
            Err(_) => self.add_everything(),
        }
    }

    fn add_entity(&mut self, uid: EntityUid) {
        let (of, id) = (uid.type_name(), uid.id().unescaped());
        if *of == TYPES.user {
            self.users = true;
        } else if *of == TYPES.role {
            self.roles.insert(id.into(), uid);
        } else if *of == TYPES.team {
            if let Ok(id) = id.parse() {
                self.teams.insert(id, uid);
            }
        } else if *of == TYPES.resource {
            self.resources.insert(id.into(), uid);
        } else if *of == TYPES.organization {
            self.organizations.extend(id.parse::<OrganizationId>());
        }
    }

    /// Walks Cedar's JSON form of an expression, where names of attributes stand under `attr`, escapes resolved.
    fn add_expression(&mut self, expression: &Value) {
        match expression {
            Value::Array(parts) => parts.iter().for_each(|part| self.add_expression(part)),
            Value::Object(parts) => {
                for (key, part) in parts {
                    match (key.as_str(), part) {
                        ("attr", Value::String(name)) => self.add_attribute(name),
                        ("attr", Value::Array(names)) => {
                            names.iter().filter_map(Value::as_str).for_each(|name| self.add_attribute(name));
                        }
                        // An attribute of a variable reads the attribute, not all of the variable.
                        ("left", Value::Object(variable)) if parts.contains_key("attr") && is_variable(variable) => {}
                        ("Var", Value::String(name)) if name == "context" => self.add_everything(),
                        _ => self.add_expression(part),
                    }
                }
            }
            _ => {}
        }
    }

    fn add_attribute(&mut self, name: &str) {
        match name {
            "mfa" => self.mfa = true,
            "ip" => self.ip = true,
            "time" => self.time = true,
            "risk" => self.risk = true,
            "delegated_by" => self.delegated_by = true,
            "attributes" => self.attributes = true,
            "membership" => self.membership = true,
            "type" | "id" => self.resource = true,
            _ => {}
        }
    }

    fn add_everything(&mut self) {
        for name in ["mfa", "ip", "time", "risk", "delegated_by", "attributes", "membership", "type"] {
            self.add_attribute(name);
        }
    }
}

fn is_variable(expression: &serde_json::Map<String, Value>) -> bool {
    expression.len() == 1 && expression.contains_key("Var")
}
