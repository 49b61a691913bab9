//! What a token says, held against what its issuer is configured to say (RFC 7519, section 4.1; RFC 8725; RFC 9068).

use serde_json::{Map, Value};

use super::jws::{Header, Wrong, media_type};
use crate::{
    auth::scopes::{PLATFORM, Scopes},
    clock::Timestamp,
    config::{Issuer, MapsTo, TenantFrom},
    fields::Email,
};

/// The latest time that a token may name: the end of the year 9999.
const NUMERIC_DATE_MAX: u64 = 253_402_300_799;
/// The longest subject: OpenID Connect Core 1.0, section 2.
const SUBJECT_BYTES_MAX: usize = 255;
/// How many scopes of a token are looked at.
const SCOPES_MAX: usize = 200;

/// What an accepted token says.
#[derive(Debug, PartialEq, Eq)]
pub struct Claims {
    /// Whom it is about, at its issuer.
    pub subject: String,
    /// The tenant that it is about: a slug or an id.
    pub tenant: String,
    /// When it ends, leeway included.
    pub ends_at: Timestamp,
    /// What its holder may do, where it makes them a service.
    pub scopes: Option<Scopes>,
    /// The address of its holder, where the issuer has verified it.
    pub verified_email: Option<Email>,
}

/// The issuer that a token names.
pub fn issuer(claims: &Map<String, Value>) -> Result<&str, Wrong> {
    text(claims, "iss")?.ok_or("the token names no issuer")
}

/// Whether a token is for one of an issuer's audiences (RFC 7519, section 4.1.3: one, or a list).
pub fn is_for(issuer: &Issuer, claims: &Map<String, Value>) -> Result<bool, Wrong> {
    let wrong = "the audience is not a text or a list of texts";
    match claims.get("aud").ok_or("the token names no audience")? {
        Value::String(audience) => Ok(issuer.audiences.contains(audience)),
        Value::Array(audiences) if audiences.iter().all(Value::is_string) => {
            let mut named = audiences.iter().filter_map(Value::as_str);
            Ok(named.any(|audience| issuer.audiences.iter().any(|known| known == audience)))
        }
        _ => Err(wrong),
    }
}

/// Holds a token against everything but its signature.
pub fn accept(issuer: &Issuer, header: &Header, claims: &Map<String, Value>, now: Timestamp) -> Result<Claims, Wrong> {
    accept_kind(issuer, header)?;
    let ends_at = accept_times(issuer, claims, now)?;
    let subject = text(claims, "sub")?.ok_or("the token names no subject")?;
    if subject.is_empty() || subject.len() > SUBJECT_BYTES_MAX || subject.chars().any(char::is_control) {
        return Err("the subject is empty, too long or not printable");
    }
    if issuer.required_claims.iter().any(|name| claims.get(name).is_none_or(Value::is_null)) {
        return Err("the token lacks a claim that its issuer is configured to have");
    }
    let tenant = match &issuer.tenant {
        TenantFrom::Fixed(tenant) => tenant.as_str(),
        TenantFrom::Claim(claim) => text(claims, claim)?.ok_or("the token names no tenant")?,
    };
    let scopes = match &issuer.maps_to {
        MapsTo::User => None,
        MapsTo::Service { scope_claim, ceiling } => Some(scopes(claims, scope_claim, ceiling.as_deref())?),
    };
    let (subject, tenant) = (subject.to_owned(), tenant.to_owned());
    Ok(Claims { subject, tenant, ends_at, scopes, verified_email: verified_email(claims) })
}

/// The address, where the issuer says that it has verified it (OpenID Connect Core 1.0, section 5.1; some issuers send
/// `email_verified` as text). Anything else is as good as none.
fn verified_email(claims: &Map<String, Value>) -> Option<Email> {
    let verified = match claims.get("email_verified")? {
        Value::Bool(verified) => *verified,
        Value::String(verified) => verified == "true",
        _ => false,
    };
    claims.get("email").filter(|_| verified)?.as_str().and_then(Email::parse)
}

/// The type keeps tokens made for something else out (RFC 8725, section 3.11; RFC 9068, section 4).
fn accept_kind(issuer: &Issuer, header: &Header) -> Result<(), Wrong> {
    let accepted = match &header.kind {
        None => issuer.type_optional,
        Some(kind) => issuer.types.iter().any(|known| media_type(known).eq_ignore_ascii_case(kind)),
    };
    if accepted { Ok(()) } else { Err("the token is not of a type that its issuer is configured to make") }
}

fn accept_times(issuer: &Issuer, claims: &Map<String, Value>, now: Timestamp) -> Result<Timestamp, Wrong> {
    let expires_at = time(claims, "exp")?.ok_or("the token has no end")?;
    let ends_at = expires_at.plus(issuer.leeway);
    if now >= ends_at {
        return Err("the token has ended");
    }
    let not_before = time(claims, "nbf")?;
    if not_before.is_some_and(|begin| now.plus(issuer.leeway) < begin) {
        return Err("the token is not in force yet");
    }
    let issued_at = time(claims, "iat")?;
    if let Some(lifetime) = issuer.lifetime_max
        && expires_at > issued_at.or(not_before).unwrap_or(now).plus(lifetime).plus(issuer.leeway)
    {
        return Err("the token lives longer than its issuer is configured to let it");
    }
    Ok(ends_at)
}

/// A time: whole seconds. Anything else that JSON calls a number, or not, is refused rather than guessed at.
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>, Wrong> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_u64().filter(|seconds| *seconds <= NUMERIC_DATE_MAX);
    let seconds = seconds.and_then(|seconds| i64::try_from(seconds).ok());
    seconds.map(|seconds| Some(Timestamp(seconds * 1_000_000))).ok_or("a time is not a whole number of seconds")
}

fn text<'c>(claims: &'c Map<String, Value>, name: &str) -> Result<Option<&'c str>, Wrong> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err("a claim is not a text"),
    }
}

/// The scopes of a token (RFC 8693, section 4.2: separated by spaces; some issuers send a list), under the ceiling.
fn scopes(claims: &Map<String, Value>, name: &str, ceiling: Option<&[String]>) -> Result<Scopes, Wrong> {
    let named: Vec<String> = match claims.get(name) {
        None => Vec::new(),
        Some(Value::String(text)) => text.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect(),
        Some(Value::Array(entries)) => entries
            .iter()
            .map(|entry| entry.as_str().map(str::to_owned).ok_or("a scope is not a text"))
            .collect::<Result<_, _>>()?,
        Some(_) => return Err("the scopes are not a text or a list of texts"),
    };
    if named.len() > SCOPES_MAX {
        return Err("the token has too many scopes");
    }
    Ok(Scopes::new(under(named, ceiling)))
}

/// What both the token and the ceiling allow; without a ceiling everything but `platform`.
fn under(named: Vec<String>, ceiling: Option<&[String]>) -> Vec<String> {
    let Some(ceiling) = ceiling else { return named.into_iter().filter(|scope| scope != PLATFORM).collect() };
    let most = Scopes::new(ceiling.to_vec());
    let held = Scopes::new(named.clone());
    let mut scopes: Vec<_> = named.into_iter().filter(|scope| most.include(scope)).collect();
    scopes.extend(ceiling.iter().filter(|scope| held.include(scope)).cloned());
    crate::fields::ordered(scopes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_verified_where_the_issuer_says_so() {
        let read = |text: &str| {
            let claims: Map<String, Value> = serde_json::from_str(text).unwrap();
            verified_email(&claims).map(|email| email.key)
        };
        for yes in ["true", "\"true\""] {
            let claims = format!(r#"{{"email": "Ada@Example.com", "email_verified": {yes}}}"#);
            assert_eq!(read(&claims).as_deref(), Some("ada@example.com"));
        }
        for no in ["false", "\"false\"", "1", "null", "[true]"] {
            assert_eq!(read(&format!(r#"{{"email": "ada@example.com", "email_verified": {no}}}"#)), None, "{no}");
        }
        for no in [
            r#"{"email": "ada@example.com"}"#,
            r#"{"email_verified": true}"#,
            r#"{"email": 7, "email_verified": true}"#,
        ] {
            assert_eq!(read(no), None, "{no}");
        }
    }

    #[test]
    fn scopes_stay_under_the_ceiling() {
        let texts = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        let ceiling = texts(&["members:*", "users:read"]);
        let under = |named: &[&str]| under(texts(named), Some(&ceiling));
        assert_eq!(under(&["members:read", "users:write", "openid"]), ["members:read"]);
        assert_eq!(under(&["*"]), ["members:*", "users:read"]);
        assert_eq!(under(&["users:*", "platform"]), ["users:read"]);
        assert_eq!(super::under(texts(&["*", "platform"]), None), ["*"]);
        assert_eq!(super::under(texts(&["platform", "*"]), Some(&texts(&["platform"]))), ["platform"]);
    }
}
