//! API keys in the contract: in answers and in events.

use super::ApiKey;
use crate::{
    events::{Change, changed, created},
    proto::v1 as pb,
};

impl From<&ApiKey> for pb::ApiKey {
    fn from(key: &ApiKey) -> Self {
        Self {
            api_key_id: key.id.to_string(),
            name: key.name.clone(),
            scopes: key.scopes.0.clone(),
            expire_time: key.expires_at.map(Into::into),
            revoke_time: key.revoked_at.map(Into::into),
            create_time: Some(key.created_at.into()),
        }
    }
}

pub fn created(key: &ApiKey) -> Change {
    Change::in_tenant(key.tenant_id, "api_key", key.id, created!(ApiKeyCreated, key))
}

pub fn rotated(before: &ApiKey, after: &ApiKey) -> Change {
    Change::in_tenant(after.tenant_id, "api_key", after.id, changed!(ApiKeyRotated, before, after))
}

pub fn revoked(before: &ApiKey, after: &ApiKey) -> Change {
    Change::in_tenant(after.tenant_id, "api_key", after.id, changed!(ApiKeyRevoked, before, after))
}
