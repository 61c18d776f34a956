//! `[[rules]]` of a dialect file: what values must be like. The kinds are the closed set of [`Rule`]; `off = true` takes a rule
//! of the base away.

use super::{one, set, word};
use crate::config::reader::{Section, choose};
use crate::config::value::{Value, advice};
use crate::dialect::{Letters, Phone, Rule, Text};
use crate::scim::path::AttrPath;

/// The most characters that a rule may ask for.
const LONGEST: i64 = 100_000;

/// Reads the list, and makes its rules of those of the base.
pub(super) fn read(rules: &mut Vec<Rule>, value: &Value<'_>) {
    let mut seen = Vec::new();
    for section in value.list().into_iter().flatten().filter_map(|value| value.section()) {
        rule(rules, &mut seen, section);
    }
}

/// One rule: it takes the place of the base's of the same kind over the same attribute, whose parameters it then inherits.
fn rule(rules: &mut Vec<Rule>, seen: &mut Vec<(&'static str, AttrPath)>, mut section: Section<'_>) {
    let kinds = ["text", "email", "phone", "same", "email-in-either", "region"];
    let kind = section.required("kind", "kind = \"text\"").and_then(|value| {
        value.parse(|text| {
            let known = kinds.into_iter().find(|kind| *kind == text);
            known.ok_or_else(|| advice("is no kind of rule", choose(text, &kinds)))
        })
    });
    let path = section.required("path", "path = \"userName\"").and_then(|value| one(&value));
    let (Some(kind), Some(path)) = (kind, path) else { return section.abandon() };
    let this = (kind, path.clone());
    if seen.contains(&this) {
        section.refuse(format!("there is a {kind} rule about {path} already"), "make one of the two");
        return section.abandon();
    }
    seen.push(this);
    let at = rules.iter().position(|rule| kind_of(rule) == kind && *rule.path() == path);
    if section.boolean("off", false) {
        match at {
            Some(at) => drop(rules.remove(at)),
            None => section.refuse(
                format!("there is no {kind} rule about {path} to take away"),
                "take this entry away, or name the `base` that has the rule",
            ),
        }
        return section.finish();
    }
    let read = parameters(kind, path, at.map(|at| &rules[at]), &mut section);
    section.finish();
    match (read, at) {
        (Some(rule), Some(at)) => rules[at] = rule,
        (Some(rule), None) => rules.push(rule),
        (None, _) => {}
    }
}

const fn kind_of(rule: &Rule) -> &'static str {
    match rule {
        Rule::Text(_) => "text",
        Rule::Email(_) => "email",
        Rule::Phone { .. } => "phone",
        Rule::Same { .. } => "same",
        Rule::EmailSomewhere { .. } => "email-in-either",
        Rule::Region { .. } => "region",
    }
}

fn parameters(kind: &str, path: AttrPath, base: Option<&Rule>, section: &mut Section<'_>) -> Option<Rule> {
    let mut other = |key: &str, held: Option<&AttrPath>| match (section.value(key), held) {
        (Some(value), _) => one(&value),
        (None, Some(held)) => Some(held.clone()),
        (None, None) => section.required(key, &format!("{key} = \"userName\"")).and_then(|value| one(&value)),
    };
    match (kind, base) {
        ("email", _) => Some(Rule::Email(path)),
        ("same", Some(Rule::Same { other: held, .. })) => Some(Rule::Same { path, other: other("other", Some(held))? }),
        ("same", _) => Some(Rule::Same { path, other: other("other", None)? }),
        ("email-in-either", Some(Rule::EmailSomewhere { other: held, .. })) => {
            Some(Rule::EmailSomewhere { path, other: other("other", Some(held))? })
        }
        ("email-in-either", _) => Some(Rule::EmailSomewhere { path, other: other("other", None)? }),
        ("region", Some(Rule::Region { country, .. })) => {
            Some(Rule::Region { region: path, country: other("country", Some(country))? })
        }
        ("region", _) => Some(Rule::Region { region: path, country: other("country", None)? }),
        ("phone", base) => Some(phone(path, base, section)),
        (_, base) => text(&path, base, section),
    }
}

fn text(path: &AttrPath, base: Option<&Rule>, section: &mut Section<'_>) -> Option<Rule> {
    let plain =
        Text { path: path.clone(), min: 1, max: None, letters: Letters::Ascii, also: String::new(), spaces: false };
    let mut rule = if let Some(Rule::Text(held)) = base { held.clone() } else { plain };
    rule.min = size(section.integer("min", number(rule.min), 1..=LONGEST));
    if let Some(value) = section.value("max") {
        rule.max = if value.is_word("none") { None } else { Some(size(value.integer(1..=LONGEST)?)) };
        if rule.max.is_some_and(|max| max < rule.min) {
            value.refuse("`max` is less than `min`: no value would do", "write the greater number as `max`");
        }
    }
    let letters = [("ascii", Letters::Ascii), ("unicode", Letters::Unicode)];
    set(&mut rule.letters, section.value("letters").and_then(|value| word(&value, &letters)));
    set(&mut rule.also, section.value("also").and_then(|value| signs(&value)));
    rule.spaces = section.boolean("spaces", rule.spaces);
    Some(Rule::Text(rule))
}

/// Signs that may stand beside letters and digits.
pub(in crate::config) fn signs(value: &Value<'_>) -> Option<String> {
    value.parse(|text| {
        if text.len() > 100 || text.chars().any(|sign| sign.is_whitespace() || sign.is_control()) {
            let help = "write the signs one after the other, such as \"._-@\"; spaces have a key of their own";
            return Err(advice("is not a list of signs", help));
        }
        Ok(text.to_owned())
    })
}

fn phone(path: AttrPath, base: Option<&Rule>, section: &mut Section<'_>) -> Rule {
    let (mut form, mut strip) = (Phone::Digits { min: 3, max: 20 }, false);
    if let Some(Rule::Phone { form: held, strip: taken, .. }) = base {
        (form, strip) = (*held, *taken);
    }
    let digits = if let Phone::Digits { min, max } = form { (min, max) } else { (3, 20) };
    let forms = [("e164", Phone::E164), ("digits", Phone::Digits { min: digits.0, max: digits.1 })];
    set(&mut form, section.value("form").and_then(|value| word(&value, &forms)));
    if let Phone::Digits { min, max } = &mut form {
        *min = size(section.integer("min", number(*min), 1..=100));
        *max = size(section.integer("max", number(*max), 1..=100));
        if *max < *min {
            section.refuse("`max` is less than `min`: no number would do", "write the greater number as `max`");
        }
    }
    let spaces = [("reject", false), ("strip", true)];
    set(&mut strip, section.value("spaces").and_then(|value| word(&value, &spaces)));
    Rule::Phone { path, form, strip }
}

fn number(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(LONGEST)
}

fn size(number: i64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
