//! A Check from another service: `cargo run --example check -- KEY ORGANIZATION USER REVISION`
//!
//! The README shows the part between its imports and `main`.

use roster::proto::v1::{
    CheckRequest, Consistency, authorization_service_client::AuthorizationServiceClient, consistency::Requirement,
};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};

type Authorization = AuthorizationServiceClient<Channel>;

/// `bearer` is `format!("Bearer {key}").parse()?`; `revision` is what the last write answered.
async fn may_read(
    client: &mut Authorization,
    bearer: &MetadataValue<Ascii>,
    organization: &str,
    user: &str,
    revision: &str,
) -> Result<bool, Status> {
    let mut request = Request::new(CheckRequest {
        organization_id: organization.into(),
        user_id: user.into(),
        permission: "invoices:read".into(),
        consistency: Some(Consistency { requirement: Some(Requirement::AtLeastAsFresh(revision.into())) }),
        ..CheckRequest::default()
    });
    request.metadata_mut().insert("authorization", bearer.clone());
    Ok(client.check(request).await?.into_inner().allowed)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [key, organization, user, revision] = &arguments[..] else {
        return Err("usage: check KEY ORGANIZATION USER REVISION".into());
    };
    let mut client = Authorization::connect("http://127.0.0.1:7400").await?;
    let bearer = format!("Bearer {key}").parse()?;
    println!("{}", may_read(&mut client, &bearer, organization, user, revision).await?);
    Ok(())
}
