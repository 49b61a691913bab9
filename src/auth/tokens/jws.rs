//! A token as it is presented: three parts (RFC 7515, section 3.1), read strictly. Whatever two readers could read
//! differently is refused: padding, loose bits, a name that comes twice.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The most that a token may weigh: headers are limited too, and nobody's real token is larger.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// The longest name of a key.
const KEY_ID_BYTES_MAX: usize = 256;
/// Members of a header by which a token would bring its own key, or say where it is (RFC 7515, sections 4.1.2 to
/// 4.1.6): never believed (RFC 8725, section 3.10). `crit` (section 4.1.11) names extensions that must be understood:
/// none is. `zip` and `enc` are those of encrypted tokens.
const REFUSED: [&str; 8] = ["jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc"];

/// What is wrong with a token, in words that repeat nothing of it.
pub type Wrong = &'static str;

/// A token, taken apart. Nothing of it is verified.
#[derive(Debug)]
pub struct Token<'t> {
    /// Its header.
    pub header: Header,
    /// Its claims.
    pub claims: Map<String, Value>,
    /// What is signed.
    pub signed: &'t str,
    /// The signature, in base64url.
    pub signature: &'t str,
}

/// The header of a token, as far as it counts.
#[derive(Debug)]
pub struct Header {
    /// How it is signed; none for an algorithm that this service does not have.
    pub algorithm: Option<Algorithm>,
    /// By which key.
    pub key_id: Option<String>,
    /// What it is, without `application/`.
    pub kind: Option<String>,
}

impl<'t> Token<'t> {
    /// Takes a token apart.
    pub fn read(text: &'t str) -> Result<Self, Wrong> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err("the token is too large");
        }
        let mut parts = text.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err("the token has not three parts");
        };
        let signed = &text[..header.len() + 1 + claims.len()];
        let header = Header::read(object(header)?)?;
        if signature.is_empty() {
            return Err("the token has no signature");
        }
        URL_SAFE_NO_PAD.decode(signature).map_err(|_| NOT_BASE64)?;
        Ok(Self { header, claims: object(claims)?, signed, signature })
    }
}

const NOT_BASE64: Wrong = "a part of the token is not base64url without padding";

fn object(part: &str) -> Result<Map<String, Value>, Wrong> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| NOT_BASE64)?;
    match serde_json::from_slice::<Strict>(&bytes) {
        Ok(Strict(Value::Object(object))) => Ok(object),
        _ => Err("the header or the claims are not one JSON object with each name once"),
    }
}

impl Header {
    fn read(mut header: Map<String, Value>) -> Result<Self, Wrong> {
        if REFUSED.iter().any(|name| header.contains_key(*name)) {
            return Err("the header brings a key of its own, or asks for what this service does not do");
        }
        let mut text = |name: &str, wrong: Wrong| match header.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.len() <= KEY_ID_BYTES_MAX => Ok(Some(text)),
            Some(_) => Err(wrong),
        };
        let algorithm = text("alg", "the algorithm is not a text")?.ok_or("the header names no algorithm")?;
        let key_id = text("kid", "the name of the key is not a text, or too long")?;
        let kind = text("typ", "the type is not a text")?;
        Ok(Self { algorithm: algorithm.parse().ok(), key_id, kind: kind.map(|kind| media_type(&kind).to_owned()) })
    }
}

/// A type as it is compared: `application/` may be left out (RFC 7515, section 4.1.9).
pub fn media_type(kind: &str) -> &str {
    const PREFIX: &str = "application/";
    match kind.get(..PREFIX.len()) {
        Some(prefix) if prefix.eq_ignore_ascii_case(PREFIX) => &kind[PREFIX.len()..],
        _ => kind,
    }
}

/// JSON in which no object has a name twice (RFC 7515, section 4; RFC 7519, section 4: names must be unique).
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(entry)) = entries.next_element()? {
            list.push(entry);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Strict(value))) = entries.next_entry::<String, Strict>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a name comes twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, claims: &str) -> String {
        format!("{}.{}.AAAA", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_token_is_read_strictly() {
        let good = token(r#"{"alg":"RS256","kid":"1","typ":"application/AT+jwt"}"#, r#"{"iss":"a","n":[1,{"b":2.5}]}"#);
        let read = Token::read(&good).unwrap();
        assert_eq!(read.header.algorithm, Some(Algorithm::RS256));
        assert_eq!(read.header.kind.as_deref(), Some("AT+jwt"));
        assert_eq!(format!("{}.AAAA", read.signed), good);
        for (header, claims) in [
            (r#"{"alg":"RS256","alg":"none"}"#, "{}"),
            (r#"{"alg":"RS256"}"#, r#"{"a":1,"\u0061":2}"#),
            (r#"{"alg":"RS256"}"#, r#"{"a":{"b":1,"b":2}}"#),
            (r#"{"alg":"RS256"}"#, r#"{"a":[{"b":1,"b":2}]}"#),
            (r#"{"alg":"RS256"}"#, "{} {}"),
            (r#"{"alg":"RS256"}"#, "[]"),
            (r#"{"alg":"RS256"}"#, ""),
            (r#"{"alg":5}"#, "{}"),
            ("{}", "{}"),
            (r#"{"alg":"RS256","kid":5}"#, "{}"),
            (r#"{"alg":"RS256","crit":[]}"#, "{}"),
            (r#"{"alg":"RS256","jwk":null}"#, "{}"),
        ] {
            assert!(Token::read(&token(header, claims)).is_err(), "{header} {claims}");
        }
        let padded = good.replacen('.', "=.", 1);
        for bad in [
            "",
            "a.b",
            "..",
            &good[..good.len() - 5],
            &format!("{good}.AAAA"),
            &format!("{good}="),
            &padded,
            &format!("{good} "),
            &good.replace(".AAAA", "."),
            &good.replace(".AAAA", ".AB"),
        ] {
            assert!(Token::read(bad).is_err(), "{bad}");
        }
    }
}
