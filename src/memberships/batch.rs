//! Many persons by one call: in which order they are taken on, and what is the fault of one of them alone.

use super::Person;
use crate::{
    db::Tx,
    error::{Reason, Result},
    ids::TenantId,
    users,
};

impl Person {
    /// By which persons are put in order before they are locked one after another: their address, however they are named.
    /// In any other order two calls with the same people would wait for each other.
    pub async fn lock_key(&self, tx: &mut Tx, tenant_id: TenantId) -> Result<String> {
        match self {
            Self::Email(email) => Ok(email.key.clone()),
            Self::User(id) => match users::get(tx, tenant_id, *id).await {
                Ok(user) => Ok(user.email_key),
                Err(error) if error.reason() == Reason::UserNotFound => Ok(id.to_string()),
                Err(error) => Err(error),
            },
        }
    }
}

/// The places of persons in the order in which they are locked.
pub async fn in_lock_order(tx: &mut Tx, tenant_id: TenantId, persons: &[Option<&Person>]) -> Result<Vec<usize>> {
    let mut order = Vec::with_capacity(persons.len());
    for (place, person) in persons.iter().enumerate() {
        let key = match person {
            Some(person) => person.lock_key(tx, tenant_id).await?,
            None => String::new(),
        };
        order.push((key, place));
    }
    order.sort();
    Ok(order.into_iter().map(|(_, place)| place).collect())
}

/// What became of an entry. A fault that was found by a look, before anything of the entry was written, is the entry's own: any
/// other ends the whole call.
pub fn outcome<T>(done: Result<T>) -> Result<Result<T, (Reason, String)>> {
    match done {
        Ok(done) => Ok(Ok(done)),
        Err(error) if is_of_the_entry(error.reason()) => Ok(Err((error.reason(), error.message().to_owned()))),
        Err(error) => Err(error),
    }
}

fn is_of_the_entry(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::InvalidRequest
            | Reason::UserNotFound
            | Reason::RoleNotFound
            | Reason::TeamNotFound
            | Reason::AlreadyMember
            | Reason::LastOwner
            | Reason::OrganizationSuspended
            | Reason::InvitationPending
            | Reason::MembershipSuspended
            | Reason::UserSuspended
            | Reason::MissingPermission
    )
}
