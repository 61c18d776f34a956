//! `config/examples/rest.toml` as it is shipped, through the real binary, in front of the sample directory: the work of a
//! provisioning cycle, and then everything a directory can do wrong.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod support;

use std::time::Duration;

use portcullis::dialect::Dialect;
use portcullis::scim::resource::{Resource, ResourceType};
use portcullis::types::Digest;
use serde_json::{Value, json};
use support::gateway::{Answer, TestGateway};
use support::legacy::{Fault, Legacy, Manners};
use support::process::{Desk, PATIENCE, Process, raw};
use tokio::net::TcpListener;

const USERS: &str = "/t/example/scim/v2/Users";

/// The gateway in front of a directory.
struct Gate {
    directory: Legacy,
    desk: Desk,
    process: Process,
    token: String,
}

impl Gate {
    async fn open() -> Self {
        Self::before(Legacy::start().await, &[]).await
    }

    /// With a deadline towards the directory that a test can wait for.
    async fn hasty() -> Self {
        Self::before(Legacy::start().await, &[("PORTCULLIS__TENANTS__EXAMPLE__DIRECTORY__TIMEOUT", "200ms")]).await
    }

    async fn before(directory: Legacy, more: &[(&str, &str)]) -> Self {
        let url = directory.url();
        let mut variables = vec![("DIRECTORY_URL", url.as_str())];
        variables.extend(more);
        let desk = Desk::shipped("config/examples/rest.toml", &variables);
        let process = desk.serve().await;
        let (_, token) = desk.token("example");
        Self { directory, desk, process, token }
    }

    async fn call(&self, method: &str, below: &str, body: Option<&Value>) -> Answer {
        self.process.call(method, &format!("{USERS}{below}"), &self.token, body).await
    }

    async fn create(&self, person: &Value) -> Answer {
        self.call("POST", "", Some(person)).await
    }

    async fn patch(&self, id: &str, path: &str, value: Value) -> Answer {
        self.call("PATCH", &format!("/{id}"), Some(&patch(&[(path, value)]))).await
    }

    /// Kills the process where it stands and starts another one.
    async fn crash(&mut self) {
        self.process.kill();
        self.process = self.desk.serve().await;
    }

    /// How many people the directory holds whose user name is Ada's.
    fn adas(&self) -> usize {
        let people = self.directory.people();
        people.iter().filter(|person| person["username"] == ada()["userName"]).count()
    }

    async fn found(&self, filter: &str) -> Value {
        let filter: String = url::form_urlencoded::byte_serialize(filter.as_bytes()).collect();
        let answer = self.call("GET", &format!("?filter={filter}"), None).await;
        assert_eq!(answer.status, 200, "{}", answer.json());
        answer.json()
    }
}

fn patch(changes: &[(&str, Value)]) -> Value {
    let operations: Vec<_> =
        changes.iter().map(|(path, value)| json!({"op": "Replace", "path": path, "value": value})).collect();
    json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations})
}

fn ada() -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "Ada.Lovelace@example.com",
        "externalId": "00u1",
        "name": {"givenName": "Ada", "familyName": "Lovelace"},
        "displayName": "Countess Ada",
        "emails": [{"type": "work", "value": "ada@example.com"}],
        "phoneNumbers": [{"type": "work", "value": "+441234567"}],
        "active": true,
    })
}

/// A failure of the directory, as an identity provider must see it.
fn assert_fault(answer: &Answer, status: u16, wait: &str, what: &str) {
    assert_eq!(answer.status, status, "{what}: {}", answer.json());
    assert_eq!(answer.header("retry-after"), Some(wait), "{what}");
    assert_eq!(answer.header("content-type"), Some("application/scim+json"), "{what}");
    let body = answer.json();
    assert_eq!(body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]), "{what}");
    assert_eq!(body["status"], status.to_string(), "{what}");
    assert!(body["detail"].as_str().unwrap().contains(answer.header("x-request-id").unwrap()), "{what}: {body}");
}

#[tokio::test]
async fn a_person_goes_through_their_whole_life() {
    let gate = Gate::open().await;
    assert_eq!(gate.found("userName eq \"b0d5\"").await["totalResults"], 0, "Test Connection");

    let answer = gate.create(&ada()).await;
    assert_eq!(answer.status, 201, "{}", answer.json());
    let created = answer.json();
    let id = created["id"].as_str().unwrap();
    assert_eq!(answer.header("location"), created["meta"]["location"].as_str());
    let held = json!({
        "id": id, "username": "Ada.Lovelace@example.com", "external_id": "00u1", "first_name": "Ada",
        "last_name": "Lovelace", "display_name": "Countess Ada", "email": "ada@example.com", "phone": "+441234567",
        "enabled": true, "version": 0,
    });
    assert_eq!(gate.directory.people(), [held]);

    let read = gate.call("GET", &format!("/{id}"), None).await;
    assert_eq!((read.status, read.json()), (200, created.clone()), "what was answered is what is read");
    for (key, value) in ada().as_object().unwrap() {
        assert_eq!(&created[key], value, "{key}");
    }
    for filter in [
        "userName eq \"ADA.lovelace@EXAMPLE.com\"",
        "externalId eq \"00u1\"",
        "emails[type eq \"work\"].value eq \"ada@example.com\"",
        "userName eq \"ada.lovelace@example.com\" and active eq true",
    ] {
        assert_eq!(gate.found(filter).await["Resources"], json!([created]), "{filter}");
    }
    assert_eq!(gate.found("externalId eq \"00U1\"").await["totalResults"], 0, "externalId is caseExact");

    let changes = [("name.familyName", json!("King")), ("emails[type eq \"work\"].value", json!("king@example.com"))];
    let answer = gate.call("PATCH", &format!("/{id}"), Some(&patch(&changes))).await;
    assert_eq!((answer.status, &answer.json()["name"]["familyName"]), (200, &json!("King")));
    let person = gate.directory.people().remove(0);
    assert_eq!((&person["last_name"], &person["email"]), (&json!("King"), &json!("king@example.com")));
    assert_eq!(person["first_name"], "Ada", "what was not named stays");

    let remove = json!({"Operations": [{"op": "remove", "path": "phoneNumbers[type eq \"work\"]"}]});
    assert_eq!(gate.call("PATCH", &format!("/{id}"), Some(&remove)).await.status, 200);
    assert_eq!(gate.directory.people()[0]["phone"], "");

    assert_eq!(gate.patch(id, "active", json!("False")).await.json()["active"], false);
    assert_eq!(gate.directory.people()[0]["enabled"], false);
    assert_eq!(gate.found("active eq false").await["totalResults"], 1);
    assert_eq!(gate.patch(id, "active", json!(true)).await.json()["active"], true);
    assert_eq!(gate.directory.people()[0]["enabled"], true);

    let put = json!({"userName": "ada.king@example.com", "displayName": "Ada King"});
    let answer = gate.call("PUT", &format!("/{id}"), Some(&put)).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    let person = gate.directory.people().remove(0);
    assert_eq!((&person["username"], &person["first_name"]), (&json!("ada.king@example.com"), &json!("")));

    assert_eq!(gate.create(&json!({"userName": "ADA.KING@example.com"})).await.status, 409);
    assert_eq!(gate.call("DELETE", &format!("/{id}"), None).await.status, 204);
    assert!(gate.directory.people().is_empty());
    assert_eq!(gate.call("GET", &format!("/{id}"), None).await.status, 404);
    assert_eq!(gate.call("DELETE", &format!("/{id}"), None).await.status, 404);
}

#[tokio::test]
async fn everybody_is_listed_once_page_by_page() {
    let gate = Gate::open().await;
    for number in 0..25 {
        gate.directory.put(json!({"username": format!("u{number:02}@example.com")}));
    }
    let mut seen = Vec::new();
    for (start, expected) in [(1, 10), (11, 10), (21, 5), (26, 0)] {
        let page = gate.call("GET", &format!("?startIndex={start}&count=10"), None).await.json();
        assert_eq!((&page["totalResults"], &page["itemsPerPage"]), (&json!(25), &json!(expected)), "{start}");
        let resources = page["Resources"].as_array().cloned().unwrap_or_default();
        seen.extend(resources.iter().map(|person| person["userName"].as_str().unwrap().to_owned()));
    }
    assert_eq!(seen, (0..25).map(|number| format!("u{number:02}@example.com")).collect::<Vec<_>>());
    let none = gate.call("GET", "?count=0", None).await.json();
    assert_eq!((&none["totalResults"], &none["Resources"]), (&json!(25), &json!([])));
}

#[tokio::test]
async fn faults_of_the_directory_are_told_as_such() {
    let gate = Gate::hasty().await;
    let id = gate.create(&ada()).await.json()["id"].as_str().unwrap().to_owned();
    // What is read is tried twice when its connection breaks: two faults then.
    for (faults, status, wait) in [
        (vec![Fault::ResetBefore, Fault::ResetBefore], 502, "5"),
        (vec![Fault::Cut, Fault::Cut], 502, "5"),
        (vec![Fault::Status(500, None)], 502, "5"),
        (vec![Fault::Status(503, None)], 502, "5"),
        (vec![Fault::Status(302, None)], 502, "5"),
        (vec![Fault::Status(429, Some("7"))], 503, "7"),
        (vec![Fault::Status(503, Some("9"))], 503, "9"),
        (vec![Fault::Status(429, None)], 503, "5"),
        (vec![Fault::Body("{\"id\":\"1\",\"user")], 502, "5"),
        (vec![Fault::Body("<html>maintenance</html>")], 502, "5"),
        (vec![Fault::Silence], 504, "5"),
    ] {
        let what = format!("{faults:?}");
        gate.directory.next(faults);
        let answer = gate.call("GET", &format!("/{id}"), None).await;
        assert_fault(&answer, status, wait, &what);
        assert_eq!(gate.call("GET", &format!("/{id}"), None).await.status, 200, "after {what}");
    }
    gate.directory.next([Fault::Status(401, None)]);
    let refused = gate.call("GET", &format!("/{id}"), None).await;
    assert_eq!(refused.status, 502, "the gateway's own credentials are not the client's fault");
    let (_, metrics) = gate.process.operation("/metrics").await;
    assert!(!metrics.contains("status=\"500\""), "{metrics}");
}

#[tokio::test]
async fn a_directory_that_is_down_is_told_and_come_back_to() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("http://{address}");
    let desk = Desk::shipped("config/examples/rest.toml", &[("DIRECTORY_URL", &url)]);
    let process = desk.serve().await;
    let (_, token) = desk.token("example");
    for (method, below, body) in
        [("GET", "", None), ("GET", "/1", None), ("DELETE", "/1", None), ("POST", "", Some(ada()))]
    {
        let answer = process.call(method, &format!("{USERS}{below}"), &token, body.as_ref()).await;
        assert_fault(&answer, 502, "5", &format!("{method} {below}"));
    }
    assert_eq!(process.operation("/readyz").await.0, 200, "the gateway itself is well: other tenants are served");
    let directory = Legacy::start_on(TcpListener::bind(address).await.unwrap(), Manners::default());
    assert_eq!(process.call("POST", USERS, &token, Some(&ada())).await.status, 201);
    assert_eq!(directory.people().len(), 1);
}

#[tokio::test]
async fn a_create_whose_answer_was_lost_is_found_by_its_repeat() {
    let mut gate = Gate::hasty().await;
    let nothing = Vec::new;
    for (lost, status, meanwhile, crash) in [
        (Fault::ResetAfter, 502, nothing(), false),
        (Fault::Cut, 502, nothing(), false),
        (Fault::StatusAfter(500), 502, nothing(), false),
        (Fault::StatusAfter(503), 502, nothing(), false),
        (Fault::Silence, 504, nothing(), false),
        (Fault::ResetAfter, 502, nothing(), true),
        (Fault::Silence, 504, nothing(), true),
        // The directory has not come to itself yet: these repeats fail, too, and must not make the first try forgotten.
        (Fault::ResetAfter, 502, vec![vec![Fault::Status(429, Some("1"))]], false),
        (Fault::ResetAfter, 502, vec![vec![Fault::Status(500, None)]], true),
        (Fault::ResetAfter, 502, vec![vec![Fault::ResetBefore]], false),
        (Fault::Silence, 504, vec![vec![Fault::Status(405, None)], vec![Fault::Status(403, None)]], false),
        (Fault::Silence, 504, vec![vec![Fault::None, Fault::Status(500, None)]], true),
        (Fault::ResetAfter, 502, vec![vec![Fault::Status(400, None)]], false),
    ] {
        let what = format!("{lost:?} {meanwhile:?} crash: {crash}");
        gate.directory.next([lost]);
        let answer = gate.create(&ada()).await;
        assert_fault(&answer, status, "5", &what);
        assert_eq!(gate.adas(), 1, "{what}: the work was done");
        if crash {
            gate.crash().await;
        }
        for faults in meanwhile {
            gate.directory.next(faults);
            let answer = gate.create(&ada()).await;
            assert!(matches!(answer.status, 400 | 502 | 503), "{what}: {}", answer.json());
        }
        let answer = gate.create(&ada()).await;
        assert_eq!(answer.status, 201, "{what}: {}", answer.json());
        assert_eq!(gate.adas(), 1, "{what}");
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(gate.directory.people()[0]["id"], id.as_str(), "{what}");
        // From now on it is an ordinary person, and another create an ordinary conflict.
        assert_eq!(gate.create(&ada()).await.status, 409, "{what}");
        assert_eq!(gate.call("DELETE", &format!("/{id}"), None).await.status, 204, "{what}");
    }
}

#[tokio::test]
async fn a_create_that_the_gateway_did_not_survive_is_found_by_its_repeat() {
    let mut gate = Gate::before(Legacy::start().await, &[]).await;
    gate.directory.next([Fault::Silence]);
    let body = ada().to_string();
    let head = format!(
        "POST {USERS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n{body}",
        gate.token,
        body.len()
    );
    let public = gate.process.public;
    let asked = tokio::spawn(async move { raw(public, head.as_bytes()).await });
    gate.process.until("the work", PATIENCE, async || (gate.adas() == 1).then_some(())).await;
    gate.crash().await;
    assert_eq!(asked.await.unwrap(), "", "the answer is lost");
    let answer = gate.create(&ada()).await;
    assert_eq!((answer.status, gate.adas()), (201, 1), "{}", answer.json());
    assert_eq!(gate.create(&ada()).await.status, 409);
}

#[tokio::test]
async fn a_create_that_was_never_tried_before_takes_nobody_over() {
    let gate = Gate::open().await;
    gate.directory.put(json!({"username": "ada.lovelace@example.com", "email": "hers@example.com"}));
    for _ in 0..2 {
        let answer = gate.create(&ada()).await;
        assert_eq!((answer.status, &answer.json()["scimType"]), (409, &json!("uniqueness")));
    }
    assert_eq!(gate.directory.people()[0]["email"], "hers@example.com");
}

#[tokio::test]
async fn a_create_whose_client_hangs_up_is_carried_through() {
    let gate = Gate::open().await;
    gate.directory.manners(|manners| manners.latency = Duration::from_millis(100));
    let body = ada().to_string();
    let head = format!(
        "POST {USERS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n{body}",
        gate.token,
        body.len()
    );
    let mut stream = tokio::net::TcpStream::connect(gate.process.public).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes()).await.unwrap();
    gate.process.until("the call", PATIENCE, async || (!gate.directory.seen().is_empty()).then_some(())).await;
    drop(stream);
    gate.process.until("the person", PATIENCE, async || (gate.adas() == 1).then_some(())).await;
    gate.directory.manners(|manners| manners.latency = Duration::ZERO);
    // It is managed: found and changed like any other.
    let found = gate.found("userName eq \"ada.lovelace@example.com\"").await;
    let id = found["Resources"][0]["id"].as_str().unwrap();
    assert_eq!(gate.patch(id, "displayName", json!("A")).await.status, 200);
}

#[tokio::test]
async fn a_change_whose_answer_was_lost_is_whole_or_not_at_all() {
    let mut gate = Gate::hasty().await;
    let id = gate.create(&ada()).await.json()["id"].as_str().unwrap().to_owned();
    let mut number = 0;
    // Before the change the gateway reads the person: that goes well.
    for (fault, status, done) in [
        (Fault::ResetAfter, 502, true),
        (Fault::ResetBefore, 502, false),
        (Fault::Cut, 200, true),
        (Fault::StatusAfter(500), 502, true),
        (Fault::Status(500, None), 502, false),
        (Fault::Silence, 504, true),
        (Fault::Status(429, Some("3")), 503, false),
    ] {
        for crash in [false, true] {
            number += 1;
            let (name, email) = (format!("Ada {number}"), format!("ada{number}@example.com"));
            let before = gate.directory.people().remove(0);
            let change = patch(&[
                ("displayName", json!(name)),
                ("emails[type eq \"work\"].value", json!(email)),
                ("active", json!(number % 2 == 0)),
            ]);
            gate.directory.next([Fault::None, fault.clone()]);
            let answer = gate.call("PATCH", &format!("/{id}"), Some(&change)).await;
            let what = format!("{fault:?} crash: {crash} {}", answer.json());
            let now = gate.directory.people().remove(0);
            let both = (now["display_name"] == name.as_str(), now["email"] == email.as_str());
            assert_eq!(both, (done, done), "{what}");
            assert!(done || now == before, "{what}");
            assert!(answer.status == status || fault == Fault::Cut, "{what}");
            if crash {
                gate.crash().await;
            }
            let answer = gate.call("PATCH", &format!("/{id}"), Some(&change)).await;
            assert_eq!(answer.status, 200, "{what}");
            let (now, seen) = (gate.directory.people().remove(0), answer.json());
            assert_eq!((&now["display_name"], &now["email"]), (&json!(name), &json!(email)), "{what}");
            assert_eq!((&seen["displayName"], &seen["active"]), (&json!(name), &now["enabled"]), "{what}");
            assert_eq!(now["enabled"], number % 2 == 0, "{what}");
        }
    }
}

#[tokio::test]
async fn a_delete_whose_answer_was_lost_is_done_by_its_repeat() {
    let mut gate = Gate::hasty().await;
    for (fault, status, crash) in [
        (Fault::ResetAfter, 502, false),
        (Fault::StatusAfter(500), 502, true),
        (Fault::Silence, 504, false),
        (Fault::ResetBefore, 502, true),
    ] {
        let id = gate.create(&ada()).await.json()["id"].as_str().unwrap().to_owned();
        gate.directory.next([Fault::None, fault.clone()]);
        let what = format!("{fault:?} crash: {crash}");
        assert_fault(&gate.call("DELETE", &format!("/{id}"), None).await, status, "5", &what);
        if crash {
            gate.crash().await;
        }
        let answer = gate.call("DELETE", &format!("/{id}"), None).await;
        assert_eq!(answer.status, 204, "{what}: {}", answer.json());
        assert_eq!(gate.adas(), 0, "{what}");
        assert_eq!(gate.call("DELETE", &format!("/{id}"), None).await.status, 404, "{what}");
    }
}

#[tokio::test]
async fn nothing_in_the_directory_keeps_a_leaver_in() {
    let gate = Gate::open().await;
    let id = gate.create(&ada()).await.json()["id"].as_str().unwrap().to_owned();
    gate.directory.put(json!({"username": "taken@example.com"}));
    // The directory refuses the value that comes with the disable; the disable must not suffer.
    for (path, value) in
        [("phoneNumbers[type eq \"work\"].value", json!("0555 17")), ("userName", json!("taken@example.com"))]
    {
        let change = patch(&[(path, value.clone()), ("active", json!(false))]);
        let answer = gate.call("PATCH", &format!("/{id}"), Some(&change)).await;
        assert_eq!((answer.status, &answer.json()["active"]), (200, &json!(false)), "{path}: {}", answer.json());
        let person = gate.directory.people().remove(0);
        assert_eq!((&person["enabled"], &person["phone"]), (&json!(false), &json!("+441234567")), "{path}");
        let id_in_log = answer.header("x-request-id").unwrap();
        let line = gate.process.line(id_in_log).await;
        assert!(line["notes"].as_str().unwrap().contains("left out beside a disable"), "{line}");
        // Without a disable the same is refused.
        assert_eq!(gate.patch(&id, "active", json!(true)).await.status, 200);
        let refused = gate.patch(&id, path, value).await.status;
        assert!(matches!(refused, 400 | 409), "{path}: {refused}");
    }
    let put = json!({"userName": "taken@example.com", "active": false});
    let answer = gate.call("PUT", &format!("/{id}"), Some(&put)).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    assert_eq!(gate.directory.people()[0]["enabled"], false);
}

#[tokio::test]
async fn a_crash_between_the_link_and_the_journal_is_no_conflict() {
    let gateway = TestGateway::start().await;
    let body = ada().to_string();
    let create = async || gateway.scim("standard", "POST", "/Users", Some(&body)).await;
    let made = create().await.json();
    // As the journal stands when the process dies after the link was kept: begun, and no end written down.
    let resource = Resource::parse(ResourceType::User, body.as_bytes()).unwrap().resource;
    let resource = Dialect::named("standard").unwrap().accept(None, resource).resource;
    let digest = |text: &str| Digest::of(text.as_bytes());
    let name = digest("ada.lovelace@example.com");
    let store = &gateway.gateway.store;
    let same = digest(&serde_json::to_string(resource.as_map()).unwrap());
    store.begin_create("standard", &name, &same).await.unwrap();
    let again = create().await;
    assert_eq!((again.status, &again.json()["id"]), (201, &made["id"]), "{}", again.json());
    assert_eq!(create().await.status, 409, "the end is written down now");
    // Somebody else's create of the same name takes no managed person over, whatever the journal holds.
    store.begin_create("standard", &name, &digest("other values")).await.unwrap();
    assert_eq!(create().await.status, 409);
}
