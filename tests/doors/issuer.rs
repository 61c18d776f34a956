//! An issuer of assertions on a loopback port: metadata, keys, and whatever may go wrong with them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use portcullis::oauth::assertion::{Keys, Trust};
use portcullis::oauth::jws::KeySet;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The Entra tenant that the issuer plays.
pub const TENANT: &str = "11111111-2222-3333-4444-555555555555";
pub const AUDIENCE: &str = "api://portcullis";
pub const SUBJECT: &str = "99999999-8888-7777-6666-555555555555";

/// A private key with a name.
pub struct Signer {
    pub kid: String,
    pub algorithm: Algorithm,
    key: EncodingKey,
    jwk: Value,
}

impl Signer {
    pub fn ed25519(kid: &str, seed: u8) -> Self {
        use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        let public = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        Self {
            kid: kid.to_owned(),
            algorithm: Algorithm::EdDSA,
            key: EncodingKey::from_ed_der(pair.to_pkcs8().unwrap().as_ref()),
            jwk: json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": kid, "x": public}),
        }
    }

    pub fn es256(kid: &str) -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        Self::of(kid, Algorithm::ES256, EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap())
    }

    pub fn rs256(kid: &str) -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        Self::of(kid, Algorithm::RS256, EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).unwrap())
    }

    fn of(kid: &str, algorithm: Algorithm, key: EncodingKey) -> Self {
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&key, algorithm).unwrap()).unwrap();
        jwk["kid"] = kid.into();
        // As Entra publishes its keys.
        jwk["use"] = "sig".into();
        jwk.as_object_mut().unwrap().remove("alg");
        Self { kid: kid.to_owned(), algorithm, key, jwk }
    }

    pub fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.kid.clone());
        encode(&header, claims, &self.key).unwrap()
    }

    /// The public key alone, as a set.
    pub fn set(&self) -> Keys {
        let set = json!({"keys": [self.jwk]}).to_string();
        Keys::Given(Arc::new(KeySet::parse(set.as_bytes()).unwrap()))
    }
}

/// What the issuer does with a request for its keys.
#[derive(Clone)]
pub enum Manner {
    Keys,
    Status(u16),
    Redirect(String),
    Huge,
    Junk,
}

struct Shared {
    address: SocketAddr,
    keys: Mutex<Vec<Value>>,
    manner: Mutex<Manner>,
    asked: Mutex<usize>,
    metadata: Mutex<Value>,
}

/// The issuer.
pub struct Issuer {
    shared: Arc<Shared>,
}

impl Issuer {
    pub async fn start(signers: &[&Signer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let url = format!("http://{address}");
        let shared = Arc::new(Shared {
            address,
            keys: Mutex::new(signers.iter().map(|signer| signer.jwk.clone()).collect()),
            manner: Mutex::new(Manner::Keys),
            asked: Mutex::new(0),
            metadata: Mutex::new(json!({"issuer": url, "jwks_uri": format!("{url}/keys")})),
        });
        tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { shared }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.shared.address)
    }

    /// How often its keys were asked for.
    pub fn asked(&self) -> usize {
        *self.shared.asked.lock().unwrap()
    }

    pub fn behave(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    pub fn publish(&self, signers: &[&Signer]) {
        *self.shared.keys.lock().unwrap() = signers.iter().map(|signer| signer.jwk.clone()).collect();
    }

    pub fn set_metadata(&self, metadata: Value) {
        *self.shared.metadata.lock().unwrap() = metadata;
    }

    /// What a tenant trusts that federates with it.
    pub fn trust(&self, algorithms: &[Algorithm]) -> Trust {
        Trust {
            issuer: self.url(),
            audiences: vec![AUDIENCE.into()],
            subject: Some(SUBJECT.into()),
            tenant_id: Some(TENANT.into()),
            algorithms: algorithms.to_vec(),
            max_lifetime: Duration::from_hours(24),
            single_use: true,
            keys: Keys::At(format!("{}/keys", self.url())),
        }
    }

    /// The claims of an assertion issued at `now`, the `number`th.
    pub fn claims(&self, now: i64, number: usize) -> Value {
        json!({
            "iss": self.url(), "aud": AUDIENCE, "sub": SUBJECT, "tid": TENANT, "jti": format!("a{number}"),
            "iat": now, "nbf": now, "exp": now + 3600,
        })
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(Arc::clone(&shared), request));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = |text: String| Response::new(Full::new(Bytes::from(text)));
    if request.uri().path() == "/.well-known/openid-configuration" {
        return Ok(body(shared.metadata.lock().unwrap().to_string()));
    }
    *shared.asked.lock().unwrap() += 1;
    // Whoever comes meanwhile comes meanwhile.
    tokio::task::yield_now().await;
    let manner = shared.manner.lock().unwrap().clone();
    Ok(match manner {
        Manner::Keys => body(json!({"keys": *shared.keys.lock().unwrap()}).to_string()),
        Manner::Status(status) => Response::builder().status(status).body(Full::default()).unwrap(),
        Manner::Redirect(to) => Response::builder().status(302).header("location", to).body(Full::default()).unwrap(),
        Manner::Huge => body(format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(600_000))),
        Manner::Junk => body("<html>".to_owned()),
    })
}
