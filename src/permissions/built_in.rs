//! Roster's own permissions: what its methods need. Every tenant's catalogue has them.

use super::{Permission, store, wire};
use crate::{context::Ctx, db::Tx, error::Result, events::Change};

/// Slug and description of each: what the contract's methods need, apart from `platform`, which is about the tenants
/// themselves. A test holds this to the contract.
pub const OWN: [(&str, &str); 30] = [
    ("api-keys:read", "Reads API keys, without their secrets."),
    ("api-keys:write", "Makes, rotates and revokes API keys."),
    ("authz:check", "Asks what somebody may do."),
    ("domains:read", "Reads domains, and where a person signing in belongs."),
    ("domains:write", "Claims, proves, changes and gives up domains."),
    ("events:read", "Reads the log."),
    ("grants:read", "Reads grants."),
    ("grants:write", "Gives and revokes grants."),
    ("invitations:accept", "Accepts and declines invitations for those who are invited."),
    ("invitations:read", "Reads invitations, without their tokens."),
    ("invitations:write", "Invites persons, and takes that back."),
    ("members:read", "Reads memberships."),
    ("members:write", "Adds, changes and removes members."),
    ("organizations:delete", "Deletes organizations."),
    ("organizations:read", "Reads organizations."),
    ("organizations:suspend", "Suspends organizations, and ends that."),
    ("organizations:transfer", "Hands the ownership of organizations over."),
    ("organizations:write", "Creates and changes organizations."),
    ("policies:read", "Reads policies."),
    ("policies:write", "Writes and deletes policies."),
    ("resources:read", "Reads resources."),
    ("resources:write", "Writes and deletes resources."),
    ("roles:read", "Reads permissions and roles."),
    ("roles:write", "Creates, changes and deletes permissions and roles."),
    ("teams:read", "Reads teams."),
    ("teams:write", "Creates, changes and deletes teams."),
    ("users:erase", "Erases the personal data of users for good."),
    ("users:link", "Links users to accounts of identity providers: whoever may, can act as any user."),
    ("users:read", "Reads users."),
    ("users:write", "Creates, changes and deletes users."),
];

/// What became built in.
#[derive(Debug, Default)]
pub struct BuiltIn {
    /// Their slugs.
    pub slugs: Vec<&'static str>,
    /// What the log is to hear.
    pub changes: Vec<Change>,
}

/// Puts those of Roster's own permissions into the catalogue that are not there as such yet. One that the application
/// made for itself becomes Roster's, and keeps its description.
pub async fn create_built_in(ctx: &Ctx, tx: &mut Tx) -> Result<BuiltIn> {
    let mut built_in = BuiltIn::default();
    for (slug, description) in OWN {
        let change = match store::lock(tx, ctx.tenant_id, slug).await? {
            Some(there) if there.built_in => continue,
            Some(before) => {
                let version = before.version + 1;
                let after = Permission { built_in: true, version, updated_at: ctx.now, ..before.clone() };
                store::update(tx, &after).await?;
                wire::updated(&before, &after)
            }
            None => {
                let permission = Permission { built_in: true, ..super::new(ctx, slug, description) };
                store::insert(tx, &permission).await?;
                wire::created(&permission)
            }
        };
        built_in.slugs.push(slug);
        built_in.changes.push(change);
    }
    Ok(built_in)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{auth::Methods, auth::scopes::PLATFORM};

    #[test]
    fn roster_has_a_permission_of_its_own_for_whatever_a_method_needs() {
        let methods = Methods::of_contract().unwrap();
        let needed: BTreeSet<&str> =
            methods.permissions().map(AsRef::as_ref).filter(|needed| *needed != PLATFORM).collect();
        let own: BTreeSet<&str> = OWN.iter().map(|(slug, _)| *slug).collect();
        assert!(needed.is_subset(&own), "{:?} are not in OWN", needed.difference(&own));
        let idle: Vec<_> = own.difference(&needed).collect();
        assert!(idle.is_empty(), "{idle:?} are needed by no method");
    }
}
