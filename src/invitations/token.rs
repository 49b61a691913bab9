//! The tokens of invitations: `rinv_` and 256 random bits in base64url. Only the SHA-256 of the whole is stored: 256
//! random bits need no slow hash.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::error::{Error, Result};

/// How every token begins.
const PREFIX: &str = "rinv_";

/// A token as its holder has it. Its text is never logged.
pub struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// A new one.
    pub fn generate() -> Result<Self> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(Error::internal)?;
        Ok(Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random))))
    }

    /// One that somebody presents, whatever it is.
    pub fn presented(text: String) -> Self {
        Self(text)
    }

    /// The SHA-256 of the whole: what is stored.
    pub fn hash(&self) -> Vec<u8> {
        Sha256::digest(&self.0).to_vec()
    }

    /// Whether this is what was stored of it, in a time that does not depend on the answer.
    pub fn is(&self, hash: &[u8]) -> bool {
        self.hash().ct_eq(hash).into()
    }

    /// The token itself, to be shown once.
    pub fn reveal(self) -> String {
        self.0
    }

    /// The text without anything that looks like a token: for what others say that were given one.
    pub fn hide(text: &str) -> String {
        let in_token = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let mut parts = text.split(PREFIX);
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |shown, part| shown + "rinv_…" + part.trim_start_matches(in_token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_256_random_bits_known_by_their_hash_alone() {
        let (a, b) = (Token::generate().unwrap(), Token::generate().unwrap());
        assert!(a.is(&a.hash()) && !a.is(&b.hash()) && !a.is(b""));
        assert_eq!(format!("{a:?}"), "Token(…)");
        let text = a.reveal();
        assert_eq!(URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX).unwrap()).unwrap().len(), 32);
        assert_eq!(Token::hide(&format!("550 <{text}> said {text}")), "550 <rinv_…> said rinv_…");
        assert_eq!(Token::hide("550 no such mailbox"), "550 no such mailbox");
    }
}
