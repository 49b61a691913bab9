//! Tokens of issuers: which are accepted, which are refused, and where their keys come from.

use std::{sync::OnceLock, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey};
use roster::config::{Issuer, KeysFrom, MapsTo, TenantFrom, Tokens};
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::{
    Caller, Database, Engine, TestServer, assert_code,
    issuer::{KeyServer, SigningKey, set, sign},
    reason, text,
};

/// Makes services of whoever has its tokens.
pub const SERVICES: &str = "https://services.example";
/// Makes users of whoever has its tokens.
pub const USERS: &str = "https://users.example";
/// Keeps its keys in a file, and is strict.
const STRICT: &str = "https://strict.example";
/// What every token here is for.
pub const AUDIENCE: &str = "roster";

/// A method that any service with `organizations:read` may call.
const METHOD: &str = "OrganizationService/ListOrganizations";

/// A server that accepts tokens, and their issuer.
pub struct House {
    pub server: TestServer,
    pub keys: KeyServer,
    pub key: SigningKey,
    folder: tempfile::TempDir,
}

/// An issuer with the settings that it has by default.
fn issuer(name: &str, keys: KeysFrom, maps_to: MapsTo) -> Issuer {
    Issuer {
        issuer: name.to_owned(),
        keys,
        audiences: vec![AUDIENCE.to_owned()],
        algorithms: vec![Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA],
        types: vec!["at+jwt".to_owned(), "JWT".to_owned()],
        type_optional: false,
        leeway: Duration::from_secs(30),
        lifetime_max: None,
        required_claims: Vec::new(),
        tenant: TenantFrom::Fixed("default".to_owned()),
        maps_to,
    }
}

impl House {
    pub async fn start(engine: Engine) -> Self {
        static KEY: OnceLock<SigningKey> = OnceLock::new();
        let key = KEY.get_or_init(|| SigningKey::es256("1")).clone();
        let keys = KeyServer::start(&[&key]).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("jwks.json");
        std::fs::write(&file, set(&[&key])).unwrap();
        let service = |ceiling| MapsTo::Service { scope_claim: "scope".to_owned(), ceiling };
        let url = || KeysFrom::Url(keys.url());
        let strict = Issuer {
            type_optional: true,
            lifetime_max: Some(Duration::from_secs(3600)),
            required_claims: vec!["client_id".to_owned()],
            tenant: TenantFrom::Claim("tid".to_owned()),
            ..issuer(STRICT, KeysFrom::File(file), service(Some(vec!["organizations:read".to_owned()])))
        };
        let tokens = Tokens {
            issuers: vec![issuer(SERVICES, url(), service(None)), issuer(USERS, url(), MapsTo::User), strict],
            allow_private_addresses: true,
            refresh: Duration::from_secs(3600),
            stale: Duration::from_secs(600),
        };
        let server = TestServer::with_tokens(Database::fresh(engine).await, tokens).await;
        let house = Self { server, keys, key, folder };
        house.until_keys_are_read().await;
        house
    }

    /// The keys are read in the background: both issuers have asked, and one of them has an answer.
    async fn until_keys_are_read(&self) {
        for _ in 0..200 {
            let known = self.call(&self.key.token(&self.claims())).await.is_ok();
            if known && self.keys.asked() >= 2 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the keys were not read");
    }

    pub fn now(&self) -> i64 {
        self.server.clock.clock().now().0 / 1_000_000
    }

    /// What a good token of a service says.
    pub fn claims(&self) -> Value {
        json!({"iss": SERVICES, "sub": "billing", "aud": AUDIENCE, "exp": self.now() + 300,
            "scope": "openid organizations:read"})
    }

    pub async fn caller(&self, token: &str) -> Caller {
        Caller::connect(&self.server.address, Some(token.to_owned())).await
    }

    async fn call(&self, token: &str) -> Result<Value, Status> {
        self.caller(token).await.try_call(METHOD, json!({})).await
    }

    async fn accepts(&self, token: &str) {
        let answer = self.call(token).await;
        assert!(answer.is_ok(), "{:?}", answer.map_err(|status| status.message().to_owned()));
    }

    /// The token is refused with these words, which repeat nothing of it.
    async fn refuses(&self, token: &str, words: &str) {
        let status = self.call(token).await.expect_err("refused");
        assert_code(&status, Code::Unauthenticated);
        assert_eq!(reason(&status), "INVALID_CREDENTIALS");
        assert!(status.message().contains(words), "{}", status.message());
        assert!(token.split('.').filter(|part| part.len() > 4).all(|part| !status.message().contains(part)));
    }

    /// The same good token, with one thing changed: refused; and unchanged: accepted.
    async fn refuses_claim(&self, name: &str, value: Value, words: &str) {
        let mut claims = self.claims();
        self.accepts(&self.key.token(&claims)).await;
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value,
        }
        self.refuses(&self.key.token(&claims), words).await;
    }

    async fn refuses_header(&self, name: &str, value: Value, words: &str) {
        let mut header = self.key.header();
        match value {
            Value::Null => drop(header.as_object_mut().unwrap().remove(name)),
            value => header[name] = value,
        }
        self.refuses(&self.key.sign(&header.to_string(), &self.claims().to_string()), words).await;
    }
}

/// One test, once for each engine.
#[macro_export]
macro_rules! in_a_house {
    ($($(#[$doc:meta])* async fn $name:ident($house:ident) $body:block)*) => {
        $(
            mod $name {
                use super::*;

                async fn run($house: House) $body

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn on_sqlite() {
                    run(House::start(Engine::Sqlite).await).await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn on_postgres() {
                    run(House::start(Engine::Postgres).await).await;
                }
            }
        )*
    };
}

/// Tokens that are refused before storage is asked: one test for each, on one engine.
macro_rules! wrong_tokens {
    ($(async fn $name:ident($house:ident) $body:block)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let $house = House::start(Engine::Sqlite).await;
                $body
            }
        )*
    };
}

const OWN_KEY: &str = "brings a key of its own";
const ALGORITHM: &str = "algorithm";
const ONE_OBJECT: &str = "one JSON object with each name once";
const BASE64: &str = "base64url without padding";
const A_TIME: &str = "not a whole number of seconds";

wrong_tokens! {
    async fn alg_none_is_refused(house) {
        let claims = house.claims().to_string();
        for none in ["none", "None", "NONE"] {
            let header = json!({"alg": none, "typ": "at+jwt"}).to_string();
            let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(&claims));
            house.refuses(&format!("{signed}."), "no signature").await;
            house.refuses(&format!("{signed}.AAAA"), ALGORITHM).await;
        }
    }

    async fn hs256_with_the_public_key_is_refused(house) {
        let header = json!({"alg": "HS256", "kid": "1", "typ": "at+jwt"}).to_string();
        let claims = house.claims().to_string();
        let x = URL_SAFE_NO_PAD.decode(house.key.public["x"].as_str().unwrap()).unwrap();
        let y = URL_SAFE_NO_PAD.decode(house.key.public["y"].as_str().unwrap()).unwrap();
        for secret in [[&[4], &x[..], &y[..]].concat(), house.key.public.to_string().into_bytes()] {
            let token = sign(&header, &claims, &EncodingKey::from_secret(&secret), Algorithm::HS256);
            house.refuses(&token, ALGORITHM).await;
        }
    }

    async fn an_algorithm_that_is_not_listed_is_refused(house) {
        let rsa = SigningKey { algorithm: Algorithm::PS256, ..SigningKey::rsa("rsa", 2048) };
        house.keys.publish(&[&house.key, &rsa]);
        house.refuses(&rsa.token(&house.claims()), ALGORITHM).await;
        house.accepts(&SigningKey { algorithm: Algorithm::RS256, ..rsa }.token(&house.claims())).await;
    }

    async fn an_embedded_key_is_refused(house) {
        let mallory = SigningKey::es256("1");
        let mut header = mallory.header();
        header["jwk"] = mallory.public.clone();
        house.refuses(&mallory.sign(&header.to_string(), &house.claims().to_string()), OWN_KEY).await;
        house.refuses_header("jwk", house.key.public.clone(), OWN_KEY).await;
    }

    async fn the_url_of_a_key_is_refused(house) {
        house.refuses_header("jku", json!(house.keys.url()), OWN_KEY).await;
    }

    async fn the_url_of_a_certificate_is_refused(house) {
        house.refuses_header("x5u", json!(house.keys.url()), OWN_KEY).await;
    }

    async fn an_embedded_certificate_is_refused(house) {
        house.refuses_header("x5c", json!(["AAAA"]), OWN_KEY).await;
    }

    async fn critical_extensions_are_refused(house) {
        house.refuses_header("crit", json!(["exp"]), OWN_KEY).await;
    }

    async fn an_unknown_key_is_refused(house) {
        house.refuses_header("kid", json!("2"), "no key that its issuer has").await;
        house.refuses_header("kid", json!(5), "the name of the key").await;
        house.refuses_header("kid", json!("x".repeat(257)), "the name of the key").await;
    }

    async fn a_signature_of_another_key_is_refused(house) {
        house.refuses(&SigningKey::es256("1").token(&house.claims()), "signature").await;
        let good = house.key.token(&house.claims());
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let mut other = house.claims();
        other["sub"] = json!("somebody-else");
        let elsewhere = house.key.token(&other);
        let (elsewhere, _) = elsewhere.rsplit_once('.').unwrap();
        house.refuses(&format!("{elsewhere}.{signature}"), "signature").await;
        house.refuses(&format!("{signed}.AAAA"), "signature").await;
    }

    async fn a_missing_or_another_issuer_is_refused(house) {
        house.refuses_claim("iss", Value::Null, "no issuer").await;
        for other in ["https://services.example/", "https://evil.example", ""] {
            house.refuses_claim("iss", json!(other), "none of those").await;
        }
        house.refuses_claim("iss", json!([SERVICES]), "not a text").await;
    }

    async fn a_missing_or_another_audience_is_refused(house) {
        house.refuses_claim("aud", Value::Null, "no audience").await;
        for other in [json!("Roster"), json!([]), json!(["roster2", "ros"])] {
            house.refuses_claim("aud", other, "another audience").await;
        }
        house.refuses_claim("aud", json!(["roster", 5]), "audience is not").await;
        let mut several = house.claims();
        several["aud"] = json!(["other", "roster"]);
        house.accepts(&house.key.token(&several)).await;
    }

    async fn a_missing_end_is_refused(house) {
        house.refuses_claim("exp", Value::Null, "no end").await;
    }

    async fn a_mistyped_end_is_refused(house) {
        let soon = house.now() + 300;
        let wrong = [json!(soon.to_string()), json!(-soon), json!(soon as f64 + 0.5), json!(soon as f64), json!(1e30),
            json!(u64::MAX), json!(253_402_300_800_i64), json!(true), json!([soon]), json!({})];
        for end in wrong {
            house.refuses_claim("exp", end, A_TIME).await;
        }
        let mut claims = house.claims();
        claims["exp"] = Value::Null;
        house.refuses(&house.key.token(&claims), A_TIME).await;
    }

    async fn an_ended_token_is_refused_beyond_the_leeway(house) {
        house.refuses_claim("exp", json!(house.now() - 31), "has ended").await;
        let mut late = house.claims();
        late["exp"] = json!(house.now() - 20);
        house.accepts(&house.key.token(&late)).await;
    }

    async fn a_token_that_is_not_in_force_yet_is_refused(house) {
        house.refuses_claim("nbf", json!(house.now() + 60), "not in force yet").await;
        house.refuses_claim("nbf", json!("0"), A_TIME).await;
        house.refuses_claim("iat", json!(0.5), A_TIME).await;
        let mut early = house.claims();
        early["nbf"] = json!(house.now() + 20);
        house.accepts(&house.key.token(&early)).await;
    }

    async fn another_type_is_refused(house) {
        house.refuses_header("typ", json!("logout+jwt"), "type").await;
        house.refuses_header("typ", json!("dpop+jwt"), "type").await;
        house.refuses_header("typ", Value::Null, "type").await;
        for same in ["AT+JWT", "application/at+jwt", "jwt"] {
            let mut header = house.key.header();
            header["typ"] = json!(same);
            house.accepts(&house.key.sign(&header.to_string(), &house.claims().to_string())).await;
        }
    }

    async fn a_missing_subject_is_refused(house) {
        house.refuses_claim("sub", Value::Null, "no subject").await;
        house.refuses_claim("sub", json!(""), "subject").await;
        house.refuses_claim("sub", json!("x".repeat(256)), "subject").await;
        house.refuses_claim("sub", json!("a\u{1f}b"), "subject").await;
    }

    async fn an_oversized_token_is_refused(house) {
        let mut claims = house.claims();
        claims["padding"] = json!("x".repeat(5_000));
        house.accepts(&house.key.token(&claims)).await;
        claims["padding"] = json!("x".repeat(6_500));
        house.refuses(&house.key.token(&claims), "too large").await;
    }

    async fn names_that_come_twice_are_refused(house) {
        let (header, claims) = (house.key.header().to_string(), house.claims().to_string());
        let twice = |text: &str, more: &str| format!("{{{more},{}", &text[1..]);
        house.refuses(&house.key.sign(&twice(&header, r#""alg":"none""#), &claims), ONE_OBJECT).await;
        house.refuses(&house.key.sign(&header, &twice(&claims, r#""sub":"root""#)), ONE_OBJECT).await;
        house.refuses(&house.key.sign(&header, &twice(&claims, r#""\u0073ub":"root""#)), ONE_OBJECT).await;
        house.refuses(&house.key.sign(&header, &twice(&claims, r#""x":{"a":1,"a":1}"#)), ONE_OBJECT).await;
    }

    async fn garbage_behind_the_claims_is_refused(house) {
        let (header, claims) = (house.key.header().to_string(), house.claims().to_string());
        house.refuses(&house.key.sign(&header, &format!("{claims}{{}}")), ONE_OBJECT).await;
        house.refuses(&house.key.sign(&format!("{header}x"), &claims), ONE_OBJECT).await;
        house.refuses(&house.key.sign(&header, "[]"), ONE_OBJECT).await;
        house.refuses(&house.key.sign(&header, "\"text\""), ONE_OBJECT).await;
    }

    async fn base64_has_one_spelling(house) {
        let good = house.key.token(&house.claims());
        house.accepts(&good).await;
        let parts: Vec<_> = good.split('.').collect();
        house.refuses(&format!("{good}="), BASE64).await;
        house.refuses(&format!("{}=.{}.{}", parts[0], parts[1], parts[2]), BASE64).await;
        house.refuses(&format!("{}.{}.{}+", parts[0], parts[1], &parts[2][1..]), BASE64).await;
        // 64 bytes have 86 characters, whose last has four bits that nobody reads: only zeros are accepted.
        let last = parts[2].chars().last().unwrap();
        let alphabet: Vec<_> = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain("-_".chars()).collect();
        let at = alphabet.iter().position(|c| *c == last).unwrap();
        let other = format!("{}{}", &good[..good.len() - 1], alphabet[at + 1]);
        house.refuses(&other, BASE64).await;
    }

    async fn a_token_has_three_parts(house) {
        let good = house.key.token(&house.claims());
        let (signed, _) = good.rsplit_once('.').unwrap();
        for bad in [signed, &format!("{good}."), &format!("{good}.AAAA"), &format!("{good}.AAAA.AAAA"), "a.b", "."] {
            house.refuses(bad, "three parts").await;
        }
    }

    async fn a_key_of_another_type_than_the_algorithm_is_refused(house) {
        let rsa = SigningKey::rsa("1", 2048);
        house.refuses(&rsa.token(&house.claims()), "another type than the algorithm").await;
    }

    async fn weak_encrypting_and_symmetric_keys_are_none(house) {
        let weak = SigningKey::rsa("weak", 1024);
        let changed = |id: &str, name: &str, value: Value| {
            let mut key = SigningKey::es256(id);
            key.public[name] = value;
            key
        };
        let (encrypting, wrapping) =
            (changed("enc", "use", json!("enc")), changed("wrap", "key_ops", json!(["wrapKey"])));
        let other = changed("alg", "alg", json!("ES384"));
        let mut oct = SigningKey::es256("oct");
        oct.public = json!({"kty": "oct", "kid": "oct", "k": "AAAA", "alg": "HS256"});
        house.keys.publish(&[&house.key, &weak, &encrypting, &wrapping, &other, &oct]);
        for key in [&weak, &encrypting, &wrapping, &other, &oct] {
            house.refuses(&key.token(&house.claims()), "no key that its issuer has").await;
        }
        let header = json!({"alg": "HS256", "kid": "oct", "typ": "at+jwt"}).to_string();
        let secret = EncodingKey::from_secret(&[0, 0, 0]);
        let token = sign(&header, &house.claims().to_string(), &secret, Algorithm::HS256);
        house.refuses(&token, ALGORITHM).await;
    }

    async fn what_is_neither_a_key_nor_a_token_is_refused(house) {
        for nonsense in ["x", "rk_", "eyJhbGciOiJub25lIn0"] {
            house.refuses(nonsense, "API key is not valid").await;
        }
    }
}

in_a_house! {
    async fn a_service_does_what_the_scopes_of_its_token_say(house) {
        let mut claims = house.claims();
        claims["scope"] = json!(["users:*", "organizations:read", "platform"]);
        let token = house.key.token(&claims);
        let service = house.caller(&token).await;
        service.call(METHOD, json!({})).await;
        let user = service.call("UserService/CreateUser", json!({"email": "ada@example.com"})).await;
        let status = service.refused("TenantService/ListTenants", json!({}), "MISSING_PERMISSION").await;
        assert_code(&status, Code::PermissionDenied);
        service.refused("RoleService/ListRoles", json!({}), "MISSING_PERMISSION").await;
        service.refused("ApiKeyService/CreateApiKey", json!({"name": "k", "scopes": ["*"]}), "MISSING_PERMISSION").await;
        let tenant = house.server.root.call("TenantService/GetTenant", json!({})).await;
        let tenant = text(&tenant["tenant"]["tenantId"]);
        let events = house.server.root.events(&tenant).await;
        let event = events.last().unwrap();
        assert_eq!(event["subject"]["id"], user["user"]["userId"]);
        assert_eq!(event["actor"]["kind"], "EVENT_ACTOR_KIND_SERVICE");
        assert_eq!(event["actor"]["id"], "https://services.example#billing");
        claims["scope"] = json!(5);
        house.refuses(&house.key.token(&claims), "scopes are not").await;
    }

    async fn a_strict_issuer_is_held_to_what_it_is_configured_to_say(house) {
        let created = house.server.root.call("TenantService/CreateTenant", json!({"slug": "other"})).await;
        let tenant = created["tenant"].clone();
        let mut platform = house.server.root.clone();
        platform.client.tenant = Some(text(&tenant["tenantId"]));
        platform.call("OrganizationService/CreateOrganization", json!({"slug": "theirs"})).await;
        let claims = |tenant: &str| json!({"iss": STRICT, "sub": "s", "aud": AUDIENCE, "client_id": "c",
            "exp": house.now() + 300, "scope": "* platform", "tid": tenant});
        let token = house.key.token(&claims("other"));
        let service = house.caller(&token).await;
        let listed = service.call(METHOD, json!({})).await;
        assert_eq!(listed["organizations"][0]["slug"], "theirs");
        let by_id = house.key.token(&claims(tenant["tenantId"].as_str().unwrap()));
        house.accepts(&by_id).await;
        service.refused("UserService/ListUsers", json!({}), "MISSING_PERMISSION").await;
        let mut elsewhere = service.clone();
        let own = house.server.root.call("TenantService/GetTenant", json!({})).await;
        elsewhere.client.tenant = Some(text(&own["tenant"]["tenantId"]));
        elsewhere.refused(METHOD, json!({}), "TENANT_NOT_FOUND").await;
        house.refuses(&house.key.token(&claims("nobody")), "tenant that does not exist").await;
        let nobody = roster::ids::TenantId::generate().to_string();
        house.refuses(&house.key.token(&claims(&nobody)), "tenant that does not exist").await;
        let changed = |name: &str, value: Value| {
            let mut claims = claims("default");
            claims[name] = value;
            house.key.token(&claims)
        };
        house.refuses(&changed("tid", json!(5)), "not a text").await;
        house.refuses(&changed("client_id", Value::Null), "lacks a claim").await;
        house.refuses(&changed("exp", json!(house.now() + 3700)), "lives longer").await;
        let mut header = house.key.header();
        header.as_object_mut().unwrap().remove("typ");
        house.accepts(&house.key.sign(&header.to_string(), &claims("default").to_string())).await;
    }

    async fn each_kind_of_key_verifies(house) {
        let keys = [SigningKey::rsa("rsa", 2048), SigningKey::es256("es"), SigningKey::ed25519("ed")];
        house.keys.publish(&[&house.key, &keys[0], &keys[1], &keys[2]]);
        for key in &keys {
            house.accepts(&key.token(&house.claims())).await;
        }
    }

    async fn a_token_without_the_name_of_a_key_needs_the_only_key_that_fits(house) {
        let mut header = house.key.header();
        header.as_object_mut().unwrap().remove("kid");
        let token = house.key.sign(&header.to_string(), &house.claims().to_string());
        house.accepts(&token).await;
        house.keys.publish(&[&house.key, &SigningKey::es256("2")]);
        house.refuses_header("kid", json!("2"), "signature").await; // so that the keys are read again
        house.accepts(&token).await; // which was verified, and whose key is still there
        let mut other = house.claims();
        other["sub"] = json!("other");
        house.refuses(&house.key.sign(&header.to_string(), &other.to_string()), "no key that its issuer has").await;
    }

    async fn a_remembered_token_ends_with_its_time(house) {
        let token = house.key.token(&house.claims());
        house.accepts(&token).await;
        // Past its end, and half a leeway before it is refused: a busy machine's time moves on by itself.
        house.server.clock.advance(Duration::from_secs(315));
        house.accepts(&token).await;
        house.server.clock.advance(Duration::from_secs(15));
        house.refuses(&token, "has ended").await;
    }

    async fn a_remembered_token_ends_with_its_key(house) {
        let token = house.key.token(&house.claims());
        house.accepts(&token).await;
        let next = SigningKey::es256("2");
        house.keys.publish(&[&next]);
        house.accepts(&token).await; // nobody has told
        house.accepts(&next.token(&house.claims())).await; // the new key is asked for
        house.refuses(&token, "no key that its issuer has").await;
    }

    async fn a_storm_of_unknown_keys_asks_once(house) {
        let (before, begin) = (house.keys.asked(), std::time::Instant::now());
        let mut storm = tokio::task::JoinSet::new();
        for index in 0..1_000 {
            let stranger = SigningKey { id: format!("unknown-{index}"), ..house.key.clone() };
            let caller = house.caller(&stranger.token(&house.claims())).await;
            storm.spawn(async move { caller.try_call(METHOD, json!({})).await });
        }
        let good = house.key.token(&house.claims());
        house.accepts(&good).await;
        let mut refused = 0;
        while let Some(answer) = storm.join_next().await {
            let status = answer.unwrap().unwrap_err();
            assert_eq!(reason(&status), "INVALID_CREDENTIALS", "{}", status.message());
            refused += 1;
        }
        assert_eq!(refused, 1_000);
        // Once for the storm, and once more for each pause of ten seconds that it lasted on a busy machine.
        let asked = house.keys.asked() - before;
        let most = 1 + usize::try_from(begin.elapsed().as_secs() / 10).unwrap();
        assert!((1..=most).contains(&asked), "asked {asked} times of at most {most}");
        house.server.clock.advance(Duration::from_secs(11));
        let late = SigningKey::es256("late");
        house.keys.publish(&[&house.key, &late]);
        house.accepts(&late.token(&house.claims())).await;
    }

    async fn the_keys_of_an_issuer_that_is_away_are_good_for_a_while(house) {
        house.keys.set_away(true);
        let mut claims = house.claims();
        claims["exp"] = json!(house.now() + 10_000);
        let token = house.key.token(&claims);
        house.accepts(&token).await;
        let next = SigningKey::es256("2");
        let status = house.call(&next.token(&claims)).await.unwrap_err();
        assert_eq!(reason(&status), "ISSUER_UNAVAILABLE");
        assert_code(&status, Code::Unavailable);
        assert!(status.get_error_details().retry_info().is_some());
        claims["sub"] = json!("other");
        house.accepts(&house.key.token(&claims)).await; // a new token of a known key
        house.server.clock.advance(Duration::from_secs(601));
        for token in [&token, &house.key.token(&claims)] {
            assert_eq!(reason(&house.call(token).await.unwrap_err()), "ISSUER_UNAVAILABLE", "beyond its time");
        }
        house.keys.set_away(false);
        house.server.clock.advance(Duration::from_secs(11));
        house.accepts(&token).await;
    }

    async fn keys_in_a_file_change_with_the_file(house) {
        let file = house.folder.path().join("jwks.json");
        let claims = json!({"iss": STRICT, "sub": "s", "aud": AUDIENCE, "client_id": "c", "exp": house.now() + 3000,
            "scope": "organizations:read", "tid": "default"});
        let (old, next) = (house.key.token(&claims), SigningKey::es256("next"));
        house.accepts(&old).await;
        std::fs::write(&file, "{").unwrap();
        house.server.clock.advance(Duration::from_secs(3));
        assert_eq!(reason(&house.call(&next.token(&claims)).await.unwrap_err()), "ISSUER_UNAVAILABLE");
        house.accepts(&old).await; // a broken file keeps the keys
        std::fs::write(&file, set(&[&next])).unwrap();
        house.server.clock.advance(Duration::from_secs(3));
        house.accepts(&next.token(&claims)).await;
        house.refuses(&old, "no key that its issuer has").await;
    }
}
