//! A TOML document as a tree that owns its text and remembers where everything stood.
//!
//! Values from `PORTCULLIS__…` variables take part as [`Tree::Loose`] nodes: plain text that becomes whatever type the
//! reader asks for.

use std::ops::Range;
use std::rc::Rc;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// Where a value or key was written.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// In the file, at these bytes.
    File(Range<usize>),
    /// In this environment variable.
    Variable(Rc<str>),
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub origin: Origin,
    pub tree: Tree,
}

#[derive(Clone, Debug)]
pub(super) enum Tree {
    Text(String),
    /// Text of an overriding variable.
    Loose(String),
    Integer(i64),
    Boolean(bool),
    List(Vec<Node>),
    Table(Rc<Table>),
    /// A type no key has; the word says which.
    Other(&'static str),
}

impl Tree {
    /// The type in words, for "… not a string".
    pub fn word(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::Loose(_) => "a string",
            Self::Integer(_) => "a number",
            Self::Boolean(_) => "a boolean",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other(word) => word,
        }
    }
}

/// Keys in the order of the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Table(pub Vec<Key>);

#[derive(Clone, Debug)]
pub(super) struct Key {
    pub name: String,
    pub origin: Origin,
    pub node: Node,
}

impl Table {
    pub fn get(&self, name: &str) -> Option<&Key> {
        self.0.iter().find(|key| key.name == name)
    }
}

/// Parses a document; on failure every syntax error with its place.
pub(super) fn parse(source: &str) -> Result<Rc<Table>, Vec<(Range<usize>, String)>> {
    let (root, errors) = DeTable::parse_recoverable(source);
    if errors.is_empty() {
        return Ok(table(root.get_ref(), &Origin::File));
    }
    let end = source.len();
    Err(errors.iter().map(|error| (error.span().unwrap_or(end..end), error.message().to_owned())).collect())
}

/// Parses the text of a variable that is written as a TOML list or inline table.
pub(super) fn parse_variable(text: &str, variable: &Rc<str>) -> Option<Tree> {
    let value = DeValue::parse(text).ok()?;
    Some(node(&value, &|_| Origin::Variable(Rc::clone(variable))).tree)
}

fn table(from: &DeTable<'_>, at: &dyn Fn(Range<usize>) -> Origin) -> Rc<Table> {
    let mut keys: Vec<_> = from.iter().collect();
    keys.sort_by_key(|(name, _)| name.span().start);
    let key = |(name, value): (&Spanned<DeString<'_>>, &Spanned<DeValue<'_>>)| Key {
        name: name.get_ref().to_string(),
        origin: at(name.span()),
        node: node(value, at),
    };
    Rc::new(Table(keys.into_iter().map(key).collect()))
}

fn node(value: &Spanned<DeValue<'_>>, at: &dyn Fn(Range<usize>) -> Origin) -> Node {
    let tree = match value.get_ref() {
        DeValue::String(text) => Tree::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Tree::Other("a number beyond counting"), Tree::Integer),
        DeValue::Float(_) => Tree::Other("a fraction"),
        DeValue::Boolean(truth) => Tree::Boolean(*truth),
        DeValue::Datetime(_) => Tree::Other("a date"),
        DeValue::Array(items) => Tree::List(items.iter().map(|item| node(item, at)).collect()),
        DeValue::Table(inner) => Tree::Table(table(inner, at)),
    };
    Node { origin: at(value.span()), tree }
}
