//! An issuer of tokens for services: one key, in a file.

use std::{fs, path::Path};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use p256::{elliptic_curve::sec1::ToEncodedPoint as _, pkcs8::EncodePrivateKey as _};
use serde_json::json;

const ISSUER: &str = "https://issuer.example";

pub struct Issuer(EncodingKey);

impl Issuer {
    /// A new key; its public half and the settings that name it are in the folder.
    pub fn new(folder: &Path) -> Self {
        let secret = p256::SecretKey::random(&mut rsa::rand_core::OsRng);
        let point = secret.public_key().to_encoded_point(false);
        let [x, y] = [point.x().unwrap(), point.y().unwrap()].map(|number| URL_SAFE_NO_PAD.encode(number));
        let keys = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "k", "use": "sig", "x": x, "y": y}]});
        let file = folder.join("jwks.json");
        fs::write(&file, keys.to_string()).unwrap();
        let settings = format!(
            "[[issuers]]\nissuer = {ISSUER:?}\njwks_file = {file:?}\naudiences = [\"roster\"]\nalgorithms = [\"ES256\"]\n\
             tenant = \"default\"\nmaps_to = \"service\"\n"
        );
        fs::write(folder.join("roster.toml"), settings).unwrap();
        Self(EncodingKey::from_ec_der(secret.to_pkcs8_der().unwrap().as_bytes()))
    }

    /// The arguments of a service on the folder that accepts the tokens.
    pub fn arguments(&self, folder: &Path) -> Vec<String> {
        let of = |name: &str| folder.join(name).display().to_string();
        vec!["--data-dir".into(), folder.display().to_string(), "--config".into(), of("roster.toml")]
    }

    pub fn token(&self) -> String {
        let mut header = Header::new(Algorithm::ES256);
        (header.kid, header.typ) = (Some("k".into()), Some("at+jwt".into()));
        let now = roster::clock::Clock::system().now().0 / 1_000_000;
        let claims = json!({"iss": ISSUER, "aud": "roster", "sub": "sidecar", "iat": now, "exp": now + 3_600,
            "scope": "authz:check members:write members:read organizations:read teams:read roles:read"});
        jsonwebtoken::encode(&header, &claims, &self.0).unwrap()
    }
}
