//! A fresh installation: the log begins, the tenant `default` is there, and the first key is made. And one of a version
//! from before: its tenants get what they miss.

use crate::{
    api_keys,
    auth::{keys::Secret, scopes::Scopes},
    clock::Clock,
    context::{Actor, Ctx},
    db::{Db, Tx},
    error::{Reason, Result},
    events,
    ids::TenantId,
    roles, tenants,
};

/// What the first key may do: everything.
const FIRST_SCOPES: [&str; 2] = ["*", crate::auth::scopes::PLATFORM];

/// Makes what a fresh installation has. Answers the first key where this was one; of replicas that start together, one
/// gets it.
pub async fn run(db: &Db, clock: &Clock) -> Result<Option<Secret>> {
    let now = clock.now();
    let begun = db
        .write(async move |tx| {
            events::store::begin(tx).await?;
            if tenants::find(tx, tenants::DEFAULT).await?.is_some() {
                return Ok(None);
            }
            let ctx = Ctx::local(TenantId::generate(), Actor::system(), now);
            begin(&ctx, tx).await.map(Some)
        })
        .await;
    let first = match begun {
        Ok((secret, _)) => secret,
        Err(error) if error.reason() == Reason::SlugTaken => None, // another replica was first
        Err(error) => return Err(error),
    };
    complete(db, clock).await?;
    Ok(first)
}

/// Gives tenants and organizations of a version from before what every new one has, each in a transaction of its own and
/// with its events. Replicas that start together may all try: each thing is done once.
async fn complete(db: &Db, clock: &Clock) -> Result<()> {
    let incomplete = tenants::incomplete(&mut db.snapshot().await?).await?;
    for tenant_id in incomplete {
        let ctx = Ctx::local(tenant_id, Actor::system(), clock.now());
        for id in roles::unordered(&mut db.snapshot().await?, tenant_id).await? {
            db.write(async |tx| roles::complete_organization(&ctx, tx, id).await).await?;
        }
        // The tenant last: once it is complete, its organizations are not looked at again.
        db.write(async |tx| roles::complete_tenant(&ctx, tx).await).await?;
        tracing::info!(%tenant_id, "brought up to date");
    }
    Ok(())
}

async fn begin(ctx: &Ctx, tx: &mut Tx) -> Result<Secret> {
    let slug = tenants::DEFAULT.to_owned();
    tenants::create(ctx, tx, &tenants::Create { display_name: slug.clone(), slug }).await?;
    let scopes: Vec<String> = FIRST_SCOPES.iter().map(ToString::to_string).collect();
    let caller = Scopes::new(scopes.clone());
    let first = api_keys::Create { name: "first key".to_owned(), scopes, expires_at: None };
    let (_, secret) = api_keys::create(ctx, tx, &caller, &first).await?;
    Ok(secret)
}
