//! Who calls, and what a method needs: enforced before any method runs, from the options in the proto.

pub mod accounts;
pub mod keys;
mod layer;
mod methods;
pub mod scopes;
pub mod tokens;

use std::sync::Arc;

use accounts::Accounts;
pub use accounts::Freshness;
use keys::{KeyCache, VerifiedKey};
pub use layer::AuthLayer;
pub use methods::{Methods, Needed};
use scopes::Scopes;
use tokens::{Account, Tokens, VerifiedToken};

use crate::{
    clock::{Clock, Timestamp},
    config,
    db::Db,
    error::{Error, Reason, Result},
    events::Record,
    fields::Email,
    ids::{TenantId, UserId},
    proto::v1 as pb,
    users::Identity,
};

/// A caller whose credential was verified. The authentication layer puts it into the request's extensions.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The tenant that the call is about.
    pub tenant_id: TenantId,
    /// Who calls.
    pub who: Who,
    /// What the method needs that is called.
    pub needed: Needed,
}

/// Who calls, by what was verified.
#[derive(Debug, Clone)]
pub enum Who {
    /// A service, by an API key.
    Key(Arc<VerifiedKey>),
    /// A service, by a token.
    Service(Arc<VerifiedToken>),
    /// A user, by a token of an account of theirs.
    User(UserId, Arc<VerifiedToken>),
}

impl Who {
    /// What a service may do; nothing for a user, who may do in each organization what their membership there says.
    pub fn scopes(&self) -> Scopes {
        match self {
            Self::Key(key) => key.scopes.clone(),
            Self::Service(token) => token.scopes.clone().unwrap_or_default(),
            Self::User(..) => Scopes::default(),
        }
    }

    /// The address that a user's token says is verified.
    pub fn verified_email(&self) -> Option<&Email> {
        match self {
            Self::User(_, token) => token.verified_email.as_ref(),
            Self::Key(_) | Self::Service(_) => None,
        }
    }

    /// As the log names them: kind and id.
    pub fn actor(&self) -> (pb::EventActorKind, String) {
        match self {
            Self::Key(key) => (pb::EventActorKind::ApiKey, key.api_key_id.to_string()),
            Self::Service(token) => (pb::EventActorKind::Service, token.name.clone()),
            Self::User(id, _) => (pb::EventActorKind::User, id.to_string()),
        }
    }
}

/// Whatever verifies credentials, and remembers what it has verified.
#[derive(Debug)]
pub struct Credentials {
    keys: KeyCache,
    tokens: Tokens,
    accounts: Accounts,
}

impl Credentials {
    /// Nothing verified yet.
    pub fn new(config: &config::Tokens, db: &Db, clock: &Clock) -> Result<Self> {
        let (keys, accounts) = (KeyCache::new(db.clone()), Accounts::new(db.clone()));
        Ok(Self { keys, tokens: Tokens::new(config, db.clone(), clock)?, accounts })
    }

    /// The tokens, whose issuers' keys must be kept fresh.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Verifies a credential: an API key or a token.
    pub async fn verify(&self, presented: &str, now: Timestamp) -> Result<Who> {
        if presented.starts_with(keys::PREFIX) || !presented.contains('.') {
            return Ok(Who::Key(match self.keys.recall(presented, now) {
                Some(key) => key,
                None => self.keys.verify(presented, now).await?,
            }));
        }
        let token = match self.tokens.recall(presented, now) {
            Some(token) => token,
            None => self.tokens.verify(presented, now).await?,
        };
        match token.scopes {
            Some(_) => Ok(Who::Service(token)),
            None => Ok(Who::User(self.accounts.user_of(&token.account, now).await?, token)),
        }
    }

    /// Fails with `INVALID_CREDENTIALS` where a credential that was verified before has ended since: for streams, which
    /// outlive the look at their credential.
    pub async fn ensure_in_force(&self, who: &Who, now: Timestamp) -> Result<()> {
        let ended = || Error::new(Reason::InvalidCredentials, "the token has ended");
        match who {
            Who::Key(key) => self.keys.ensure_in_force(key.api_key_id, now).await,
            Who::Service(token) => token.is_in_force(now).then_some(()).ok_or_else(ended),
            Who::User(id, token) => {
                let still = token.is_in_force(now) && self.accounts.user_of(&token.account, now).await? == *id;
                still.then_some(()).ok_or_else(ended)
            }
        }
    }

    /// The user whom an account is linked to, if it is linked to one.
    pub async fn user_of_account(
        &self,
        tenant_id: TenantId,
        issuer: &str,
        subject: &str,
        fresh: Freshness,
        now: Timestamp,
    ) -> Result<Option<UserId>> {
        let identity = Identity { issuer: issuer.to_owned(), subject: subject.to_owned() };
        self.accounts.find(&Arc::new(Account { tenant_id, identity }), fresh, now).await
    }

    /// Whether an event may be about a credential: those are in the tenant's own stream.
    pub fn wants(&self, record: &Record) -> bool {
        record.stream_id == record.tenant_id.uuid()
    }

    /// Forgets what was changed.
    pub fn feed(&self, event: &pb::Event) {
        self.keys.feed(event);
        self.accounts.feed(event);
    }
}
