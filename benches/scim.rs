//! What the core costs for a typical Entra user: parsing, PATCH, the dialect's verdict, mapping and rendering, each alone and what
//! a request goes through in one; and what finding a user name costs in an embedded directory with few people and with many.
//!
//! `cargo bench --bench scim [-- ROUNDS]`. Prints the median of many short series in microseconds: short, so that on a busy machine
//! most of them run without being put off the processor. The verdicts include cloning the resource that is judged.

#[path = "support/table.rs"]
mod table;

use std::hint::black_box;
use std::time::Instant;

use portcullis::dialect::Dialect;
use portcullis::directory::embedded::{Config, Embedded};
use portcullis::mapping::expression::Moment;
use portcullis::ports::{Directory as _, Lookup, Page};
use portcullis::scim::command::Projection;
use portcullis::scim::filter::{Filter, Subject};
use portcullis::scim::patch;
use portcullis::scim::path::AttrPath;
use portcullis::scim::resource::{Meta, Resource, ResourceType};
use portcullis::types::Clock;
use serde_json::json;

const USER: &[u8] = br#"{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
 "externalId":"0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef","userName":"ada@example.com","active":true,"displayName":"Ada Lovelace",
 "title":"Countess","preferredLanguage":"en-GB","emails":[{"primary":true,"type":"work","value":"ada@example.com"}],
 "phoneNumbers":[{"type":"work","value":"+14155550100"},{"type":"mobile","value":"+14155550101"}],
 "meta":{"resourceType":"User"},"name":{"formatted":"Ada Lovelace","familyName":"Lovelace","givenName":"Ada"},"roles":[],
 "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Engines","manager":{"value":"26118915"}}}"#;

const PATCH: &[u8] = br#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[
 {"op":"Replace","path":"emails[type eq \"work\"].value","value":"a.lovelace@example.com"},
 {"op":"Replace","path":"name.familyName","value":"King"},{"op":"Add","path":"title","value":"Analyst"},
 {"op":"Replace","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department","value":"Numbers"}]}"#;

const SERIES: usize = 301;
/// Microseconds of one core for a request.
const PROMISED: u32 = 10;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.iter().any(|argument| argument == "--test") {
        return;
    }
    let rounds = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(100);
    let person = Resource::parse(ResourceType::User, USER).expect("a person").resource;
    let operations = patch::parse(PATCH).expect("operations");
    let patched = patch::apply(ResourceType::User, &person, &operations).after;
    let standard = Dialect::named("standard").expect("a dialect");
    let vendor = Dialect::named("ringcentral").expect("a dialect");
    let table = table::typical();
    let meta =
        Meta { id: "u1", location: "https://scim.example.com/Users/u1", created: None, modified: None, version: None };
    let everything = Projection::default();
    let subject = Subject { kind: ResourceType::User, resource: &person, meta };
    let question = "emails[type eq \"work\"].value eq \"ada@example.com\"";
    let filter = Filter::parse(question).expect("a filter");
    let mut sum = 0.0;
    let mut print = |name: &str, counted: bool, took: f64| {
        sum += if counted { took } else { 0.0 };
        println!("{name:<28} {took:>7.2} us");
    };
    print("parse a user", true, median(rounds, || Resource::parse(ResourceType::User, black_box(USER)).is_ok()));
    print("parse a PATCH", true, median(rounds, || patch::parse(black_box(PATCH)).is_ok()));
    print(
        "apply a PATCH",
        true,
        median(rounds, || patch::apply(ResourceType::User, black_box(&person), &operations).disables),
    );
    print(
        "accept (standard)",
        false,
        median(rounds, || standard.accept(Some(&person), black_box(&patched).clone()).violations.is_empty()),
    );
    print(
        "accept (ringcentral)",
        true,
        median(rounds, || vendor.accept(Some(&person), black_box(&patched).clone()).violations.is_empty()),
    );
    print(
        "render",
        true,
        median(rounds, || black_box(&person).render(ResourceType::User, meta, &everything).is_object()),
    );
    print(
        "render as text",
        false,
        median(rounds, || !black_box(&person).render(ResourceType::User, meta, &everything).to_string().is_empty()),
    );
    print("parse a filter", false, median(rounds, || Filter::parse(black_box(question)).is_ok()));
    print("answer a filter", false, median(rounds, || filter.matches(black_box(&subject))));
    print("map (create)", false, median(rounds, || table.record(black_box(&person), &Moment::NONE).is_ok()));
    print(
        "map (change)",
        false,
        median(rounds, || table.changes(black_box(&person), black_box(&patched), &Moment::NONE).is_ok()),
    );
    println!("{:<28} {sum:>7.2} us", "parse, PATCH, accept, render");
    let create = median(rounds, || {
        let sent = Resource::parse(ResourceType::User, black_box(USER)).expect("a person").resource;
        let accepted = vendor.accept(None, sent);
        table.record(&accepted.resource, &Moment::NONE).is_ok()
    });
    let change = median(rounds, || {
        let operations = patch::parse(black_box(PATCH)).expect("operations");
        let after = patch::apply(ResourceType::User, black_box(&person), &operations).after;
        let accepted = vendor.accept(Some(&person), after);
        table.changes(&person, &accepted.resource, &Moment::NONE).is_ok()
    });
    println!("a request of a typical Entra user (at most {PROMISED} us is promised):");
    println!("{:<28} {create:>7.2} us", "POST: parse, dialect, map");
    println!("{:<28} {change:>7.2} us", "PATCH: parse, apply, dialect, map");
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(find());
}

/// Finding one user name, and one that nobody has, where there are few people and where there are many.
async fn find() {
    let folder = tempfile::tempdir().expect("a folder");
    println!("finding a user name in the embedded directory (median, 99th percentile):");
    for count in [100, 1000, 10_000, 100_000_u32] {
        let config = Config { durable: false, ..Config::file(folder.path().join(format!("{count}.db"))) };
        let directory = Embedded::open(&config, Clock::system()).await.expect("a directory");
        let people: Vec<Resource> = (0..count)
            .map(|n| {
                let name = format!("p{n}@example.com");
                let emails = json!([{"type": "work", "value": name, "primary": true}]);
                let body = json!({"userName": name, "active": true, "displayName": "Ada Lovelace", "emails": emails});
                Resource::parse(ResourceType::User, body.to_string().as_bytes()).expect("a person").resource
            })
            .collect();
        directory.seed(&people).await.expect("people");
        let mut took = Vec::new();
        for turn in 0..4000_u32 {
            // One in four exists nowhere: Entra asks before it creates.
            let number = turn.wrapping_mul(2_654_435_761) % count + if turn % 4 == 0 { count } else { 0 };
            let path = AttrPath::core("userName");
            let lookup = Lookup::Equal { path, value: format!("P{number}@example.com") };
            #[expect(clippy::disallowed_methods, reason = "a measurement reads the machine's clock")]
            let begun = Instant::now();
            let found = directory.find(ResourceType::User, &lookup, Page { offset: 0, limit: 10 }).await;
            took.push(begun.elapsed().as_secs_f64() * 1e6);
            assert_eq!(found.expect("an answer").total, u64::from(number < count));
        }
        took.sort_by(f64::total_cmp);
        println!("{count:>7} people {:>20.1} us {:>9.1} us", took[took.len() / 2], took[took.len() * 99 / 100]);
        directory.close().await;
    }
}

/// The median time of one call over several series, in microseconds.
fn median(rounds: u32, mut work: impl FnMut() -> bool) -> f64 {
    let mut series: Vec<f64> = (0..SERIES)
        .map(|_| {
            #[expect(clippy::disallowed_methods, reason = "a benchmark reads the machine's clock")]
            let begun = Instant::now();
            for _ in 0..rounds {
                black_box(work());
            }
            begun.elapsed().as_secs_f64() * 1e6 / f64::from(rounds)
        })
        .collect();
    series.sort_by(f64::total_cmp);
    series[SERIES / 2]
}
