//! The table of attributes, and the calls that find by one of them.

use http::Method;
use serde_json::{Map, Value};

use super::{Attribute, Checks, Mistake, noun};
use crate::directory::rest::template::{Operation, Slot};
use crate::mapping::{self, Slip, Table};
use crate::scim::ResourceType;
use crate::scim::path::AttrPath;

pub(super) fn find(
    written: &[(String, String)],
    kind: ResourceType,
    checks: &mut Checks,
) -> Vec<(AttrPath, Operation)> {
    let mut found = Vec::new();
    for (path, text) in written {
        let operation = checks.keep(&["find", path], Operation::parse(text, &[Slot::Value]));
        if operation.as_ref().is_some_and(|operation| operation.method != Method::GET) {
            checks.add(&["find", path], "must be a GET: it may be repeated");
        }
        if let Some(path) = checks.keep(&["find", path], AttrPath::parse(path).map_err(|error| error.detail))
            && let Some(operation) = operation
        {
            found.push((path, operation));
        }
    }
    if kind == ResourceType::User && !written.iter().any(|(path, _)| path.eq_ignore_ascii_case("userName")) {
        checks.add(&["find", "userName"], "is missing: write one such as userName = \"GET /users?username={value}\"");
    }
    found
}

pub(super) fn table(
    attributes: Vec<(String, Attribute)>,
    fields: Vec<(String, Attribute)>,
    constants: Vec<(String, Value)>,
    key: &str,
    entry: ResourceType,
    checks: &mut Checks,
) -> Option<Table> {
    let mut columns = Vec::new();
    let whole = checks.0.len();
    for (text, attribute) in attributes {
        let at = ["attributes", text.as_str()];
        if attribute.field == key {
            let whose = noun(entry);
            checks.add(
                &at,
                format!("\"{key}\" is the key of a {whose}: the directory gives it, no attribute maps to it"),
            );
        }
        let Some(path) = checks.keep(&at, AttrPath::parse(&text).map_err(|error| error.detail)) else { continue };
        if entry == ResourceType::Group && path.attribute.eq_ignore_ascii_case("members") {
            checks.add(&at, "is no attribute here: say in [groups.members] how members are kept");
        }
        let truth = attribute.kind.as_deref() == Some("boolean");
        if path.is("active") && !truth && attribute.write.is_none() && attribute.read.is_none() {
            checks.add(&at, "active is a boolean: write { field = \"…\", kind = \"boolean\" }");
        }
        match attribute.attribute(path) {
            Ok(column) => columns.push(column),
            Err(slips) => checks.slips(&at, slips),
        }
    }
    for (field, mut line) in fields {
        let at = ["fields", field.as_str()];
        line.field.clone_from(&field);
        match line.only_field() {
            Ok(column) => columns.push(column),
            Err(slips) => checks.slips(&at, slips),
        }
    }
    let lines_are_right = checks.0.len() == whole;
    let (needed, why) = match entry {
        ResourceType::User => (&["userName", "active"][..], "nobody can be found or disabled without it"),
        ResourceType::Group => (&["displayName"][..], "a group has no other name"),
    };
    for needed in needed {
        if !columns.iter().any(|column| column.path().is_some_and(|path| path.is(needed))) {
            checks.add(&["attributes", needed], format!("must be mapped: {why}"));
        }
    }
    let constants: Map<String, Value> = constants.into_iter().collect();
    match Table::new(columns, constants) {
        Ok(table) => Some(table),
        Err(clash) => {
            // A line that is wrong is not there to be looked at.
            if lines_are_right {
                checks.add(&["attributes"], clash);
            }
            None
        }
    }
}

pub(super) fn mistake(at: &[&str], slip: Slip) -> Mistake {
    let at = at.iter().copied().chain(slip.key).map(ToOwned::to_owned).collect();
    Mistake { at, problem: slip.message, within: slip.within, help: slip.help }
}

/// What is allowed but probably not meant: what comes back otherwise than it was sent, with an example; odd expressions.
pub(super) fn doubts(table: &Table) -> Vec<Mistake> {
    let mut found = Vec::new();
    for column in table.columns() {
        let name = column.name();
        let at = [if column.path().is_some() { "attributes" } else { "fields" }, name.as_str()];
        found.extend(column.doubts().into_iter().map(|slip| mistake(&at, slip)));
    }
    found.extend(mapping::losses(table).into_iter().map(|loss| Mistake {
        at: vec!["attributes".into(), loss.path.to_string()],
        problem: loss.to_string(),
        within: None,
        help: Some(
            "what was sent is answered while the directory holds this; a change made there comes back in the directory's form"
                .into(),
        ),
    }));
    found
}
