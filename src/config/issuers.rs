//! `[[issuers]]` of the file: whose tokens are accepted, and what they make of their holder.

use std::{path::PathBuf, time::Duration};

use jsonwebtoken::Algorithm;
use toml::{Table, Value};

use super::Faults;
use crate::{api_keys::is_scope, egress};

const LEEWAY_MAX_SECONDS: i64 = 300;
/// The algorithms that an issuer may be configured with: those with a public key. With a shared secret whoever checks
/// a token could make one (RFC 8725, section 3.1: the caller's list of algorithms is what counts).
const ALGORITHMS: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

/// An issuer of tokens.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// Its `iss`, compared exactly.
    pub issuer: String,
    /// Where its keys are.
    pub keys: KeysFrom,
    /// A token must be for one of these.
    pub audiences: Vec<String>,
    /// A token must be signed by one of these.
    pub algorithms: Vec<Algorithm>,
    /// A token must be of one of these types.
    pub types: Vec<String>,
    /// Whether a token may leave its type out.
    pub type_optional: bool,
    /// How far its clock may be off.
    pub leeway: Duration,
    /// The longest that a token may live, if there is a limit.
    pub lifetime_max: Option<Duration>,
    /// Claims that a token must have.
    pub required_claims: Vec<String>,
    /// Which tenant its tokens are about.
    pub tenant: TenantFrom,
    /// What a token makes of its holder.
    pub maps_to: MapsTo,
}

/// Where an issuer's keys are.
#[derive(Debug, Clone)]
pub enum KeysFrom {
    /// Behind a URL.
    Url(String),
    /// In a file.
    File(PathBuf),
}

/// Which tenant an issuer's tokens are about: by slug or id.
#[derive(Debug, Clone)]
pub enum TenantFrom {
    /// Always this one.
    Fixed(String),
    /// The one that this claim names.
    Claim(String),
}

/// What a token makes of its holder.
#[derive(Debug, Clone)]
pub enum MapsTo {
    /// A service with scopes.
    Service {
        /// The claim that has the scopes.
        scope_claim: String,
        /// What the token can give at most; none for anything but `platform`.
        ceiling: Option<Vec<String>>,
    },
    /// The user whom the account is linked to.
    User,
}

/// Reads the tables of the file; whatever is wrong with them is added to the faults.
pub fn read(tables: Vec<Value>, allow_private: bool, faults: &mut Faults) -> Vec<Issuer> {
    let mut issuers: Vec<Issuer> = Vec::new();
    for (index, table) in tables.into_iter().enumerate() {
        let Value::Table(table) = table else {
            faults.push(format!("issuers[{index}]: not a table"));
            continue;
        };
        let issuer = Reader { table, path: format!("issuers[{index}]"), faults }.read(allow_private);
        let doubtful = |other: &&Issuer| {
            other.issuer == issuer.issuer && other.audiences.iter().any(|audience| issuer.audiences.contains(audience))
        };
        if issuers.iter().find(doubtful).is_some() {
            faults.push(format!("issuers[{index}].audiences: another table of the same issuer has one of them"));
        }
        issuers.push(issuer);
    }
    issuers
}

/// Reads one table. What is read is taken out; what is left nobody knows.
struct Reader<'f> {
    table: Table,
    path: String,
    faults: &'f mut Faults,
}

impl Reader<'_> {
    fn read(mut self, allow_private: bool) -> Issuer {
        let issuer = Issuer {
            issuer: self.required("issuer"),
            keys: self.keys(allow_private),
            audiences: self.required_list("audiences"),
            algorithms: self.algorithms(),
            types: self.list("typ").unwrap_or_else(|| vec!["at+jwt".to_owned(), "JWT".to_owned()]),
            type_optional: self.flag("typ_optional"),
            leeway: self.seconds("leeway_seconds", 0..=LEEWAY_MAX_SECONDS).unwrap_or(Duration::from_secs(30)),
            lifetime_max: self.seconds("lifetime_max_seconds", 1..=i64::from(u32::MAX)),
            required_claims: self.list("required_claims").unwrap_or_default(),
            tenant: self.tenant(),
            maps_to: self.maps_to(),
        };
        let unknown: Vec<_> = self.table.keys().cloned().collect();
        for key in unknown {
            self.fault(&key, "there is no such setting");
        }
        issuer
    }

    fn fault(&mut self, key: &str, what: &str) {
        self.faults.push(format!("{}.{key}: {what}", self.path));
    }

    fn text(&mut self, key: &str) -> Option<String> {
        match self.table.remove(key)? {
            Value::String(text) if !text.is_empty() => return Some(text),
            _ => self.fault(key, "not a text, or empty"),
        }
        None
    }

    fn required(&mut self, key: &str) -> String {
        let there = self.table.contains_key(key);
        if !there {
            self.fault(key, "required");
        }
        self.text(key).unwrap_or_default()
    }

    fn list(&mut self, key: &str) -> Option<Vec<String>> {
        let entries = match self.table.remove(key)? {
            Value::Array(entries) => entries,
            _ => {
                self.fault(key, "not a list");
                return None;
            }
        };
        let read = |entry: &Value| entry.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let texts: Option<Vec<_>> = entries.iter().map(read).collect();
        if texts.is_none() {
            self.fault(key, "not a list of texts");
        }
        texts
    }

    fn required_list(&mut self, key: &str) -> Vec<String> {
        let there = self.table.contains_key(key);
        let list = self.list(key);
        if !there || list.as_ref().is_some_and(Vec::is_empty) {
            self.fault(key, "required: at least one");
        }
        list.unwrap_or_default()
    }

    fn flag(&mut self, key: &str) -> bool {
        match self.table.remove(key) {
            None => false,
            Some(Value::Boolean(answer)) => answer,
            Some(_) => {
                self.fault(key, "neither true nor false");
                false
            }
        }
    }

    fn seconds(&mut self, key: &str, range: std::ops::RangeInclusive<i64>) -> Option<Duration> {
        match self.table.remove(key)? {
            Value::Integer(seconds) if range.contains(&seconds) => {
                return u64::try_from(seconds).ok().map(Duration::from_secs);
            }
            _ => self.fault(key, &format!("not a number of seconds between {} and {}", range.start(), range.end())),
        }
        None
    }

    fn keys(&mut self, allow_private: bool) -> KeysFrom {
        match (self.text("jwks_url"), self.text("jwks_file")) {
            (Some(url), None) => {
                if let Err(what) = egress::check_url(&url, allow_private) {
                    self.fault("jwks_url", &what);
                }
                KeysFrom::Url(url)
            }
            (None, Some(file)) => KeysFrom::File(file.into()),
            _ => {
                self.fault("jwks_url", "required: either jwks_url or jwks_file");
                KeysFrom::File(PathBuf::new())
            }
        }
    }

    fn algorithms(&mut self) -> Vec<Algorithm> {
        let Some(names) = self.list("algorithms") else {
            return vec![Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];
        };
        let find = |name: &String| ALGORITHMS.iter().find(|(known, _)| known == name).map(|(_, algorithm)| *algorithm);
        let algorithms: Option<Vec<_>> = names.iter().map(find).collect();
        let known: Vec<_> = ALGORITHMS.iter().map(|(name, _)| *name).collect();
        if algorithms.as_ref().is_none_or(Vec::is_empty) {
            self.fault("algorithms", &format!("some of {}", known.join(", ")));
        }
        algorithms.unwrap_or_default()
    }

    fn tenant(&mut self) -> TenantFrom {
        match (self.text("tenant"), self.text("tenant_claim")) {
            (Some(tenant), None) => TenantFrom::Fixed(tenant),
            (None, Some(claim)) => TenantFrom::Claim(claim),
            _ => {
                self.fault("tenant", "required: either tenant or tenant_claim");
                TenantFrom::Fixed(String::new())
            }
        }
    }

    fn maps_to(&mut self) -> MapsTo {
        let to = self.required("maps_to");
        let scope_claim = self.text("scope_claim");
        let ceiling = self.list("scopes");
        if ceiling.iter().flatten().any(|scope| !is_scope(scope)) {
            self.fault("scopes", "a permission such as members:read, a pattern such as members:*, * or platform");
        }
        match to.as_str() {
            "service" => MapsTo::Service { scope_claim: scope_claim.unwrap_or_else(|| "scope".to_owned()), ceiling },
            "user" => {
                if scope_claim.is_some() || ceiling.is_some() {
                    self.fault("maps_to", "a user has no scopes: scope_claim and scopes are for a service");
                }
                MapsTo::User
            }
            "" => MapsTo::User, // told already
            _ => {
                self.fault("maps_to", "neither service nor user");
                MapsTo::User
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_file(text: &str) -> (Vec<Issuer>, Faults) {
        let mut table: Table = text.parse().unwrap();
        let Some(Value::Array(tables)) = table.remove("issuers") else { panic!("no issuers") };
        let mut faults = Faults::new();
        (read(tables, false, &mut faults), faults)
    }

    #[test]
    fn an_issuer_has_defaults() {
        let (issuers, faults) = read_file(
            r#"[[issuers]]
            issuer = "https://idp.example"
            jwks_url = "https://idp.example/jwks"
            audiences = ["roster"]
            tenant = "default"
            maps_to = "service""#,
        );
        assert_eq!(faults, [""; 0]);
        let issuer = &issuers[0];
        assert_eq!(issuer.algorithms, [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA]);
        assert_eq!((issuer.types.join(" ").as_str(), issuer.type_optional), ("at+jwt JWT", false));
        assert_eq!(issuer.leeway, Duration::from_secs(30));
        assert!(matches!(&issuer.maps_to, MapsTo::Service { scope_claim, ceiling: None } if scope_claim == "scope"));
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let (_, faults) = read_file(
            r#"[[issuers]]
            jwks_url = "http://127.0.0.1/jwks"
            audiences = []
            algorithms = ["HS256"]
            leeway_seconds = 301
            tenant = "default"
            tenant_claim = "tid"
            maps_to = "user"
            scopes = ["members:*"]
            color = "red"
            [[issuers]]
            issuer = "https://idp.example"
            jwks_file = "a"
            audiences = ["a"]
            algorithms = ["none"]
            tenant = "default"
            maps_to = "admin"
            [[issuers]]
            issuer = "https://idp.example"
            jwks_file = "a"
            audiences = ["b", "a"]
            tenant = "default"
            maps_to = "user""#,
        );
        let keys: Vec<_> = faults.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
        assert_eq!(
            keys,
            [
                "issuers[0].issuer",
                "issuers[0].jwks_url",
                "issuers[0].audiences",
                "issuers[0].algorithms",
                "issuers[0].leeway_seconds",
                "issuers[0].tenant",
                "issuers[0].maps_to",
                "issuers[0].color",
                "issuers[1].algorithms",
                "issuers[1].maps_to",
                "issuers[2].audiences",
            ]
        );
    }
}
