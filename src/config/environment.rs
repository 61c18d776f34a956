//! The process environment as a value, and the `PORTCULLIS__…` variables in it that override keys of the file.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

/// Environment variables by name. Only `main` makes one from the real environment; tests write theirs.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// What `NAME` is set to.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The variables that override keys, each with the path it stands for.
    pub(super) fn overrides(&self) -> Vec<Override> {
        let prefix = "PORTCULLIS__";
        self.0
            .iter()
            .filter(|(name, _)| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)))
            .map(|(name, value)| Override {
                variable: name.as_str().into(),
                path: name[prefix.len()..].split("__").map(normal).collect(),
                value: value.clone(),
                used: Cell::new(false),
            })
            .collect()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// Names only: values may be secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// One `PORTCULLIS__…` variable.
pub(super) struct Override {
    pub variable: Rc<str>,
    /// The key path in the spelling of [`normal`].
    pub path: Vec<String>,
    pub value: String,
    /// Whether anything asked for it; what nobody asks for is a mistake.
    pub used: Cell<bool>,
}

impl Override {
    /// Whether it overrides exactly the key at `path`.
    pub fn is(&self, path: &[String]) -> bool {
        self.path.len() == path.len() && self.starts_with(path)
    }

    /// Whether it overrides a key somewhere below `path`.
    pub fn is_below(&self, path: &[String]) -> bool {
        self.path.len() > path.len() && self.starts_with(path)
    }

    fn starts_with(&self, path: &[String]) -> bool {
        self.path.iter().zip(path).all(|(ours, theirs)| *ours == normal(theirs))
    }
}

/// A key as a variable's name can write it: without case, `-` as `_`.
pub(super) fn normal(key: &str) -> String {
    key.to_ascii_lowercase().replace('-', "_")
}
