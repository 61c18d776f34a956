//! Rehearsals against a small endpoint that has one fault at a time: each fault must be found, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use indicatif::ProgressBar;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::{Url, form_urlencoded};

use super::arguments::{Door, Plan};
use super::attribute::Attribute;
use super::authorize::Authorization;
use super::cycle::Flavours;
use super::report::{Check, Report};
use super::token::OAuthClient;
use super::wire::Wire;
use crate::types::{Clock, Random, Secret, Timestamp};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    EmptyIs404,
    NoGroups,
    PlainJson,
    TwinsAllowed,
    CaseMatters,
    ActiveAsText,
    HidesDisabled,
    IgnoresPathless,
    RefusesCapitals,
    DropsTitle,
    Undeletable,
    DeletedStay,
    AnyToken,
    BusyAtFirst,
    LosesFirstCreate,
    RepeatsPages,
    WrongState,
    WrongPassword,
    NoRefreshToken,
    TokenDies,
    Interrupts,
    EmptiesGroup,
    IgnoresMember,
    ListsMembers,
    GroupStays,
}

/// The one group there can be.
struct Team {
    name: String,
    members: BTreeSet<String>,
}

struct Mock {
    fault: Fault,
    users: Mutex<BTreeMap<u64, Map<String, Value>>>,
    team: Mutex<Option<Team>>,
    requests: AtomicU32,
    tokens: AtomicU32,
    stop: CancellationToken,
}

type Answer = Response<Full<Bytes>>;

impl Mock {
    fn answer(status: u16, media_type: &str, body: impl Into<Bytes>) -> Answer {
        Response::builder()
            .status(status)
            .header(header::CONTENT_TYPE, media_type)
            .header(header::CACHE_CONTROL, "no-store")
            .body(Full::new(body.into()))
            .unwrap()
    }

    fn scim(&self, status: u16, body: &Value) -> Answer {
        let media_type = if self.fault == Fault::PlainJson { "application/json" } else { "application/scim+json" };
        Self::answer(status, media_type, body.to_string())
    }

    fn error(&self, status: u16, scim_type: &str) -> Answer {
        let urn = "urn:ietf:params:scim:api:messages:2.0:Error";
        self.scim(
            status,
            &json!({"schemas": [urn], "status": status.to_string(), "scimType": scim_type, "detail": "no"}),
        )
    }

    fn list(&self, total: usize, start: usize, users: &[Value]) -> Answer {
        let urn = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
        self.scim(200, &json!({"schemas": [urn], "totalResults": total, "startIndex": start, "Resources": users}))
    }

    fn user(&self, id: u64, user: &Map<String, Value>) -> Value {
        let mut shown = user.clone();
        shown.insert("id".into(), id.to_string().into());
        shown.insert("meta".into(), json!({"location": format!("/Users/{id}")}));
        if self.fault == Fault::ActiveAsText {
            let active = shown["active"].to_string();
            shown.insert("active".into(), active.into());
        }
        shown.into()
    }

    async fn handle(&self, request: Request<Incoming>) -> Answer {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let query: BTreeMap<String, String> =
            form_urlencoded::parse(parts.uri.query().unwrap_or("").as_bytes()).into_owned().collect();
        let path = parts.uri.path();
        if let Some(endpoint) = path.strip_prefix("/oauth/") {
            return self.oauth(&parts.method, endpoint, &query, &body);
        }
        let wanted = [format!("Bearer token-{}", self.tokens.load(Ordering::SeqCst)), "Bearer given".to_owned()];
        let sent = parts.headers[header::AUTHORIZATION].to_str().unwrap().to_owned();
        if !wanted.contains(&sent) && self.fault != Fault::AnyToken {
            let mut refused = self.error(401, "invalidValue");
            refused.headers_mut().insert(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"".parse().unwrap());
            return refused;
        }
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        if self.fault == Fault::BusyAtFirst && number < 3 {
            let mut refused = self.error(429, "tooMany");
            refused.headers_mut().insert(header::RETRY_AFTER, "0".parse().unwrap());
            return refused;
        }
        if self.fault == Fault::Interrupts && number == 40 {
            self.stop.cancel();
        }
        if self.fault == Fault::TokenDies && number == 30 {
            self.tokens.fetch_add(1, Ordering::SeqCst);
            return self.error(401, "invalidValue");
        }
        let path = path.strip_prefix("/scim").unwrap();
        match (&parts.method, path) {
            (_, "/Groups") if self.fault == Fault::NoGroups => self.error(404, ""),
            (_, path) if path.starts_with("/Groups") => self.group(&parts.method, path, &query, &body),
            (_, "/ServiceProviderConfig") => self.scim(200, &json!({"patch": {"supported": true}})),
            (_, "/ResourceTypes") if self.fault == Fault::NoGroups => {
                self.scim(200, &json!({"Resources": [{"endpoint": "/Users"}]}))
            }
            (_, "/ResourceTypes") => {
                self.scim(200, &json!({"Resources": [{"endpoint": "/Users"}, {"endpoint": "/Groups"}]}))
            }
            (_, "/Schemas") => self.scim(
                200,
                &json!({"Resources": [{"id": "urn:ietf:params:scim:schemas:core:2.0:User",
                    "attributes": [{"name": "title"}, {"name": "displayName"}, {"name": "phoneNumbers"}]}]}),
            ),
            (&Method::GET, "/Users") => self.find(&query),
            (&Method::POST, "/Users") => self.create(&body),
            (method, path) => {
                let id = path.strip_prefix("/Users/").and_then(|id| id.parse().ok()).unwrap_or(0);
                self.one(method, id, &query, &body)
            }
        }
    }

    fn find(&self, query: &BTreeMap<String, String>) -> Answer {
        let users = self.users.lock().unwrap();
        let Some(filter) = query.get("filter") else {
            let start: usize = query["startIndex"].parse().unwrap();
            let count: usize = query["count"].parse().unwrap();
            let skip = if self.fault == Fault::RepeatsPages { start.saturating_sub(2) } else { start - 1 };
            let page: Vec<Value> = users.iter().skip(skip).take(count).map(|(id, user)| self.user(*id, user)).collect();
            return self.list(users.len(), start, &page);
        };
        let Some(name) = filter.strip_prefix("userName eq \"").and_then(|rest| rest.strip_suffix('"')) else {
            return self.error(400, "invalidFilter");
        };
        let same = |found: &str| {
            if self.fault == Fault::CaseMatters { found == name } else { found.eq_ignore_ascii_case(name) }
        };
        let found: Vec<Value> = users
            .iter()
            .filter(|(_, user)| same(user["userName"].as_str().unwrap()))
            .filter(|(_, user)| self.fault != Fault::HidesDisabled || user["active"] == true)
            .map(|(id, user)| self.user(*id, user))
            .take(1)
            .collect();
        if found.is_empty() && self.fault == Fault::EmptyIs404 {
            return self.error(404, "");
        }
        self.list(found.len(), 1, &found)
    }

    fn group(&self, method: &Method, path: &str, query: &BTreeMap<String, String>, body: &[u8]) -> Answer {
        let mut team = self.team.lock().unwrap();
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let shown = |team: &Team| {
            let mut shown = json!({"id": "g1", "displayName": team.name});
            let excluded = query.contains_key("excludedAttributes") && self.fault != Fault::ListsMembers;
            if !excluded && !team.members.is_empty() {
                shown["members"] = team.members.iter().map(|key| json!({"value": key})).collect();
            }
            shown
        };
        match (method, path, &mut *team) {
            (&Method::GET, "/Groups", team) => {
                let filter = query["filter"].to_lowercase();
                let matches = |team: &&mut Team| match filter.split('"').collect::<Vec<_>>()[..] {
                    ["displayname eq ", name, ""] => team.name.to_lowercase() == name,
                    ["id eq ", "g1", " and members eq ", key, ""] => {
                        team.members.contains(key) || self.fault == Fault::IgnoresMember
                    }
                    _ => panic!("nobody asks {filter}"),
                };
                let found: Vec<Value> = team.as_mut().filter(matches).map(|team| shown(team)).into_iter().collect();
                self.list(found.len(), 1, &found)
            }
            (&Method::POST, _, team) => {
                assert!(body.get("members").is_none() && team.is_none());
                let name = body["displayName"].as_str().unwrap().to_owned();
                let made = team.insert(Team { name, members: BTreeSet::new() });
                self.scim(201, &shown(made))
            }
            (_, "/Groups/g1", Some(team)) if *method == Method::GET => self.scim(200, &shown(team)),
            (_, "/Groups/g1", Some(_)) if *method == Method::DELETE && self.fault == Fault::GroupStays => {
                self.error(501, "")
            }
            (_, "/Groups/g1", team @ Some(_)) if *method == Method::DELETE => {
                *team = None;
                Response::builder().status(StatusCode::NO_CONTENT).body(Full::default()).unwrap()
            }
            (_, "/Groups/g1", Some(team)) => {
                for operation in body["Operations"].as_array().unwrap() {
                    if self.fault == Fault::RefusesCapitals && operation["op"] == "Replace" {
                        return self.error(400, "invalidSyntax");
                    }
                    self.change_group(team, operation);
                }
                Response::builder().status(StatusCode::NO_CONTENT).body(Full::default()).unwrap()
            }
            _ => self.error(404, ""),
        }
    }

    fn change_group(&self, team: &mut Team, operation: &Value) {
        let entries = operation["value"].as_array().into_iter().flatten();
        let keys = entries.map(|one| one["value"].as_str().unwrap().to_owned());
        let op = operation["op"].as_str().unwrap().to_lowercase();
        match (op.as_str(), operation["path"].as_str()) {
            ("add", Some("members")) => team.members.extend(keys),
            ("replace", Some("members")) => team.members = keys.collect(),
            ("replace", Some("displayName")) => team.name = operation["value"].as_str().unwrap().into(),
            ("replace", None) => team.name = operation["value"]["displayName"].as_str().unwrap().into(),
            ("remove", Some("members")) if self.fault == Fault::EmptiesGroup => team.members.clear(),
            ("remove", Some("members")) => team.members.retain(|held| !keys.clone().any(|key| key == *held)),
            ("remove", Some(path)) => {
                let key = path.strip_prefix("members[value eq \"").and_then(|rest| rest.strip_suffix("\"]")).unwrap();
                team.members.remove(key);
            }
            other => panic!("nobody asks for {other:?}"),
        }
    }

    fn create(&self, body: &[u8]) -> Answer {
        let Ok(Value::Object(mut user)) = serde_json::from_slice(body) else { return self.error(400, "invalidSyntax") };
        let Some(name) = user["userName"].as_str().map(str::to_lowercase) else {
            return self.error(400, "invalidValue");
        };
        let mut users = self.users.lock().unwrap();
        let taken = users.values().any(|known| known["userName"].as_str().unwrap().to_lowercase() == name);
        if taken && self.fault != Fault::TwinsAllowed {
            return self.error(409, "uniqueness");
        }
        user.remove("roles");
        let id = users.last_key_value().map_or(100, |(id, _)| id + 1);
        let shown = self.user(id, &user);
        users.insert(id, user);
        if self.fault == Fault::LosesFirstCreate && users.len() == 1 {
            return self.error(503, "");
        }
        let mut created = self.scim(201, &shown);
        created.headers_mut().insert(header::LOCATION, format!("/Users/{id}").parse().unwrap());
        created
    }

    fn one(&self, method: &Method, id: u64, query: &BTreeMap<String, String>, body: &[u8]) -> Answer {
        let mut users = self.users.lock().unwrap();
        let Some(user) = users.get_mut(&id) else { return self.error(404, "") };
        match *method {
            Method::DELETE if self.fault == Fault::Undeletable => self.error(501, ""),
            Method::DELETE => {
                if self.fault != Fault::DeletedStay {
                    users.remove(&id);
                }
                Response::builder().status(StatusCode::NO_CONTENT).body(Full::default()).unwrap()
            }
            Method::PATCH => {
                let body: Value = serde_json::from_slice(body).unwrap();
                for operation in body["Operations"].as_array().unwrap() {
                    if self.fault == Fault::RefusesCapitals && operation["op"] == "Replace" {
                        return self.error(400, "invalidSyntax");
                    }
                    match operation["path"].as_str() {
                        Some(path) => self.set(user, path, &operation["value"]),
                        None if self.fault == Fault::IgnoresPathless => {}
                        None => {
                            for (path, value) in operation["value"].as_object().unwrap() {
                                self.set(user, path, value);
                            }
                        }
                    }
                }
                let shown = self.user(id, user);
                self.scim(200, &shown)
            }
            _ => {
                let mut shown = self.user(id, user);
                if query.contains_key("attributes") || query.contains_key("excludedAttributes") {
                    shown.as_object_mut().unwrap().remove("name");
                }
                self.scim(200, &shown)
            }
        }
    }

    fn set(&self, user: &mut Map<String, Value>, path: &str, value: &Value) {
        if path == "active" {
            let active = value.as_bool().unwrap_or_else(|| value.as_str().unwrap().eq_ignore_ascii_case("true"));
            user.insert("active".into(), active.into());
        } else if path == "title" && (self.fault == Fault::DropsTitle || value.as_str().is_none_or(str::is_empty)) {
            user.remove("title");
        } else {
            let attribute = Attribute::ALL.into_iter().find(|one| one.path() == path).unwrap();
            attribute.write(user, value.as_str().unwrap());
        }
    }

    fn oauth(&self, method: &Method, endpoint: &str, query: &BTreeMap<String, String>, body: &[u8]) -> Answer {
        let form: BTreeMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
        let page = |html: &str| Self::answer(200, "text/html", html.to_owned());
        let to = |location: String| {
            Response::builder().status(302).header(header::LOCATION, location).body(Full::default()).unwrap()
        };
        match (method, endpoint) {
            (&Method::GET, "authorize") => {
                assert_eq!(query["code_challenge_method"], "S256");
                to(format!("sign-in?state={}&to={}", query["state"], query["redirect_uri"]))
            }
            (&Method::GET, "sign-in") => {
                page("<form method=post><input name=user><input type=password name=word><button>In</button></form>")
            }
            (&Method::POST, "sign-in") if form["word"] != "open sesame" => page(
                "<p role=alert>Wrong name or password</p><form method=post><input name=user><input type=password name=word></form>",
            ),
            (&Method::POST, "sign-in") => page(&format!(
                "<form method=post action='consent?state={}&amp;to={}'><button name=d value=no>Deny</button>
                 <button name=d value=yes>Authorize</button></form>",
                query["state"], query["to"]
            )),
            (_, "consent") => {
                assert_eq!(form["d"], "yes");
                let state = if self.fault == Fault::WrongState { "other" } else { &query["state"] };
                to(format!("{}?code=c0de&state={state}&iss=http://issuer", query["to"]))
            }
            (_, "token") => {
                let number = self.tokens.fetch_add(1, Ordering::SeqCst) + 1;
                let mut token =
                    json!({"access_token": format!("token-{number}"), "token_type": "bearer", "expires_in": 3600});
                if self.fault != Fault::NoRefreshToken && form["grant_type"] != "client_credentials" {
                    token["refresh_token"] = format!("refresh-{number}").into();
                }
                if form["grant_type"] == "authorization_code" {
                    assert!(form["code_verifier"].len() >= 43 && form["code"] == "c0de");
                }
                Self::answer(200, "application/json", token.to_string())
            }
            other => panic!("nothing asks for {other:?}"),
        }
    }
}

/// Starts the endpoint; it ends with the test's runtime.
async fn start(fault: Fault) -> (Url, Arc<Mock>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let (users, team) = (Mutex::default(), Mutex::default());
    let (requests, tokens) = (AtomicU32::default(), AtomicU32::default());
    let stop = CancellationToken::new();
    let mock = Arc::new(Mock { fault, users, team, requests, tokens, stop });
    let served = Arc::clone(&mock);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mock = Arc::clone(&served);
            let service = service_fn(move |request| {
                let mock = Arc::clone(&mock);
                async move { Ok::<_, Infallible>(mock.handle(request).await) }
            });
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    (base, mock)
}

fn plan(base: &Url, door: Door) -> Plan {
    Plan {
        scim_base: base.join("scim").unwrap().into(),
        door,
        people: 5,
        concurrency: 3,
        seed: 7,
        flavours: Flavours { legacy: true, compliant: true },
        prefix: "rehearse".into(),
        domain: "example.com".into(),
        wide: true,
        keep: false,
        ca_file: None,
        timeout: Duration::from_secs(10),
        json: false,
    }
}

fn authorize(base: &Url, password: &str) -> Door {
    let token_url = base.join("oauth/token").unwrap();
    let client =
        OAuthClient { token_url, id: "id".into(), secret: Some(Secret::new("s")), scopes: vec![], in_body: false };
    let authorization = Authorization {
        authorize_url: base.join("oauth/authorize").unwrap(),
        redirect_uri: Url::parse("http://127.0.0.1/callback").unwrap(),
        issuer: Some("http://issuer".into()),
        username: "admin".into(),
        password: Secret::new(password),
    };
    Door::Authorize(client, Box::new(authorization))
}

async fn play(plan: &Plan) -> Report {
    play_until(plan, &CancellationToken::new()).await
}

async fn play_until(plan: &Plan, stop: &CancellationToken) -> Report {
    let clock = Clock::manual(Timestamp::from_seconds(0));
    let wire = Wire::new(None, 4, plan.timeout, clock.clone()).unwrap();
    let report = Report::default();
    let (random, progress) = (Random::seeded(1), ProgressBar::hidden());
    super::rehearse(plan, &wire, &report, &clock, &random, stop, &progress).await.unwrap();
    report
}

/// Faults after which no group is played.
const WITHOUT_GROUP: [Fault; 2] = [Fault::EmptyIs404, Fault::NoGroups];

#[tokio::test]
async fn each_fault_is_found_and_nothing_else() {
    let table: &[(Fault, &[Check])] = &[
        (Fault::None, &[]),
        (Fault::EmptyIs404, &[Check::UsersProbe, Check::Match, Check::DeletedGone]),
        (Fault::NoGroups, &[Check::GroupsProbe]),
        (Fault::PlainJson, &[Check::MediaType]),
        (Fault::TwinsAllowed, &[Check::Duplicate]),
        (Fault::CaseMatters, &[Check::FindOtherCase]),
        (
            Fault::ActiveAsText,
            &[Check::Echo, Check::ChangeLegacy, Check::ChangeCompliant, Check::DisabledReadable, Check::Restore],
        ),
        (Fault::HidesDisabled, &[Check::DisabledReadable]),
        (Fault::IgnoresPathless, &[Check::ChangeCompliant]),
        (
            Fault::RefusesCapitals,
            &[Check::ChangeLegacy, Check::DisableLegacy, Check::Restore, Check::Clear, Check::GroupRename],
        ),
        (Fault::DropsTitle, &[Check::Kept]),
        (Fault::Undeletable, &[Check::Delete, Check::CleanUp]),
        (Fault::DeletedStay, &[Check::DeletedGone]),
        (Fault::AnyToken, &[Check::WrongToken]),
        (Fault::BusyAtFirst, &[]),
        (Fault::LosesFirstCreate, &[Check::Create]),
        (Fault::RepeatsPages, &[Check::Paging]),
        (Fault::WrongState, &[Check::State]),
        (Fault::NoRefreshToken, &[Check::Refresh]),
        (Fault::TokenDies, &[]),
        (Fault::EmptiesGroup, &[Check::MembersLegacy]),
        (Fault::IgnoresMember, &[Check::MemberProbe]),
        (Fault::ListsMembers, &[Check::GroupLean, Check::GroupRename]),
        (Fault::GroupStays, &[Check::GroupDelete, Check::CleanUp]),
    ];
    for (fault, wanted) in table {
        let (base, mock) = start(*fault).await;
        let report = play(&plan(&base, authorize(&base, "open sesame"))).await;
        assert_eq!(report.count(Check::MembersOkta).0 > 0, !WITHOUT_GROUP.contains(fault), "{fault:?}");
        let found: Vec<&Check> = Check::ALL.iter().filter(|check| report.count(**check).1 > 0).collect();
        let mut wanted: Vec<&Check> = wanted.iter().collect();
        wanted.sort();
        if *fault == Fault::EmptyIs404 {
            // Without a match query nobody is created, so nothing later is tried.
            assert_eq!(found, wanted[..2], "{fault:?}");
            continue;
        }
        assert_eq!(found, wanted, "{fault:?}");
        let left = mock.users.lock().unwrap().len();
        let stay = matches!(fault, Fault::Undeletable | Fault::DeletedStay);
        assert_eq!(left == 0, !stay, "{fault:?}: {left} left");
        let stays = mock.team.lock().unwrap().is_some();
        assert_eq!(stays, *fault == Fault::GroupStays, "{fault:?}: a group is left");
    }
}

#[tokio::test]
async fn a_wrong_password_ends_the_conversation_with_the_pages_own_words() {
    let (base, _) = start(Fault::WrongPassword).await;
    let report = play(&plan(&base, authorize(&base, "guess"))).await;
    assert_eq!(report.count(Check::SignIn), (0, 1));
    assert_eq!(report.count(Check::Create), (0, 0));
}

#[tokio::test]
async fn refused_credentials_end_the_run_at_once() {
    let (base, mock) = start(Fault::None).await;
    let report = play(&plan(&base, Door::Token(Secret::new("stale")))).await;
    assert_eq!(report.count(Check::UsersProbe), (0, 1));
    assert_eq!(report.count(Check::Match), (0, 0));
    assert_eq!(mock.requests.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_interrupted_run_leaves_nobody_and_does_not_pass() {
    let (base, mock) = start(Fault::Interrupts).await;
    let report = play_until(&plan(&base, authorize(&base, "open sesame")), &mock.stop).await;
    assert!(!report.passed());
    assert!(report.count(Check::Create).0 > 0, "it was not interrupted in the midst of creating");
    assert_eq!(report.count(Check::Delete), (0, 0));
    assert_eq!(mock.users.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn other_doors_and_keeping_people() {
    let (base, mock) = start(Fault::None).await;
    let client = OAuthClient {
        token_url: base.join("oauth/token").unwrap(),
        id: "id".into(),
        secret: Some(Secret::new("s")),
        scopes: vec!["scim.write".into()],
        in_body: true,
    };
    let mut kept = plan(&base, Door::ClientCredentials(client));
    kept.keep = true;
    assert!(play(&kept).await.passed());
    assert_eq!(mock.users.lock().unwrap().len(), 5);
    // They were renamed, so that the same seed creates five more, and removes those.
    let report = play(&plan(&base, Door::Token(Secret::new("given")))).await;
    assert_eq!(report.count(Check::Create), (5, 0));
    assert_eq!(mock.users.lock().unwrap().len(), 5);
}

#[tokio::test]
async fn nobody_at_the_address_is_its_own_outcome() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let clock = Clock::manual(Timestamp::from_seconds(0));
    let wire = Wire::new(None, 4, Duration::from_secs(5), clock.clone()).unwrap();
    let report = Report::default();
    let (random, stop, progress) = (Random::seeded(1), CancellationToken::new(), ProgressBar::hidden());
    for door in [Door::Token(Secret::new("x")), authorize(&base, "x")] {
        let plan = plan(&base, door);
        let outcome = super::rehearse(&plan, &wire, &report, &clock, &random, &stop, &progress).await;
        assert!(outcome.unwrap_err().is_unreachable());
    }
}
