//! What every CloudEvent of an event says, on whichever way it leaves (CloudEvents 1.0).

/// Where an event comes from.
pub fn source(tenant_id: &str, organization_id: &str) -> String {
    match organization_id {
        "" => format!("/tenants/{tenant_id}"),
        organization => format!("/tenants/{tenant_id}/organizations/{organization}"),
    }
}

/// The sequence of an event in its source, so that its order is that of text (CloudEvents extension "Sequence").
pub fn sequence(sequence: i64) -> String {
    format!("{sequence:019}")
}
