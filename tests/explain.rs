//! `portcullis explain`: requests as identity providers send them, and what is said about them. Nothing is listening anywhere.

use std::path::Path;

use portcullis::config::{Config, Environment};
use portcullis::http::scim::explain::{Explanation, explain};
use portcullis::types::{Clock, Timestamp};
use serde_json::{Value, json};

fn dialects() -> Config {
    let text: String = ["ringcentral", "vonage-business", "vonage-contact-center", "playvox", "standard"]
        .map(|name| {
            format!("[tenants.{name}]\ndialect = \"{name}\"\n[tenants.{name}.directory]\nkind = \"embedded\"\n")
        })
        .concat();
    Config::parse(&text, Path::new("portcullis.toml"), &Environment::default()).expect("a configuration").config
}

fn rest() -> Config {
    let environment =
        [("DIRECTORY_URL", "http://hr.example.com/api"), ("DIRECTORY_TOKEN", "top-secret")].into_iter().collect();
    Config::load(Path::new("config/examples/rest.toml"), &environment).expect("the shipped example").config
}

async fn told(config: &Config, tenant: &str, text: &str, person: Option<&Value>) -> Explanation {
    let clock = Clock::manual(Timestamp::from_seconds(1_763_790_000));
    let person = person.map(ToString::to_string);
    let person = person.as_ref().map(String::as_bytes);
    explain(config, &config.tenants[tenant], &clock, text, person)
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn request(line: &str, body: &Value) -> String {
    format!("{line}\r\nAuthorization: Bearer hush\r\nContent-Type: application/scim+json\r\n\r\n{body:#}\r\n")
}

/// What every explanation keeps: it names no secret, its last stage is the answer, and its two forms agree.
fn checked(told: &Explanation) -> (Value, String) {
    let (json, text) = (told.json(), told.text());
    for secret in ["hush", "top-secret"] {
        assert!(!text.contains(secret) && !json.to_string().contains(secret), "{text}");
    }
    assert_eq!(told.stages.last().map(|stage| stage.name), Some("answer"));
    assert_eq!(told.stages.iter().filter(|stage| stage.answer.is_some()).count(), 1);
    assert!(text.contains(&format!("  {} ", json["answer"]["status"])), "{text}");
    (json, text)
}

fn says(json: &Value, stage: &str) -> String {
    let stages = json["stages"].as_array().expect("a list");
    let found = stages.iter().find(|one| one["stage"] == stage).unwrap_or_else(|| panic!("no stage {stage}: {json:#}"));
    found["says"].as_array().expect("a list").iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
}

fn stages(json: &Value) -> Vec<&str> {
    json["stages"].as_array().expect("a list").iter().filter_map(|stage| stage["stage"].as_str()).collect()
}

fn calls(json: &Value) -> Vec<String> {
    let calls = json["downstream"].as_array().expect("a list");
    calls
        .iter()
        .map(|call| format!("{} {}", call["method"].as_str().unwrap_or("-"), call["url"].as_str().unwrap_or("-")))
        .collect()
}

#[tokio::test]
async fn a_refusal_tells_the_error_the_client_gets() {
    let config = dialects();
    let phone = json!({
        "userName": "ada@example.com", "name": {"givenName": "Ada", "familyName": "Lovelace"},
        "emails": [{"type": "work", "value": "ada@example.com", "primary": true}],
        "phoneNumbers": [{"type": "work", "value": "+1 555 0100"}], "active": true
    });
    let other_mail = json!({
        "userName": "ada@example.com", "password": "hush", "name": {"givenName": "Ada", "familyName": "Lovelace"},
        "emails": [{"type": "work", "value": "augusta@example.com"}], "nonsense": 1
    });
    for (tenant, line, body, stage, status, detail) in [
        (
            "ringcentral",
            "POST /t/ringcentral/scim/v2/Users HTTP/1.1",
            &other_mail,
            "dialect",
            400,
            "same e-mail address",
        ),
        ("vonage-contact-center", "POST /Users", &phone, "dialect", 400, "phoneNumbers"),
        ("standard", "PATCH /Users/17", &json!({"Operations": []}), "limit", 400, "Operations is empty"),
        ("standard", "GET /Userz", &Value::Null, "limit", 404, "there is nothing at this path"),
        ("standard", "GET /Users?filter=userNam%20eq%20%22a%22", &Value::Null, "limit", 400, "userName"),
        ("standard", "PUT /Users", &phone, "limit", 405, "answers only GET, HEAD, POST"),
        ("standard", "DELETE /Users/ada", &Value::Null, "directory", 404, "ada"),
        ("ringcentral", "POST /Groups", &json!({}), "limit", 404, "groups are not offered"),
        ("standard", "POST /Groups", &json!({}), "limit", 400, "displayName: is required"),
    ] {
        let told = told(&config, tenant, &request(line, body), None).await;
        let (json, text) = checked(&told);
        assert_eq!(json["refused"], true, "{line}");
        assert_eq!(json["answer"]["status"], status, "{line}: {text}");
        assert_eq!(json["answer"]["body"]["status"], status.to_string(), "{line}");
        let told = json["answer"]["body"]["detail"].as_str().unwrap_or_default();
        assert!(told.contains(detail), "{line}: {told}");
        assert!(stages(&json).contains(&stage), "{line}: {text}");
    }
    let told = told(&config, "ringcentral", &request("POST /Users", &other_mail), None).await;
    let (json, _) = checked(&told);
    assert_eq!(json["answer"]["body"]["scimType"], "invalidValue");
    assert!(says(&json, "request").contains("nonsense"));
    assert!(says(&json, "limit").contains("1000 requests in 60 s"));
    assert!(says(&json, "authentication").contains("/restapi/oauth/authorize"));
    assert!(json["downstream"].as_array().is_some_and(Vec::is_empty));
}

#[tokio::test]
async fn what_a_vendor_means_by_a_change_is_said() {
    let config = dialects();
    let disable = json!({"Operations": [{"op": "Replace", "path": "active", "value": "False"}]});
    let ada = json!({
        "id": "17", "userName": "ada@example.com", "name": {"givenName": "Ada", "familyName": "Lovelace"},
        "emails": [{"type": "work", "value": "ada@example.com"}], "active": true
    });
    // Tenant, request, body, who is there, status, a word of the verdict, how often the directory is asked.
    for (tenant, line, body, person, status, word, asked) in [
        ("vonage-business", "PATCH /Users/17", &disable, None, 200, "unlinked; the account in the directory stays", 1),
        (
            "vonage-business",
            "DELETE /Users/17",
            &Value::Null,
            None,
            204,
            "unlinked; the account in the directory stays",
            1,
        ),
        ("vonage-business", "POST /Users", &ada, Some(&ada), 201, "linked", 2),
        ("ringcentral", "POST /Users", &ada, Some(&ada), 409, "409 uniqueness", 2),
        ("ringcentral", "POST /Users", &ada, None, 201, "accepted", 1),
        ("ringcentral", "PATCH /Users/17", &disable, None, 200, "accepted", 2),
        ("playvox", "DELETE /Users/17", &Value::Null, Some(&ada), 204, "deactivated in the directory", 2),
    ] {
        let told = told(&config, tenant, &request(line, body), person).await;
        let (json, text) = checked(&told);
        assert_eq!(json["answer"]["status"], status, "{tenant} {line}: {text}");
        assert!(says(&json, "dialect").contains(word), "{tenant} {line}: {text}");
        assert_eq!(json["downstream"].as_array().map(Vec::len), Some(asked), "{tenant} {line}: {text}");
    }
}

#[tokio::test]
async fn a_rest_directory_gets_these_calls() {
    let config = rest();
    let ada = json!({
        "userName": "ada@example.com", "displayName": "Ada", "name": {"givenName": "Ada", "familyName": "Byron"},
        "emails": [{"type": "work", "value": "ada@example.com"}], "active": true
    });
    // Entra without feature flags: "Add" for everything, booleans as text.
    let legacy = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [
        {"op": "Add", "path": "name.familyName", "value": "Lovelace"},
        {"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "al@example.com"},
        {"op": "Replace", "path": "active", "value": "False"}
    ]});
    let clearing = json!({"Operations": [{"op": "Remove", "path": "displayName"}]});
    let read = "GET http://hr.example.com/api/users/17";
    let (patch, put) = ("PATCH http://hr.example.com/api/users/17", "PUT http://hr.example.com/api/users/17");
    for (line, body, expected, sent) in [
        (
            "PATCH /t/example/scim/v2/Users/17",
            &legacy,
            &[read, patch][..],
            json!({"last_name": "Lovelace", "email": "al@example.com", "enabled": false}),
        ),
        (
            "PATCH /Users/17",
            &clearing,
            &[read, read, put],
            json!({"username": "ada@example.com", "first_name": "Ada", "last_name": "Byron", "email": "ada@example.com", "enabled": true}),
        ),
        ("DELETE /Users/17", &Value::Null, &[read, "DELETE http://hr.example.com/api/users/17"], Value::Null),
        (
            "GET /Users?filter=userName+eq+%22b%40example.com%22",
            &Value::Null,
            &["GET http://hr.example.com/api/users?username=b%40example.com"],
            Value::Null,
        ),
        (
            "GET /Users?filter=displayName sw \"A\"",
            &Value::Null,
            &["GET http://hr.example.com/api/users?offset=0&limit=500"],
            Value::Null,
        ),
    ] {
        let told = told(&config, "example", &request(line, body), Some(&ada)).await;
        let (json, text) = checked(&told);
        assert_eq!(calls(&json), expected, "{line}: {text}");
        let last = json["downstream"].as_array().and_then(|calls| calls.last()).expect("a call");
        assert_eq!(last["authorization"], "Bearer …");
        assert_eq!(last["body"], sent, "{line}");
        assert_eq!(json["refused"], false, "{line}: {text}");
    }
    let told = told(&config, "example", &request("POST /Users", &ada), None).await;
    let (json, _) = checked(&told);
    assert_eq!(calls(&json), ["POST http://hr.example.com/api/users"]);
    assert_eq!(json["answer"]["headers"]["location"], "http://127.0.0.1:8080/t/example/scim/v2/Users/NEW");
}

#[tokio::test]
async fn a_filter_is_told_in_its_parts() {
    let (config, rest) = (dialects(), rest());
    for (config, tenant, filter, told_parts) in [
        (
            &config,
            "standard",
            "USERNAME Eq \"a\" and active eq True",
            &["filter: userName eq \"a\" and active eq true", "the directory answers userName"][..],
        ),
        (&config, "standard", "title co \"x\"", &["no part of it: everybody is looked at"]),
        (&config, "standard", "id eq \"17\"", &["reading the person with the id 17"]),
        (&config, "ringcentral", "email eq \"a\"", &["in the schema's words: emails"]),
        (&rest, "example", "title eq \"x\" or active eq false", &["no part of it"]),
    ] {
        let told = told(config, tenant, &format!("GET /Users?filter={filter}"), None).await;
        let (json, _) = checked(&told);
        let request = says(&json, "request");
        for part in told_parts {
            assert!(request.contains(part), "{filter}: {request}");
        }
        assert!(says(&json, "authentication").contains("no Authorization header"));
    }
}

#[tokio::test]
async fn what_is_no_scim_request_to_this_tenant_is_not_explained() {
    let config = dialects();
    let clock = Clock::manual(Timestamp::from_seconds(1_763_790_000));
    for (text, person, problem) in [
        ("", None, "there is no request"),
        ("GET /t/playvox/scim/v1/Users", None, "the path is the tenant `playvox`'s"),
        ("POST /t/standard/oauth/token", None, "only SCIM requests are explained"),
        ("GET /t/standard/elsewhere", None, "its SCIM base is http://127.0.0.1:8080/t/standard/scim/v2"),
        ("GET /Users/17", Some("[]"), "the person beside the request: the body is"),
    ] {
        let person = person.map(str::as_bytes);
        let outcome = explain(&config, &config.tenants["standard"], &clock, text, person).await;
        let error = outcome.map(|told| told.text()).expect_err(text).to_string();
        assert!(error.contains(problem), "{text}: {error}");
    }
}

#[tokio::test]
async fn what_happens_to_a_group_is_explained() {
    let config = dialects();
    let operations = json!({"Operations": [
        {"op": "Add", "path": "members", "value": [{"value": "3"}]},
        {"op": "remove", "path": "members[value eq \"4\"]"},
    ]});
    let (json, text) = checked(&told(&config, "standard", &request("PATCH /Groups/g7", &operations), None).await);
    assert_eq!(json["answer"]["status"], 204, "{text}");
    let request_stage = says(&json, "request");
    assert!(request_stage.contains("members to add: 3") && request_stage.contains("members to remove: 4"), "{text}");
    assert!(text.contains("change the group g7") && !text.contains("read the members"), "{text}");
    let probe = "GET /Groups?filter=id%20eq%20%22g7%22%20and%20members%20eq%20%223%22&attributes=id";
    let group = json!({"id": "g7", "displayName": "Sales"});
    let (json, text) = checked(&told(&config, "standard", &request(probe, &Value::Null), Some(&group)).await);
    assert_eq!(json["answer"]["status"], 200, "{text}");
    assert!(says(&json, "request").contains("reading the group with the id g7"), "{text}");
    assert!(text.contains("ask which of 3 are in the group g7"), "{text}");
}
