//! One question as Cedar sees it: a request, and the entities around it.

use std::{collections::BTreeMap, net::IpAddr};

use cedar_policy::{Entities, Entity, EntityUid, Request, RestrictedExpression as Expression};

use super::{
    needs::Needs,
    schema::{TYPES, entity},
};
use crate::{
    clock::Timestamp,
    ids::{MembershipId, OrganizationId, TeamId, UserId},
};

/// What a caller says about the circumstances of a question.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// Whether the person has proven a second factor.
    pub mfa: Option<bool>,
    /// Where the person calls from. An IPv4 address in IPv6 clothes is an IPv4 address.
    pub ip: Option<IpAddr>,
    /// How risky the session looks, 0 to 100.
    pub risk: Option<i64>,
    /// On whose behalf the person acts.
    pub delegated_by: Option<String>,
    /// Whatever else the application's policies speak of.
    pub attributes: BTreeMap<String, String>,
}

/// Everything that policies can ask about a question.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Who.
    pub user_id: UserId,
    /// As which member.
    pub membership_id: MembershipId,
    /// The roles that the member holds, however.
    pub roles: &'a [&'a str],
    /// The teams that the member is in, and all above them.
    pub teams: &'a [TeamId],
    /// What they want to do.
    pub permission: &'a str,
    /// Where.
    pub organization_id: OrganizationId,
    /// On what: type and id. None: in the organization as a whole.
    pub resource: Option<(&'a str, &'a str)>,
    /// What the resource is in, however far up: types and ids.
    pub ancestors: &'a [(&'a str, &'a str)],
    /// What the caller says.
    pub context: &'a Context,
    /// When.
    pub now: Timestamp,
}

/// Why a world cannot be built. It never happens with what Roster lets in; whoever sees it denies.
pub(super) type Fault = Box<dyn std::error::Error>;

impl Facts<'_> {
    /// The world of this question, as far as these policies look.
    pub(super) fn world(&self, needs: &Needs) -> Result<(Request, Entities), Fault> {
        let mut entities = Vec::new();
        let principal = self.principal(needs, &mut entities)?;
        let resource = self.resource(needs, &mut entities)?;
        let context = self.context(needs, &mut entities)?;
        let action = entity(&TYPES.action, self.permission);
        let request = Request::new(principal, action, resource, context, None)?;
        let entities = match entities.is_empty() {
            true => Entities::empty(),
            false => Entities::from_entities(entities, None)?,
        };
        Ok((request, entities))
    }

    fn principal(&self, needs: &Needs, entities: &mut Vec<Entity>) -> Result<EntityUid, Fault> {
        // Where nobody is named, nothing but what the principal has and is in can matter.
        let uid = match needs.users {
            true => entity(&TYPES.user, &self.user_id.to_string()),
            false => entity(&TYPES.user, "principal"),
        };
        let mut parents = Vec::new();
        if !needs.roles.is_empty() {
            parents.extend(self.roles.iter().filter_map(|slug| needs.roles.get(*slug)).cloned());
        }
        if !needs.teams.is_empty() {
            parents.extend(self.teams.iter().filter_map(|id| needs.teams.get(id)).cloned());
        }
        let membership = needs.membership.then(|| text("membership", self.membership_id.to_string()));
        if membership.is_some() || !parents.is_empty() {
            entities.push(Entity::new_with_tags(uid.clone(), membership, parents, [])?);
        }
        Ok(uid)
    }

    fn resource(&self, needs: &Needs, entities: &mut Vec<Entity>) -> Result<EntityUid, Fault> {
        let is_named = needs.organizations.contains(&self.organization_id);
        let organization = || entity(&TYPES.organization, &self.organization_id.to_string());
        let Some((kind, id)) = self.resource else {
            return Ok(if is_named { organization() } else { entity(&TYPES.organization, "organization") });
        };
        let uid = entity(&TYPES.resource, &path(kind, id));
        let mut parents = Vec::new();
        if !needs.resources.is_empty() {
            let named = |(kind, id): &(&str, &str)| needs.resources.get(path(kind, id).as_str());
            parents.extend(self.ancestors.iter().filter_map(named).filter(|parent| **parent != uid).cloned());
        }
        parents.extend(is_named.then(organization));
        let attributes = needs.resource.then(|| [text("type", kind), text("id", id)]).into_iter().flatten();
        if needs.resource || !parents.is_empty() {
            entities.push(Entity::new_with_tags(uid.clone(), attributes, parents, [])?);
        }
        Ok(uid)
    }

    fn context(&self, needs: &Needs, entities: &mut Vec<Entity>) -> Result<cedar_policy::Context, Fault> {
        let mut pairs = Vec::new();
        let mut pair = |name: &str, value: Expression| pairs.push((name.to_owned(), value));
        if let Some(mfa) = self.context.mfa.filter(|_| needs.mfa) {
            pair("mfa", Expression::new_bool(mfa));
        }
        if let Some(ip) = self.context.ip.filter(|_| needs.ip) {
            pair("ip", Expression::new_ip(ip.to_canonical().to_string()));
        }
        if needs.time {
            pair("time", Expression::new_datetime(datetime(self.now)));
        }
        if let Some(risk) = self.context.risk.filter(|_| needs.risk) {
            pair("risk", Expression::new_long(risk));
        }
        if let Some(who) = self.context.delegated_by.as_ref().filter(|_| needs.delegated_by) {
            pair("delegated_by", Expression::new_string(who.clone()));
        }
        if needs.attributes {
            let uid = entity(&TYPES.attributes, "caller");
            let tags = self.context.attributes.iter().map(|(key, value)| text(key, value));
            entities.push(Entity::new_with_tags(uid.clone(), [], [], tags)?);
            pair("attributes", Expression::new_entity_uid(uid));
        }
        match pairs.is_empty() {
            true => Ok(cedar_policy::Context::empty()),
            false => Ok(cedar_policy::Context::from_pairs(pairs)?),
        }
    }
}

fn text(name: &str, value: impl Into<String>) -> (String, Expression) {
    (name.to_owned(), Expression::new_string(value.into()))
}

/// The id of a resource's entity. A type has no `/`.
fn path(kind: &str, id: &str) -> String {
    [kind, "/", id].concat()
}

/// A time as Cedar reads it, to the millisecond: `2026-01-31T09:30:00.000Z`. Prost's text has as many digits of a
/// second as it needs, and Cedar takes three.
fn datetime(time: Timestamp) -> String {
    let whole = Timestamp(time.0 - time.0.rem_euclid(1_000_000));
    let text = prost_types::Timestamp::from(whole).to_string();
    let millis = time.0.rem_euclid(1_000_000) / 1_000;
    format!("{}.{millis:03}Z", text.trim_end_matches('Z'))
}
