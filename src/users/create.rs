//! New users.

use std::collections::BTreeMap;

use super::{Identities, Status, User, email_taken, external_id_taken, store, wire};
use crate::{
    context::Ctx,
    db::{Json, Tx},
    error::{Error, Reason, Result},
    events::{self, Change},
    fields::Email,
    ids::UserId,
};

/// A user to create.
#[derive(Debug, Clone)]
pub struct Create {
    /// Unique in the tenant.
    pub email: Email,
    /// For people.
    pub display_name: String,
    /// The application's own id.
    pub external_id: Option<String>,
    /// Whatever the application keeps here.
    pub metadata: BTreeMap<String, String>,
    /// Where they stand at first.
    pub status: Status,
}

/// Creates a user.
pub async fn create(ctx: &Ctx, tx: &mut Tx, input: &Create) -> Result<User> {
    let user = new(ctx, input);
    if let Some(external_id) = &user.external_id
        && store::find_by_external_id(tx, ctx.tenant_id, external_id).await?.is_some()
    {
        return Err(external_id_taken());
    }
    if !store::insert(tx, &user).await? {
        let by_email = store::find_by_email(tx, ctx.tenant_id, &user.email_key).await?;
        return Err(if by_email.is_some() { email_taken() } else { external_id_taken() });
    }
    events::append(ctx, tx, vec![wire::created(&user)]).await?;
    Ok(user)
}

/// The user with this address, who is created with this status where there is none; locked until the transaction ends.
/// The change, if any, is the caller's to append.
pub async fn find_or_create(
    ctx: &Ctx,
    tx: &mut Tx,
    email: &Email,
    display_name: &str,
    status: Status,
) -> Result<(User, Option<Change>)> {
    if let Some(user) = store::lock_by_email(tx, ctx.tenant_id, &email.key).await? {
        return Ok((user, None));
    }
    let (email, display_name) = (email.clone(), display_name.to_owned());
    let user = new(ctx, &Create { email, display_name, external_id: None, metadata: BTreeMap::new(), status });
    if store::insert(tx, &user).await? {
        let created = wire::created(&user);
        return Ok((user, Some(created)));
    }
    // Somebody else created them in between: that is committed now.
    let user = store::lock_by_email(tx, ctx.tenant_id, &user.email_key).await?;
    user.map(|user| (user, None)).ok_or_else(|| Error::new(Reason::Conflict, "the user was created and removed"))
}

fn new(ctx: &Ctx, input: &Create) -> User {
    User {
        tenant_id: ctx.tenant_id,
        id: UserId::generate(),
        email: input.email.original.clone(),
        email_key: input.email.key.clone(),
        display_name: input.display_name.clone(),
        external_id: input.external_id.clone(),
        status: input.status,
        suspended_from: None,
        metadata: Json(input.metadata.clone()),
        identities: Identities::default(),
        version: 1,
        created_at: ctx.now,
        updated_at: ctx.now,
        erased_at: None,
    }
}
