//! Typed ids: a prefix, `_`, and a UUIDv7 in lower-case base32 (the TypeID format, specification 0.3), so that an id
//! tells what it is of, and ids sort by creation time.

use std::{fmt, hash::Hash, marker::PhantomData, str::FromStr};

use type_safe_id::{StaticType, TypeSafeId};
use uuid::Uuid;

/// How the slugs of an organization's own roles begin: it tells them from the tenant's wherever a slug stands alone.
pub const OWN_ROLE_PREFIX: &str = "org-";

/// The id of one kind of record.
pub struct Id<K>(Uuid, PhantomData<fn() -> K>);

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $prefix:literal $id:ident),* $(,)?) => {
        /// The kinds of records that have ids.
        pub mod kind {
            $(
                $(#[$doc])*
                #[derive(Clone, Copy, Default)]
                pub struct $kind;
                impl type_safe_id::StaticType for $kind {
                    const TYPE: &'static str = $prefix;
                }
            )*
        }
        $($(#[$doc])* pub type $id = Id<kind::$kind>;)*
    };
}

kinds! {
    /// The outermost boundary.
    Tenant "tenant" TenantId,
    /// A person or service known in a tenant.
    User "user" UserId,
    /// A customer.
    Organization "org" OrganizationId,
    /// A user in an organization.
    Membership "mem" MembershipId,
    /// A group of memberships.
    Team "team" TeamId,
    /// A right on one resource.
    Grant "grant" GrantId,
    /// A domain that an organization claims or has proven.
    Domain "dom" DomainId,
    /// One fact of the log.
    Event "evt" EventId,
    /// A pending request to join.
    Invitation "inv" InvitationId,
    /// A key by which a service calls.
    ApiKey "key" ApiKeyId,
}

impl<K> Id<K> {
    /// A new id. Ids made later by the same process sort later.
    pub fn generate() -> Self {
        Self::from_uuid(Uuid::now_v7())
    }

    /// The id with this value.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid, PhantomData)
    }

    /// The value without the kind.
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl<K: StaticType> FromStr for Id<K> {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        TypeSafeId::<K>::from_str(text).map(|id| Self::from_uuid(id.uuid())).map_err(|_| ())
    }
}

impl<K: StaticType> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", TypeSafeId::<K>::from_uuid(self.0))
    }
}

impl<K: StaticType> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K> Hash for Id<K> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_keeps_its_kind() {
        let id = OrganizationId::generate();
        assert!(id.to_string().starts_with("org_"));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().parse::<TeamId>(), Err(()));
        assert_eq!("org_".parse::<OrganizationId>(), Err(()));
    }

    #[test]
    fn later_ids_sort_later() {
        let ids: Vec<_> = (0..1000).map(|_| EventId::generate()).collect();
        assert!(ids.is_sorted());
        assert!(ids.iter().map(ToString::to_string).collect::<Vec<_>>().is_sorted());
    }
}
