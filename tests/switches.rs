//! What an operator switches for a tenant, against the running gateway: SCIM off, what is carried downstream, who is protected,
//! what happens to leavers, spellings, the vendor's own 429; and the portal's question who is managed. Rows and questions are
//! those of the reference on dialects.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use portcullis::config::{Config, DirectoryConfig, Environment, Tenant};
use portcullis::dialect::{Dialect, OnDelete, OnDisable, SWITCHES};
use portcullis::directory::rest::{Draft, RuleDraft};
use portcullis::http::scim::explain::explain;
use portcullis::oauth::password::NewPassword;
use portcullis::oauth::{Doors, Role, opaque};
use portcullis::ports::Directory as _;
use portcullis::scim::ResourceType;
use portcullis::scim::path::AttrPath;
use portcullis::store::{Client, ClientSecret};
use portcullis::types::{Clock, Random, Secret, Timestamp};
use serde_json::{Value, json};
use support::consent::{CALLBACK, Consent};
use support::gateway::{Answer, TestGateway};
use support::legacy::{Fault, Legacy};
use support::sample;

const BUSINESS: &str = "vonage-business";
const CENTER: &str = "vonage-contact-center";
const RING: &str = "ringcentral";

fn change(dialect: &mut Arc<Dialect>) -> &mut Dialect {
    Arc::make_mut(dialect)
}

/// A gateway with one tenant changed.
async fn gateway(tenant: &'static str, with: impl Fn(&mut Tenant)) -> TestGateway {
    TestGateway::with(|one| {
        if one.name == tenant {
            with(one);
        }
    })
    .await
}

async fn create(gateway: &TestGateway, tenant: &str, body: &Value) -> Answer {
    gateway.scim(tenant, "POST", "/Users", Some(&body.to_string())).await
}

async fn patch(gateway: &TestGateway, tenant: &str, id: &str, path: &str, value: impl Into<Value>) -> Answer {
    let value: Value = value.into();
    let body = json!({"Operations": [{"op": "Replace", "path": path, "value": value}]});
    gateway.scim(tenant, "PATCH", &format!("/Users/{id}"), Some(&body.to_string())).await
}

/// The person as the directory holds them, or null.
async fn held(gateway: &TestGateway, tenant: &str, id: &str) -> Value {
    let snapshot = gateway.gateway.snapshot.load_full();
    let entry = snapshot.tenants[tenant].directory.read(ResourceType::User, id).await.unwrap();
    entry.map_or(Value::Null, |entry| Value::Object(entry.resource.into_map()))
}

/// The notes of the tenant's audit trail, oldest first.
async fn notes(gateway: &TestGateway, tenant: &str) -> Vec<String> {
    let store = &gateway.gateway.store;
    store.flush_audit().await;
    let records = store.audit_tail(Some(tenant), 1000, None).await.unwrap();
    records.into_iter().flat_map(|(_, record)| record.notes).collect()
}

fn id(answer: &Answer) -> String {
    answer.json()["id"].as_str().unwrap_or_else(|| panic!("{}", answer.json())).to_owned()
}

fn jane() -> Value {
    json!({"userName": "jane@example.com", "active": true, "name": {"givenName": "Jane", "familyName": "Doe"},
           "displayName": "Jane Doe", "emails": [{"type": "work", "value": "jane@example.com"}]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_switched_off_says_which_switch_and_where() {
    for (switch, off) in [
        ("scim_enabled", (|tenant| tenant.switches.scim_enabled = false) as fn(&mut Tenant)),
        ("directory_provider", |tenant| tenant.switches.provider_is_scim = false),
    ] {
        let gateway = gateway(RING, off).await;
        for (method, path, body) in [
            ("GET", "/Users", None),
            ("POST", "/Users", Some(jane())),
            ("DELETE", "/Users/1", None),
            ("GET", "/Groups", None),
        ] {
            let answer = gateway.scim(RING, method, path, body.map(|body| body.to_string()).as_deref()).await;
            let body = answer.json();
            assert_eq!((answer.status, &body["status"]), (403, &json!("403")), "{method} {path}");
            let detail = body["detail"].as_str().unwrap();
            assert!(detail.contains(&format!("`{switch}`")), "{detail}");
            assert!(detail.contains("[tenants.ringcentral.switches]"), "{detail}");
            assert!(body.get("scimType").is_none() && answer.header("x-rate-limit-group").is_some(), "counted: {body}");
        }
        assert_eq!(gateway.scim(RING, "GET", "/ServiceProviderConfig", None).await.status, 200);
        assert_eq!(gateway.scim("standard", "GET", "/Users", None).await.status, 200, "the others go on");
    }
}

/// Row "Mailings" and "Other extras": the switches go to the directory with a create, and nowhere else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn switches_are_carried_downstream_with_a_create() {
    for tenant in [BUSINESS, "standard"] {
        let gateway = gateway(tenant, |tenant| {
            tenant.switches.welcome_mail = Some(false);
            tenant.switches.scim_only_add = Some(true);
        })
        .await;
        let created = create(&gateway, tenant, &jane()).await;
        assert_eq!(created.status, 201);
        let told = json!({"welcomeMail": false, "scimOnlyAdd": true});
        let key = id(&created);
        assert_eq!(held(&gateway, tenant, &key).await[SWITCHES], told, "{tenant}");
        let read = gateway.scim(tenant, "GET", &format!("/Users/{key}"), None).await.json();
        assert!(created.json().get(SWITCHES).is_none() && read.get(SWITCHES).is_none(), "{read}");
        // Neither a replace nor a client that knows the name changes what the directory was told.
        let mut replaced = jane();
        replaced[SWITCHES] = json!({"welcomeMail": true});
        let path = format!("/Users/{key}");
        assert_eq!(gateway.scim(tenant, "PUT", &path, Some(&replaced.to_string())).await.status, 200);
        assert_eq!(patch(&gateway, tenant, &key, "name.givenName", "Janet").await.status, 200);
        assert_eq!(held(&gateway, tenant, &key).await[SWITCHES], told, "{tenant}");
        let notes = notes(&gateway, tenant).await;
        assert!(notes.contains(&"carried downstream: welcomeMail false".to_owned()), "{notes:?}");
        assert!(notes.contains(&"carried downstream: scimOnlyAdd true".to_owned()), "{notes:?}");
    }
}

/// Row "Create / match": a directory says in its own words that no extension is free.
#[tokio::test]
async fn no_extension_free_is_403_all_the_way() {
    let legacy = Legacy::start().await;
    let rule = RuleDraft {
        on: vec!["create".into()],
        status: vec![400],
        at: Some("/error".into()),
        matches: Some("out of order".into()),
        means: "no-capacity".into(),
        attribute: None,
    };
    let config = sample::checked(Draft { answers: vec![rule], ..sample::draft(&legacy.url()) });
    let gateway = gateway(RING, |tenant| tenant.directory = DirectoryConfig::Rest(config.clone())).await;
    let ada = json!({"userName": "ada@example.com", "name": {"givenName": "Ada", "familyName": "Lovelace"},
        "emails": [{"type": "work", "value": "ada@example.com"}]});
    legacy.next([Fault::Status(400, None)]);
    let refused = create(&gateway, RING, &ada).await;
    let seen: Vec<_> = legacy.seen().into_iter().map(|seen| seen.line).collect();
    assert_eq!(refused.status, 403, "{} after {seen:?}", refused.json());
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("extension") && !detail.contains("out of order"), "{detail}");
    assert!(legacy.people().is_empty());
    // Once there is one, the same request succeeds.
    assert_eq!(create(&gateway, RING, &ada).await.status, 201);
}

#[tokio::test]
async fn a_directory_maps_what_is_carried() {
    let text = std::fs::read_to_string("config/examples/rest.toml").unwrap();
    let text = text.replace("dialect = \"standard\"", "dialect = \"standard\"\nswitches = { welcome_mail = false }")
        + &format!("\n\"{SWITCHES}:welcomeMail\" = {{ field = \"send_welcome\", kind = \"boolean\" }}\n");
    let environment: Environment =
        [("DIRECTORY_URL", "http://hr.example.com"), ("DIRECTORY_TOKEN", "")].into_iter().collect();
    let config =
        Config::parse(&text, Path::new("p.toml"), &environment).unwrap_or_else(|found| panic!("{found}")).config;
    let request = format!("POST /Users\n\n{}", jane());
    let clock = Clock::manual(Timestamp::from_seconds(0));
    let told = explain(&config, &config.tenants["example"], &clock, &request, None).await.unwrap().text();
    assert!(told.contains("\"send_welcome\": false"), "{told}");
}

/// Questions 19 and 21: a configured role and team, on a create only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_and_a_team_are_given_on_create_only() {
    for tenant in [CENTER, "playvox", BUSINESS] {
        let division = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:division";
        let gateway = gateway(tenant, |tenant| {
            let given = [("roles.value", "Agent"), (division, "Support")];
            change(&mut tenant.dialect).on_create =
                given.map(|(path, value)| (AttrPath::parse(path).unwrap(), value.into())).into();
        })
        .await;
        let created = create(&gateway, tenant, &jane()).await;
        assert_eq!(created.status, 201, "{tenant}");
        assert!(created.json().get("roles").is_none(), "not offered, so not seen");
        let key = id(&created);
        let (urn, _) = division.rsplit_once(':').unwrap();
        let before = held(&gateway, tenant, &key).await;
        assert_eq!((&before["roles"], &before[urn]), (&json!([{"value": "Agent"}]), &json!({"division": "Support"})));
        // Somebody gives the person another role in the directory; provisioning leaves it.
        let path = format!("/Users/{key}");
        assert_eq!(gateway.scim(tenant, "PUT", &path, Some(&jane().to_string())).await.status, 200);
        assert_eq!(held(&gateway, tenant, &key).await["roles"], before["roles"]);
        if tenant == BUSINESS {
            let other = json!({"userName": "there@example.com", "active": true});
            let there = gateway.seed(tenant, other).await;
            let mut linked = jane();
            linked["userName"] = json!("there@example.com");
            assert_eq!(id(&create(&gateway, tenant, &linked).await), there);
            assert!(held(&gateway, tenant, &there).await.get("roles").is_none(), "linked, not created");
        }
    }
}

/// A grant that an administrator of this role has made; gives its access token.
async fn grant(gateway: &TestGateway, tenant: &str, role: Role) -> String {
    let random = Random::seeded(role as u64 + 20);
    let (secret, now) = (opaque::mint(opaque::Kind::ClientSecret, &random), gateway.clock.now());
    let client = Client {
        id: format!("entra-{role}"),
        tenant: tenant.into(),
        name: "Entra".into(),
        redirect_uris: vec![CALLBACK.into()],
        scopes: vec!["scim.read".into(), "scim.write".into()],
        secrets: vec![ClientSecret {
            last_used: None,
            digest: secret.digest(),
            prefix: "x".into(),
            created: now,
            expires: None,
        }],
        doors: Doors::CONFIDENTIAL,
        public: false,
        disabled: false,
        created: now,
    };
    let store = &gateway.gateway.store;
    store.add_client(&client).await.unwrap();
    let hash = NewPassword::new(Secret::new("correct horse battery")).unwrap().hash(&random);
    store.add_administrator(tenant, role.as_str(), role, &hash).await.unwrap();
    let consent = Consent {
        endpoints: format!("http://{}/t/{tenant}/oauth", gateway.public),
        client_id: &client.id,
        client_secret: secret.expose(),
        username: role.as_str(),
        password: "correct horse battery",
    };
    consent.grant(gateway).await["access_token"].as_str().unwrap().to_owned()
}

/// Question 13: administrators are changed only by a super user's grant.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn administrators_are_protected_by_the_role_of_the_grant() {
    let gateway = TestGateway::start().await;
    let mut boss = jane();
    boss["userName"] = json!("boss@example.com");
    let mut downstream = boss.clone();
    downstream["roles"] = json!([{"value": "AU"}, {"value": "AA"}]);
    let key = gateway.seed(BUSINESS, downstream).await;
    let admin = grant(&gateway, BUSINESS, Role::AccountAdmin).await;
    let chief = grant(&gateway, BUSINESS, Role::SuperUser).await;
    let nobody = gateway.token(BUSINESS).to_owned();
    let ask = async |token: &str, method: &str, path: &str, body: Option<&Value>| {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("http://{}/t/{BUSINESS}/scim/v2/Users{path}", gateway.public))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/scim+json");
        let body = body.map(ToString::to_string).unwrap_or_default();
        gateway.send(request.body(Full::new(Bytes::from(body))).unwrap()).await
    };
    let disable = json!({"Operations": [{"op": "Replace", "path": "active", "value": false}]});
    for token in [&admin, &nobody] {
        let refused = ask(token, "POST", "", Some(&boss)).await;
        assert_eq!(refused.status, 403, "not even linked");
        assert!(refused.json()["detail"].as_str().unwrap().contains("authorize again as a super_user"));
    }
    assert_eq!(ask(&chief, "POST", "", Some(&boss)).await.status, 201);
    let one = format!("/{key}");
    for token in [&admin, &nobody] {
        assert_eq!(ask(token, "GET", &one, None).await.status, 200, "reading is free");
        assert_eq!(ask(token, "PATCH", &one, Some(&disable)).await.status, 403);
        assert_eq!(ask(token, "PUT", &one, Some(&boss)).await.status, 403);
        assert_eq!(ask(token, "DELETE", &one, None).await.status, 403);
        assert_eq!(ask(token, "POST", "", Some(&jane())).await.status, if token == &admin { 201 } else { 409 });
    }
    assert_eq!(ask(&chief, "PATCH", &one, Some(&disable)).await.status, 200);
    assert_eq!(ask(&chief, "DELETE", &one, None).await.status, 204);
    let notes = notes(&gateway, BUSINESS).await;
    let protected = "protected: not changed without the grant of a super_user";
    assert_eq!(notes.iter().filter(|note| *note == protected).count(), 8, "{notes:?}");
}

/// Nobody becomes an administrator through a grant that could not change one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_made_an_administrator_by_a_weaker_grant() {
    let gateway = gateway("standard", |tenant| {
        change(&mut tenant.dialect).choose_protected_roles(vec!["admin".into()]);
    })
    .await;
    let mut rising = jane();
    rising["roles"] = json!([{"value": "Admin"}]);
    assert_eq!(create(&gateway, "standard", &rising).await.status, 403);
    let key = id(&create(&gateway, "standard", &jane()).await);
    assert_eq!(patch(&gateway, "standard", &key, "roles", json!([{"value": "admin"}])).await.status, 403);
    assert_eq!(patch(&gateway, "standard", &key, "roles", json!([{"value": "user"}])).await.status, 200);
}

/// Question 12: exposed people are linked by PATCH, with the same event.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exposed_people_are_linked_by_patch() {
    let gateway = gateway(BUSINESS, |tenant| {
        change(&mut tenant.dialect).choose_exposure(true);
    })
    .await;
    let key = gateway.seed(BUSINESS, jane()).await;
    let found = gateway.scim(BUSINESS, "GET", "/Users?filter=userName%20eq%20%22jane%40example.com%22", None).await;
    assert_eq!(found.json()["totalResults"], 1);
    assert_eq!(patch(&gateway, BUSINESS, &key, "name.givenName", "Janet").await.status, 200);
    assert_eq!(notes(&gateway, BUSINESS).await, ["linked"]);
    assert_eq!(create(&gateway, BUSINESS, &jane()).await.status, 409, "linked already");
}

/// Question 12: what becomes of a leaver is the operator's choice, and each act has its event.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaver_is_unlinked_disabled_or_deleted() {
    for (disable, delete, downstream, after, events) in [
        (
            OnDisable::Unlink,
            OnDelete::Unlink,
            json!(true),
            json!(true),
            vec![
                "linked",
                "unlinked; the account in the directory stays as it is",
                "linked again",
                "unlinked; the account in the directory stays as it is",
                "linked",
            ],
        ),
        (
            OnDisable::Disable,
            OnDelete::Deactivate,
            json!(false),
            json!(false),
            vec!["linked", "deactivated in the directory", "linked"],
        ),
        (OnDisable::Disable, OnDelete::Delete, json!(false), Value::Null, vec!["linked"]),
    ] {
        let gateway = gateway(BUSINESS, |tenant| {
            let dialect = change(&mut tenant.dialect);
            (dialect.on_disable, dialect.on_delete) = (disable, delete);
        })
        .await;
        let key = gateway.seed(BUSINESS, jane()).await;
        assert_eq!(id(&create(&gateway, BUSINESS, &jane()).await), key);
        let left = patch(&gateway, BUSINESS, &key, "active", false).await;
        assert_eq!((left.status, &left.json()["active"]), (200, &json!(false)));
        assert_eq!(held(&gateway, BUSINESS, &key).await["active"], downstream, "{disable:?}");
        assert_eq!(gateway.scim(BUSINESS, "GET", &format!("/Users/{key}"), None).await.json()["active"], false);
        assert_eq!(patch(&gateway, BUSINESS, &key, "active", true).await.json()["active"], true);
        assert_eq!(gateway.scim(BUSINESS, "DELETE", &format!("/Users/{key}"), None).await.status, 204);
        assert_eq!(held(&gateway, BUSINESS, &key).await["active"], after, "{delete:?}");
        let again = create(&gateway, BUSINESS, &jane()).await;
        assert_eq!((again.status, id(&again) == key), (201, delete != OnDelete::Delete));
        let mut told = notes(&gateway, BUSINESS).await;
        told.retain(|note| !note.starts_with("dropped"));
        assert_eq!(told, events, "{disable:?} {delete:?}");
    }
    let gateway = gateway(BUSINESS, |tenant| change(&mut tenant.dialect).on_disable = OnDisable::Delete).await;
    let key = id(&create(&gateway, BUSINESS, &jane()).await);
    let left = patch(&gateway, BUSINESS, &key, "active", "False").await;
    assert_eq!((left.status, &left.json()["active"]), (200, &json!(false)));
    assert_eq!(held(&gateway, BUSINESS, &key).await, Value::Null);
    assert_eq!(gateway.scim(BUSINESS, "GET", &format!("/Users/{key}"), None).await.status, 404);
    assert_eq!(create(&gateway, BUSINESS, &jane()).await.status, 201);
}

/// Question 14: letters of every script, counted and written in NFC, answered as they were sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_of_every_script_are_written_in_nfc() {
    let gateway = gateway(BUSINESS, |tenant| {
        let dialect = change(&mut tenant.dialect);
        dialect.choose_unicode(true);
        dialect.choose_spaces(true);
    })
    .await;
    let sent = "van der C\u{30c}apek";
    let mut person = jane();
    person["name"]["familyName"] = json!(sent);
    let created = create(&gateway, BUSINESS, &person).await;
    assert_eq!((created.status, &created.json()["name"]["familyName"]), (201, &json!(sent)));
    let key = id(&created);
    assert_eq!(held(&gateway, BUSINESS, &key).await["name"]["familyName"], "van der Čapek");
    // 45 letters of two characters each, and one more.
    assert_eq!(patch(&gateway, BUSINESS, &key, "name.familyName", "e\u{301}".repeat(45)).await.status, 200);
    assert_eq!(patch(&gateway, BUSINESS, &key, "name.familyName", "e\u{301}".repeat(46)).await.status, 400);
    // A user name never has spaces; its two spellings are one person.
    assert_eq!(patch(&gateway, BUSINESS, &key, "userName", "jane doe@example.com").await.status, 400);
    let there = gateway.seed(BUSINESS, json!({"userName": "rené.doe", "active": true})).await;
    person["userName"] = json!("rene\u{301}.doe");
    let linked = create(&gateway, BUSINESS, &person).await;
    assert_eq!((linked.status, id(&linked)), (201, there));
    let query = "/Users?filter=userName%20eq%20%22rene%CC%81.doe%22";
    assert_eq!(gateway.scim(BUSINESS, "GET", query, None).await.json()["totalResults"], 1, "found as it was sent");
}

/// Question 17: spaces taken out for the directory, answered as they were sent: no endless updates.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spaces_of_a_number_are_taken_out_where_switched_on() {
    let gateway = gateway(CENTER, |tenant| {
        change(&mut tenant.dialect).choose_stripping(true);
    })
    .await;
    let mut person = jane();
    person["phoneNumbers"] = json!([{"type": "work", "value": "+44 20 7946 0000"}]);
    let created = create(&gateway, CENTER, &person).await;
    assert_eq!((created.status, &created.json()["phoneNumbers"]), (201, &person["phoneNumbers"]));
    let key = id(&created);
    let work = json!([{"type": "work", "value": "+442079460000"}]);
    assert_eq!(held(&gateway, CENTER, &key).await["phoneNumbers"], work);
    let path = "phoneNumbers[type eq \"work\"].value";
    let again = patch(&gateway, CENTER, &key, path, "+44 20 7946 0000").await;
    assert_eq!(again.json()["phoneNumbers"], person["phoneNumbers"]);
    assert_eq!(patch(&gateway, CENTER, &key, path, "+44 20 7946 0001").await.status, 200);
    assert_eq!(held(&gateway, CENTER, &key).await["phoneNumbers"][0]["value"], "+442079460001");
    assert_eq!(patch(&gateway, CENTER, &key, path, "+44 (20) 7946").await.status, 400);
}

/// Questions 9, 15 and 16.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_strict_and_what_is_required_is_configured() {
    let strict = gateway(RING, |tenant| {
        change(&mut tenant.dialect).choose_strict_email(true);
    })
    .await;
    let mut person = jane();
    person.as_object_mut().unwrap().remove("emails");
    let refused = create(&strict, RING, &person).await;
    assert_eq!((refused.status, &refused.json()["scimType"]), (400, &json!("invalidValue")));
    let center = gateway(CENTER, |tenant| {
        let dialect = change(&mut tenant.dialect);
        dialect.required.retain(|path| !path.is("displayName"));
        dialect.choose_user_name_signs("._-@+");
    })
    .await;
    let mut person = jane();
    person.as_object_mut().unwrap().remove("displayName");
    person["userName"] = json!("jane+x@example.com");
    assert_eq!(create(&center, CENTER, &person).await.status, 201);
}

/// Question 5: the vendor's own form of a 429 is an option.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_429_may_take_the_vendors_form() {
    let gateway = gateway(RING, |tenant| {
        change(&mut tenant.dialect).choose_vendor_errors(true);
    })
    .await;
    let mut last = gateway.scim(RING, "GET", "/Users?count=0", None).await;
    for _ in 0..300 {
        last = gateway.scim(RING, "GET", "/Users?count=0", None).await;
    }
    assert_eq!((last.status, last.header("content-type")), (429, Some("application/json")));
    assert_eq!((last.header("retry-after"), last.header("x-rate-limit-remaining")), (Some("60"), Some("0")));
    let message = "Request rate exceeded";
    let errors = json!([{"errorCode": "CMN-301", "message": message}]);
    assert_eq!(last.json(), json!({"errorCode": "CMN-301", "message": message, "errors": errors}));
}

const PORTAL: &str = "a-token-of-the-portal-itself";

async fn portal(gateway: &TestGateway, tenant: &str, method: &str, path: &str, token: &str) -> Answer {
    let request = http::Request::builder()
        .method(method)
        .uri(format!("http://{}/t/{tenant}/managed{path}", gateway.public))
        .header("authorization", format!("Bearer {token}"));
    gateway.send(request.body(Full::default()).unwrap()).await
}

/// Row "Locked in portal".
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_portal_asks_who_is_managed() {
    let gateway = TestGateway::with(|tenant| {
        tenant.switches.scim_only_add = Some(true);
        tenant.managed = (tenant.name != RING).then(|| Secret::new(PORTAL).digest());
    })
    .await;
    let (email, phone) = ("emails[type eq \"work\"].value", "phoneNumbers[type eq \"work\"].value");
    let rows = [
        (BUSINESS, json!(["userName", "active", email, "name.givenName", "name.familyName"]), json!([])),
        (CENTER, json!(["userName", email, "displayName", phone]), json!(["clone"])),
        ("playvox", json!([]), json!([])),
    ];
    for (tenant, locked, actions) in rows {
        let unmanaged = gateway.seed(tenant, json!({"userName": "old@example.com", "active": true})).await;
        let mut sent = jane();
        sent["externalId"] = json!("e-1");
        let key = id(&create(&gateway, tenant, &sent).await);
        let since = gateway.clock.now().to_string();
        let answer = portal(&gateway, tenant, "GET", &format!("/{key}"), PORTAL).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{tenant}");
        assert_eq!(
            answer.json(),
            json!({
                "managed": true, "linked_by_external_id": tenant != BUSINESS, "since": since, "locked": locked,
                "locked_actions": actions, "text": "This user is managed by company directory",
            })
        );
        let not = json!({"managed": false, "locked": [], "locked_actions": [], "text": null});
        assert_eq!(portal(&gateway, tenant, "GET", &format!("/{unmanaged}"), PORTAL).await.json(), not);
        assert_eq!(portal(&gateway, tenant, "GET", "/nobody", PORTAL).await.status, 404);
        assert_eq!(portal(&gateway, tenant, "HEAD", &format!("/{key}"), PORTAL).await.status, 200);
        gateway.scim(tenant, "DELETE", &format!("/Users/{key}"), None).await;
        assert_eq!(portal(&gateway, tenant, "GET", &format!("/{key}"), PORTAL).await.json(), not, "{tenant}");
    }
    let whole = portal(&gateway, BUSINESS, "GET", "", PORTAL).await.json();
    assert_eq!(whole, json!({"directory_provider": "scim", "scim_only_add": true, "welcome_mail": true}));
    // An unlinked person is the portal's again.
    let key = id(&create(&gateway, BUSINESS, &jane()).await);
    patch(&gateway, BUSINESS, &key, "active", false).await;
    assert_eq!(portal(&gateway, BUSINESS, "GET", &format!("/{key}"), PORTAL).await.json()["managed"], false);

    for (tenant, method, token, status) in [
        (RING, "GET", PORTAL, 404),
        (CENTER, "GET", "another-token-of-nobody", 401),
        (CENTER, "GET", gateway.token(CENTER), 401),
        (CENTER, "POST", PORTAL, 405),
    ] {
        let answer = portal(&gateway, tenant, method, "/1", token).await;
        assert_eq!(answer.status, status, "{tenant} {method}");
        assert!(answer.json()["error_description"].as_str().unwrap().contains("request"), "{}", answer.json());
    }
    // The portal's token opens nothing else.
    let users = http::Request::get(format!("http://{}/t/{CENTER}/scim-adapter/v2/Users", gateway.public))
        .header("authorization", format!("Bearer {PORTAL}"));
    assert_eq!(gateway.send(users.body(Full::default()).unwrap()).await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_portals_questions_are_bounded() {
    let gateway = gateway("standard", |tenant| tenant.managed = Some(Secret::new(PORTAL).digest())).await;
    for _ in 0..1200 {
        assert_eq!(portal(&gateway, "standard", "GET", "", PORTAL).await.status, 200);
    }
    let refused = portal(&gateway, "standard", "GET", "", PORTAL).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("60")));
    assert_eq!(gateway.scim("standard", "GET", "/Users", None).await.status, 200, "a budget of its own");
    gateway.clock.advance(Duration::from_mins(1));
    assert_eq!(portal(&gateway, "standard", "GET", "", PORTAL).await.status, 200);
}
