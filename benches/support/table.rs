//! A typical mapping: ten attributes of a person to the fields of a record.

use portcullis::mapping::{Line, Table};
use portcullis::scim::path::AttrPath;
use serde_json::Map;

const LINES: [(&str, &str, Option<&str>, Option<&str>); 10] = [
    ("userName", "username", None, None),
    ("active", "enabled", None, None),
    ("name.givenName", "first_name", None, None),
    ("name.familyName", "last_name", Some("NormalizeDiacritics([name.familyName])"), Some("[last_name]")),
    (
        "displayName",
        "display",
        Some("Coalesce([displayName], Join(\" \", [name.givenName], [name.familyName]))"),
        Some("[display]"),
    ),
    ("emails[type eq \"work\"].value", "mail", Some("ToLower([emails[type eq \"work\"].value])"), Some("[mail]")),
    (
        "phoneNumbers[type eq \"work\"].value",
        "phone",
        Some("StripSpaces([phoneNumbers[type eq \"work\"].value])"),
        Some("[phone]"),
    ),
    ("userType", "class", Some("Switch([userType], , \"Employee\", \"E\", \"Guest\", \"G\")"), None),
    ("title", "job", Some("Left([title], 40)"), Some("[job]")),
    (
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
        "dept",
        Some("Append([department], \"-x\")"),
        None,
    ),
];

/// The mapping, as it is compiled when the configuration is loaded.
pub fn typical() -> Table {
    let columns = LINES.map(|(path, field, write, read)| {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let kind = (path == "active").then(|| "boolean".to_owned());
        let line = Line { field: field.into(), kind, write: owned(write), read: owned(read), ..Line::default() };
        line.attribute(AttrPath::parse(path).expect("a path")).expect("a line")
    });
    Table::new(columns.into(), Map::new()).expect("a table")
}
