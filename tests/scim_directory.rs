//! `config/examples/scim.toml` as it is shipped, through the real binary, in front of the SCIM side of the sample directory.

mod support;

use serde_json::{Value, json};
use support::gateway::Answer;
use support::legacy::{Fault, Legacy};
use support::process::{Desk, Process};

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
        let directory = Legacy::start().await;
        let url = directory.url();
        let timeout = ("PORTCULLIS__TENANTS__EXAMPLE__DIRECTORY__TIMEOUT", "2s");
        let desk = Desk::shipped("config/examples/scim.toml", &[("DIRECTORY_URL", url.as_str()), timeout]);
        let process = desk.serve().await;
        let (_, token) = desk.token("example");
        Self { directory, desk, process, token }
    }

    async fn call(&self, method: &str, below: &str, body: Option<&Value>) -> Answer {
        self.process.call(method, &format!("{USERS}{below}"), &self.token, body).await
    }

    async fn found(&self, filter: &str) -> Value {
        let filter: String = url::form_urlencoded::byte_serialize(filter.as_bytes()).collect();
        let answer = self.call("GET", &format!("?filter={filter}"), None).await;
        assert_eq!(answer.status, 200, "{}", answer.json());
        answer.json()
    }
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

fn patch(operations: &Value) -> Value {
    json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations})
}

#[tokio::test]
async fn a_person_goes_through_their_whole_life() {
    let gate = Gate::open().await;
    assert_eq!(gate.found("userName eq \"b0d5\"").await["totalResults"], 0, "Test Connection");
    let answer = gate.call("POST", "", Some(&ada())).await;
    assert_eq!(answer.status, 201, "{}", answer.json());
    let created = answer.json();
    let id = created["id"].as_str().unwrap();
    for (key, value) in ada().as_object().unwrap() {
        assert_eq!(&created[key], value, "{key}");
    }
    assert_eq!(gate.directory.people()[0]["email"], "ada@example.com");
    assert_eq!(gate.call("GET", &format!("/{id}"), None).await.json(), created);
    for filter in [
        "userName eq \"ADA.lovelace@EXAMPLE.com\"",
        "externalId eq \"00u1\"",
        "emails[type eq \"work\"].value eq \"ada@example.com\"",
        "displayName co \"countess\"",
    ] {
        assert_eq!(gate.found(filter).await["Resources"], json!([created]), "{filter}");
    }
    let operations = json!([
        {"op": "Replace", "path": "name.familyName", "value": "King"},
        {"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "king@example.com"},
        {"op": "Remove", "path": "phoneNumbers[type eq \"work\"]"},
        {"op": "Replace", "path": "active", "value": "False"},
    ]);
    gate.directory.seen();
    let answer = gate.call("PATCH", &format!("/{id}"), Some(&patch(&operations))).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    let person = gate.directory.people().remove(0);
    for (field, value) in [("last_name", json!("King")), ("email", json!("king@example.com")), ("phone", json!(""))] {
        assert_eq!(person[field], value, "{field}");
    }
    assert_eq!((&person["enabled"], &person["first_name"]), (&json!(false), &json!("Ada")));
    let seen = gate.directory.seen();
    assert!(seen.iter().any(|seen| seen.line.starts_with("PATCH ")), "{seen:?}");
    assert!(!seen.iter().any(|seen| seen.line.starts_with("PUT ")), "{seen:?}");
    let taken = gate.call("POST", "", Some(&json!({"userName": "ADA.lovelace@example.com"}))).await;
    assert_eq!((taken.status, &taken.json()["scimType"]), (409, &json!("uniqueness")));
    assert_eq!(gate.call("DELETE", &format!("/{id}"), None).await.status, 204);
    assert!(gate.directory.people().is_empty());
    assert_eq!(gate.call("GET", &format!("/{id}"), None).await.status, 404);
}

#[tokio::test]
async fn faults_of_the_directory_are_told_as_such_and_no_person_is_made_twice() {
    let gate = Gate::open().await;
    assert_eq!(gate.found("userName eq \"b0d5\"").await["totalResults"], 0);
    let id = gate.call("POST", "", Some(&ada())).await.json()["id"].as_str().unwrap().to_owned();
    for (faults, status, wait) in [
        (vec![Fault::ResetBefore, Fault::ResetBefore], 502, "5"),
        (vec![Fault::Status(500, None)], 502, "5"),
        (vec![Fault::Status(429, Some("7"))], 503, "7"),
        (vec![Fault::Body("<html>maintenance</html>")], 502, "5"),
        (vec![Fault::Body("[]")], 502, "5"),
        (vec![Fault::Silence], 504, "5"),
    ] {
        let what = format!("{faults:?}");
        gate.directory.next(faults);
        let answer = gate.call("GET", &format!("/{id}"), None).await;
        assert_eq!((answer.status, answer.header("retry-after")), (status, Some(wait)), "{what}: {}", answer.json());
    }
    assert_eq!(gate.call("DELETE", &format!("/{id}"), None).await.status, 204);
    for lost in [Fault::ResetAfter, Fault::Cut, Fault::StatusAfter(503), Fault::Silence] {
        gate.directory.next([lost.clone()]);
        let answer = gate.call("POST", "", Some(&ada())).await;
        assert!(matches!(answer.status, 502 | 504), "{lost:?}: {}", answer.json());
        assert_eq!(gate.directory.people().len(), 1, "{lost:?}: the work was done");
        let answer = gate.call("POST", "", Some(&ada())).await;
        assert_eq!((answer.status, gate.directory.people().len()), (201, 1), "{lost:?}: {}", answer.json());
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(gate.call("DELETE", &format!("/{id}"), None).await.status, 204);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tries_the_directory() {
    let gate = Gate::open().await;
    let said = gate.desk.run(&["check", "--connect"], "");
    assert!(said.contains("scim"), "{said}");
    assert!(gate.directory.seen().iter().any(|seen| seen.line.starts_with("GET /scim/v2/Users?")));
}
