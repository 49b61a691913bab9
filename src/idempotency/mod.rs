//! The same request twice has one effect: a caller who did not hear the answer asks again, with the same `request_id`.
//!
//! The first thing that a write with a `request_id` does, in its transaction, is to put the id down; the last, its answer.
//! Whoever comes with the same id meanwhile waits for the first one's end, and then reads its answer. An id is the
//! caller's own, and is forgotten after a day ([`sweep`]).

mod store;

use std::{collections::BTreeSet, time::Duration};

use prost::Message;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::{Digest as _, Sha256};
use store::Key;

use crate::{
    clock::Timestamp,
    context::Ctx,
    db::Tx,
    error::{Error, Reason, Result},
    ids::{TenantId, UserId},
};

/// For how long the same request returns its first answer.
pub const WINDOW: Duration = Duration::from_hours(24);

/// How the id of a user begins, and how many characters it has (<https://github.com/jetify-com/typeid>).
const USER: &[u8] = b"user_";
const USER_LENGTH: usize = USER.len() + 26;

/// What a request is known by when it comes again.
#[derive(Clone)]
pub struct Repeatable {
    /// Whose its caller is: not always what it is about, which may be a tenant that it makes.
    tenant_id: TenantId,
    /// Which request it is, of its caller's.
    request_id: String,
    /// Its type and all that it says.
    digest: [u8; 32],
    /// Seals an answer that holds a secret: known to whoever has the caller's credential.
    seal: [u8; 32],
}

impl std::fmt::Debug for Repeatable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repeatable").field("request_id", &self.request_id).finish_non_exhaustive()
    }
}

/// An answer of a write: implemented for those of the contract by build.rs, from its descriptors.
pub trait Answer: Message + Default {
    /// Whether it holds a secret (`debug_redact` in the contract), which is stored only sealed.
    const SECRET: bool;

    /// How far the log had come.
    fn revision(&self) -> &str;
}

impl Repeatable {
    /// A request of this type by a caller of this tenant, with the credential that it came with.
    pub fn new(tenant_id: TenantId, name: &str, request_id: &str, request: &impl Message, credential: &[u8]) -> Self {
        let digest = Sha256::new().chain_update(name).chain_update([0]).chain_update(request.encode_to_vec());
        let digest: [u8; 32] = digest.finalize().into();
        let seal = Sha256::new().chain_update(b"roster answer\0").chain_update(digest).chain_update(credential);
        Self { tenant_id, request_id: request_id.to_owned(), digest, seal: seal.finalize().into() }
    }

    /// The answer that was given before, if any. Where there is none the id is taken by this transaction. Fails with
    /// `IDEMPOTENCY_KEY_REUSED`, `IDEMPOTENCY_ANSWER_GONE`.
    pub async fn recall<A: Answer>(&self, ctx: &Ctx, tx: &mut Tx) -> Result<Option<A>> {
        let caller = caller(ctx);
        let key = self.key_of(&caller);
        if store::take(tx, key, &self.digest, ctx.now, ctx.now.minus(WINDOW)).await? {
            return Ok(None);
        }
        let (digest, answer) = store::get(tx, key).await?;
        if digest != self.digest {
            let message = "another request had this request_id: choose an id of its own for each";
            return Err(Error::new(Reason::IdempotencyKeyReused, message).with("request_id", &self.request_id));
        }
        self.open(answer).map(Some)
    }

    /// Whether this very request was answered before.
    pub async fn was_answered(&self, ctx: &Ctx, tx: &mut Tx) -> Result<bool> {
        let asked = store::find(tx, self.key_of(&caller(ctx)), ctx.now.minus(WINDOW)).await?;
        Ok(asked.is_some_and(|(digest, answer)| digest == self.digest && answer.is_some()))
    }

    /// Keeps the answer, for whoever comes with the same id.
    pub async fn keep<A: Answer>(&self, ctx: &Ctx, tx: &mut Tx, answer: &A) -> Result<()> {
        let plain = answer.encode_to_vec();
        let user_ids = user_ids(&plain);
        let bytes = if A::SECRET { self.sealed(plain)? } else { plain };
        store::keep(tx, self.key_of(&caller(ctx)), bytes, &user_ids).await
    }

    fn key_of<'a>(&'a self, caller: &'a str) -> Key<'a> {
        Key { tenant_id: self.tenant_id, caller, request_id: &self.request_id }
    }

    fn open<A: Answer>(&self, stored: Option<Vec<u8>>) -> Result<A> {
        let gone = || {
            let message = "the request was done, and its answer cannot be given again: read what it made";
            Error::new(Reason::IdempotencyAnswerGone, message).with("request_id", &self.request_id)
        };
        let mut stored = stored.ok_or_else(gone)?;
        let bytes = if A::SECRET {
            let mut sealed = stored.split_off(NONCE_LEN.min(stored.len()));
            let nonce = Nonce::try_assume_unique_for_key(&stored).map_err(|_| gone())?;
            let length = self.key().open_in_place(nonce, Aad::empty(), &mut sealed).map_err(|_| gone())?.len();
            sealed.truncate(length);
            sealed
        } else {
            stored
        };
        A::decode(bytes.as_slice()).map_err(Error::internal)
    }

    fn sealed(&self, mut bytes: Vec<u8>) -> Result<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(Error::internal)?;
        let sealed = self.key().seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut bytes);
        sealed.map_err(|_| Error::internal("an answer was not sealed"))?;
        Ok([&nonce, bytes.as_slice()].concat())
    }

    fn key(&self) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &self.seal).expect("32 bytes are a key"))
    }
}

/// Whose id it is.
fn caller(ctx: &Ctx) -> String {
    format!("{} {}", ctx.actor.kind.as_str_name(), ctx.actor.id)
}

/// Forgets the requests of longer ago; answers how many, at most so many at once.
pub async fn sweep(tx: &mut Tx, now: Timestamp, at_most: i64) -> Result<u64> {
    store::forget(tx, now.minus(WINDOW), at_most).await
}

/// Takes away the answers that name a user: they cannot be given again. Whatever shows a person names their id.
pub async fn forget_answers(tx: &mut Tx, tenant_id: TenantId, user_id: UserId) -> Result<()> {
    store::empty_answers(tx, tenant_id, &user_id.to_string()).await
}

/// The users whom an answer names: kept beside it, for it may be sealed.
fn user_ids(answer: &[u8]) -> String {
    let is_id = |part: &&[u8]| part.starts_with(USER) && part[USER.len()..].iter().all(u8::is_ascii_alphanumeric);
    let named = answer.windows(USER_LENGTH).filter(is_id);
    let named: BTreeSet<_> = named.filter_map(|part| std::str::from_utf8(part).ok()).collect();
    named.into_iter().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_names_its_users() {
        let [ada, bo] = [UserId::generate().to_string(), UserId::generate().to_string()];
        let answer = format!("\u{1}{ada}\u{2}user_short {bo}{ada}");
        assert_eq!(user_ids(answer.as_bytes()), format!("{ada} {bo}"));
        assert_eq!(user_ids(b"nobody, user_"), "");
    }
}
