//! A table's line as an operator writes it, whatever kind of directory it is for, and the one place where it is checked.
//!
//! ```toml
//! [attributes]                     # SCIM path = the field it lives in
//! title = "job"                                                            # as it is, both ways
//! 'phoneNumbers[type eq "work"].value' = { field = "phone", write = 'StripSpaces([phoneNumbers[type eq "work"].value])', read = '[phone]' }
//! nickName    = { field = "alias", write = 'Append([nickName], "-x")' }     # read back without -x: that follows
//! displayName = { read = 'Join(" ", [first_name], [last_name])' }          # made of fields, never written
//!
//! [fields]                         # fields that no attribute alone fills: never read
//! full_name = 'Join(" ", [name.givenName], [name.familyName])'
//! password  = { write = 'RandomString(16, 2, 2, 2, 2)', apply = "create" }
//! ```

use std::ops::Range;

use serde_json::Value;

use super::column::{Apply, Column, Kind, Read, Write};
use super::expression::{Expression, Fields, Problem, Scim, Scope, Source};
use super::inverse::Inverse;
use crate::scim::path::AttrPath;

/// A line as written; what is absent is the default.
#[derive(Clone, Debug, Default)]
pub struct Line {
    /// `field`; empty for an attribute that is only read.
    pub field: String,
    /// `kind`; none means text.
    pub kind: Option<String>,
    /// `default`: written into a whole record when there is no value.
    pub default: Option<Value>,
    /// `write`: an expression over the person.
    pub write: Option<String>,
    /// `read`: an expression over the record.
    pub read: Option<String>,
    /// `apply`: `always` or `create`; none means always.
    pub apply: Option<String>,
}

/// Something wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slip {
    /// The key of the line, if it is about one.
    pub key: Option<&'static str>,
    /// The place in that key's expression.
    pub within: Option<Range<usize>>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Slip {
    fn whole(message: impl Into<String>) -> Self {
        Self { key: None, within: None, message: message.into(), help: None }
    }

    fn at(key: &'static str, problem: Problem) -> Self {
        Self { key: Some(key), within: Some(problem.span), message: problem.message, help: problem.help }
    }
}

impl Line {
    /// The line of `[attributes]` for `path`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn attribute(self, path: AttrPath) -> Result<Column, Vec<Slip>> {
        let mut slips = Vec::new();
        let (kind, apply) = (self.kind(&mut slips), self.apply(&mut slips));
        let write = expression("write", self.write.as_deref(), &Scim, &mut slips);
        let read = expression("read", self.read.as_deref(), &Fields, &mut slips);
        if let Some(read) = read.as_ref().filter(|read| !read.is_stable()) {
            let problem = Problem {
                span: 0..read.text().len(),
                message: "reading must not depend on time or chance".into(),
                help: None,
            };
            slips.push(Slip::at("read", problem));
        }
        check_apply(write.as_ref(), apply, &mut slips);
        if !slips.is_empty() {
            return Err(slips);
        }
        if self.field.is_empty() {
            return match (read, write) {
                (Some(read), None) => Ok(Column::only_read(path, kind, read)),
                _ => Err(vec![Slip {
                    help: Some(
                        "write field = \"…\", or only read = '…' for an attribute that is made of fields".into(),
                    ),
                    ..Slip::whole("names no field")
                }]),
            };
        }
        let back = match (read, &write) {
            (Some(read), _) if read.as_copy() == Some(&Source::Field(self.field.clone())) => Read::Copy,
            (Some(read), _) => Read::Expression(Box::new(read)),
            (None, None) => Read::Copy,
            (None, Some(write)) if write.sources().is_empty() => Read::Never,
            (None, Some(write)) => match Inverse::of(write, &path) {
                Some(inverse) => Read::Inverse(inverse),
                None => {
                    return Err(vec![Slip {
                        key: Some("write"),
                        within: Some(0..write.text().len()),
                        message: "this expression cannot be turned around".into(),
                        help: Some(format!(
                            "say how {path} is read back, such as read = '[{0}]', or move it to [fields] as {0} = '…' if it is not",
                            self.field
                        )),
                    }]);
                }
            },
        };
        let there = write.map_or(Write::Copy, |write| Write::Expression(Box::new(write)));
        let column = Column::new(path, self.field, kind, self.default).map_err(|problem| vec![Slip::whole(problem)])?;
        Ok(column.written(there, apply).read_by(back))
    }

    /// The line of `[fields]` for the field of that name.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn only_field(self) -> Result<Column, Vec<Slip>> {
        let mut slips = Vec::new();
        let (kind, apply) = (self.kind(&mut slips), self.apply(&mut slips));
        let write = expression("write", self.write.as_deref(), &Scim, &mut slips);
        if self.read.is_some() {
            slips.push(Slip::whole("is only written: an attribute that is read stands in [attributes]"));
        }
        check_apply(write.as_ref(), apply, &mut slips);
        match write {
            Some(write) if slips.is_empty() => Column::only_written(self.field, kind, self.default, write, apply)
                .map_err(|problem| vec![Slip::whole(problem)]),
            None if slips.is_empty() => Err(vec![Slip {
                help: Some("add write = '…', such as 'Join(\" \", [name.givenName], [name.familyName])'".into()),
                ..Slip::whole("says nothing to write")
            }]),
            _ => Err(slips),
        }
    }

    fn kind(&self, slips: &mut Vec<Slip>) -> Kind {
        match self.kind.as_deref() {
            None | Some("text") => Kind::Text,
            Some("boolean") => Kind::Boolean,
            Some("number") => Kind::Number,
            Some(other) => {
                let message = format!("kind \"{other}\" is none of \"text\", \"boolean\", \"number\"");
                slips.push(Slip::whole(message));
                Kind::Text
            }
        }
    }

    fn apply(&self, slips: &mut Vec<Slip>) -> Apply {
        match self.apply.as_deref() {
            None | Some("always") => Apply::Always,
            Some("create") => Apply::Create,
            Some(other) => {
                let message = format!("\"{other}\" is none of \"always\", \"create\"");
                slips.push(Slip { key: Some("apply"), ..Slip::whole(message) });
                Apply::Always
            }
        }
    }
}

fn expression(key: &'static str, text: Option<&str>, scope: &dyn Scope, slips: &mut Vec<Slip>) -> Option<Expression> {
    match Expression::compile(text?, scope) {
        Ok(expression) => Some(expression),
        Err(problems) => {
            slips.extend(problems.into_iter().map(|problem| Slip::at(key, problem)));
            None
        }
    }
}

/// What is drawn anew each time would change with every request.
fn check_apply(write: Option<&Expression>, apply: Apply, slips: &mut Vec<Slip>) {
    if let Some(write) = write.filter(|write| write.is_random() && apply == Apply::Always) {
        slips.push(Slip {
            key: Some("write"),
            within: Some(0..write.text().len()),
            message: "Guid and RandomString would give another value with every change".into(),
            help: Some("add apply = \"create\"".into()),
        });
    }
}

impl Column {
    /// What is allowed but probably not meant, about the line's expressions.
    pub fn doubts(&self) -> Vec<Slip> {
        let mut doubts = Vec::new();
        for (key, expression) in self.expressions() {
            doubts.extend(expression.warnings().iter().cloned().map(|problem| Slip::at(key, problem)));
        }
        doubts
    }

    /// Its expressions, each with its key.
    fn expressions(&self) -> impl Iterator<Item = (&'static str, &Expression)> {
        let write = match self.write() {
            Write::Expression(expression) => Some(("write", &**expression)),
            Write::Copy | Write::Never => None,
        };
        let read = match self.read() {
            Read::Expression(expression) => Some(("read", &**expression)),
            Read::Copy | Read::Inverse(_) | Read::Never => None,
        };
        write.into_iter().chain(read)
    }

    /// What the line does, in words, if it does more than copy.
    pub fn said(&self) -> Option<String> {
        let field = self.field().unwrap_or("");
        let to = match self.write() {
            Write::Expression(expression) => format!("{field} ← {expression}"),
            Write::Copy => format!("{field} ← as it is"),
            Write::Never => "never written".to_owned(),
        };
        let back = match self.read() {
            Read::Copy => format!("read as {field} has it"),
            Read::Inverse(inverse) => format!("read from {field} {}", inverse.said()),
            Read::Expression(expression) => format!("read as {expression}"),
            Read::Never => "never read".to_owned(),
        };
        let once = if self.apply() == Apply::Create { ", only on create" } else { "" };
        let plain = matches!((self.write(), self.read(), self.apply()), (Write::Copy, Read::Copy, Apply::Always));
        (!plain).then(|| format!("{}: {to}{once}; {back}", self.name()))
    }
}
