//! The calls of one type of records, and the headers that go with every call.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::listing::{Declared, Listing};
use super::{Change, Checks, Removal};
use crate::directory::rest::template::{Operation, Slot};
use crate::scim::ResourceType;

/// What can be done with the records of one type.
pub(super) struct Operations {
    pub read: Operation,
    pub create: Operation,
    pub change: Change,
    pub delete: Operation,
    pub list: Listing,
    pub after: Option<Operation>,
}

/// The names of `[operations]`, the slots each must and may hold, and an example for who left it out.
const OPERATIONS: [(&str, &[Slot], &str); 7] = [
    ("read", &[Slot::Id], "GET /users/{id}"),
    ("create", &[], "POST /users"),
    ("update", &[Slot::Id], "PATCH /users/{id}"),
    ("replace", &[Slot::Id], "PUT /users/{id}"),
    ("delete", &[Slot::Id], "DELETE /users/{id}"),
    ("list", &[], "GET /users?offset={offset}&limit={limit}"),
    ("after", &[Slot::Key, Slot::Limit], "GET /users?after={key}&limit={limit}"),
];

/// Checks `[operations]`.
pub(super) fn operations(
    written: &[(String, String)],
    kind: ResourceType,
    removal: Removal,
    listing: &Declared,
    checks: &mut Checks,
) -> Option<Operations> {
    for (name, _) in written {
        if !OPERATIONS.iter().any(|(known, ..)| known == name) {
            checks.add(&["operations", name], "there are read, create, update, replace, delete, list and after");
        }
    }
    let mut paging = None;
    let mut parsed = OPERATIONS.map(|(name, slots, _)| {
        let text = &written.iter().find(|(written, _)| written == name)?.1;
        if name != "list" {
            return checks.keep(&["operations", name], Operation::parse(text, slots));
        }
        let list = listing.read(text, &[], &[]).map_err(|(key, problem)| match key {
            Some(key) => checks.add(&[key], problem),
            None => checks.add(&["operations", name], problem),
        });
        let list = list.ok()?;
        paging = Some(list.paging);
        Some(list.operation)
    });
    for ((name, _, example), parsed) in OPERATIONS.iter().zip(&parsed) {
        let written = written.iter().any(|(written, _)| written == name);
        if parsed.is_none() && !written && !matches!(*name, "update" | "replace" | "after") {
            let example = of_kind(example, kind);
            checks.add(&["operations", name], format!("is missing: write one such as {name} = \"{example}\""));
        }
    }
    for ((name, ..), operation) in OPERATIONS.iter().zip(&parsed) {
        let reads = matches!(*name, "read" | "list" | "after");
        if operation.as_ref().is_some_and(|operation| (operation.method == Method::GET) != reads) {
            let should =
                if reads { "must be a GET: it may be repeated" } else { "must not be a GET: it changes something" };
            checks.add(&["operations", name], should);
        }
    }
    let [read, create, update, replace, delete, list, after] = parsed.each_mut().map(Option::take);
    let change = match (update, replace) {
        (Some(update), Some(replace)) => Change::Both { update, replace },
        (Some(update), None) => {
            if removal == Removal::Replace {
                checks.add(&["operations", "replace"], "is missing: removal = \"replace\" needs it");
            }
            Change::Update(update)
        }
        (None, Some(replace)) => Change::Replace(replace),
        (None, None) => {
            if !written.iter().any(|(name, _)| matches!(name.as_str(), "update" | "replace")) {
                let advice = "write update = \"PATCH /users/{id}\" or replace = \"PUT /users/{id}\"";
                checks.add(&["operations", "update"], of_kind(advice, kind));
            }
            return None;
        }
    };
    let list = Listing {
        operation: list?,
        paging: paging?,
        items: listing.items.clone(),
        total: listing.total.clone(),
        page_size: listing.page_size,
    };
    Some(Operations { read: read?, create: create?, change, delete: delete?, list, after })
}

/// An example as it would be for this type.
fn of_kind(example: &str, kind: ResourceType) -> String {
    match kind {
        ResourceType::User => example.to_owned(),
        ResourceType::Group => example.replace("/users", "/groups"),
    }
}

/// Headers of every call. Values may be keys: no debug output shows them.
pub(super) fn headers(written: &[(String, String)], checks: &mut Checks) -> HeaderMap {
    const OURS: [HeaderName; 6] = [
        header::HOST,
        header::AUTHORIZATION,
        header::CONTENT_LENGTH,
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::IF_MATCH,
    ];
    let mut headers = HeaderMap::new();
    for (name, value) in written {
        let parsed = HeaderName::try_from(name).ok().filter(|parsed| !OURS.contains(parsed));
        match (parsed, HeaderValue::try_from(value)) {
            (Some(name), Ok(mut value)) => {
                value.set_sensitive(true);
                headers.insert(name, value);
            }
            (None, _) => checks.add(&["headers", name], "is no header that can be chosen here"),
            (_, Err(_)) => checks.add(&["headers", name], "holds a letter that a header cannot carry"),
        }
    }
    headers
}
