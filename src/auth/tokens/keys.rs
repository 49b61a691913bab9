//! The public keys of an issuer: a JWK set (RFC 7517), of which only what can verify signatures is kept.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// How many keys of a set are looked at.
const KEYS_MAX: usize = 100;
/// How long the modulus of an RSA key is: below is too weak (RFC 7518, section 3.3), above is not computed with.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

const RSA: &[Algorithm] =
    &[Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512];

/// A public key.
#[derive(Debug)]
pub struct Key {
    id: Option<String>,
    /// What it may verify: by its type and curve, and by its own `alg` where it has one.
    algorithms: Vec<Algorithm>,
    public: DecodingKey,
    /// All of the above, to tell it from others.
    fingerprint: [u8; 32],
    /// Whether it has left its issuer's set: what it verified is no longer believed.
    retired: AtomicBool,
}

impl Key {
    /// Whether it has left its issuer's set.
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    /// Whether it may verify this algorithm.
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// Whether the signature of these bytes is of this key.
    pub fn verifies(&self, signature: &str, signed: &str, algorithm: Algorithm) -> bool {
        crypto::verify(signature, signed.as_bytes(), &self.public, algorithm).unwrap_or(false)
    }
}

/// The keys of an issuer.
#[derive(Debug, Default)]
pub struct KeySet(Vec<Arc<Key>>);

/// What was found for a token.
#[derive(Debug)]
pub enum Found {
    /// The key.
    Key(Arc<Key>),
    /// A key of that name, but of another type than the algorithm.
    Unfit,
    /// No key of that name; without a name, none or several that fit.
    Unknown,
}

impl KeySet {
    /// Reads a set, and keeps what can be used of it: public keys, for signatures, strong enough. Keys that were in the
    /// set before stay the same; those that are no more are retired.
    pub fn read(text: &[u8], before: &Self) -> Result<Self, String> {
        let set: Value = serde_json::from_slice(text).map_err(|error| format!("not JSON: {error}"))?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or("not a JWK set: no list of keys")?;
        let read =
            keys.iter().take(KEYS_MAX).filter_map(read_key).map(|key| before.same(&key).unwrap_or(Arc::new(key)));
        let after = Self(read.collect());
        for gone in before.0.iter().filter(|key| after.same(key).is_none()) {
            gone.retired.store(true, Ordering::Relaxed);
        }
        Ok(after)
    }

    fn same(&self, key: &Key) -> Option<Arc<Key>> {
        self.0.iter().find(|known| known.fingerprint == key.fingerprint).cloned()
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The key of a token: the one of its name, or without a name the only one that fits.
    pub fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Found {
        let named: Vec<_> = self.0.iter().filter(|key| id.is_none() || key.id.as_deref() == id).collect();
        let mut fitting = named.iter().filter(|key| key.fits(algorithm));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Found::Key((*key).clone()),
            (Some(key), Some(_)) if id.is_some() => Found::Key((*key).clone()),
            (None, _) if id.is_some() && !named.is_empty() => Found::Unfit,
            _ => Found::Unknown,
        }
    }
}

/// One key; none where it is not for us (RFC 7517, sections 4.2 to 4.4).
fn read_key(jwk: &Value) -> Option<Key> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    if jwk.get("use").is_some_and(|usage| usage != "sig") || jwk.get("d").is_some() {
        return None; // for encryption; or a private key, which somebody has published by mistake
    }
    if let Some(operations) = jwk.get("key_ops")
        && !operations.as_array().is_some_and(|operations| operations.iter().any(|operation| operation == "verify"))
    {
        return None;
    }
    let (mut algorithms, public) = read_public(jwk)?;
    if let Some(only) = jwk.get("alg") {
        let only: Algorithm = only.as_str()?.parse().ok()?;
        algorithms.retain(|algorithm| *algorithm == only);
    }
    if algorithms.is_empty() {
        return None;
    }
    let id = text("kid").map(str::to_owned);
    let parts = ["kid", "kty", "crv", "alg", "n", "e", "x", "y"].map(|name| text(name).unwrap_or_default());
    let fingerprint = Sha256::digest(parts.join("\0")).into();
    Some(Key { id, algorithms, public, fingerprint, retired: AtomicBool::new(false) })
}

/// What a key may verify by its type alone, and the key (RFC 7518, section 6; RFC 8037, section 2). Symmetric keys are
/// none: whoever could read them could sign.
fn read_public(jwk: &Value) -> Option<(Vec<Algorithm>, DecodingKey)> {
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(jwk.get(name)?.as_str()?).ok();
    let coordinates = |length: usize| {
        let (x, y) = (bytes("x")?, bytes("y")?);
        (x.len() == length && y.len() == length).then(|| DecodingKey::from_ec_der(&[&[4], &x[..], &y[..]].concat()))
    };
    let curve = jwk.get("crv").and_then(Value::as_str);
    match (jwk.get("kty")?.as_str()?, curve) {
        ("RSA", _) => {
            let (n, e) = (bytes("n")?, bytes("e")?);
            RSA_BITS.contains(&bits(&n)).then(|| (RSA.to_vec(), DecodingKey::from_rsa_raw_components(&n, &e)))
        }
        ("EC", Some("P-256")) => Some((vec![Algorithm::ES256], coordinates(32)?)),
        ("EC", Some("P-384")) => Some((vec![Algorithm::ES384], coordinates(48)?)),
        ("OKP", Some("Ed25519")) => {
            let x = bytes("x").filter(|x| x.len() == 32)?;
            Some((vec![Algorithm::EdDSA], DecodingKey::from_ed_der(&x)))
        }
        _ => None,
    }
}

/// How long a number is.
fn bits(number: &[u8]) -> usize {
    let significant = number.iter().skip_while(|byte| **byte == 0);
    let first = significant.clone().next().map_or(0, |byte| byte.leading_zeros() as usize);
    significant.count() * 8 - first
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(keys: Value) -> KeySet {
        KeySet::read(json!({"keys": keys}).to_string().as_bytes(), &KeySet::default()).unwrap()
    }

    fn ec(kid: &str) -> Value {
        let number = URL_SAFE_NO_PAD.encode([7; 32]);
        json!({"kty": "EC", "crv": "P-256", "kid": kid, "x": number, "y": number})
    }

    fn with(mut key: Value, name: &str, value: Value) -> Value {
        key[name] = value;
        key
    }

    #[test]
    fn only_keys_that_verify_signatures_are_kept() {
        let rsa = |bytes: usize| json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode(vec![0xff; bytes]), "e": "AQAB"});
        for good in [
            ec("1"),
            with(ec("1"), "use", json!("sig")),
            with(ec("1"), "key_ops", json!(["verify"])),
            rsa(256),
            with(rsa(256), "alg", json!("PS256")),
            json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode([1; 32])}),
        ] {
            assert_eq!(set(json!([good])).len(), 1, "{good}");
        }
        for bad in [
            with(ec("1"), "use", json!("enc")),
            with(ec("1"), "key_ops", json!(["sign"])),
            with(ec("1"), "alg", json!("RS256")),
            with(ec("1"), "alg", json!("HS256")),
            with(ec("1"), "d", json!("AA")),
            with(ec("1"), "x", json!("AAAA")),
            with(ec("1"), "crv", json!("P-521")),
            rsa(255),
            rsa(128),
            rsa(513),
            json!({"kty": "oct", "k": "AAAA", "alg": "HS256"}),
            json!({"kty": "AKP"}),
            json!(5),
            json!({"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}),
            json!({"kty": "OKP", "crv": "X25519", "x": "AAAA"}),
        ] {
            assert_eq!(set(json!([bad])).len(), 0, "{bad}");
        }
        for broken in ["", "[]", "{}", r#"{"keys": 5}"#] {
            assert!(KeySet::read(broken.as_bytes(), &KeySet::default()).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_key_is_found_by_its_name_or_by_being_the_only_one() {
        let one = set(json!([ec("1")]));
        assert!(matches!(one.find(Some("1"), Algorithm::ES256), Found::Key(_)));
        assert!(matches!(one.find(None, Algorithm::ES256), Found::Key(_)));
        assert!(matches!(one.find(Some("1"), Algorithm::RS256), Found::Unfit));
        assert!(matches!(one.find(Some("2"), Algorithm::ES256), Found::Unknown));
        assert!(matches!(set(json!([ec("1"), ec("2")])).find(None, Algorithm::ES256), Found::Unknown));
    }

    #[test]
    fn a_key_that_leaves_the_set_is_retired() {
        let before = set(json!([ec("1"), ec("2")]));
        let [stays, goes] = ["1", "2"].map(|id| match before.find(Some(id), Algorithm::ES256) {
            Found::Key(key) => key,
            _ => panic!("there"),
        });
        let text = json!({"keys": [ec("1"), ec("3")]}).to_string();
        let after = KeySet::read(text.as_bytes(), &before).unwrap();
        assert!(goes.is_retired() && !stays.is_retired());
        assert!(matches!(after.find(Some("1"), Algorithm::ES256), Found::Key(key) if Arc::ptr_eq(&key, &stays)));
    }
}
