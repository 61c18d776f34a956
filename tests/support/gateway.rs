//! A gateway in this process, on real sockets, with a clock that the test moves.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use portcullis::app::{App, Parts};
use portcullis::config::{Config, DirectoryConfig, Keys, Operations, RateStore, Server, State, Tenant};
use portcullis::dialect::{Dialect, SecretForm};
use portcullis::directory::embedded;
use portcullis::http::gateway::Gateway;
use portcullis::oauth::opaque;
use portcullis::scim::resource::Resource;
use portcullis::store::SecretToken;
use portcullis::types::{Clock, Random, Timestamp};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// An answer, read whole.
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// A running gateway; it stops when dropped.
pub struct TestGateway {
    pub public: SocketAddr,
    pub operations: SocketAddr,
    pub clock: Clock,
    pub gateway: Arc<Gateway>,
    client: Client<HttpConnector, Full<Bytes>>,
    tokens: BTreeMap<String, String>,
    stop: oneshot::Sender<()>,
    stopped: JoinHandle<()>,
}

impl TestGateway {
    /// One tenant a dialect, each named like it, on an embedded directory in memory.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// The same, with each tenant changed first.
    pub async fn with(change: impl Fn(&mut Tenant)) -> Self {
        let public = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(public, Clock::manual(Timestamp::from_seconds(1_790_000_000)), change).await
    }

    /// The same on a port and by a clock that were chosen before.
    pub async fn on(public: TcpListener, clock: Clock, change: impl Fn(&mut Tenant)) -> Self {
        let operations = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (public_address, operations_address) = (public.local_addr().unwrap(), operations.local_addr().unwrap());
        let public_url = format!("http://{public_address}");
        let tenants = Dialect::all().into_iter().map(|dialect| {
            let directory = DirectoryConfig::Embedded(embedded::Config {
                path: PathBuf::from(":memory:"),
                ..embedded::Config::memory()
            });
            let mut tenant = Tenant::new(&dialect.name, dialect, &public_url, directory);
            change(&mut tenant);
            (dialect.name.clone(), Arc::new(tenant))
        });
        let config = Config {
            server: Server {
                listen: public_address,
                public_url: public_url.clone(),
                drain_grace: std::time::Duration::ZERO,
                ..Server::default()
            },
            operations: Operations { listen: operations_address },
            state: State { url: "sqlite::memory:".into() },
            rate_store: RateStore::default(),
            keys: Keys::default(),
            tenants: tenants.collect(),
        };
        let random = Random::seeded(7);
        let parts = Parts { clock: clock.clone(), random: random.clone(), site: None, durable: false, metrics: None };
        let app = App::build(config, parts).await.unwrap();
        let gateway = Arc::clone(app.gateway());
        let mut tokens = BTreeMap::new();
        for dialect in Dialect::all() {
            tokens.insert(dialect.name.clone(), token(&gateway, dialect, &random, &clock).await);
        }
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = tokio::spawn(async {
            let told = async {
                let _ = stopped.await;
            };
            app.run(public, operations, told).await.unwrap();
        });
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { public: public_address, operations: operations_address, clock, gateway, client, tokens, stop, stopped }
    }

    /// Tells it to stop; the task ends when it has.
    pub fn stop(self) -> JoinHandle<()> {
        let _ = self.stop.send(());
        self.stopped
    }

    /// The token that `scim` sends for a tenant.
    pub fn token(&self, tenant: &str) -> &str {
        &self.tokens[tenant]
    }

    /// Puts a person into a tenant's directory behind the gateway's back, and gives their key.
    pub async fn seed(&self, tenant: &str, person: Value) -> String {
        use portcullis::ports::Directory as _;
        let Value::Object(person) = person else { panic!("a person is an object") };
        let snapshot = self.gateway.snapshot.load_full();
        snapshot.tenants[tenant].directory.create(&Resource::from_map(person)).await.unwrap().key
    }

    /// Sends anything.
    pub async fn send(&self, request: http::Request<Full<Bytes>>) -> Answer {
        let response = self.client.request(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// A SCIM request to a tenant with its token; `path` is below the SCIM base.
    pub async fn scim(&self, tenant: &str, method: &str, path: &str, body: Option<&str>) -> Answer {
        let dialect = Dialect::named(tenant).unwrap();
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("http://{}/t/{tenant}/{}{path}", self.public, dialect.scim_base))
            .header("authorization", format!("Bearer {}", self.token(tenant)));
        if body.is_some() {
            request = request.header("content-type", "application/scim+json; charset=utf-8");
        }
        self.send(request.body(Full::new(Bytes::from(body.unwrap_or_default().to_owned()))).unwrap()).await
    }
}

/// A token for the tenant: its own kind where the dialect has secret tokens, else by client credentials.
async fn token(gateway: &Gateway, dialect: &Dialect, random: &Random, clock: &Clock) -> String {
    let Some(kind) = dialect.secret_tokens else {
        return super::oauth_token(gateway, &dialect.name, random, clock).await;
    };
    let id = format!("test{}", dialect.name.len());
    let (token, digest) = match kind.form {
        SecretForm::Prefixed => {
            let token = opaque::mint(opaque::Kind::SecretToken, random);
            let digest = token.digest();
            (token, digest)
        }
        SecretForm::Base64Pair => {
            let pair = opaque::mint_pair(&id, random);
            (pair.text, pair.digest)
        }
    };
    let kept = SecretToken {
        id,
        tenant: dialect.name.clone(),
        name: "test".into(),
        digest,
        prefix: "test".into(),
        created: clock.now(),
        expires: None,
        last_used: None,
        revoked: false,
    };
    gateway.store.add_secret_token(&kept, kind.single).await.unwrap();
    token.expose().to_owned()
}
