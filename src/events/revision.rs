//! The consistency token: how far an organization's stream and its tenant's own stream had come.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

use crate::{
    error::{Error, Reason, Result},
    ids::{OrganizationId, TenantId},
};

/// The first byte of a token: its form.
const FORM: u8 = 1;

/// A position in the log, as a caller hands it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision {
    /// Whose log.
    pub tenant_id: TenantId,
    /// How far the tenant's own stream had come.
    pub tenant_sequence: i64,
    /// How far the stream of one organization had come.
    pub organization: Option<(OrganizationId, i64)>,
}

impl Revision {
    /// The opaque token.
    pub fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(49);
        bytes.push(FORM);
        bytes.extend(self.tenant_id.uuid().into_bytes());
        bytes.extend(self.tenant_sequence.to_be_bytes());
        if let Some((id, sequence)) = self.organization {
            bytes.extend(id.uuid().into_bytes());
            bytes.extend(sequence.to_be_bytes());
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a token of this tenant. Fails with `INVALID_REVISION`.
    pub fn decode(token: &str, tenant_id: TenantId) -> Result<Self> {
        Self::read(token)
            .filter(|revision| revision.tenant_id == tenant_id)
            .ok_or_else(|| Error::new(Reason::InvalidRevision, "the revision is malformed or of another tenant"))
    }

    fn read(token: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (form, bytes) = bytes.split_first()?;
        let (tenant_id, tenant_sequence, rest) = read_head(bytes)?;
        let organization = match rest {
            [] => None,
            rest => match read_head(rest)? {
                (id, sequence, []) => Some((OrganizationId::from_uuid(id), sequence)),
                _ => return None,
            },
        };
        let tenant_id = TenantId::from_uuid(tenant_id);
        (*form == FORM).then_some(Self { tenant_id, tenant_sequence, organization })
    }
}

fn read_head(bytes: &[u8]) -> Option<(Uuid, i64, &[u8])> {
    let (id, bytes) = bytes.split_first_chunk::<16>()?;
    let (sequence, rest) = bytes.split_first_chunk::<8>()?;
    let sequence = i64::from_be_bytes(*sequence);
    (sequence >= 0).then_some((Uuid::from_bytes(*id), sequence, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_in_its_own_tenant_only() {
        let tenant_id = TenantId::generate();
        for organization in [None, Some((OrganizationId::generate(), 7))] {
            let revision = Revision { tenant_id, tenant_sequence: 3, organization };
            assert_eq!(Revision::decode(&revision.encode(), tenant_id).unwrap(), revision);
            assert!(Revision::decode(&revision.encode(), TenantId::generate()).is_err());
            assert!(Revision::decode(&revision.encode()[..20], tenant_id).is_err());
        }
        assert!(Revision::decode("", tenant_id).is_err());
    }
}
