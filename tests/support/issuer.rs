//! An issuer of tokens: keys, a server of its own for their public halves, and tokens signed by them.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use p256::{elliptic_curve::sec1::ToEncodedPoint as _, pkcs8::EncodePrivateKey as _};
use parking_lot::Mutex;
use rsa::{pkcs1::EncodeRsaPrivateKey as _, rand_core::OsRng, traits::PublicKeyParts as _};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

/// A key of an issuer, both halves.
#[derive(Clone)]
pub struct SigningKey {
    pub id: String,
    pub private: EncodingKey,
    pub algorithm: Algorithm,
    /// The public half, as a JWK.
    pub public: Value,
}

impl SigningKey {
    pub fn es256(id: &str) -> Self {
        let secret = p256::SecretKey::random(&mut OsRng);
        let point = secret.public_key().to_encoded_point(false);
        let [x, y] = [point.x().unwrap(), point.y().unwrap()].map(|number| URL_SAFE_NO_PAD.encode(number));
        Self {
            id: id.to_owned(),
            private: EncodingKey::from_ec_der(secret.to_pkcs8_der().unwrap().as_bytes()),
            algorithm: Algorithm::ES256,
            public: json!({"kty": "EC", "crv": "P-256", "kid": id, "use": "sig", "x": x, "y": y}),
        }
    }

    /// One and the same for all tests: it takes long to make.
    pub fn rsa(id: &str, bits: usize) -> Self {
        static STRONG: OnceLock<rsa::RsaPrivateKey> = OnceLock::new();
        static WEAK: OnceLock<rsa::RsaPrivateKey> = OnceLock::new();
        let key = if bits >= 2048 { &STRONG } else { &WEAK };
        let key = key.get_or_init(|| rsa::RsaPrivateKey::new(&mut OsRng, bits).unwrap());
        let [n, e] = [key.n(), key.e()].map(|number| URL_SAFE_NO_PAD.encode(number.to_bytes_be()));
        Self {
            id: id.to_owned(),
            private: EncodingKey::from_rsa_der(key.to_pkcs1_der().unwrap().as_bytes()),
            algorithm: Algorithm::RS256,
            public: json!({"kty": "RSA", "kid": id, "use": "sig", "n": n, "e": e}),
        }
    }

    /// The key of RFC 8037, appendix A.
    pub fn ed25519(id: &str) -> Self {
        let seed = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let pkcs8 = [&[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20][..], &seed].concat();
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        Self {
            id: id.to_owned(),
            private: EncodingKey::from_ed_der(&pkcs8),
            algorithm: Algorithm::EdDSA,
            public: json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": x}),
        }
    }

    /// A token with this header and these claims, whatever they say.
    pub fn sign(&self, header: &str, claims: &str) -> String {
        sign(header, claims, &self.private, self.algorithm)
    }

    /// The header of a good token.
    pub fn header(&self) -> Value {
        json!({"alg": format!("{:?}", self.algorithm), "kid": self.id, "typ": "at+jwt"})
    }

    /// A token with a good header.
    pub fn token(&self, claims: &Value) -> String {
        self.sign(&self.header().to_string(), &claims.to_string())
    }
}

/// A token, signed by whatever key and algorithm.
pub fn sign(header: &str, claims: &str, key: &EncodingKey, algorithm: Algorithm) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = crypto::sign(signed.as_bytes(), key, algorithm).unwrap();
    format!("{signed}.{signature}")
}

/// A server of one JWK set, which counts how often it is asked, and may be away.
#[derive(Clone)]
pub struct KeyServer(Arc<State>);

struct State {
    url: String,
    set: Mutex<String>,
    away: AtomicBool,
    asked: AtomicUsize,
}

impl KeyServer {
    pub async fn start(keys: &[&SigningKey]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks", listener.local_addr().unwrap());
        let state = State { url, set: Mutex::default(), away: AtomicBool::new(false), asked: AtomicUsize::new(0) };
        let server = Self(Arc::new(state));
        server.publish(keys);
        let answering = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answering.clone().answer(stream));
            }
        });
        server
    }

    async fn answer(self, mut stream: tokio::net::TcpStream) {
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await;
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        let (status, body) = match self.0.away.load(Ordering::SeqCst) {
            true => ("503 Service Unavailable", String::new()),
            false => ("200 OK", self.0.set.lock().clone()),
        };
        // As slow as a network: whoever asks meanwhile must wait for this answer, not ask again.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let length = body.len();
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
        let _ = stream.write_all(answer.as_bytes()).await;
    }

    pub fn url(&self) -> String {
        self.0.url.clone()
    }

    /// What it answers from now on.
    pub fn publish(&self, keys: &[&SigningKey]) {
        *self.0.set.lock() = set(keys);
    }

    pub fn set_away(&self, away: bool) {
        self.0.away.store(away, Ordering::SeqCst);
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.0.asked.load(Ordering::SeqCst)
    }
}

/// A JWK set.
pub fn set(keys: &[&SigningKey]) -> String {
    json!({"keys": keys.iter().map(|key| &key.public).collect::<Vec<_>>()}).to_string()
}
