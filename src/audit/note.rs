//! Signed notes (C2SP signed-note, version 1, with Ed25519): a few lines of text, and who signed them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use sha2::{Digest as _, Sha256};

/// The kind of key that a note names (C2SP signed-note, "Signature types"): Ed25519.
const KIND: u8 = 1;

/// Who signs.
pub struct Signer {
    name: String,
    key: Ed25519KeyPair,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Signer {
    /// A signer of this name, which is text without spaces and plus signs.
    pub fn new(name: &str, key: Ed25519KeyPair) -> Self {
        Self { name: name.to_owned(), key }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What whoever verifies its notes needs.
    pub fn verifier(&self) -> Verifier {
        let key = self.key.public_key().as_ref().try_into().expect("an Ed25519 key has 32 bytes");
        Verifier { name: self.name.clone(), key }
    }

    /// A note of this text, which ends with a line feed.
    pub fn sign(&self, text: &str) -> String {
        let id = self.verifier().id();
        let signature = STANDARD.encode([&id[..], self.key.sign(text.as_bytes()).as_ref()].concat());
        format!("{text}\n\u{2014} {} {signature}\n", self.name)
    }
}

/// Who verifies: the name and the public key of a signer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    key: [u8; 32],
}

impl Verifier {
    /// The first bytes of a signature: which key made it.
    fn id(&self) -> [u8; 4] {
        let hash = Sha256::new().chain_update(&self.name).chain_update([b'\n', KIND]).chain_update(self.key).finalize();
        hash[..4].try_into().expect("four bytes")
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text of a note that this key signed; nothing where it did not.
    pub fn open<'n>(&self, note: &'n str) -> Option<&'n str> {
        let end = note.rfind("\n\n")? + 1;
        let (text, signatures) = (&note[..end], &note[end + 1..]);
        let mut lines = signatures.strip_suffix('\n')?.split('\n').map(read_signature);
        let signed = lines.try_fold(false, |signed, line| Some(signed | self.signed(text, &line?)))?;
        signed.then_some(text)
    }

    fn signed(&self, text: &str, (name, id, signature): &Signature<'_>) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, self.key);
        *name == self.name && *id == self.id() && key.verify(text.as_bytes(), signature).is_ok()
    }
}

/// A signature: whose, of which key, and itself.
type Signature<'n> = (&'n str, [u8; 4], Vec<u8>);

/// Reads a line of a note's signatures; nothing where it is none: such a note is refused, whoever else signed it.
fn read_signature(line: &str) -> Option<Signature<'_>> {
    let (name, signature) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
    let bytes = STANDARD.decode(signature).ok()?;
    let (id, signature) = bytes.split_first_chunk::<4>()?;
    Some((name, *id, signature.to_vec()))
}

/// The verifier key of a signed note: `<name>+<id in hexadecimal>+<kind and key in base64>`.
impl std::fmt::Display for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = STANDARD.encode([&[KIND], &self.key[..]].concat());
        write!(f, "{}+{:08x}+{key}", self.name, u32::from_be_bytes(self.id()))
    }
}

impl std::str::FromStr for Verifier {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "not a verifier key of the form name+12345678+AbC…=";
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else { return Err(FORM) };
        let key = STANDARD.decode(key).map_err(|_| FORM)?;
        let Some((&KIND, key)) = key.split_first() else { return Err("not a key of Ed25519") };
        let verifier = Self { name: name.to_owned(), key: key.try_into().map_err(|_| FORM)? };
        let is_its_own = u32::from_str_radix(id, 16) == Ok(u32::from_be_bytes(verifier.id()));
        if is_its_own { Ok(verifier) } else { Err("the id in the verifier key is not the key's: was it copied whole?") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of C2SP signed-note: a key and a note that others made.
    const KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const NOTE: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\n\
        \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    fn signer(name: &str) -> Signer {
        let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        Signer::new(name, key)
    }

    #[test]
    fn a_note_that_others_made_is_opened_and_its_key_written_as_they_do() {
        let verifier: Verifier = KEY.parse().unwrap();
        assert_eq!(verifier.to_string(), KEY);
        assert!(verifier.open(NOTE).unwrap().ends_with("what your problem is.\n"));
    }

    #[test]
    fn what_was_signed_is_opened_by_its_own_key_alone_and_unchanged() {
        let note = signer("acme").sign("a\nb\n");
        let verifier = signer("acme").verifier();
        assert_eq!(verifier.open(&note), Some("a\nb\n"));
        assert_eq!(verifier.to_string().parse(), Ok(verifier.clone()));
        assert_eq!(signer("other").verifier().open(&note), None);
        for at in 0..note.len() {
            let mut bytes = note.clone().into_bytes();
            bytes[at] ^= 1;
            let changed = String::from_utf8(bytes).ok();
            assert!(changed.is_none_or(|note| verifier.open(&note).is_none()), "byte {at}");
        }
        assert!("acme+00000000+AXg=".parse::<Verifier>().is_err());
    }
}
