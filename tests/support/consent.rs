//! The Authorize conversation as a browser and a client hold it over the wire: sign in, consent, exchange the code.

use http_body_util::Full;
use hyper::body::Bytes;
use serde_json::Value;
use url::Url;
use url::form_urlencoded::Serializer;

use super::gateway::Answer;

/// Where the code is sent; nobody listens there.
pub const CALLBACK: &str = "http://127.0.0.1/callback";

/// Everything that is needed to get a grant.
pub struct Consent<'a> {
    /// `http://127.0.0.1:PORT/t/acme/oauth`.
    pub endpoints: String,
    pub client_id: &'a str,
    pub client_secret: &'a str,
    pub username: &'a str,
    pub password: &'a str,
}

/// Sends a request.
pub trait Wire {
    async fn send(&self, request: http::Request<Full<Bytes>>) -> Answer;
}

impl Wire for super::gateway::TestGateway {
    async fn send(&self, request: http::Request<Full<Bytes>>) -> Answer {
        self.send(request).await
    }
}

impl Wire for super::process::Process {
    async fn send(&self, request: http::Request<Full<Bytes>>) -> Answer {
        self.send(request).await
    }
}

fn form(url: &str, cookie: &str, fields: &[(&str, &str)]) -> http::Request<Full<Bytes>> {
    let body = Serializer::new(String::new()).extend_pairs(fields).finish();
    http::Request::post(url)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("cookie", cookie)
        .body(Full::new(Bytes::from(body)))
        .unwrap()
}

/// The value of the hidden field that proves that a form came from the page.
fn form_token(page: &Answer) -> String {
    let text = String::from_utf8_lossy(&page.body);
    let (_, rest) = text.split_once("name=\"form_token\" value=\"").unwrap_or_else(|| panic!("no form: {text}"));
    rest.split('"').next().unwrap_or_default().to_owned()
}

fn cookie(answer: &Answer, before: String) -> String {
    let set = answer.header("set-cookie").and_then(|cookie| cookie.split(';').next());
    set.map_or(before, str::to_owned)
}

impl Consent<'_> {
    /// The whole conversation; gives the token endpoint's answer.
    pub async fn grant(&self, wire: &impl Wire) -> Value {
        let query = Serializer::new(String::new())
            .extend_pairs([("response_type", "code"), ("client_id", self.client_id), ("state", "s")])
            .append_pair("redirect_uri", CALLBACK)
            .finish();
        let start = Url::parse(&format!("{}/authorize?{query}", self.endpoints)).unwrap();
        let get = |url: &Url, cookie: &str| {
            let request = http::Request::get(url.as_str()).header("cookie", cookie);
            wire.send(request.body(Full::default()).unwrap())
        };
        let page = get(&start, "").await;
        let kept = cookie(&page, String::new());
        let token = form_token(&page);
        let fields = [
            ("form_token", token.as_str()),
            ("action", "sign_in"),
            ("username", self.username),
            ("password", self.password),
        ];
        let signed_in = wire.send(form(start.as_str(), &kept, &fields)).await;
        let kept = cookie(&signed_in, kept);
        let next = start.join(signed_in.header("location").expect("signed in")).unwrap();
        // Wherever the gateway believes itself to be, it is asked here.
        let next = start.join(&format!("{}?{}", next.path(), next.query().unwrap_or_default())).unwrap();
        let page = get(&next, &kept).await;
        let token = form_token(&page);
        let fields = [("form_token", token.as_str()), ("action", "authorize")];
        let answer = wire.send(form(next.as_str(), &kept, &fields)).await;
        let back = Url::parse(answer.header("location").expect("consented")).unwrap();
        let code = back.query_pairs().find_map(|(name, value)| (name == "code").then(|| value.into_owned()));
        let code = code.unwrap_or_else(|| panic!("no code: {back}"));
        self.token(wire, &[("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", CALLBACK)]).await
    }

    /// New tokens for a refresh token.
    pub async fn refresh(&self, wire: &impl Wire, refresh_token: &str) -> Value {
        self.token(wire, &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
    }

    async fn token(&self, wire: &impl Wire, fields: &[(&str, &str)]) -> Value {
        let mut fields = fields.to_vec();
        fields.extend([("client_id", self.client_id), ("client_secret", self.client_secret)]);
        let answer = wire.send(form(&format!("{}/token", self.endpoints), "", &fields)).await;
        assert_eq!(answer.status, 200, "{}", answer.json());
        answer.json()
    }
}
