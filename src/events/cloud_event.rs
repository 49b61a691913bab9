//! What every CloudEvent of an event says, on whichever way it leaves (CloudEvents 1.0).

use super::Stream;
use crate::ids::TenantId;

/// Where an event comes from.
pub fn source(tenant_id: &str, organization_id: &str) -> String {
    match organization_id {
        "" => format!("/tenants/{tenant_id}"),
        organization => format!("/tenants/{tenant_id}/organizations/{organization}"),
    }
}

/// Whose an event is that comes from there, and of which stream; none where no event of ours does.
pub fn read_source(source: &str) -> Option<(TenantId, Stream)> {
    let (tenant, organization) = match source.strip_prefix("/tenants/")?.split_once("/organizations/") {
        Some((tenant, organization)) => (tenant, Some(organization)),
        None => (source.strip_prefix("/tenants/")?, None),
    };
    let tenant_id = tenant.parse().ok()?;
    let stream = match organization {
        Some(id) => Stream::Organization(id.parse().ok()?),
        None => Stream::Tenant(tenant_id),
    };
    Some((tenant_id, stream))
}

/// The sequence of an event in its source, so that its order is that of text (CloudEvents extension "Sequence").
pub fn sequence(sequence: i64) -> String {
    format!("{sequence:019}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::OrganizationId;

    #[test]
    fn where_an_event_comes_from_is_read_back() {
        let (tenant, organization) = (TenantId::generate(), OrganizationId::generate());
        let of_tenant = source(&tenant.to_string(), "");
        assert_eq!(read_source(&of_tenant), Some((tenant, Stream::Tenant(tenant))));
        let of_organization = source(&tenant.to_string(), &organization.to_string());
        assert_eq!(read_source(&of_organization), Some((tenant, Stream::Organization(organization))));
        for other in ["", "/tenants/", "/tenants/x", "/shops/7", &format!("{of_tenant}/organizations/x")] {
            assert_eq!(read_source(other), None, "{other}");
        }
    }
}
