//! Mappings and scoping filters as an operator meets them: what is said of a configuration, and what then happens to people.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod support;

use std::path::Path;

use portcullis::config::{Config, DirectoryConfig, Environment, Loaded};
use portcullis::http::scim::explain::explain;
use portcullis::mapping::expression::{Expression, Scim};
use portcullis::mapping::scope::{Refused, Rule};
use portcullis::types::{Clock, Timestamp};
use serde_json::{Value, json};
use support::gateway::TestGateway;
use support::legacy::Legacy;

const REST: &str = r#"[tenants.acme]
dialect = "standard"
[tenants.acme.directory]
kind = "rest"
url = "http://127.0.0.1:9000"
[tenants.acme.directory.operations]
read = "GET /users/{id}"
create = "POST /users"
update = "PATCH /users/{id}"
delete = "DELETE /users/{id}"
list = "GET /users?offset={offset}&limit={limit}"
[tenants.acme.directory.find]
userName = "GET /users?username={value}"
[tenants.acme.directory.attributes]
active = { field = "enabled", kind = "boolean" }
'name.givenName' = "first_name"
'name.familyName' = "last_name"
"#;

const PHONE: &str = r#"'phoneNumbers[type eq "work"].value' = { field = "phone", write = 'StripSpaces([phoneNumbers[type eq "work"].value])', read = '[phone]' }"#;

fn loaded(lines: &str) -> Result<Loaded, String> {
    let text = format!("{REST}{lines}\n");
    Config::parse(&text, Path::new("p.toml"), &Environment::default())
        .map_err(|found| found.to_string().replace("p.toml:", "").trim_end().to_owned())
}

/// What is said of these lines, which begin at line 18.
fn said(lines: &str) -> String {
    match loaded(lines) {
        Ok(loaded) => loaded.warnings.to_string().replace("p.toml:", "").trim_end().to_owned(),
        Err(found) => found,
    }
}

#[test]
fn a_mapping_is_checked_when_it_is_loaded() {
    let mut wrong = Vec::new();
    for (lines, wanted) in [
        ("userName = \"username\"", ""),
        (
            "userName = { field = \"username\", write = 'ToLowr([userName])' }",
            "18:43: `ToLowr` is no function (did you mean ToLower?)",
        ),
        (
            "userName = { field = \"username\", write = \"Append([usrName], \\\"-x\\\")\" }",
            "18:50: [usrName] is no attribute of a user (did you mean [userName]?)",
        ),
        (
            "userName = { field = \"username\", write = \"Append(\\\"é\\\", [usrName])\" }",
            "18:57: [usrName] is no attribute of a user (did you mean [userName]?)",
        ),
        (
            "userName = { field = \"username\", write = '''\nAppend([userName],\n  Lft([userName], 1))''' }",
            "20:3: `Lft` is no function (did you mean Left?)",
        ),
        (
            "userName = { field = \"username\", write = 'ToLower([userName])' }",
            "18:43: this expression cannot be turned around (say how userName is read back, such as read = '[username]', or move it to [fields] as username = '…' if it is not)",
        ),
        (
            "userName = { field = \"username\", write = 'ToLower([userName])', read = '[username]' }",
            "18:12: warning: userName does not come back as it is sent: \"Ada Lovelace\" is written as \"ada lovelace\" and read as \"ada lovelace\" (what was sent is answered while the directory holds this; a change made there comes back in the directory's form)",
        ),
        ("userName = { field = \"username\", write = 'Append([userName], \"-x\")' }", ""),
        (
            "userName = { field = \"username\", write = 'Join(\"-\", [userName], [title])', read = '[username]' }",
            "14:1: `attributes`: userName is made of title, which this directory keeps nowhere, so that a later change would be computed without it: map title, too, or write apply = \"create\"",
        ),
        (
            "userName = \"username\"\ntitle = { field = \"job\", kind = \"txt\", apply = \"once\" }",
            "19:9: `title`: kind \"txt\" is none of \"text\", \"boolean\", \"number\"\n19:48: `apply`: \"once\" is none of \"always\", \"create\"",
        ),
        (
            "userName = \"username\"\ntitle = { field = \"job\", rite = '[title]' }",
            "19:26: `rite` is not a key of [tenants.acme.directory.attributes.title] (did you mean `write`?)",
        ),
        (
            "userName = \"username\"\n[tenants.acme.directory.fields]\ncode = 'Guid()'",
            "20:9: Guid and RandomString would give another value with every change (add apply = \"create\")",
        ),
        (
            "userName = \"username\"\n[tenants.acme.directory.fields]\nfull = 'Join(\" \", [name.givenName], [name.familyNam])'",
            "20:37: [name.familyNam] is no attribute of a user (did you mean [name.familyName]?)",
        ),
        (
            "userName = \"username\"\n[tenants.acme.directory.fields]\nstart = 'FormatDateTime(Now(), , \"d\", \"yyyy\")'",
            "20:25: warning: Now() is read when a request comes in (nothing happens by itself on the day a date is reached)",
        ),
        (
            "userName = \"username\"\n[tenants.acme.scope]\nfilter = '[departmnt] = \"Sales\"'\nrefused = \"deny\"",
            "20:11: [departmnt] is no attribute of a user (did you mean [department]?)\n21:11: `deny` is no answer to the refused (choose `forbid` or `drop`)",
        ),
        (
            "userName = \"username\"\n[tenants.acme.scope]\nfilter = 'ToLower([department])'",
            "20:10: a scoping filter says yes or no; this is text (write a comparison, such as [department] = \"Sales\", or IsPresent([department]))",
        ),
    ] {
        let mut said: Vec<_> = said(lines).lines().map(str::to_owned).collect();
        let mut wanted: Vec<_> = wanted.lines().collect();
        said.sort();
        wanted.sort_unstable();
        if said != wanted {
            wrong.push(format!("{lines}\nsays   {said:#?}\nwanted {wanted:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

const LINES: &str = r##"userName = { field = "username", write = 'Append([userName], "#hr")' }
userType = { field = "class", write = 'Switch([userType], , "Employee", "E", "Guest", "G")', default = "E" }
displayName = { read = 'Join(" ", [first_name], [last_name])' }
title = { field = "job", apply = "create" }
nickName = { field = "alias", write = 'IgnoreFlowIfNullOrEmpty([nickName])' }
"##;

const FIELDS: &str = r#"[tenants.acme.directory.fields]
full_name = 'Join(" ", [name.givenName], [name.familyName])'
pin = { write = 'RandomString(8, 8, 0, 0, 0)', apply = "create" }
hired = { write = 'FormatDateTime(Now(), , "d", "yyyy-MM-dd")', apply = "create" }
"#;

async fn calls(config: &Config, line: &str, body: &Value, person: Option<&Value>) -> (Value, String) {
    let request = format!("{line}\nContent-Type: application/scim+json\n\n{body}");
    let clock = Clock::manual(Timestamp::from_seconds(1_763_790_000));
    let person = person.map(ToString::to_string);
    let told = explain(config, &config.tenants["acme"], &clock, &request, person.as_ref().map(String::as_bytes)).await;
    let told = told.unwrap();
    let asked = told.stages.iter().flat_map(|stage| &stage.asked).last().map(|asked| match asked {
        portcullis::directory::imagined::Asked::Call { body, .. } => body.clone().unwrap_or_default(),
        portcullis::directory::imagined::Asked::Own { .. } => Value::Null,
    });
    (asked.unwrap_or_default(), told.text())
}

#[tokio::test]
async fn what_is_written_is_what_the_expressions_make_of_the_person() {
    let config = loaded(&format!("{LINES}{PHONE}\n{FIELDS}")).unwrap().config;
    let person = json!({"userName": "ada", "name": {"givenName": "Ada", "familyName": "Lovelace"}, "title": "Dr",
        "phoneNumbers": [{"type": "work", "value": "+1 555 0100"}], "active": true});
    let (body, text) = calls(&config, "POST /Users", &person, None).await;
    assert_eq!(
        body,
        json!({"enabled": true, "first_name": "Ada", "last_name": "Lovelace", "username": "ada#hr", "class": "E",
            "job": "Dr", "phone": "+15550100", "full_name": "Ada Lovelace", "pin": "[Redact]", "hired": "2025-11-22"})
    );
    let step = "phone ← StripSpaces([phoneNumbers[type eq \"work\"].value]): looks at phoneNumbers[type eq \"work\"].value; \"+15550100\"";
    assert!(text.contains(step), "{text}");

    let patch = |path: &str, value: Value| json!({"Operations": [{"op": "replace", "path": path, "value": value}]});
    for (path, value, wanted) in [
        ("name.familyName", json!("King"), json!({"last_name": "King", "full_name": "Ada King"})),
        ("userType", json!("Guest"), json!({"class": "G"})),
        ("userName", json!("bea"), json!({"username": "bea#hr"})),
        ("nickName", json!("al"), json!({"alias": "al"})),
        // Only written when the person is created.
        ("title", json!("Prof"), Value::Null),
        // The same to the directory.
        ("phoneNumbers[type eq \"work\"].value", json!("+15 550 100"), Value::Null),
    ] {
        let (body, text) = calls(&config, "PATCH /Users/17", &patch(path, value), Some(&person)).await;
        assert_eq!(body, wanted, "{path}\n{text}");
    }
    let (body, _) = calls(
        &config,
        "PATCH /Users/17",
        &json!({"Operations": [{"op": "remove", "path": "userType"}]}),
        Some(&json!({"userName": "ada", "userType": "Guest", "active": true})),
    )
    .await;
    assert_eq!(body, json!({"class": null}));
}

/// The people a directory holds are seen, found and changed through the mapping.
#[tokio::test]
async fn what_is_written_comes_back() {
    let legacy = Legacy::start().await;
    let text = format!(
        "{REST}userName = {{ field = \"username\", write = 'Append([userName], \"-hr\")' }}\n{PHONE}\ndisplayName = {{ read = 'Join(\" \", [first_name], [last_name])' }}\n"
    );
    let text = text.replace("http://127.0.0.1:9000", &legacy.url());
    let config = Config::parse(&text, Path::new("p.toml"), &Environment::default()).unwrap().config;
    let DirectoryConfig::Rest(rest) = &config.tenants["acme"].directory else { panic!("rest") };
    legacy.manners(|manners| manners.null_removes = true);
    let gateway = TestGateway::with(|tenant| tenant.directory = DirectoryConfig::Rest(rest.clone())).await;
    let person = json!({"userName": "ada", "name": {"givenName": "Ada", "familyName": "Lovelace"},
        "phoneNumbers": [{"type": "work", "value": "+1 555 0100"}]});
    let created = gateway.scim("standard", "POST", "/Users", Some(&person.to_string())).await;
    assert_eq!(created.status, 201, "{:?}", String::from_utf8_lossy(&created.body));
    let created: Value = serde_json::from_slice(&created.body).unwrap();
    let held = legacy.people();
    assert_eq!((&held[0]["username"], &held[0]["phone"]), (&json!("ada-hr"), &json!("+15550100")));
    // The form that was sent is what is answered, or it would be sent again and again.
    assert_eq!(created["phoneNumbers"][0]["value"], "+1 555 0100");
    assert_eq!((&created["userName"], &created["displayName"]), (&json!("ada"), &json!("Ada Lovelace")));
    let found = gateway.scim("standard", "GET", "/Users?filter=userName%20eq%20%22ADA%22", None).await;
    let found: Value = serde_json::from_slice(&found.body).unwrap();
    assert_eq!(found["totalResults"], 1, "{found}");
}

fn scope(filter: &str, refused: Refused) -> Rule {
    Rule { filter: Expression::compile(filter, &Scim).unwrap(), refused }
}

#[tokio::test]
async fn who_is_out_of_scope_is_answered_as_configured_and_leavers_always_leave() {
    const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let body = |department: &str| {
        json!({"userName": "ada", "active": true, ENTERPRISE: {"department": department}}).to_string()
    };
    for refused in [Refused::Forbid, Refused::Drop] {
        let gateway = TestGateway::with(|tenant| tenant.scope = Some(scope("[department] = \"Sales\"", refused))).await;
        let outside = gateway.scim("standard", "POST", "/Users", Some(&body("Ops"))).await;
        let answer: Value = serde_json::from_slice(&outside.body).unwrap();
        if refused == Refused::Forbid {
            assert_eq!((outside.status, &answer["status"]), (403, &json!("403")));
            let detail = answer["detail"].as_str().unwrap();
            assert!(detail.contains("enterprise:2.0:User:department") && !detail.contains("Ops"), "{detail}");
        } else {
            assert_eq!(outside.status, 201, "{answer}");
            let path = format!("/Users/{}", answer["id"].as_str().unwrap());
            assert_eq!(gateway.scim("standard", "GET", &path, None).await.status, 404);
            assert_eq!(gateway.scim("standard", "DELETE", &path, None).await.status, 404);
        }
        let nobody = gateway.scim("standard", "GET", "/Users", None).await;
        assert_eq!(serde_json::from_slice::<Value>(&nobody.body).unwrap()["totalResults"], 0);

        let inside = gateway.scim("standard", "POST", "/Users", Some(&body("Sales"))).await;
        assert_eq!(inside.status, 201);
        let id = serde_json::from_slice::<Value>(&inside.body).unwrap()["id"].as_str().unwrap().to_owned();
        let patch = |path: &str, value: Value| {
            json!({"Operations": [{"op": "replace", "path": path, "value": value}]}).to_string()
        };
        let path = format!("/Users/{id}");
        let department = format!("{ENTERPRISE}:department");
        let moved = gateway.scim("standard", "PATCH", &path, Some(&patch(&department, json!("Ops")))).await;
        assert_eq!(moved.status, if refused == Refused::Forbid { 403 } else { 200 });
        let read: Value = serde_json::from_slice(&gateway.scim("standard", "GET", &path, None).await.body).unwrap();
        assert_eq!(read[ENTERPRISE]["department"], "Sales");
        // Disabled although now out of scope by the very same request.
        let both = json!({"Operations": [{"op": "replace", "value": {"active": false, department.as_str(): "Ops"}}]});
        assert_eq!(gateway.scim("standard", "PATCH", &path, Some(&both.to_string())).await.status, 200);
        let read: Value = serde_json::from_slice(&gateway.scim("standard", "GET", &path, None).await.body).unwrap();
        assert_eq!((&read["active"], &read[ENTERPRISE]["department"]), (&json!(false), &json!("Ops")));
        assert_eq!(gateway.scim("standard", "DELETE", &path, None).await.status, 204);
    }
}
