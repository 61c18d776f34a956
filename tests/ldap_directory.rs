//! `config/examples/ldap.toml` as it is shipped, through the real binary, in front of a real OpenLDAP server with the tree of
//! `ldap.ldif`; and what the connector does there that no other kind has to. Left out, and said so, without `slapd`.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::collections::HashSet;
use std::time::Duration;

use ldap3::{Mod, Scope, SearchEntry};
use portcullis::directory::ldap::config::{Draft, DraftDisabled};
use portcullis::ports::{Directory as _, DirectoryError, GroupChange, Lookup, Page};
use portcullis::scim::path::AttrPath;
use portcullis::scim::resource::Resource;
use portcullis::scim::{Member, ResourceType};
use portcullis::types::Secret;
use serde_json::{Value, json};
use support::process::Desk;
use support::slapd::{BASE, PASSWORD, ROOT, Slapd};

const SCIM: &str = "/t/example/scim/v2";
const ALL: Page = Page { offset: 0, limit: 1000 };

fn person(value: Value) -> Resource {
    let Value::Object(map) = value else { panic!("a person is an object") };
    Resource::from_map(map)
}

fn ada(name: &str) -> Resource {
    person(json!({"userName": name, "name": {"familyName": "Lovelace"}, "active": true}))
}

async fn seen(slapd: &Slapd, filter: &str) -> Vec<SearchEntry> {
    let mut ldap = slapd.connection().await;
    let (found, _) = ldap.search(BASE, Scope::Subtree, filter, ["*"]).await.unwrap().success().unwrap();
    found.into_iter().map(SearchEntry::construct).collect()
}

#[tokio::test]
async fn a_person_and_a_group_go_through_their_lives() {
    let Some(slapd) = Slapd::start().await else { return };
    let url = slapd.url();
    let desk = Desk::shipped(
        "config/examples/ldap.toml",
        &[
            ("DIRECTORY_URL", url.as_str()),
            ("DIRECTORY_BIND_DN", ROOT),
            ("DIRECTORY_BIND_PASSWORD", PASSWORD),
            ("DIRECTORY_BASE", BASE),
        ],
    );
    let said = desk.run(&["check", "--connect"], "");
    assert!(said.contains("ldap, ldap://"), "{said}");
    let gate = desk.serve().await;
    let (_, token) = desk.token("example");
    let call = async |method: &str, below: &str, body: Option<&Value>| {
        gate.call(method, &format!("{SCIM}{below}"), &token, body).await
    };
    let ada = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "Ada, \"Countess\" <ada+1@example.com>",
        "externalId": "00u1",
        "name": {"givenName": "Ada", "familyName": "Lovelace"},
        "displayName": "Countess Ada",
        "emails": [{"type": "work", "value": "ada@example.com"}],
        "phoneNumbers": [{"type": "work", "value": "+441234567"}],
        "active": true,
    });
    let answer = call("POST", "/Users", Some(&ada)).await;
    assert_eq!(answer.status, 201, "{}", answer.json());
    let created = answer.json();
    for (key, value) in ada.as_object().unwrap() {
        assert_eq!(&created[key], value, "{key}");
    }
    let id = created["id"].as_str().unwrap().to_owned();
    let taken = call("POST", "/Users", Some(&ada)).await;
    assert_eq!((taken.status, &taken.json()["scimType"]), (409, &json!("uniqueness")));
    for (filter, total) in [
        ("userName eq \"ADA, \\\"countess\\\" <ada+1@example.com>\"", 1),
        ("emails[type eq \"work\"].value eq \"ada@example.com\"", 1),
        ("displayName co \"countess\"", 1),
        ("userName eq \"*\"", 0),
        ("userName eq \"x)(uid=*\"", 0),
    ] {
        let filter: String = url::form_urlencoded::byte_serialize(filter.as_bytes()).collect();
        let found = call("GET", &format!("/Users?filter={filter}"), None).await;
        assert_eq!((found.status, &found.json()["totalResults"]), (200, &json!(total)), "{filter}: {}", found.json());
    }
    let group = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "displayName": "Sales", "externalId": "g1", "members": [{"value": id}],
    });
    let answer = call("POST", "/Groups", Some(&group)).await;
    assert_eq!(answer.status, 201, "{}", answer.json());
    let group_id = answer.json()["id"].as_str().unwrap().to_owned();
    let operations = json!([
        {"op": "Replace", "path": "userName", "value": "ada.king@example.com"},
        {"op": "Replace", "path": "name.familyName", "value": "King"},
        {"op": "Remove", "path": "phoneNumbers[type eq \"work\"]"},
        {"op": "Replace", "path": "active", "value": "False"},
    ]);
    let patch = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations});
    let answer = call("PATCH", &format!("/Users/{id}"), Some(&patch)).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    let entry = seen(&slapd, "(uid=ada.king@example.com)").await.remove(0);
    assert_eq!(entry.dn, "uid=ada.king@example.com,ou=people,dc=example,dc=test");
    assert_eq!((&entry.attrs["sn"][0], &entry.attrs["employeeType"][0]), (&"King".to_owned(), &"disabled".to_owned()));
    assert!(!entry.attrs.contains_key("telephoneNumber"));
    let answer = call("GET", &format!("/Users/{id}"), None).await;
    assert_eq!((answer.status, &answer.json()["active"]), (200, &json!(false)), "the key outlives the name");
    assert_eq!(answer.json()["groups"][0]["value"], group_id, "and so does the membership");
    let members = call("GET", &format!("/Groups/{group_id}"), None).await.json();
    assert_eq!((&members["members"][0]["value"], members["members"].as_array().unwrap().len()), (&json!(id), 1));
    assert_eq!(call("DELETE", &format!("/Users/{id}"), None).await.status, 204);
    let held = seen(&slapd, "(cn=Sales)").await.remove(0);
    assert_eq!(held.attrs["member"], [ROOT], "the placeholder alone");
    assert_eq!(call("DELETE", &format!("/Groups/{group_id}"), None).await.status, 204);
    assert_eq!(call("GET", &format!("/Groups/{group_id}"), None).await.status, 404);
    drop(slapd);
    assert_eq!(call("GET", &format!("/Users/{id}"), None).await.status, 502, "nobody listens");
}

#[tokio::test]
async fn what_others_keep_in_an_entry_stays() {
    let Some(slapd) = Slapd::start().await else { return };
    let directory = Slapd::directory(slapd.draft());
    let made = directory.create(&ada("ada")).await.unwrap();
    let mut ldap = slapd.connection().await;
    let values = |values: &[&'static str]| values.iter().copied().collect::<HashSet<_>>();
    let mods = vec![
        Mod::Add("mail", values(&["first@example.com"])),
        Mod::Add("employeeType", values(&["contractor"])),
        Mod::Add("description", values(&["not ours"])),
    ];
    ldap.modify("uid=ada,ou=people,dc=example,dc=test", mods).await.unwrap().success().unwrap();
    let more = vec![Mod::Add("mail", values(&["second@example.com"]))];
    ldap.modify("uid=ada,ou=people,dc=example,dc=test", more).await.unwrap().success().unwrap();
    let before = directory.read(ResourceType::User, &made.key).await.unwrap().unwrap();
    let mut after = before.resource.clone();
    after.set(&AttrPath::parse("emails[type eq \"work\"].value").unwrap(), json!("third@example.com"));
    after.set(&AttrPath::parse("active").unwrap(), json!(false));
    let changed = directory.update(&made.key, &before.resource, &after).await.unwrap();
    assert_eq!(changed.resource.active(), Some(false));
    let mut entry = seen(&slapd, "(uid=ada)").await.remove(0);
    let mut sorted = |name: &str| {
        let mut values = entry.attrs.remove(name).unwrap();
        values.sort();
        values
    };
    assert_eq!(sorted("mail"), ["second@example.com", "third@example.com"]);
    assert_eq!(sorted("employeeType"), ["contractor", "disabled"]);
    assert_eq!(sorted("description"), ["not ours"]);
}

#[tokio::test]
async fn a_group_that_others_made_is_never_left_empty_and_dead_names_are_not_shown() {
    let Some(slapd) = Slapd::start().await else { return };
    let directory = Slapd::directory(slapd.draft());
    let ada = directory.create(&ada("ada")).await.unwrap().key;
    let mut ldap = slapd.connection().await;
    let group = vec![
        ("objectClass", HashSet::from(["groupOfNames"])),
        ("member", HashSet::from(["UID=Ada, ou=People,dc=example,dc=test", "uid=dead,ou=people,dc=example,dc=test"])),
    ];
    ldap.add("cn=Old,ou=groups,dc=example,dc=test", group).await.unwrap().success().unwrap();
    let found = directory.find(ResourceType::Group, &Lookup::All, ALL).await.unwrap();
    let key = found.entries[0].key.clone();
    let members = directory.members(&key, ALL).await.unwrap();
    assert_eq!((members.members[0].key.as_str(), members.total), (ada.as_str(), 1));
    let dead = vec![Mod::Delete("member", HashSet::from(["uid=dead,ou=people,dc=example,dc=test"]))];
    ldap.modify("cn=Old,ou=groups,dc=example,dc=test", dead).await.unwrap().success().unwrap();
    directory.delete(ResourceType::User, &ada).await.unwrap();
    assert_eq!(directory.members(&key, ALL).await.unwrap().total, 0);
    assert_eq!(seen(&slapd, "(cn=Old)").await[0].attrs["member"], [ROOT]);
}

#[tokio::test]
async fn somebody_who_is_disabled_by_moving_stays_in_their_groups() {
    let Some(slapd) = Slapd::start().await else { return };
    let mut ldap = slapd.connection().await;
    let unit = vec![("objectClass", HashSet::from(["organizationalUnit"]))];
    ldap.add("ou=leavers,dc=example,dc=test", unit).await.unwrap().success().unwrap();
    let disabled = Some(DraftDisabled { base: Some("ou=leavers".into()), ..DraftDisabled::default() });
    let directory = Slapd::directory(Draft { disabled, ..slapd.draft() });
    let made = directory.create(&ada("ada")).await.unwrap();
    let member = Member { key: made.key.clone(), kind: ResourceType::User };
    let group = directory.create_group(&person(json!({"displayName": "All"})), &[member]).await.unwrap();
    let mut off = made.resource.clone();
    off.set(&AttrPath::core("active"), json!(false));
    off.set(&AttrPath::core("userName"), json!("ada.left"));
    let moved = directory.update(&made.key, &made.resource, &off).await.unwrap();
    assert_eq!((moved.key.as_str(), &moved.resource), (made.key.as_str(), &off));
    assert_eq!(seen(&slapd, "(uid=ada.left)").await[0].dn, "uid=ada.left,ou=leavers,dc=example,dc=test");
    assert_eq!(directory.has_members(&group.key, &[&made.key]).await.unwrap(), std::slice::from_ref(&made.key));
    let taken = Err(DirectoryError::Conflict { attribute: "userName".into() });
    assert_eq!(directory.create(&ada("Ada.Left")).await, taken, "a name is held once, wherever the entry is");
    let back = directory.update(&made.key, &off, &made.resource).await.unwrap();
    assert_eq!(back.resource, made.resource);
    assert_eq!(directory.memberships(&[&made.key]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let Some(slapd) = Slapd::start().await else { return };
    let directory = Slapd::directory(slapd.draft());
    let no_surname = directory.create(&person(json!({"userName": "b", "active": true}))).await;
    let Err(DirectoryError::Invalid { attribute, .. }) = no_surname else { panic!("{no_surname:?}") };
    assert_eq!(attribute.as_deref(), Some("name.familyName"), "the server names the attribute");
    let mut nul = ada("c");
    nul.set(&AttrPath::core("displayName"), json!("a\0b"));
    assert!(
        matches!(directory.create(&nul).await, Err(DirectoryError::Invalid { attribute: Some(path), .. }) if path == "displayName")
    );
    let nobody = GroupChange {
        before: person(json!({"displayName": "x"})),
        after: person(json!({"displayName": "x"})),
        add: vec![],
        remove: vec![],
    };
    assert_eq!(directory.update_group("nobody", &nobody).await, Err(DirectoryError::NotFound));
    let wrong = Slapd::directory(Draft { bind_password: Some(Secret::new("wrong")), ..slapd.draft() });
    assert!(matches!(wrong.probe().await, Err(DirectoryError::Refused { reason }) if reason.contains("49")));
    let elsewhere = Slapd::directory(Draft { base: "ou=none,dc=example,dc=test".into(), ..slapd.draft() });
    assert!(
        matches!(elsewhere.probe().await, Err(DirectoryError::Refused { reason }) if reason.contains("there is no ou=people"))
    );
    // A socket that takes connections and never answers.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ldap://{}", deaf.local_addr().unwrap());
    let silent = Slapd::directory(Draft { url, timeout: Duration::from_millis(50), ..slapd.draft() });
    assert_eq!(silent.probe().await, Err(DirectoryError::Silent));
}

#[tokio::test]
async fn a_server_that_came_back_is_used_again_and_connections_are_few() {
    let Some(slapd) = Slapd::start().await else { return };
    let directory = Slapd::directory(Draft { max_connections: 2, ..slapd.draft() });
    let made = directory.create(&ada("ada")).await.unwrap();
    let many = (0..64).map(|_| directory.read(ResourceType::User, &made.key));
    for read in futures_util::future::join_all(many).await {
        assert_eq!(read.unwrap().as_ref(), Some(&made));
    }
    let slapd = slapd.restart().await;
    assert_eq!(directory.read(ResourceType::User, &made.key).await.unwrap(), Some(made));
    drop(slapd);
    let gone = directory.create(&ada("bea")).await;
    assert!(matches!(gone, Err(DirectoryError::Failed { maybe_done: false, .. })), "{gone:?}");
}

#[tokio::test]
async fn tls_is_spoken_with_roots_of_our_own() {
    let folder = tempfile::tempdir().unwrap();
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let put = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (certificate, key) = (put("a.pem", own.cert.pem()), put("a.key", own.signing_key.serialize_pem()));
    let stranger = put("b.pem", other.cert.pem());
    let Some(slapd) = Slapd::start_with(Some((&certificate, &key))).await else { return };
    let secure = format!("ldaps://{}", slapd.tls_address.unwrap());
    for (url, starttls) in [(secure, None), (slapd.url(), Some(true))] {
        let draft = |ca| Draft { url: url.clone(), starttls, ca: Some(ca), ..slapd.draft() };
        Slapd::directory(draft(certificate.clone())).probe().await.unwrap();
        let refused = Slapd::directory(draft(stranger.clone())).probe().await;
        assert!(
            matches!(&refused, Err(DirectoryError::Failed { reason, .. }) if reason.contains("certificate")),
            "{refused:?}"
        );
    }
}
