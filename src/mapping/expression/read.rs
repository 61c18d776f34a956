//! Values on their way into functions: from JSON, to text, to numbers; and what a piece of an expression is called in a message.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::Value as Json;

use super::check::Node;
use super::types::Source;
use super::value::{Number, Value, truth};
use super::{Fault, LONGEST_TEXT, MOST_VALUES, date};

/// A text, if there is a value.
pub(super) type Text<'e> = Option<Cow<'e, str>>;

/// An evaluation ends here.
pub(super) fn fault<T>(span: &Range<usize>, message: impl Into<String>) -> Result<T, Fault> {
    Err(Fault { span: span.clone(), message: message.into() })
}

/// A JSON value as it takes part.
pub(super) fn value_of<'e>(found: Option<&'e Json>, source: &Source, span: &Range<usize>) -> Result<Value<'e>, Fault> {
    Ok(match found {
        None | Some(Json::Null) => Value::Null,
        Some(Json::Bool(truth)) => Value::Boolean(*truth),
        Some(Json::String(text)) if text.len() > LONGEST_TEXT => {
            return fault(span, format!("[{source}] is longer than 64 KiB"));
        }
        Some(Json::String(text)) => Value::text(text.as_str()),
        Some(Json::Number(number)) => match Number::from_json(number) {
            Some(number) => Value::Number(number),
            None => return fault(span, format!("[{source}] is a number of more than 64 bits or nine decimals")),
        },
        Some(Json::Object(parts)) => match parts.get("value") {
            Some(value) if !value.is_object() && !value.is_array() => value_of(Some(value), source, span)?,
            _ => return fault(span, format!("[{source}] has parts")),
        },
        Some(Json::Array(items)) => listed(items.iter(), source, span)?,
    })
}

pub(super) fn listed<'e>(
    items: impl ExactSizeIterator<Item = &'e Json>,
    source: &Source,
    span: &Range<usize>,
) -> Result<Value<'e>, Fault> {
    if items.len() > MOST_VALUES {
        return fault(span, format!("[{source}] has more than {MOST_VALUES} values"));
    }
    let mut list = Vec::with_capacity(items.len());
    for item in items {
        match value_of(Some(item).filter(|item| !item.is_array()), source, span)? {
            Value::Text(text) => list.push(text),
            Value::Boolean(yes) => list.push(truth(yes).into()),
            Value::Number(number) => list.push(number.to_string().into()),
            _ => {}
        }
    }
    Ok(Value::List(list))
}

/// The text form of a value; of a list, that of its only value.
pub(super) fn text_of<'e>(
    value: Value<'e>,
    node: &Node,
    span: &Range<usize>,
    function: &str,
) -> Result<Text<'e>, Fault> {
    Ok(match value {
        Value::Null => None,
        Value::Text(text) => Some(text),
        Value::Number(number) => Some(number.to_string().into()),
        Value::Boolean(yes) => Some(truth(yes).into()),
        Value::Date(date) => Some(date::printed(date).into()),
        Value::List(list) if list.len() <= 1 => list.into_iter().next(),
        Value::List(list) => {
            return fault(span, format!("{function}: {} has {} values where one is wanted", said(node), list.len()));
        }
        Value::Leave(_) => return fault(span, format!("{function}: {} is left out", said(node))),
    })
}

/// A value as a number, if it is one or a text that is one.
pub(super) fn as_number(value: &Value<'_>) -> Option<Number> {
    match value {
        Value::Number(number) => Some(*number),
        Value::Text(text) => Number::parse(text.trim()),
        Value::List(list) if list.len() == 1 => Number::parse(list[0].trim()),
        _ => None,
    }
}

/// What a node is called in a message: the attribute's name, or the function's.
pub(super) fn said(node: &Node) -> String {
    match node {
        Node::Attribute { source, .. } => format!("[{source}]"),
        Node::Call { function, .. } => format!("the result of {}", function.name()),
        Node::Replace(_) => "the result of Replace".to_owned(),
        Node::Literal(_) => "the value written out".to_owned(),
        Node::Compare { .. } => "the comparison".to_owned(),
    }
}

pub(super) fn place(node: &Node) -> &Range<usize> {
    const NOWHERE: &Range<usize> = &(0..0);
    match node {
        Node::Attribute { span, .. } | Node::Call { span, .. } | Node::Compare { span, .. } => span,
        Node::Replace(replacing) => &replacing.span,
        Node::Literal(_) => NOWHERE,
    }
}
