//! A tenant with a million memberships, put into a database before the service starts.
//!
//! The log does not have them: the index loads states from tables, and nothing here reads the log.

use std::path::Path;

use roster::{
    bootstrap,
    clock::Clock,
    db::{Db, Location, Tx, Value},
    error::Result,
    ids::{OrganizationId, UserId},
    tenants, upgrade,
};
use uuid::Uuid;

/// How many organizations there are of how many members.
pub const SHAPES: [(usize, usize); 3] = [(1, 100_000), (100, 1_000), (8_000, 100)];

/// How many organizations one transaction makes.
const AT_ONCE: usize = 100;

/// Somebody who may read documents, and where.
#[derive(Clone)]
pub struct Member {
    pub organization_id: String,
    pub user_id: String,
}

/// Fills a fresh folder. Answers one organization after another, each with some of its members.
pub async fn fill(folder: &Path) -> Vec<Vec<Member>> {
    let db = Db::open(&Location::Folder(folder.to_owned())).await.unwrap();
    upgrade::run(&db).await.unwrap();
    bootstrap::run(&db, &Clock::system()).await.unwrap();
    let tenant = tenants::find(&mut db.snapshot().await.unwrap(), tenants::DEFAULT).await.unwrap().unwrap().id.uuid();
    let sizes: Vec<usize> = SHAPES.iter().flat_map(|(count, members)| vec![*members; *count]).collect();
    let mut organizations = Vec::new();
    for sizes in sizes.chunks(AT_ONCE) {
        let some = db.write(async |tx| {
            let mut some = Vec::new();
            for members in sizes {
                some.push(organization(tx, tenant, *members).await?);
            }
            Ok(some)
        });
        organizations.extend(some.await.unwrap().0);
    }
    db.close().await;
    organizations
}

async fn organization(tx: &mut Tx, tenant: Uuid, count: usize) -> Result<Vec<Member>> {
    let id = Uuid::now_v7();
    let ids: Vec<(Uuid, Uuid)> = (0..count).map(|_| (Uuid::now_v7(), Uuid::now_v7())).collect();
    let some = ids.iter().step_by((count / 100).max(1)).map(|(user_id, _)| Member {
        organization_id: OrganizationId::from_uuid(id).to_string(),
        user_id: UserId::from_uuid(*user_id).to_string(),
    });
    let text = |text: &str| Value::from(text.to_owned());
    let number = |number: i64| Value::from(number);
    let organization = vec![Value::from(tenant), Value::from(id), text(&format!("o-{id}")), text("active")];
    let insert = "INSERT INTO organizations (tenant_id, id, slug, status, display_name, metadata, sequence, version,
            created_at, updated_at) VALUES ($1, $2, $3, $4, $3, '{}', 0, 1, 0, 0)";
    tx.execute(insert, organization).await?;
    let user = |(user, _): &(Uuid, Uuid)| {
        let email = format!("{}@example.com", user.simple());
        vec![
            Value::from(tenant),
            Value::from(*user),
            text(&email),
            text(&email),
            text(""),
            text("active"),
            text("{}"),
            number(1),
            number(0),
            number(0),
        ]
    };
    let insert = "INSERT INTO users (tenant_id, id, email, email_key, display_name, status, metadata, version,
            created_at, updated_at)";
    tx.insert_all(insert, ids.iter().map(user).collect()).await?;
    let membership = |(user, membership): &(Uuid, Uuid)| {
        vec![
            Value::from(tenant),
            Value::from(id),
            Value::from(*membership),
            Value::from(*user),
            text("active"),
            text("api"),
            text(""),
            number(0),
            number(0),
        ]
    };
    let insert = "INSERT INTO memberships (tenant_id, organization_id, id, user_id, status, source, status_reason,
            created_at, updated_at)";
    tx.insert_all(insert, ids.iter().map(membership).collect()).await?;
    let role = |(place, (_, membership)): (usize, &(Uuid, Uuid))| {
        let role = ["member", "developer", "admin"][place % 3];
        vec![
            Value::from(tenant),
            Value::from(id),
            Value::from(*membership),
            Value::from(tenant),
            text(role),
            text("api"),
        ]
    };
    let insert = "INSERT INTO membership_roles (tenant_id, organization_id, membership_id, scope_id, role, source)";
    tx.insert_all(insert, ids.iter().enumerate().map(role).collect()).await?;
    Ok(some.collect())
}
