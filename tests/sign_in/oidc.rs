//! The organisation's OpenID provider, played by the test: what it may say, and everything it must not get away with.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use portcullis::config::SignIn;
use portcullis::config::sign_in::{Oidc, Pointer, Roles};
use portcullis::oauth::Role;
use portcullis::store::Source;
use portcullis::types::{Digest, Secret};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::peer::{self, Peer, Said};
use crate::support::gateway::{Answer, TestGateway};
use crate::visitor::{TENANT, Visitor, parameter, text};

const SECRET: &str = "s3cret & more";

/// How the provider signs.
#[derive(Clone, Copy, PartialEq)]
enum Signs {
    Right,
    /// Under a `kid` it does not publish.
    ForeignKid,
    /// With another key under its own `kid`.
    WrongKey,
    /// HS256 with its public key.
    Hmac,
    /// `alg: none`.
    None,
}

/// What the provider does and says next.
struct Script {
    now: i64,
    signs: Signs,
    /// Over the claims that are right; null takes one away.
    claims: Value,
    /// Over the discovery document.
    document: Value,
    token: Option<Said>,
    /// The key of the next token, and the one that is published.
    seed: (u8, u8),
    nonce: String,
}

struct Issuer {
    peer: Peer,
    script: Arc<Mutex<Script>>,
}

fn pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn over(mut base: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        match value {
            Value::Null => _ = base.as_object_mut().unwrap().remove(name),
            value => base[name] = value.clone(),
        }
    }
    base
}

impl Script {
    fn id_token(&self, issuer: &str) -> String {
        let claims = json!({
            "iss": issuer, "aud": "portcullis", "sub": "ada-7", "preferred_username": "ada@example.com",
            "groups": ["staff", "it"], "nonce": self.nonce, "iat": self.now, "exp": self.now + 300,
        });
        let claims = over(claims, &self.claims);
        let signing = |seed| EncodingKey::from_ed_der(pair(seed).to_pkcs8().unwrap().as_ref());
        let header = |algorithm, kid: u8| {
            let mut header = Header::new(algorithm);
            header.kid = Some(format!("key-{kid}"));
            header
        };
        let (seed, published) = self.seed;
        match self.signs {
            Signs::Right => encode(&header(Algorithm::EdDSA, seed), &claims, &signing(seed)),
            Signs::ForeignKid => encode(&header(Algorithm::EdDSA, 99), &claims, &signing(seed)),
            Signs::WrongKey => encode(&header(Algorithm::EdDSA, published), &claims, &signing(98)),
            Signs::Hmac => {
                let key = EncodingKey::from_secret(pair(published).public_key().as_ref());
                encode(&header(Algorithm::HS256, published), &claims, &key)
            }
            Signs::None => {
                let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
                return format!("{}.{}.", part(&json!({"alg": "none"})), part(&claims));
            }
        }
        .unwrap()
    }
}

impl Issuer {
    async fn start() -> Self {
        let script = Arc::new(Mutex::new(Script {
            now: 1_790_000_000,
            signs: Signs::Right,
            claims: json!({}),
            document: json!({}),
            token: None,
            seed: (1, 1),
            nonce: String::new(),
        }));
        let told = Arc::clone(&script);
        let peer = Peer::start(move |asked| {
            let script = told.lock().unwrap();
            let issuer = format!("http://{}", asked.headers["host"].to_str().unwrap());
            match asked.path.as_str() {
                "/.well-known/openid-configuration" => {
                    let document = json!({
                        "issuer": issuer,
                        "authorization_endpoint": format!("{issuer}/auth?kept=1"),
                        "token_endpoint": format!("{issuer}/token"),
                        "jwks_uri": format!("{issuer}/jwks"),
                        "authorization_response_iss_parameter_supported": true,
                    });
                    peer::json(200, &over(document, &script.document))
                }
                "/jwks" => {
                    let x = URL_SAFE_NO_PAD.encode(pair(script.seed.1).public_key().as_ref());
                    let kid = format!("key-{}", script.seed.1);
                    peer::json(200, &json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x}]}))
                }
                "/token" => script.token.clone().unwrap_or_else(|| {
                    let body =
                        json!({"access_token": "a", "token_type": "Bearer", "id_token": script.id_token(&issuer)});
                    peer::json(200, &body)
                }),
                _ => (404, vec![], String::new()),
            }
        })
        .await;
        Self { peer, script }
    }

    fn config(&self) -> Oidc {
        Oidc {
            issuer: self.peer.url(),
            client_id: "portcullis".into(),
            client_secret: Some(Secret::new(SECRET)),
            scopes: vec!["openid".into(), "profile".into()],
            role_claim: Pointer::new("groups"),
            roles: Roles::new([
                ("it".to_owned(), Role::SuperUser),
                ("hr".to_owned(), Role::AccountAdmin),
                ("staff".to_owned(), Role::Viewer),
            ]),
            timeout: Duration::from_secs(5),
        }
    }

    async fn gateway(&self) -> TestGateway {
        let config = self.config();
        TestGateway::with(move |tenant| {
            tenant.sign_in = SignIn::Oidc(Box::new(config.clone()));
            tenant.contact = Some("it@example.com".into());
        })
        .await
    }

    fn told(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.lock().unwrap());
    }

    /// The visitor presses the button; gives where the browser is sent. The provider remembers the nonce.
    async fn sent(&self, visitor: &mut Visitor<'_>) -> Answer {
        visitor.open().await;
        let answer = visitor.press("sign_in").await;
        let nonce = parameter(&answer, "nonce").unwrap_or_default();
        self.told(|script| script.nonce = nonce);
        answer
    }

    /// The address the provider sends the browser back to.
    fn back(&self, sent: &Answer, more: &[(&str, &str)]) -> String {
        let (state, address) = (parameter(sent, "state").unwrap(), parameter(sent, "redirect_uri").unwrap());
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("state", &state);
        for (name, value) in [("code", "c0de"), ("iss", self.peer.url().as_str())].iter().chain(more) {
            query.append_pair(name, value);
        }
        format!("{address}?{}", query.finish())
    }

    /// The whole way: gives the page the visitor sees when they are back.
    async fn sign_in(&self, visitor: &mut Visitor<'_>) -> Answer {
        let sent = self.sent(visitor).await;
        assert_eq!(sent.status, 303, "{}", text(&sent));
        let answer = visitor.go(&self.back(&sent, &[])).await;
        visitor.follow(answer).await
    }
}

#[tokio::test]
async fn the_whole_way_there_and_back() {
    let issuer = Issuer::start().await;
    let gateway = issuer.gateway().await;
    let mut visitor = Visitor::sent(&gateway, &[("login_hint", "ada@example.com")]);
    let page = visitor.open().await;
    assert!(text(&page).contains(&format!("Sign in at {}", issuer.peer.address)), "{}", text(&page));
    assert!(!text(&page).contains("name=\"password\""));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains(&issuer.peer.url()), "the form's answer leads there: {policy}");

    let sent = issuer.sent(&mut visitor).await;
    let to = sent.header("location").unwrap();
    assert!(to.starts_with(&format!("{}/auth?kept=1&", issuer.peer.url())), "{to}");
    for (name, expected) in [
        ("response_type", "code"),
        ("client_id", "portcullis"),
        ("scope", "openid profile"),
        ("code_challenge_method", "S256"),
        ("login_hint", "ada@example.com"),
        ("redirect_uri", &format!("http://{}/t/{TENANT}/oauth/callback", gateway.public)),
    ] {
        assert_eq!(parameter(&sent, name).as_deref(), Some(expected), "{name}");
    }
    assert_eq!(parameter(&sent, "prompt"), None);
    let before = visitor.session().cloned();

    issuer.peer.asked();
    let answer = visitor.go(&issuer.back(&sent, &[])).await;
    assert_ne!(visitor.session().cloned(), before, "a new session id");
    let asked = issuer.peer.asked();
    let token = asked.iter().find(|asked| asked.path == "/token").unwrap();
    // RFC 6749 §2.3.1: id and secret are form-encoded before they go into Basic.
    let basic = format!("Basic {}", STANDARD.encode("portcullis:s3cret+%26+more"));
    assert_eq!(token.headers["authorization"], basic);
    let form: Vec<(String, String)> = form_urlencoded::parse(token.body.as_bytes()).into_owned().collect();
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).unwrap();
    assert_eq!((field("code").as_str(), field("grant_type").as_str()), ("c0de", "authorization_code"));
    let challenge = URL_SAFE_NO_PAD.encode(Digest::of(field("code_verifier").as_bytes()).as_slice());
    assert_eq!(parameter(&sent, "code_challenge").unwrap(), challenge);

    let page = text(&visitor.follow(answer).await);
    assert!(
        page.contains("Access Request") && page.contains("ada@example.com") && page.contains("super user"),
        "{page}"
    );
    assert!(
        page.contains("until it is revoked or your account is disabled at this gateway."),
        "its password is not ours"
    );
    assert!(parameter(&visitor.press("authorize").await, "code").is_some());
    let source = Source::Oidc(issuer.peer.url());
    let known = gateway.gateway.store.administrators(TENANT).await.unwrap();
    assert_eq!((known.len(), &known[0].source, known[0].role), (1, &source, Role::SuperUser));

    // Discovery and keys were fetched once and are kept.
    issuer.peer.asked();
    visitor.press("switch").await;
    let mut again = Visitor::at_console(&gateway);
    assert_eq!(issuer.sign_in(&mut again).await.status, 200);
    let asked: Vec<_> = issuer.peer.asked().into_iter().map(|asked| asked.path).collect();
    assert_eq!(asked, ["/token"]);
}

#[tokio::test]
async fn prompts_are_passed_on() {
    let issuer = Issuer::start().await;
    let gateway = issuer.gateway().await;
    let mut visitor = Visitor::sent(&gateway, &[("prompt", "login")]);
    assert_eq!(parameter(&issuer.sent(&mut visitor).await, "prompt").as_deref(), Some("login"));
    issuer.sign_in(&mut visitor).await;
    assert!(!visitor.at.as_str().contains("prompt"), "asked once, not for ever");
    // "Use another account" has the provider ask, though it knows them still.
    let switched = visitor.press("switch").await;
    visitor.follow(switched).await;
    let sent = visitor.press("sign_in").await;
    assert_eq!(parameter(&sent, "prompt").as_deref(), Some("login"));
    // A provider that says it did not ask is not believed; one that says nothing of it is, as long as nobody was to be asked.
    for (prompt, age, status) in [("login", 61, 403), ("login", 59, 200), ("consent", 3600, 200)] {
        issuer.told(|script| script.claims = json!({"auth_time": script.now - age}));
        let mut visitor = Visitor::sent(&gateway, &[("prompt", prompt)]);
        assert_eq!(issuer.sign_in(&mut visitor).await.status, status, "{prompt} {age}");
    }
    let mut silent = Visitor::sent(&gateway, &[("prompt", "none")]);
    assert_eq!(parameter(&silent.open().await, "error").as_deref(), Some("login_required"));
}

#[tokio::test]
async fn what_the_provider_must_not_get_away_with() {
    let issuer = Issuer::start().await;
    let gateway = issuer.gateway().await;
    let now = 1_790_000_000;
    for (what, signs, claims) in [
        ("wrong nonce", Signs::Right, json!({"nonce": "another"})),
        ("no nonce", Signs::Right, json!({"nonce": null})),
        ("foreign audience", Signs::Right, json!({"aud": "somebody else"})),
        ("one of several without azp", Signs::Right, json!({"aud": ["portcullis", "other"]})),
        ("foreign azp", Signs::Right, json!({"azp": "other"})),
        ("foreign issuer", Signs::Right, json!({"iss": "https://evil.example"})),
        ("expired", Signs::Right, json!({"exp": now - 61})),
        ("no expiry", Signs::Right, json!({"exp": null})),
        ("from the future", Signs::Right, json!({"iat": now + 120})),
        ("old", Signs::Right, json!({"iat": now - 3600})),
        ("not yet", Signs::Right, json!({"nbf": now + 120})),
        ("nobody", Signs::Right, json!({"sub": ""})),
        ("alg none", Signs::None, json!({})),
        ("HS256 with the public key", Signs::Hmac, json!({})),
        ("foreign kid", Signs::ForeignKid, json!({})),
        ("another key", Signs::WrongKey, json!({})),
    ] {
        issuer.told(|script| (script.signs, script.claims) = (signs, claims));
        let mut visitor = Visitor::sent(&gateway, &[]);
        let answer = issuer.sign_in(&mut visitor).await;
        assert_eq!(answer.status, 403, "{what}");
        let page = text(&answer);
        assert!(page.contains("cannot be believed") && page.contains("Try again"), "{what}: {page}");
        assert!(!page.contains("nonce") && !page.contains("evil"), "reasons are for the log: {page}");
        let authorize = visitor.at.join(Visitor::sent(&gateway, &[]).at.as_str()).unwrap();
        assert!(text(&visitor.go(authorize.as_str()).await).contains("Sign in at"), "{what}: nobody is signed in");
    }
    assert!(gateway.gateway.store.administrators(TENANT).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_a_browser_or_a_stranger_must_not_get_away_with() {
    let issuer = Issuer::start().await;
    let gateway = issuer.gateway().await;
    let mut visitor = Visitor::sent(&gateway, &[]);
    let sent = issuer.sent(&mut visitor).await;
    let good = issuer.back(&sent, &[]);
    let lost =
        |answer: &Answer| answer.status == 403 && text(answer).contains("has expired, or it was begun in another");

    // Somebody else's browser (login CSRF), no state, a foreign one, a parameter twice.
    let mut other = Visitor::new(&gateway);
    assert!(lost(&other.go(&good).await));
    let mut other = Visitor::at_console(&gateway);
    other.open().await;
    assert!(lost(&other.go(&good).await));
    let callback = good.split('?').next().unwrap().to_owned();
    for query in
        ["", "?code=c0de", "?code=c0de&state=made-up", &format!("?{}&state=x", good.split_once('?').unwrap().1)]
    {
        assert!(lost(&visitor.go(&format!("{callback}{query}")).await), "{query}");
    }
    // The right browser is let in once.
    issuer.peer.asked();
    assert_eq!(visitor.go(&good).await.status, 303);
    assert!(lost(&visitor.go(&good).await), "a state is good once");
    assert_eq!(issuer.peer.asked().iter().filter(|asked| asked.path == "/token").count(), 1);

    // Mix-up: an answer in the name of another issuer, or of none although it names itself.
    for back in
        [|url: &str| url.replace("iss=http", "iss=https"), |url: &str| url.split("&iss=").next().unwrap().to_owned()]
    {
        let mut visitor = Visitor::sent(&gateway, &[]);
        let sent = issuer.sent(&mut visitor).await;
        issuer.peer.asked();
        let answer = visitor.go(&back(&issuer.back(&sent, &[]))).await;
        assert!(answer.status == 403 && text(&answer).contains("cannot be believed"), "{}", text(&answer));
        assert!(issuer.peer.asked().is_empty(), "the code goes nowhere");
    }
    // Too late.
    let mut visitor = Visitor::sent(&gateway, &[]);
    let sent = issuer.sent(&mut visitor).await;
    gateway.clock.advance(Duration::from_mins(15));
    assert!(lost(&visitor.go(&issuer.back(&sent, &[])).await));
    // The callback of a tenant that signs in otherwise.
    let local = TestGateway::start().await;
    assert_eq!(Visitor::new(&local).go(&format!("/t/{TENANT}/oauth/callback?code=1&state=2")).await.status, 404);
}

#[tokio::test]
async fn what_the_provider_says_no_to() {
    let issuer = Issuer::start().await;
    let gateway = issuer.gateway().await;
    let mut visitor = Visitor::sent(&gateway, &[]);
    let sent = issuer.sent(&mut visitor).await;
    let answer =
        visitor.go(&issuer.back(&sent, &[("error", "access_denied"), ("error_description", "<b>no</b>")])).await;
    assert!(answer.status == 403 && text(&answer).contains("did not sign you in"), "{}", text(&answer));
    assert!(!text(&answer).contains("<b>no"), "its words are not ours");
    for (error, words) in [
        ("unauthorized_client", "registered there as it should be"),
        ("unauthorized_client", "it answered “unauthorized_client”"),
        ("<b>no</b>", "it answered “unreadable”"),
        ("temporarily_unavailable", "out of order just now"),
    ] {
        let mut visitor = Visitor::sent(&gateway, &[]);
        let sent = issuer.sent(&mut visitor).await;
        let answer = visitor.go(&issuer.back(&sent, &[("error", error)])).await;
        assert!(answer.status == 403 && text(&answer).contains(words), "{error}: {}", text(&answer));
    }

    for (what, token, status) in [
        ("refuses the code", peer::json(400, &json!({"error": "invalid_grant"})), 403),
        ("is out of order", peer::json(503, &json!({})), 502),
        ("redirects", (302, vec![("location", "/elsewhere".to_owned())], String::new()), 502),
        ("says nothing of value", peer::json(200, &json!({"access_token": "a", "token_type": "Bearer"})), 502),
        ("talks too much", (200, vec![], "x".repeat(600_000)), 502),
        ("is silent", (0, vec![], String::new()), 502),
    ] {
        issuer.told(|script| script.token = Some(token));
        let mut visitor = Visitor::sent(&gateway, &[]);
        let answer = issuer.sign_in(&mut visitor).await;
        assert_eq!(answer.status, status, "{what}: {}", text(&answer));
        assert_eq!(answer.header("retry-after").is_some(), status == 502, "{what}");
        assert!(text(&answer).contains("Try again"), "{what}");
    }
    assert!(!issuer.peer.asked().iter().any(|asked| asked.path == "/elsewhere"), "no redirect is followed");
}

#[tokio::test]
async fn a_document_about_somebody_else_is_not_used() {
    for document in [
        json!({"issuer": "https://evil.example"}),
        json!({"authorization_endpoint": "http://evil.example/auth"}),
        json!({"token_endpoint": "ftp://evil.example"}),
        json!({"jwks_uri": null}),
    ] {
        let issuer = Issuer::start().await;
        let gateway = issuer.gateway().await;
        issuer.told(|script| script.document = document.clone());
        let answer = issuer.sent(&mut Visitor::sent(&gateway, &[])).await;
        assert!(answer.status == 502 && text(&answer).contains("does not answer as it should"), "{document}");
        // And asked again when somebody tries again.
        issuer.told(|script| script.document = json!({}));
        assert_eq!(issuer.sent(&mut Visitor::sent(&gateway, &[])).await.status, 303);
    }
}

#[tokio::test]
async fn keys_are_fetched_again_for_an_unknown_kid_once_a_minute() {
    let issuer = Issuer::start().await;
    let gateway = issuer.gateway().await;
    let signed_in = async || {
        let answer = issuer.sign_in(&mut Visitor::sent(&gateway, &[])).await;
        (answer.status, issuer.peer.asked().iter().filter(|asked| asked.path == "/jwks").count())
    };
    assert_eq!(signed_in().await, (200, 1));
    // The provider rotates its key.
    issuer.told(|script| script.seed = (2, 2));
    assert_eq!(signed_in().await, (403, 0), "not within the minute");
    gateway.clock.advance(Duration::from_mins(1));
    issuer.told(|script| script.now += 60);
    assert_eq!(signed_in().await, (200, 1));
    // Somebody makes up names of keys.
    issuer.told(|script| script.signs = Signs::ForeignKid);
    for _ in 0..3 {
        assert_eq!(signed_in().await, (403, 0), "not within the minute");
    }
    gateway.clock.advance(Duration::from_mins(1));
    issuer.told(|script| script.now += 60);
    assert_eq!(signed_in().await, (403, 1));
    assert_eq!(signed_in().await, (403, 0));
    // Six hours later the kept ones are too old, and a key that is no longer published is no longer good.
    issuer.told(|script| (script.signs, script.seed, script.now) = (Signs::Right, (2, 3), script.now + 6 * 3600));
    gateway.clock.advance(Duration::from_hours(6));
    assert_eq!(signed_in().await, (403, 1));
}

#[tokio::test]
async fn many_at_once_ask_for_the_keys_once() {
    let issuer = Issuer::start().await;
    let gateway = issuer.gateway().await;
    let mut visitors: Vec<_> = (0..8).map(|_| Visitor::sent(&gateway, &[])).collect();
    let sent = futures_util::future::join_all(visitors.iter_mut().map(async |visitor| {
        visitor.open().await;
        visitor.press("sign_in").await
    }))
    .await;
    assert!(sent.iter().all(|sent| sent.status == 303));
    let count = |path: &str| issuer.peer.asked().iter().filter(|asked| asked.path == path).count();
    assert_eq!(count("/.well-known/openid-configuration"), 1);
    futures_util::future::join_all(
        visitors.iter_mut().zip(&sent).map(async |(visitor, sent)| visitor.go(&issuer.back(sent, &[])).await),
    )
    .await;
    assert_eq!(count("/jwks"), 1);
}

#[tokio::test]
async fn the_role_is_what_the_token_says_now() {
    let issuer = Issuer::start().await;
    let gateway = issuer.gateway().await;
    for (claims, status, words) in [
        (json!({"groups": ["it"]}), 200, "Access Request"),
        (json!({"groups": "hr"}), 200, "account administrator"),
        (json!({"groups": ["staff"]}), 403, "Your role cannot authorize"),
        (json!({"groups": ["guests"]}), 403, "This account has no role here"),
        (json!({"groups": null}), 403, "This account has no role here"),
    ] {
        issuer.told(|script| script.claims = claims.clone());
        let mut visitor = Visitor::sent(&gateway, &[]);
        let answer = issuer.sign_in(&mut visitor).await;
        let page = text(&answer);
        assert_eq!(answer.status, status, "{claims}: {page}");
        assert!(page.contains(words) && (status == 200 || page.contains("mailto:it@example.com")), "{claims}: {page}");
    }
    // Who has no role any more is signed out wherever they were signed in.
    issuer.told(|script| script.claims = json!({"groups": ["staff"]}));
    let mut elsewhere = Visitor::at_console(&gateway);
    assert!(text(&issuer.sign_in(&mut elsewhere).await).contains("Signed in as"));
    issuer.told(|script| script.claims = json!({"groups": []}));
    assert_eq!(issuer.sign_in(&mut Visitor::at_console(&gateway)).await.status, 403);
    assert!(text(&elsewhere.go("console").await).contains("Sign in at"));
    let known = gateway.gateway.store.administrators(TENANT).await.unwrap();
    assert_eq!(known.len(), 1, "one person");
    assert_eq!(known[0].role, Role::Viewer, "as they last were");

    // The gateway's own operator has the last word.
    gateway.gateway.store.disable_administrator(TENANT, known[0].id).await.unwrap();
    issuer.told(|script| script.claims = json!({}));
    let answer = issuer.sign_in(&mut Visitor::sent(&gateway, &[])).await;
    assert!(answer.status == 403 && text(&answer).contains("This account is disabled here"));
}

#[tokio::test]
async fn a_local_session_ends_when_the_tenant_signs_in_otherwise() {
    let issuer = Issuer::start().await;
    let gateway = issuer.gateway().await;
    // A session of a local administrator from before the configuration changed.
    let id = crate::visitor::add_administrator(&gateway, "ada", Role::SuperUser).await;
    let ada = gateway.gateway.store.administrator_by_id(TENANT, id).await.unwrap().unwrap();
    let cookie = "A".repeat(43);
    assert!(gateway.gateway.store.add_session(&Secret::new(cookie.clone()).digest(), &ada).await.unwrap());
    let mut visitor = Visitor::sent(&gateway, &[]);
    visitor.cookies.insert(format!("portcullis-{TENANT}"), cookie);
    assert!(text(&visitor.open().await).contains("Sign in at"));
    // A password that is right is not asked for.
    let answer = visitor.guess("ada", crate::visitor::PASSWORD).await;
    assert!(answer.header("location").unwrap().starts_with(&issuer.peer.url()));
}
