//! A server with an issuer of tokens, whose users are of any tenant.

use std::{sync::OnceLock, time::Duration};

use jsonwebtoken::Algorithm;
use roster::config::{Issuer, KeysFrom, MapsTo, TenantFrom, Tokens};
use serde_json::json;

use crate::support::{
    Database, Engine, TestServer,
    issuer::{SigningKey, set},
};

/// Who says who users are.
pub const ISSUER: &str = "https://people.example";
const AUDIENCE: &str = "roster";

pub struct House {
    pub server: TestServer,
    key: SigningKey,
    _folder: tempfile::TempDir,
}

impl House {
    pub async fn start(engine: Engine) -> Self {
        static KEY: OnceLock<SigningKey> = OnceLock::new();
        let key = KEY.get_or_init(|| SigningKey::es256("1")).clone();
        let folder = tempfile::tempdir().unwrap();
        // A file is never away, however far the clock moves.
        let file = folder.path().join("jwks.json");
        std::fs::write(&file, set(&[&key])).unwrap();
        let issuer = Issuer {
            issuer: ISSUER.to_owned(),
            keys: KeysFrom::File(file),
            audiences: vec![AUDIENCE.to_owned()],
            algorithms: vec![Algorithm::ES256],
            types: vec!["at+jwt".to_owned()],
            type_optional: false,
            leeway: Duration::from_secs(30),
            lifetime_max: None,
            required_claims: Vec::new(),
            tenant: TenantFrom::Claim("tenant".to_owned()),
            maps_to: MapsTo::User,
        };
        let tokens = Tokens {
            issuers: vec![issuer],
            allow_private_addresses: true,
            refresh: Duration::from_secs(3600),
            stale: Duration::from_secs(600),
        };
        let server = TestServer::with_tokens(Database::fresh(engine).await, tokens).await;
        Self { server, key, _folder: folder }
    }

    /// A token of an account, which says that this address is verified, or not.
    pub fn token(&self, tenant_id: &str, account: usize, email: &str, verified: bool) -> String {
        let ends = self.server.clock.clock().now().0 / 1_000_000 + 300;
        let claims = json!({"iss": ISSUER, "sub": subject(account), "aud": AUDIENCE, "exp": ends, "tenant": tenant_id,
            "email": email, "email_verified": verified});
        self.key.token(&claims)
    }
}

/// What the issuer calls an account.
pub fn subject(account: usize) -> String {
    format!("account-{account}")
}
