//! The parts of a REST directory's declaration that not every one has: paging, headers, the meaning of answers, groups. What
//! they mean, and what they must be, is `directory::rest`'s business; here are the keys.

use serde_json::Value as Json;

use super::directory::{line, map, number, records, text};
use super::reader::Section;
use super::value::Value;
use crate::directory::rest::{CallDraft, Draft, GroupsDraft, MembersDraft, PagingDraft, RuleDraft};

/// `paging`, `first_page` and `next`.
pub(super) fn paging(section: &mut Section<'_>, default: PagingDraft) -> PagingDraft {
    PagingDraft {
        kind: text(section, "paging").or(default.kind),
        first_page: number(section, "first_page", default.first_page, 0..=1),
        next: text(section, "next").unwrap_or(default.next),
    }
}

/// `headers`, beside those of `default` with other names.
pub(super) fn headers(section: &mut Section<'_>, default: Vec<(String, String)>) -> Vec<(String, String)> {
    let own = map(section, "headers", line);
    let kept = |(name, _): &(String, String)| !own.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
    default.into_iter().filter(kept).chain(own.iter().cloned()).collect()
}

/// `[[answers]]`, or those of `default` if there are none.
pub(super) fn answers(section: &mut Section<'_>, default: Vec<RuleDraft>) -> Vec<RuleDraft> {
    let Some(list) = section.value("answers").and_then(|value| value.list()) else { return default };
    list.iter().filter_map(answer).collect()
}

fn answer(value: &Value<'_>) -> Option<RuleDraft> {
    let mut section = value.section()?;
    let on = section.value("on").map(|value| texts(&value)).unwrap_or_default();
    let status = section.value("status").map(|value| {
        let number = |value: &Value<'_>| value.integer(200..=599).and_then(|number| u64::try_from(number).ok());
        if value.is_list() {
            return value.list().unwrap_or_default().iter().filter_map(number).collect();
        }
        number(&value).into_iter().collect::<Vec<_>>()
    });
    let rule = RuleDraft {
        on,
        status: status.unwrap_or_default(),
        at: text(&mut section, "at"),
        matches: text(&mut section, "matches"),
        means: section.required("means", "means = \"duplicate\"").and_then(|value| value.text()).unwrap_or_default(),
        attribute: text(&mut section, "attribute"),
    };
    section.finish();
    Some(rule)
}

/// One text, or a list of them.
fn texts(value: &Value<'_>) -> Vec<String> {
    if value.is_list() {
        return value.list().unwrap_or_default().iter().filter_map(Value::text).collect();
    }
    value.text().into_iter().collect()
}

/// `[groups]`, with what it does not say as `people` has it.
pub(super) fn groups(section: &mut Section<'_>, people: &Draft) -> Option<Box<GroupsDraft>> {
    let mut section = section.branch("groups")?.section()?;
    let membership = section.required("membership", "membership = \"sub-resource\"").and_then(|value| value.text());
    let draft = GroupsDraft {
        membership: membership.unwrap_or_default(),
        prefix: text(&mut section, "prefix").unwrap_or_else(|| "g-".to_owned()),
        members: members(section.section("members")),
        records: records(&mut section, Draft { groups: None, ..people.clone() }, "/groups"),
    };
    section.finish();
    Some(Box::new(draft))
}

fn members(mut section: Section<'_>) -> MembersDraft {
    let default = MembersDraft::default();
    let words = section.branch("words").and_then(|value| value.section()).map(|mut section| {
        let [user, group] = ["user", "group"].map(|name| text(&mut section, name));
        section.finish();
        let [default_user, default_group] = MembersDraft::default().words;
        [user.unwrap_or(default_user), group.unwrap_or(default_group)]
    });
    let draft = MembersDraft {
        list: text(&mut section, "list"),
        add: section.value("add").and_then(|value| call(&value)),
        remove: section.value("remove").and_then(|value| call(&value)),
        batch: number(&mut section, "batch", default.batch, 1..=10_000),
        has: text(&mut section, "has"),
        of: text(&mut section, "of"),
        field: text(&mut section, "field"),
        single: section.boolean("single", default.single),
        by: text(&mut section, "by"),
        guard: text(&mut section, "guard").unwrap_or(default.guard),
        key: text(&mut section, "key").unwrap_or(default.key),
        kind: text(&mut section, "kind"),
        words: words.unwrap_or(default.words),
        entry: section.value("entry").and_then(|value| template(&value)).unwrap_or(default.entry),
        numbers: section.boolean("numbers", default.numbers),
    };
    section.finish();
    draft
}

/// `"METHOD /path"`, or `{ call = "METHOD /path", body = … }`.
fn call(value: &Value<'_>) -> Option<CallDraft> {
    if value.is_text() {
        return Some(CallDraft { call: value.text()?, body: None });
    }
    let mut section = value.section()?;
    let call = section.required("call", "call = \"POST /groups/{id}/members\"").and_then(|value| value.text());
    let body = section.value("body").and_then(|value| template(&value));
    section.finish();
    Some(CallDraft { call: call?, body })
}

/// Tables, lists and scalars as JSON.
fn template(value: &Value<'_>) -> Option<Json> {
    if value.is_table() {
        let mut section = value.section()?;
        let names = section.names();
        let part = |(name, _): (String, _)| Some((name.clone(), template(&section.value(&name)?)?));
        return names.into_iter().map(part).collect();
    }
    if value.is_list() {
        return value.list()?.iter().map(template).collect();
    }
    value.scalar()
}
