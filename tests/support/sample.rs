//! The declaration of `config/examples/rest.toml`, and variants of it, as the configuration's reader would hand it over.

#![allow(dead_code, reason = "every test uses its own part")]

use portcullis::directory::rest::{
    Attribute, CallDraft, Config, Draft, GroupsDraft, MembersDraft, PagingDraft, RuleDraft,
};
use portcullis::directory::scim;
use serde_json::json;

use super::legacy::Legacy;

/// The example's own declaration.
pub fn draft(url: &str) -> Draft {
    let text = |pairs: &[(&str, &str)]| pairs.iter().map(|&(a, b)| (a.to_owned(), b.to_owned())).collect();
    let field = |field: &str, kind: Option<&str>| Attribute {
        field: field.into(),
        kind: kind.map(Into::into),
        ..Attribute::default()
    };
    Draft {
        url: url.into(),
        version: Some("version".into()),
        page_size: 1000,
        removal: "replace".into(),
        operations: text(&[
            ("read", "GET /users/{id}"),
            ("create", "POST /users"),
            ("update", "PATCH /users/{id}"),
            ("replace", "PUT /users/{id}"),
            ("delete", "DELETE /users/{id}"),
            ("list", "GET /users?offset={offset}&limit={limit}"),
        ]),
        find: text(&[("userName", "GET /users?username={value}")]),
        attributes: vec![
            ("userName".into(), field("username", None)),
            ("externalId".into(), field("external_id", None)),
            ("name.givenName".into(), field("first_name", None)),
            ("name.familyName".into(), field("last_name", None)),
            ("displayName".into(), field("display_name", None)),
            ("emails[type eq \"work\"].value".into(), field("email", None)),
            ("phoneNumbers[type eq \"work\"].value".into(), field("phone", None)),
            ("active".into(), field("enabled", Some("boolean"))),
        ],
        ..Draft::default()
    }
}

/// The declaration, checked.
pub fn checked(draft: Draft) -> Config {
    Config::new(draft).expect("a valid declaration")
}

/// A way to set up the directory and the declaration of its SCIM side.
type ScimVariant = (&'static str, fn(&Legacy, scim::Draft) -> scim::Draft);

/// The declaration of `config/examples/scim.toml`.
pub fn scim_draft(url: &str) -> scim::Draft {
    let attributes =
        ["userName", "externalId", "name", "displayName", "emails", "phoneNumbers", "active"].map(str::to_owned);
    scim::Draft {
        url: url.into(),
        path: "/scim/v2".into(),
        page_size: 1000,
        groups: false,
        attributes: attributes.to_vec(),
        ..scim::Draft::default()
    }
}

/// The ways in which the SCIM side can be.
pub const SCIM_VARIANTS: [ScimVariant; 5] = [
    ("scim as in the example", |_, draft| draft),
    ("scim in pages smaller than asked for", |legacy, draft| {
        legacy.manners(|manners| (manners.scim_page, manners.tight_lipped) = (3, true));
        scim::Draft { attributes: Vec::new(), ..draft }
    }),
    ("scim with groups by PATCH", |legacy, draft| {
        legacy.manners(|manners| (manners.groups, manners.scim_tells) = (true, true));
        scim::Draft { groups: true, ..draft }
    }),
    ("scim with groups by PUT, as it announces", |legacy, draft| {
        legacy.manners(|manners| {
            (manners.groups, manners.scim_tells, manners.scim_no_patch) = (true, true, true);
            manners.scim_etag = true;
        });
        scim::Draft { groups: true, ..draft }
    }),
    ("scim with groups by PUT, as it turns out", |legacy, draft| {
        legacy.manners(|manners| (manners.groups, manners.scim_no_patch, manners.scim_page) = (true, true, 3));
        scim::Draft { groups: true, ..draft }
    }),
];

/// A way to set up the directory and its declaration.
type Variant = (&'static str, fn(&Legacy, Draft) -> Draft);

/// The ways in which a REST directory can be declared to do the same.
pub const VARIANTS: [Variant; 18] = [
    ("rest as in the example", |_, draft| draft),
    ("rest in small pages", |_, draft| Draft { page_size: 4, ..draft }),
    ("rest by PUT alone", |_, draft| only(draft, "update")),
    ("rest by PATCH with null", |legacy, draft| {
        legacy.manners(|manners| manners.null_removes = true);
        Draft { removal: "null".into(), ..only(draft, "replace") }
    }),
    ("rest by PATCH with empty text", |_, draft| Draft { removal: "empty".into(), ..only(draft, "replace") }),
    ("rest that answers changes with nothing", |legacy, draft| {
        legacy.manners(|manners| manners.tight_lipped = true);
        draft
    }),
    ("rest in numbered pages", |_, draft| listed(draft, "GET /users?page={page}&limit={limit}", None)),
    ("rest by cursor", |legacy, draft| {
        legacy.manners(|manners| manners.cursors = true);
        listed(draft, "GET /users?cursor={cursor}&limit={limit}", None)
    }),
    ("rest by links", |legacy, draft| {
        legacy.manners(|manners| manners.links = true);
        let paging = PagingDraft { kind: Some("link".into()), ..PagingDraft::default() };
        listed(Draft { paging, ..draft }, "GET /users?limit={limit}", None)
    }),
    ("rest that can be walked by key", |_, draft| {
        let list = "GET /users?offset={offset}&limit={limit}";
        listed(draft, list, Some("GET /users?after={key}&limit={limit}"))
    }),
    ("rest with fields deep inside", |legacy, mut draft| {
        legacy.manners(|manners| manners.nested = true);
        for (path, attribute) in &mut draft.attributes {
            match path.split('[').next() {
                Some("emails") => attribute.field = "/contact/mails/0/address".into(),
                Some("phoneNumbers") => attribute.field = "/contact/numbers/work".into(),
                _ => {}
            }
        }
        draft
    }),
    ("rest that answers oddly", |legacy, draft| {
        legacy.manners(|manners| manners.odd = true);
        let headers = vec![("Accept".into(), "application/vnd.sample.v4+json".into())];
        Draft { headers, answers: answers(), ..draft }
    }),
    ("rest with members by calls, one at a time", |legacy, draft| {
        legacy.manners(|manners| manners.groups = true);
        with_groups(draft, "sub-resource", one_by_one())
    }),
    ("rest with members by calls, many at a time", |legacy, draft| {
        legacy.manners(|manners| manners.groups = true);
        let body = Some(json!({ "members": [{ "id": "{member}", "type": "{kind}" }] }));
        let call = |path: &str| Some(CallDraft { call: format!("POST /groups/{{id}}/{path}"), body: body.clone() });
        let (add, remove) = (call("members"), call("members/remove"));
        with_groups(draft, "sub-resource", MembersDraft { add, remove, has: None, ..one_by_one() })
    }),
    ("rest with members by list, put in place", |legacy, draft| by_list(legacy, draft, "PUT", "none")),
    ("rest with members by list, as they were", |legacy, draft| by_list(legacy, draft, "PATCH", "if-match")),
    ("rest with members by list, of a version", |legacy, draft| by_list(legacy, draft, "PUT", "version")),
    ("rest with members by attribute", |legacy, draft| {
        legacy.manners(|manners| manners.groups = true);
        let list = Some("GET /users?group={id}&offset={offset}&limit={limit}".into());
        let members = MembersDraft { list, field: Some("/groups".into()), ..MembersDraft::default() };
        let mut draft = with_groups(draft, "attribute", members);
        // The group itself does not change with its members.
        draft.groups.iter_mut().for_each(|groups| groups.records.version = None);
        draft
    }),
];

fn listed(mut draft: Draft, list: &str, after: Option<&str>) -> Draft {
    draft.operations.retain(|(name, _)| name != "list");
    draft.operations.push(("list".into(), list.into()));
    draft.operations.extend(after.map(|after| ("after".into(), after.into())));
    Draft { page_size: 4, ..draft }
}

fn answers() -> Vec<RuleDraft> {
    let rule = |code: &str, means: &str| RuleDraft {
        status: vec![200],
        at: Some("/fault/code".into()),
        matches: Some(format!("^{code}$")),
        means: means.into(),
        ..RuleDraft::default()
    };
    let removed = RuleDraft { on: vec!["delete".into()], status: vec![302], ..rule("", "success") };
    vec![
        RuleDraft { attribute: Some("userName".into()), ..rule("E409", "duplicate") },
        rule("E404", "gone"),
        rule("E4..", "invalid"),
        RuleDraft { at: None, matches: None, ..removed },
    ]
}

/// The declaration with members by a list.
pub fn by_list(legacy: &Legacy, draft: Draft, method: &str, guard: &str) -> Draft {
    legacy.manners(|manners| (manners.groups, manners.listed_members) = (true, true));
    let field = Some("/members".into());
    let members = MembersDraft { field, guard: guard.into(), list: None, add: None, remove: None, ..one_by_one() };
    let mut draft = with_groups(draft, "list", members);
    if let Some(groups) = &mut draft.groups {
        let drop = if method == "PUT" { "update" } else { "replace" };
        groups.records.operations.retain(|(name, _)| name != drop);
        groups.records.removal = "empty".into();
    }
    draft
}

fn one_by_one() -> MembersDraft {
    let call = |call: &str| Some(CallDraft { call: call.into(), body: None });
    MembersDraft {
        list: Some("GET /groups/{id}/members?offset={offset}&limit={limit}".into()),
        add: call("POST /groups/{id}/members"),
        remove: call("DELETE /groups/{id}/members/{member}?type={kind}"),
        has: Some("GET /groups/{id}/members/{member}?type={kind}".into()),
        of: Some("GET /groups?member={member}&type={kind}".into()),
        key: "/id".into(),
        kind: Some("/type".into()),
        words: ["user".into(), "group".into()],
        entry: json!({ "id": "{member}", "type": "{kind}" }),
        ..MembersDraft::default()
    }
}

/// The declaration with groups, which the sample directory has when it is told to.
pub fn with_groups(draft: Draft, membership: &str, members: MembersDraft) -> Draft {
    let text = |pairs: &[(&str, &str)]| pairs.iter().map(|&(a, b)| (a.to_owned(), b.to_owned())).collect();
    let field = |field: &str| Attribute { field: field.into(), ..Attribute::default() };
    let records = Draft {
        operations: text(&[
            ("read", "GET /groups/{id}"),
            ("create", "POST /groups"),
            ("update", "PATCH /groups/{id}"),
            ("replace", "PUT /groups/{id}"),
            ("delete", "DELETE /groups/{id}"),
            ("list", "GET /groups?offset={offset}&limit={limit}"),
        ]),
        find: text(&[("displayName", "GET /groups?name={value}")]),
        attributes: vec![("displayName".into(), field("name")), ("externalId".into(), field("external_id"))],
        ..draft.clone()
    };
    let groups = GroupsDraft { records, prefix: "g-".into(), membership: membership.into(), members };
    Draft { groups: Some(Box::new(groups)), ..draft }
}

fn only(mut draft: Draft, but: &str) -> Draft {
    draft.operations.retain(|(name, _)| name != but);
    draft
}
