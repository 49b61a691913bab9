//! What an event is about, as objects of OCSF.

use serde_json::{Map, Value, json};

use super::{Class, Version, title};

/// The states of an event's subject, as JSON; null where there is none.
#[derive(Debug, Clone, Copy)]
pub struct States<'e> {
    pub before: &'e Value,
    pub after: &'e Value,
}

impl<'e> States<'e> {
    /// The latest state that is known.
    pub fn latest(self) -> &'e Value {
        if self.after.is_null() { self.before } else { self.after }
    }
}

/// The objects that a class has beside those that every event has.
pub fn of(class: Class, version: Version, subject: &Value, states: States<'_>) -> Map<String, Value> {
    let mut objects = Map::new();
    let mut put = |name: &str, value: Value| objects.insert(name.to_owned(), value);
    let latest = states.latest();
    match class {
        Class::AccountChange => {
            put("user", user(if states.before.is_null() { latest } else { states.before }));
            if !states.before.is_null() && !states.after.is_null() {
                put("user_result", user(states.after));
            }
        }
        Class::UserAccess => {
            put("user", member(latest));
            put("privileges", privileges(states));
            match version >= Version::RESOURCES {
                true => put("resources", json!([resource(latest)])),
                false => put("resource", resource(latest)),
            };
        }
        Class::GroupManagement => {
            put("group", group(latest));
            if !latest["principal"].is_null() {
                put("privileges", privileges(states));
                put("resource", resource(latest));
            } else if latest["membershipId"].is_null() {
                put("privileges", privileges(states));
            } else {
                put("user", member(latest));
                if let roles @ [_, ..] = &*slugs(roles(latest)) {
                    put("privileges", json!(roles));
                }
            }
        }
        Class::EntityManagement => drop(put("entity", entity(version, subject, latest))),
    }
    objects
}

/// An object of what is there: a field that is null or empty is left out.
fn object<const N: usize>(fields: [(&str, &Value); N]) -> Value {
    let there = fields.into_iter().filter(|(_, value)| !value.is_null() && *value != "");
    Value::Object(there.map(|(name, value)| (name.to_owned(), value.clone())).collect())
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

/// A user, by their state.
fn user(state: &Value) -> Value {
    let email = state["email"].as_str().filter(|email| is_plain(email));
    let email = email.map_or(Value::Null, Value::from);
    object([
        ("uid", &state["userId"]),
        ("uid_alt", &state["externalId"]),
        ("email_addr", &email),
        ("full_name", &state["displayName"]),
        ("type_id", &json!(1)),
        ("type", &json!("User")),
    ])
}

/// Whether every version of OCSF takes it for an address: other ones are in the event's data alone.
fn is_plain(email: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let Some((local, domain)) = email.split_once('@') else { return false };
    let labels: Vec<_> = domain.split('.').collect();
    let local_is = !local.is_empty() && local.chars().all(|c| letter(c) || "_.+".contains(c));
    local_is && labels.len() > 1 && labels.iter().all(|label| !label.is_empty() && label.chars().all(letter))
}

/// Who is a member, of an organization or a team, or holds a grant: the user where the event names one, otherwise the
/// membership.
fn member(state: &Value) -> Value {
    let org = json!({"uid": state["organizationId"]});
    let user = &state["userId"];
    if user.is_null() {
        let membership =
            [&state["membershipId"], &state["principal"]["membershipId"]].into_iter().find(|id| !id.is_null());
        let uid = membership.cloned().unwrap_or_default();
        return object([("uid", &uid), ("type_id", &json!(99)), ("type", &json!("Membership")), ("org", &org)]);
    }
    let alternative = &state["membershipId"];
    object([("uid", user), ("uid_alt", alternative), ("type_id", &json!(1)), ("type", &json!("User")), ("org", &org)])
}

/// A team; all who hold a role; or the members of an organization.
fn group(state: &Value) -> Value {
    let principal = &state["principal"];
    let (id, name, kind) = if !principal["role"].is_null() {
        (&principal["role"], &principal["role"], "Role")
    } else if !principal["teamId"].is_null() {
        (&principal["teamId"], &Value::Null, "Team")
    } else if !state["teamId"].is_null() {
        (&state["teamId"], &state["name"], "Team")
    } else {
        (&state["organizationId"], &Value::Null, "Organization")
    };
    object([("uid", id), ("name", name), ("desc", &state["description"]), ("type", &json!(kind))])
}

/// What a grant is on; what a membership's roles are held in.
fn resource(state: &Value) -> Value {
    match &state["resource"] {
        Value::Null => json!({"uid": state["organizationId"], "type": "Organization"}),
        resource => {
            object([("uid", &resource["id"]), ("type", &resource["type"]), ("namespace", &state["organizationId"])])
        }
    }
}

/// The roles, or the permission, that are given or taken; where there is no telling, those that are held.
fn privileges(states: States<'_>) -> Value {
    let grant = states.latest();
    if !grant["principal"].is_null() {
        let right = [&grant["role"], &grant["permission"]].into_iter().find(|right| !right.is_null());
        return json!(right.into_iter().collect::<Vec<_>>());
    }
    let (before, after) = (roles(states.before), roles(states.after));
    let lost: Vec<_> = before.iter().copied().filter(|role| !after.contains(role)).collect();
    let won: Vec<_> = after.iter().copied().filter(|role| !before.contains(role)).collect();
    let both = !states.before.is_null() && !states.after.is_null();
    match (both, lost.is_empty(), won.is_empty()) {
        (true, false, true) => json!(slugs(lost)),
        (true, true, false) => json!(slugs(won)),
        _ => json!(slugs(if after.is_empty() { before } else { after })),
    }
}

/// The roles by their slugs.
fn slugs(roles: Vec<&Value>) -> Vec<&Value> {
    roles.into_iter().map(|role| role.get("role").unwrap_or(role)).collect()
}

/// The roles of a team, which are slugs, or of a membership, which are assignments.
fn roles(state: &Value) -> Vec<&Value> {
    state["roles"].as_array().map(|roles| roles.iter().collect()).unwrap_or_default()
}

/// Everything else.
fn entity(version: Version, subject: &Value, state: &Value) -> Value {
    let (kind, uid) = (subject["kind"].as_str().unwrap_or_default(), &subject["id"]);
    let name = ["name", "slug", "email"].into_iter().map(|field| &state[field]).find(|name| !name.is_null());
    let name = name.unwrap_or(&Value::Null);
    let entity = object([("uid", uid), ("name", name), ("type", &json!(title(kind)))]);
    if version < Version::ENTITIES {
        return entity;
    }
    match kind {
        "organization" => with(with(entity, "type_id", json!(4)), "org", object([("uid", uid), ("name", name)])),
        "policy" => with(with(entity, "type_id", json!(5)), "policy", object([("uid", uid), ("name", name)])),
        _ => with(entity, "type_id", json!(99)),
    }
}

/// Who did it.
pub fn actor(version: Version, kind: &str, id: &str) -> Value {
    let (type_id, name) = match kind {
        "user" => (1, ""),
        "operator" => (2, "operator"),
        "system" => (3, "system"),
        _ if version >= Version::SERVICES => (4, ""), // API keys, and services with tokens of their own
        _ => (99, ""),
    };
    let (uid, name, type_id) = (json!(id), json!(name), json!(type_id));
    let user = object([("uid", &uid), ("name", &name), ("type_id", &type_id), ("type", &json!(title(kind)))]);
    let is_service = matches!(kind, "api_key" | "service");
    match is_service && version >= Version::CALLER {
        true => json!({"user": user, "app_uid": id, "app_name": title(kind)}),
        false => json!({"user": user}),
    }
}
