//! The shipped files against the reader, and what the sections make of each other.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::limit::{Penalty, Policy, Quota};
use crate::scim::ResourceType;

const EXAMPLE: &str = include_str!("../../config/portcullis.example.toml");
const PLACE: &str = "/etc/portcullis/portcullis.toml";
const LEAST: &str = "[tenants.acme]\ndialect = \"ringcentral\"\ndirectory = { kind = \"embedded\" }\n";

fn load(text: &str, variables: &[(&str, &str)]) -> Loaded {
    let environment = variables.iter().copied().collect();
    Config::parse(text, Path::new(PLACE), &environment).unwrap_or_else(|found| panic!("\n{found}\nin\n{text}"))
}

fn refused(text: &str) -> Diagnostics {
    Config::parse(text, Path::new(PLACE), &Environment::default()).expect_err(text)
}

fn tenant(loaded: &Loaded) -> &Tenant {
    &loaded.config.tenants["acme"]
}

#[test]
fn the_example_says_the_defaults() {
    let (example, least) = (load(EXAMPLE, &[]), load(LEAST, &[]));
    assert_eq!(format!("{:?}", example.config), format!("{:?}", least.config));
    assert!(example.warnings.is_empty(), "{}", example.warnings);
    assert_eq!(example.config.server, Server::default());
    assert_eq!(example.config.operations, Operations::default());
    assert_eq!(example.config.rate_store, RateStore::default());
    assert_eq!(example.config.state.url, "sqlite:/etc/portcullis/portcullis.db");
    let DirectoryConfig::Embedded(directory) = &tenant(&least).directory else { panic!("embedded") };
    assert_eq!(directory.path, Path::new("/etc/portcullis/acme.directory.db"));
}

#[test]
fn the_example_mentions_every_key() {
    // A `tls` section makes the reader ask for its keys as well.
    let text = EXAMPLE.replace("#: ", "");
    let (_, outcome) = load::read(&text, Path::new(PLACE), &Environment::default()).expect("TOML");
    assert!(outcome.known.len() > 35, "{:?}", outcome.known);
    let words: BTreeSet<String> =
        text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').map(str::to_lowercase).collect();
    for path in &outcome.known {
        let key = path.last().expect("a key");
        assert!(
            words.contains(key) || text.to_lowercase().contains(&format!("\"{key}\"")),
            "{} is not in config/portcullis.example.toml",
            path.join(".")
        );
    }
    // And every line of it speaks of a key: a comment follows each.
    for line in EXAMPLE.lines().filter(|line| !line.is_empty() && !line.starts_with(['[', '#'])) {
        assert!(line.contains(" # "), "no comment: {line}");
    }
}

#[test]
fn the_vendors_examples_load_without_a_word() {
    for (name, text) in [
        ("ringcentral", include_str!("../../config/examples/ringcentral.toml")),
        ("vonage-business", include_str!("../../config/examples/vonage-business.toml")),
        ("vonage-contact-center", include_str!("../../config/examples/vonage-contact-center.toml")),
        ("playvox", include_str!("../../config/examples/playvox.toml")),
    ] {
        let loaded = load(text, &[]);
        assert_eq!(loaded.config.tenants["example"].dialect.name, name);
        assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    }
}

#[test]
fn the_examples_of_signing_in_load() {
    let text = include_str!("../../config/examples/sign-in.toml");
    let loaded = load(text, &[("OIDC_SECRET", "s"), ("HR_TOKEN", "t"), ("LDAP_PASSWORD", "p")]);
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    let sign_in = |name: &str| &loaded.config.tenants[name].sign_in;
    assert!(matches!(sign_in("oidc"), SignIn::Oidc(oidc) if oidc.issuer == "https://id.example.com"));
    let verifier = |name: &str| match sign_in(name) {
        SignIn::Directory(directory) => format!("{:?}", directory.verifier),
        _ => String::new(),
    };
    assert!(verifier("rest").contains("/login") && verifier("ldap").contains("(uid={username})"));
    assert!(!verifier("rest").contains("Secret(\"") && !verifier("ldap").contains("\"p\""), "secrets do not print");
    assert_eq!(loaded.config.tenants["oidc"].contact.as_deref(), Some("it@example.com"));
}

#[test]
fn the_rest_example_takes_its_address_from_the_environment() {
    let text = include_str!("../../config/examples/rest.toml");
    for token in [None, Some(("DIRECTORY_TOKEN", "")), Some(("DIRECTORY_TOKEN", "t"))] {
        let variables: Vec<_> = [("DIRECTORY_URL", "http://127.0.0.1:9000")].into_iter().chain(token).collect();
        let loaded = load(text, &variables);
        assert!(matches!(loaded.config.tenants["example"].directory, DirectoryConfig::Rest(_)));
        assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    }
    let moved = [
        ("PORTCULLIS__TENANTS__EXAMPLE__DIRECTORY__URL", "https://hr.example.com/api"),
        ("PORTCULLIS__TENANTS__EXAMPLE__DIRECTORY__OPERATIONS__READ", "GET /people/{id}"),
        ("PORTCULLIS__TENANTS__EXAMPLE__DIRECTORY__PAGE_SIZE", "7"),
    ];
    let loaded = load(text, &moved);
    let directory = format!("{:?}", loaded.config.tenants["example"].directory);
    assert!(directory.contains("hr.example.com") && directory.contains("people"), "{directory}");
}

#[test]
fn the_scim_example_takes_its_address_from_the_environment() {
    let text = include_str!("../../config/examples/scim.toml");
    let loaded = load(text, &[("DIRECTORY_URL", "http://127.0.0.1:9000/")]);
    let directory = format!("{:?}", loaded.config.tenants["example"].directory);
    assert!(directory.contains("127.0.0.1:9000") && directory.contains("/scim/v2"), "{directory}");
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
}

#[test]
fn groups_are_declared_beside_the_people() {
    let text = include_str!("../../config/examples/rest.toml");
    let text = format!(
        "{text}{}",
        r#"
[[tenants.example.directory.answers]]
on        = ["create", "update"]
status    = 200
at        = "/code"
matches   = "^E1[78]$"
means     = "duplicate"
attribute = "userName"

[tenants.example.directory.headers]
Accept = "application/vnd.sample.v4+json"

[tenants.example.directory.groups]
membership = "sub-resource"
removal    = "null"

[tenants.example.directory.groups.operations]
read   = "GET /teams/{id}"
create = "POST /teams"
update = "PATCH /teams/{id}"
delete = "DELETE /teams/{id}"
list   = "GET /teams?page={page}"

[tenants.example.directory.groups.attributes]
displayName = "/about/name"

[tenants.example.directory.groups.members]
list   = "GET /teams/{id}/members"
add    = { call = "POST /teams/{id}/bulk", body = { addedIds = ["{member}"], kind = "all" } }
remove = { call = "POST /teams/{id}/bulk", body = { removedIds = ["{member}"] } }
"#
    );
    let variables = [("DIRECTORY_URL", "http://127.0.0.1:9000")];
    let loaded = load(&text, &variables);
    let DirectoryConfig::Rest(directory) = &loaded.config.tenants["example"].directory else { panic!("rest") };
    assert!(directory.groups().is_some());
    let slips = [
        ("membership = \"sub-resource\"", "membership = \"calls\"", "\"calls\" is none of"),
        ("list   = \"GET /teams/{id}/members\"", "", "`list`: is missing: write one such as list ="),
        ("means     = \"duplicate\"", "means = \"dup\"", "\"dup\" is none of success"),
        ("removedIds = [\"{member}\"]", "removedIds = []", "names no member"),
        ("displayName = \"/about/name\"", "members = \"members\"", "say in [groups.members] how members are kept"),
        ("Accept = ", "Authorization = ", "is no header that can be chosen here"),
    ];
    for (right, wrong, problem) in slips {
        assert!(text.contains(right), "{right}");
        let environment = variables.iter().copied().collect();
        let read = Config::parse(&text.replace(right, wrong), Path::new(PLACE), &environment);
        let said = read.expect_err(problem).to_string();
        assert!(said.contains(problem), "{problem}: {said}");
    }
}

#[test]
fn urls_are_made_of_the_public_one() {
    let text = format!("[server]\npublic_url = \"https://SCIM.example.com:443\"\n{LEAST}");
    let loaded = load(&text, &[]);
    assert_eq!(loaded.config.server.public_url, "https://scim.example.com");
    assert_eq!(tenant(&loaded).issuer, "https://scim.example.com/t/acme");
    assert_eq!(tenant(&loaded).scim_base, "https://scim.example.com/t/acme/scim/v2");
    for (listen, url) in [
        ("0.0.0.0:8443", "http://127.0.0.1:8443"),
        ("[::]:80", "http://127.0.0.1:80"),
        ("[::1]:8080", "http://[::1]:8080"),
    ] {
        let loaded = load(LEAST, &[("PORTCULLIS__SERVER__LISTEN", listen)]);
        assert_eq!(loaded.config.server.public_url, url);
    }
}

#[test]
fn limits_come_from_the_dialect_unless_said_otherwise() {
    let quota =
        |requests| Some(Quota { requests: NonZeroU32::new(requests).expect("some"), window: Duration::from_mins(1) });
    let minute = Penalty { duration: Duration::from_mins(1), extend: false };
    let vendor = Policy { read: quota(300), write: quota(1000), penalty: minute, shadow: false };
    let none = Penalty { duration: Duration::ZERO, extend: false };
    for (dialect, limits, wanted) in [
        ("ringcentral", "", Some(vendor)),
        ("ringcentral", "limits = {}", Some(vendor)),
        ("ringcentral", "limits = \"none\"", None),
        ("ringcentral", "limits = { shadow = true }", Some(Policy { shadow: true, ..vendor })),
        (
            "ringcentral",
            "limits = { read = \"none\", penalty = \"none\" }",
            Some(Policy { read: None, penalty: none, ..vendor }),
        ),
        ("standard", "", None),
        (
            "standard",
            "limits.write = { requests = 5, window = \"60s\" }",
            Some(Policy { read: None, write: quota(5), penalty: none, shadow: false }),
        ),
    ] {
        let text =
            format!("[tenants.acme]\ndialect = \"{dialect}\"\n{limits}\n[tenants.acme.directory]\nkind = \"embedded\"");
        assert_eq!(tenant(&load(&text, &[])).limits, wanted, "{dialect} {limits}");
    }
}

#[test]
fn variables_override_and_supply() {
    let text = "[tenants.acme-east]\ndialect = \"standard\"\ndirectory = { kind = \"embedded\" }\n";
    let loaded = load(
        text,
        &[
            ("PORTCULLIS__SERVER__LISTEN", "127.0.0.1:4000"),
            ("portcullis__server__max_connections", "7"),
            ("PORTCULLIS__STATE__URL", "sqlite:/var/lib/p.db"),
            ("PORTCULLIS__TENANTS__ACME_EAST__STRICT_ATTRIBUTES", "true"),
            ("PORTCULLIS__TENANTS__ACME_EAST__HOSTS", "a.example.com, b.example.com:8443"),
            ("PORTCULLIS__TENANTS__ACME_EAST__LIMITS__READ", "{ requests = 2, window = \"1s\" }"),
            ("PORTCULLIS__TENANTS__ACME_EAST__LIMITS__SHADOW", "env:SHADOW"),
            ("SHADOW", "true"),
            ("PORTCULLIS__TENANTS__B_C__DIALECT", "playvox"),
            ("PORTCULLIS__TENANTS__B_C__DIRECTORY__KIND", "embedded"),
            ("PORTCULLIS_LOG", "not an override"),
        ],
    );
    assert_eq!(loaded.config.server.listen.port(), 4000);
    assert_eq!(loaded.config.server.public_url, "http://127.0.0.1:4000");
    assert_eq!(loaded.config.server.max_connections, 7);
    let tenant = &loaded.config.tenants["acme-east"];
    assert!(tenant.strict_attributes);
    assert_eq!(tenant.hosts, ["a.example.com", "b.example.com:8443"]);
    let limits = tenant.limits.expect("limits");
    assert_eq!(limits.read.expect("a quota").requests.get(), 2);
    assert!(limits.shadow);
    let DirectoryConfig::Embedded(directory) = &tenant.directory else { panic!("embedded") };
    assert_eq!(directory.path, Path::new("/var/lib/acme-east.directory.db"));
    assert_eq!(loaded.config.tenants["b-c"].dialect.name, "playvox");
}

#[test]
fn values_come_from_files_and_the_files_are_watched() {
    let folder = tempfile::tempdir().expect("a folder");
    let (config, value) = (folder.path().join("portcullis.toml"), folder.path().join("connections"));
    std::fs::write(&value, "12\r\n").expect("written");
    std::fs::write(&config, format!("[server]\nmax_connections = \"file:connections\"\n{LEAST}")).expect("written");
    let loaded = Config::load(&config, &Environment::default()).expect("a configuration");
    assert_eq!(loaded.config.server.max_connections, 12);
    assert_eq!(loaded.files, [value, config]);
}

#[test]
fn a_report_shows_the_line_and_no_secret() {
    let text = format!("{LEAST}[server]\nlisten = \"nowhere\"\ntokn = \"hunter2\" # why\n");
    let found = Config::parse(&text, Path::new("p.toml"), &Environment::default()).expect_err("mistakes");
    let report = found.report(false);
    assert!(report.contains("listen = \"nowhere\"") && report.contains("p.toml:5:10"), "{report}");
    assert!(report.contains("tokn = \"*******\""), "{report}");
    let json = serde_json::to_string(&found).expect("JSON");
    assert!(json.contains("\"line\":5,\"column\":10,\"variable\":null,\"key\":\"server.listen\""), "{json}");
    assert!(!format!("{report}{json}{found:?}").contains("hunter2"));
}

#[test]
fn schemas_are_declared_and_listed() {
    let declared = r#"
        [schemas."urn:example:config:acme:2.0:User"]
        attributes.badge = { type = "string", uniqueness = "server" }
        attributes.pin = { mutability = "writeOnly" }
        attributes.seat = { type = "complex", sub_attributes.room = {} }
        [schemas."urn:ietf:params:scim:schemas:core:2.0:Group"]
        attributes.purpose = {}
    "#;
    let tenant = "[tenants.acme]\ndialect = \"standard\"\ndirectory = { kind = \"embedded\" }\n";
    let loaded = load(&format!("{tenant}schemas = [\"urn:EXAMPLE:config:acme:2.0:User\"]{declared}"), &[]);
    let path = |text| crate::scim::path::AttrPath::parse(text).expect("a path");
    let badge = path("urn:example:config:acme:2.0:User:BADGE");
    assert_eq!(badge.definition().map(|it| it.name), Some("badge"));
    let schemas = &self::tenant(&loaded).schemas;
    assert!(schemas.has(ResourceType::User, &badge) && !schemas.has(ResourceType::Group, &path("purpose")));
    for (line, says) in [
        ("attributes.badge.typ = \"string\"", "did you mean `type`?"),
        ("attributes.badge.type = \"text\"", "is none of the words"),
        ("extends = \"Robot\"", "is none of the words"),
        ("attributes.badge = { type = \"complex\" }", "complex and has no parts"),
        (
            "attributes.seat = { type = \"complex\", sub_attributes.room = { type = \"complex\" } }",
            "neither complex nor a list",
        ),
        ("description = \"x\"", "`attributes` is missing"),
    ] {
        let text = format!("{tenant}[schemas.\"urn:example:config:wrong:2.0:User\"]\n{line}");
        let report = refused(&text).to_string();
        assert!(report.contains(says), "{line}: {report}");
    }
    let text = format!("{tenant}schemas = [\"urn:example:config:nowhere\"]");
    assert!(refused(&text).to_string().contains("declared nowhere"));
    let text = format!("{tenant}[schemas.\"urn:ietf:params:scim:schemas:core:2.0:User\"]\nattributes.UserName = {{}}");
    assert!(refused(&text).to_string().contains("shadows the standard attribute of a User"));
}

#[test]
fn a_wrong_file_does_not_change_what_is_declared() {
    let text = |kind: &str, rest: &str| {
        format!(
            "[tenants.acme]\ndialect = \"standard\"\ndirectory = {{ kind = \"embedded\" }}\n{rest}\n\
             [schemas.\"urn:example:config:kept:2.0:User\"]\nattributes.badge.type = \"{kind}\"\n"
        )
    };
    let kind = || {
        let path = crate::scim::path::AttrPath::parse("urn:example:config:kept:2.0:User:badge").expect("a path");
        path.definition().map(|it| it.kind.as_str())
    };
    load(&text("string", ""), &[]);
    assert_eq!(kind(), Some("string"));
    refused(&text("integer", "hosts = 7"));
    assert_eq!(kind(), Some("string"));
    load(&text("integer", ""), &[]);
    assert_eq!(kind(), Some("integer"));
}
