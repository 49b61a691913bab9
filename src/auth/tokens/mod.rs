//! Tokens of issuers as credentials: JWTs (RFC 7519), verified once and then remembered until they end.
//!
//! A refusal says what class of thing is wrong, and repeats nothing of the token.

mod claims;
mod jws;
mod keys;
mod source;

use std::sync::Arc;

use jsonwebtoken::Algorithm;
use quick_cache::sync::Cache;
use sha2::{Digest as _, Sha256};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::{
    claims::Claims,
    jws::{Header, TOKEN_BYTES_MAX, Token, Wrong},
    keys::{Found, Key},
    source::Source,
};
use super::scopes::Scopes;
use crate::{
    clock::{Clock, Timestamp},
    config::{self, KeysFrom},
    db::Db,
    egress::Egress,
    error::{Error, Reason, Result},
    fields::Email,
    ids::TenantId,
    tenants,
    users::Identity,
};

/// How many verified tokens are kept.
const CACHE_MAX: usize = 10_000;

/// The SHA-256 of a token: what it is remembered by.
type Hash = [u8; 32];

/// A token that was verified.
#[derive(Debug)]
pub struct VerifiedToken {
    /// The tenant that it is about.
    pub tenant_id: TenantId,
    /// The account that it is of, as whoever looks for its user has it.
    pub account: Arc<Account>,
    /// What its holder may do, where it makes them a service; none where it makes them a user.
    pub scopes: Option<Scopes>,
    /// The account in one word, for the log: issuer, `#`, subject.
    pub name: String,
    /// The address of its holder, where the issuer has verified it.
    pub verified_email: Option<Email>,
    ends_at: Timestamp,
    key: Arc<Key>,
    source: Arc<Source>,
}

/// An account of an identity provider, in a tenant.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Account {
    /// Where it is looked for.
    pub tenant_id: TenantId,
    /// Issuer and subject.
    pub identity: Identity,
}

impl VerifiedToken {
    /// Whether it is still to be believed: it has not ended, and the key that verified it is still its issuer's.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        now < self.ends_at && !self.key.is_retired() && self.source.is_fresh(now)
    }
}

/// An issuer, and where its keys are.
#[derive(Debug)]
struct Issuer {
    config: config::Issuer,
    source: Arc<Source>,
}

/// Verifies tokens, and remembers those that it has verified.
#[derive(Debug)]
pub struct Tokens {
    issuers: Vec<Issuer>,
    db: Db,
    verified: Cache<Hash, Arc<VerifiedToken>>,
}

impl Tokens {
    /// Nothing verified yet, and no keys read: [`Tokens::run`] reads them.
    pub fn new(config: &config::Tokens, db: Db, clock: &Clock) -> Result<Self> {
        let by_url = config.issuers.iter().any(|issuer| matches!(issuer.keys, KeysFrom::Url(_)));
        let egress = by_url.then(|| Egress::new(config.allow_private_addresses)).transpose()?.map(Arc::new);
        let issuer = |issuer: &config::Issuer| {
            let (name, from) = (issuer.issuer.clone(), issuer.keys.clone());
            let source = Source::new(name, from, egress.clone(), clock.clone(), config.refresh, config.stale);
            Issuer { config: issuer.clone(), source: Arc::new(source) }
        };
        Ok(Self { issuers: config.issuers.iter().map(issuer).collect(), db, verified: Cache::new(CACHE_MAX) })
    }

    /// Keeps the keys of all issuers fresh until stopped.
    pub async fn run(&self, stop: CancellationToken) {
        let mut sources = JoinSet::new();
        for issuer in &self.issuers {
            sources.spawn(issuer.source.clone().run(stop.clone()));
        }
        stop.cancelled().await;
        sources.join_all().await;
    }

    /// The token, where it was verified before and is still to be believed. This is all that a warm call pays for.
    pub fn recall(&self, presented: &str, now: Timestamp) -> Option<Arc<VerifiedToken>> {
        if self.issuers.is_empty() || presented.len() > TOKEN_BYTES_MAX {
            return None;
        }
        self.verified.get(&hash(presented)).filter(|token| token.is_in_force(now))
    }

    /// Verifies a token. Fails with `INVALID_CREDENTIALS`, or with `ISSUER_UNAVAILABLE` where its key is not known and
    /// its issuer cannot be asked.
    pub async fn verify(&self, presented: &str, now: Timestamp) -> Result<Arc<VerifiedToken>> {
        let token = Token::read(presented).map_err(refused)?;
        let issuer = self.issuer_of(&token).map_err(refused)?;
        let algorithm = algorithm(&issuer.config, &token.header).map_err(refused)?;
        // Before the key is asked for: a token that is wrong anyway moves nothing.
        let claims = claims::accept(&issuer.config, &token.header, &token.claims, now).map_err(refused)?;
        let key = key(&issuer.source, token.header.key_id.as_deref(), algorithm, now).await?;
        if !key.verifies(token.signature, token.signed, algorithm) {
            return Err(refused("the signature is not of the issuer's key"));
        }
        let verified = Arc::new(self.verified(issuer, claims, key).await?);
        let hash = hash(presented);
        self.verified.insert(hash, verified.clone());
        Ok(verified)
    }

    /// The issuer that a token names, of the table that one of its audiences is in.
    fn issuer_of(&self, token: &Token<'_>) -> Result<&Issuer, Wrong> {
        let named = claims::issuer(&token.claims)?;
        let mut known = self.issuers.iter().filter(|issuer| issuer.config.issuer == named).peekable();
        known.peek().ok_or("the issuer of the token is none of those that are configured")?;
        for issuer in known {
            if claims::is_for(&issuer.config, &token.claims)? {
                return Ok(issuer);
            }
        }
        Err("the token is for another audience")
    }

    async fn verified(&self, issuer: &Issuer, claims: Claims, key: Arc<Key>) -> Result<VerifiedToken> {
        let tenant_id = self.tenant(&claims.tenant).await?;
        let (name, subject) = (issuer.config.issuer.clone(), claims.subject);
        Ok(VerifiedToken {
            tenant_id,
            name: format!("{name}#{subject}"),
            account: Arc::new(Account { tenant_id, identity: Identity { issuer: name, subject } }),
            scopes: claims.scopes,
            verified_email: claims.verified_email,
            ends_at: claims.ends_at,
            key,
            source: issuer.source.clone(),
        })
    }

    /// The tenant with this slug or id.
    async fn tenant(&self, named: &str) -> Result<TenantId> {
        let mut tx = self.db.snapshot().await?;
        if let Ok(id) = named.parse::<TenantId>() {
            let found = tenants::get(&mut tx, id).await;
            return match found {
                Err(error) if error.reason() == Reason::TenantNotFound => Err(refused(NO_TENANT)),
                found => found.map(|tenant| tenant.id),
            };
        }
        let found = tenants::find(&mut tx, named).await?;
        found.map(|tenant| tenant.id).ok_or_else(|| refused(NO_TENANT))
    }
}

const NO_TENANT: Wrong = "the token is about a tenant that does not exist";

fn hash(presented: &str) -> Hash {
    Sha256::digest(presented).into()
}

fn refused(wrong: Wrong) -> Error {
    tracing::debug!(wrong, "a token was refused");
    Error::new(Reason::InvalidCredentials, wrong)
}

fn algorithm(issuer: &config::Issuer, header: &Header) -> Result<Algorithm, Wrong> {
    let algorithm = header.algorithm.filter(|algorithm| issuer.algorithms.contains(algorithm));
    algorithm.ok_or("the token is not signed by an algorithm that its issuer is configured to use")
}

async fn key(source: &Arc<Source>, id: Option<&str>, algorithm: Algorithm, now: Timestamp) -> Result<Arc<Key>> {
    match source.find_or_ask(id, algorithm, now).await {
        Found::Key(key) => Ok(key),
        Found::Unfit => Err(refused("the key is of another type than the algorithm")),
        Found::Unknown if source.is_failing() => {
            Err(Error::new(Reason::IssuerUnavailable, "the keys of the token's issuer cannot be read"))
        }
        Found::Unknown => Err(refused("the token is signed by no key that its issuer has")),
    }
}
