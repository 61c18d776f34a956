//! What a mapping costs: a typical person through ten mapped attributes, there and back, and expressions one by one.
//!
//! `cargo bench --bench expression [-- ROUNDS]`. One core, no allocator of our own; the best of several runs is printed.

#[path = "support/table.rs"]
mod table;

use std::hint::black_box;
use std::time::Instant;

use portcullis::mapping::expression::{Expression, Input, Moment, Scim};
use portcullis::scim::path::AttrPath;
use portcullis::scim::resource::Resource;
use serde_json::json;

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let rounds = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(100_000_u32);
    let table = table::typical();
    let body = json!({
        "userName": "ada@example.com", "active": true, "displayName": "Ada Lovelace", "title": "Analyst", "userType": "Employee",
        "name": {"givenName": "Ada", "familyName": "Lovelace"},
        "emails": [{"type": "work", "value": "Ada@example.com", "primary": true}],
        "phoneNumbers": [{"type": "work", "value": "+1 555 0100"}],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Sales"},
    });
    let person =
        Resource::parse(portcullis::scim::ResourceType::User, body.to_string().as_bytes()).expect("a person").resource;
    let mut after = person.clone();
    after.set(&AttrPath::core("title"), json!("Countess"));
    let record = table.record(&person, &Moment::NONE).expect("a record");
    measure("write ten attributes (POST)", rounds, || _ = black_box(table.record(black_box(&person), &Moment::NONE)));
    measure("differ in ten attributes (PATCH)", rounds, || {
        _ = black_box(table.changes(black_box(&person), black_box(&after), &Moment::NONE));
    });
    measure("read ten attributes", rounds, || _ = black_box(table.person(black_box(&record))));
    for text in [
        "StripSpaces([phoneNumbers[type eq \"work\"].value])",
        "Join(\" \", [name.givenName], [name.familyName])",
        "Replace([userName], , \"@.*$\", , \"\", , )",
        "Switch([userType], , \"Employee\", \"E\", \"Guest\", \"G\")",
    ] {
        let expression = Expression::compile(text, &Scim).expect("an expression");
        measure(text, rounds, || _ = black_box(expression.evaluate(Input::from(black_box(&person)), &Moment::NONE)));
    }
}

fn measure(what: &str, rounds: u32, mut work: impl FnMut()) {
    let run = |work: &mut dyn FnMut()| {
        #[expect(clippy::disallowed_methods, reason = "a measurement reads the machine's clock")]
        let start = Instant::now();
        for _ in 0..rounds {
            work();
        }
        start.elapsed().as_secs_f64() * 1e6 / f64::from(rounds)
    };
    let best = (0..7).map(|_| run(&mut work)).fold(f64::INFINITY, f64::min);
    println!("{best:8.3} µs  {what}");
}
