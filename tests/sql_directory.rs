//! `config/examples/sql.toml` as it is shipped, through the real binary: in front of PostgreSQL and MariaDB where `tests/run` has
//! started them, and of SQLite in any case.

mod support;

use serde_json::{Value, json};
use support::databases;
use support::gateway::Answer;
use support::process::{Desk, Process};

/// The gateway in front of a database.
struct Gate {
    process: Process,
    desk: Desk,
    token: String,
}

impl Gate {
    async fn open(url: &str) -> Self {
        let desk = Desk::shipped("config/examples/sql.toml", &[("DIRECTORY_URL", url)]);
        let process = desk.serve().await;
        let (_, token) = desk.token("example");
        Self { process, desk, token }
    }

    async fn call(&self, method: &str, below: &str, body: Option<&Value>) -> Answer {
        self.process.call(method, &format!("/t/example/scim/v2{below}"), &self.token, body).await
    }

    async fn found(&self, what: &str, filter: &str) -> Value {
        let filter: String = url::form_urlencoded::byte_serialize(filter.as_bytes()).collect();
        let answer = self.call("GET", &format!("/{what}?filter={filter}"), None).await;
        assert_eq!(answer.status, 200, "{}", answer.json());
        answer.json()
    }
}

fn patch(operations: &Value) -> Value {
    json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations})
}

#[tokio::test]
async fn a_person_and_a_group_go_through_their_whole_life() {
    let folder = tempfile::tempdir().unwrap();
    for (name, url) in databases::addresses(folder.path()).await {
        println!("{name}");
        let gate = Gate::open(&url).await;
        let told = gate.desk.run(&["check", "--connect"], "");
        assert!(told.contains("sql"), "{told}");
        assert_eq!(gate.found("Users", "userName eq \"b0d5\"").await["totalResults"], 0, "Test Connection");
        let ada = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": "Ada.Lovelace@example.com",
            "externalId": "00u1",
            "name": {"givenName": "Ada", "familyName": "O'Lovelace; DROP TABLE people --"},
            "emails": [{"type": "work", "value": "ada@example.com"}],
            "active": true,
        });
        let answer = gate.call("POST", "/Users", Some(&ada)).await;
        assert_eq!(answer.status, 201, "{name}: {}", answer.json());
        let created = answer.json();
        let id = created["id"].as_str().unwrap();
        for (key, value) in ada.as_object().unwrap() {
            assert_eq!(&created[key], value, "{name}: {key}");
        }
        for filter in ["userName eq \"ADA.lovelace@EXAMPLE.com\"", "externalId eq \"00u1\"", "name.givenName sw \"A\""]
        {
            assert_eq!(gate.found("Users", filter).await["totalResults"], 1, "{name}: {filter}");
        }
        let taken = gate.call("POST", "/Users", Some(&json!({"userName": "ada.lovelace@example.com"}))).await;
        assert_eq!((taken.status, &taken.json()["scimType"]), (409, &json!("uniqueness")), "{name}");
        let long = gate.call("POST", "/Users", Some(&json!({"userName": "b", "displayName": "x".repeat(300)}))).await;
        if name != "SQLite" {
            assert_eq!((long.status, &long.json()["scimType"]), (400, &json!("invalidValue")), "{name}");
            assert!(long.json()["detail"].as_str().unwrap().contains("displayName"), "{name}: {}", long.json());
        }
        let team = json!({"displayName": "Analysts", "members": [{"value": id}]});
        let answer = gate.call("POST", "/Groups", Some(&team)).await;
        assert_eq!(answer.status, 201, "{name}: {}", answer.json());
        let group = answer.json()["id"].as_str().unwrap().to_owned();
        let person = gate.call("GET", &format!("/Users/{id}"), None).await.json();
        assert_eq!(person["groups"][0]["value"], group.as_str(), "{name}: {person}");
        let member = format!("id eq \"{group}\" and members eq \"{id}\"");
        assert_eq!(gate.found("Groups", &member).await["totalResults"], 1, "{name}");
        let leave = patch(&json!([{"op": "Remove", "path": "members", "value": [{"value": id}]}]));
        assert_eq!(gate.call("PATCH", &format!("/Groups/{group}"), Some(&leave)).await.status, 204, "{name}");
        assert_eq!(gate.found("Groups", &member).await["totalResults"], 0, "{name}");
        let operations = json!([
            {"op": "Replace", "path": "name.familyName", "value": "King"},
            {"op": "Replace", "path": "active", "value": "False"},
        ]);
        let answer = gate.call("PATCH", &format!("/Users/{id}"), Some(&patch(&operations))).await;
        assert_eq!((answer.status, &answer.json()["active"]), (200, &json!(false)), "{name}: {}", answer.json());
        assert_eq!(answer.json()["name"]["familyName"], "King", "{name}");
        for nobody in ["999999", "g1x", "1%00", "01", "abc", "%27%20OR%201=1"] {
            assert_eq!(gate.call("GET", &format!("/Users/{nobody}"), None).await.status, 404, "{name}: {nobody}");
        }
        assert_eq!(gate.call("DELETE", &format!("/Users/{id}"), None).await.status, 204, "{name}");
        assert_eq!(gate.call("GET", &format!("/Users/{id}"), None).await.status, 404, "{name}");
        assert_eq!(gate.call("DELETE", &format!("/Groups/{group}"), None).await.status, 204, "{name}");
    }
}
