//! The permissions and roles that the changes speak of.

use roster::proto::v1::{CreatePermissionRequest, CreateRoleRequest};
use tonic::{Code, Response, Status};

use crate::{Failure, changes::Level, patience::Patience, service::Service};

/// Makes what is missing of them.
pub async fn set_up(service: &Service, patience: &Patience) -> Result<(), Failure> {
    for level in Level::ALL {
        patience.persist(async || make_permission(service, level).await).await?;
    }
    for level in Level::ALL {
        patience.persist(async || make_role(service, level).await).await?;
    }
    Ok(())
}

async fn make_permission(service: &Service, level: Level) -> Result<(), Status> {
    let request = CreatePermissionRequest { slug: level.permission(), ..Default::default() };
    unless_it_exists(service.roles().create_permission(request).await)
}

async fn make_role(service: &Service, level: Level) -> Result<(), Status> {
    let contained = Level::ALL.into_iter().filter(|other| *other <= level);
    let request = CreateRoleRequest {
        slug: level.role(),
        permissions: contained.map(Level::permission).collect(),
        ..Default::default()
    };
    unless_it_exists(service.roles().create_role(request).await)
}

fn unless_it_exists<T>(outcome: Result<Response<T>, Status>) -> Result<(), Status> {
    match outcome {
        Err(status) if status.code() != Code::AlreadyExists => Err(status),
        Ok(_) | Err(_) => Ok(()),
    }
}
