//! Which expressions can be turned around exactly, and how.

use super::check::Node;
use super::function::Function;
use super::syntax::Comparison;
use super::types::Source;
use super::value::{Value, truth};
use crate::scim::path::AttrPath;

/// One thing to undo in what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// This was put behind.
    Suffix(String),
    /// This was put in front.
    Prefix(String),
    /// True became false.
    Not,
    /// Each of these keys became its value; no two the same.
    Table(Vec<(String, String)>),
}

/// What must be undone, outermost first, to come from the result back to the attribute at `path`.
pub fn steps(node: &Node, path: &AttrPath) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut node = node;
    loop {
        match node {
            Node::Attribute { source, all: false, .. } => {
                return (*source == Source::Path(path.clone())).then_some(steps);
            }
            Node::Call { function, arguments, .. } => {
                let argument = |index: usize| arguments.get(index).and_then(Option::as_ref);
                node = match (function, argument(0)?, argument(1)) {
                    (Function::Append, inner, Some(Node::Literal(suffix))) => {
                        steps.push(Step::Suffix(text(suffix)?));
                        inner
                    }
                    (Function::Append, Node::Literal(prefix), Some(inner)) => {
                        steps.push(Step::Prefix(text(prefix)?));
                        inner
                    }
                    (Function::Redact | Function::CStr | Function::IgnoreFlowIfNullOrEmpty, inner, _) => inner,
                    (Function::Not, inner, _) => {
                        steps.push(Step::Not);
                        inner
                    }
                    // With a default, whatever has no key is lost.
                    (Function::Switch, inner, None) => {
                        let pair = |pair: &[Option<Node>]| match pair {
                            [Some(Node::Literal(key)), Some(Node::Literal(value))] => Some((text(key)?, text(value)?)),
                            _ => None,
                        };
                        steps.push(table(arguments[2..].chunks(2).map(pair).collect::<Option<_>>()?)?);
                        inner
                    }
                    (Function::IIF, condition, Some(Node::Literal(yes))) => {
                        let Some(Node::Literal(no)) = argument(2) else { return None };
                        let (inner, when) = boolean(condition)?;
                        let rows = vec![(truth(when).to_owned(), text(yes)?), (truth(!when).to_owned(), text(no)?)];
                        steps.push(table(rows)?);
                        inner
                    }
                    _ => return None,
                };
            }
            _ => return None,
        }
    }
}

/// The attribute whose truth a condition asks for, and for which truth. Only true and false have but two values.
fn boolean(condition: &Node) -> Option<(&Node, bool)> {
    let is_boolean = |node: &Node| match node {
        Node::Attribute { source: Source::Path(path), .. } => {
            path.leaf().is_some_and(|leaf| leaf.kind == crate::scim::schema::Kind::Boolean)
        }
        _ => false,
    };
    match condition {
        attribute if is_boolean(attribute) => Some((attribute, true)),
        Node::Compare { operator: Comparison::Equal, sides, .. } => match &**sides {
            [attribute, Node::Literal(Value::Text(text))] if is_boolean(attribute) => Some((attribute, text == "True")),
            _ => None,
        },
        _ => None,
    }
}

/// A table, if no two values and no two keys are the same.
fn table(rows: Vec<(String, String)>) -> Option<Step> {
    let unique = rows.iter().enumerate().all(|(index, (key, value))| {
        !rows[..index].iter().any(|(other_key, other_value)| other_key == key || other_value == value)
    });
    unique.then_some(Step::Table(rows))
}

fn text(value: &Value<'_>) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
