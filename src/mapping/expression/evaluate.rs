//! Computes a checked expression. Total: every value is bounded, every function answers or says why not.
//!
//! Null stays null through functions that change one text, unless the reference says otherwise; a fault names the function
//! and the attribute, and never the value.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

use jiff::civil::DateTime;
use serde_json::Value as Json;

use super::check::Node;
use super::format::{Format, Styles};
use super::function::Function;
use super::read::{Text, as_number, fault, listed, place, said, text_of, value_of};
use super::replace::{Bounded, How, Replacing, TOO_LONG};
use super::syntax::Comparison;
use super::text::{self, Culture};
use super::types::Source;
use super::value::{Leave, Number, Value};
use super::{Fault, Input, LONGEST_TEXT, MOST_VALUES, Moment, date, random, replace};
use crate::types::Random;

/// One evaluation.
pub struct Evaluation<'e> {
    /// What attributes are read from.
    pub input: Input<'e>,
    /// When.
    pub moment: &'e Moment,
}

/// A call that is being evaluated.
struct Call<'c, 'e> {
    evaluation: &'c Evaluation<'e>,
    function: Function,
    arguments: &'e [Option<Node>],
    span: &'e Range<usize>,
}

impl<'e> Evaluation<'e> {
    /// The value of a tree.
    pub fn node(&self, node: &'e Node) -> Result<Value<'e>, Fault> {
        match node {
            Node::Literal(Value::Text(text)) => Ok(Value::Text(Cow::Borrowed(text))),
            Node::Literal(value) => Ok(value.clone()),
            Node::Attribute { source, all, span } => self.attribute(source, *all, span),
            Node::Compare { operator, sides, span } => self.compare(*operator, sides, span).map(Value::Boolean),
            Node::Replace(replacing) => self.replace(replacing),
            Node::Call { function, arguments, span } => {
                let call = Call { evaluation: self, function: *function, arguments, span };
                let value = call.value()?;
                match &value {
                    Value::Text(text) if text.len() > LONGEST_TEXT => call.fails(TOO_LONG),
                    _ => Ok(value),
                }
            }
        }
    }

    /// Whether a tree says yes; null says no.
    pub fn truth(&self, node: &'e Node) -> Result<bool, Fault> {
        match self.node(node)? {
            Value::Boolean(truth) => Ok(truth),
            Value::Null | Value::Leave(_) => Ok(false),
            Value::Text(text) if text.is_empty() => Ok(false),
            Value::Text(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Value::Text(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            _ => fault(place(node), format!("{} is neither true nor false", said(node))),
        }
    }

    fn attribute(&self, source: &Source, all: bool, span: &Range<usize>) -> Result<Value<'e>, Fault> {
        let found: Option<&'e Json> = match source {
            Source::Field(name) => self.input.record.and_then(|record| record.get(name)),
            Source::Path(path) => {
                let Some(person) = self.input.person else { return Ok(Value::Null) };
                let several = path.filter.is_some() || path.definition().is_some_and(|it| it.multi_valued);
                if all && several {
                    return listed(person.values(path).into_iter(), source, span);
                }
                person.get(path)
            }
        };
        value_of(found, source, span)
    }

    fn compare(&self, operator: Comparison, sides: &'e [Node; 2], span: &Range<usize>) -> Result<bool, Fault> {
        let (left, right) = (self.node(&sides[0])?, self.node(&sides[1])?);
        // An attribute without a value fails every comparison.
        for (value, node) in [(&left, &sides[0]), (&right, &sides[1])] {
            if matches!(value, Value::Null) || (matches!(node, Node::Attribute { .. }) && value.is_empty()) {
                return Ok(false);
            }
        }
        let ordering = match (&left, &right) {
            (Value::Number(left), Value::Number(right)) => Some(left.cmp(right)),
            (Value::Number(left), other) => as_number(other).map(|right| left.cmp(&right)),
            (other, Value::Number(right)) => as_number(other).map(|left| left.cmp(right)),
            (Value::Date(left), Value::Date(right)) => Some(left.cmp(right)),
            (Value::Date(left), Value::Text(right)) => date::parse(right).map(|right| left.cmp(&right)),
            (Value::Text(left), Value::Date(right)) => date::parse(left).map(|left| left.cmp(right)),
            _ if operator.orders() => None,
            _ => {
                let text = |value: &Value<'e>, node| text_of(value.clone(), node, span, "the comparison");
                let (left, right) = (text(&left, &sides[0])?, text(&right, &sides[1])?);
                return Ok((left == right) == (operator == Comparison::Equal));
            }
        };
        Ok(match (operator, ordering) {
            (Comparison::Equal, ordering) => ordering == Some(Ordering::Equal),
            (Comparison::Unequal, ordering) => ordering != Some(Ordering::Equal),
            (_, None) => {
                let names = format!("{} and {}", said(&sides[0]), said(&sides[1]));
                return fault(span, format!("{names} have no order: only numbers and dates have"));
            }
            (Comparison::Greater, Some(ordering)) => ordering.is_gt(),
            (Comparison::GreaterOrEqual, Some(ordering)) => ordering.is_ge(),
            (Comparison::Less, Some(ordering)) => ordering.is_lt(),
            (Comparison::LessOrEqual, Some(ordering)) => ordering.is_le(),
        })
    }

    fn replace(&self, replacing: &'e Replacing) -> Result<Value<'e>, Fault> {
        let text =
            |node: &'e Node| -> Result<Text<'e>, Fault> { text_of(self.node(node)?, node, &replacing.span, "Replace") };
        let fails = |message: &'static str| Fault {
            span: replacing.span.clone(),
            message: format!("Replace of {}: {message}", said(&replacing.source)),
        };
        let source = text(&replacing.source)?;
        if let How::Other { pattern, group, other } = &replacing.how {
            if let Some(source) = source.filter(|source| !source.is_empty()) {
                return Ok(Value::Text(source));
            }
            let Some(other) = text(other)? else { return Ok(Value::Null) };
            let spans = pattern.find(&other, 0).map_err(fails)?;
            let span = spans.and_then(|spans| spans.get(*group).cloned().flatten());
            return Ok(span.map_or(Value::Null, |span| Value::text(other[span].to_owned())));
        }
        let Some(source) = source else { return Ok(Value::Null) };
        let replaced = match &replacing.how {
            How::Text { old, new } => {
                let (old, new) = (text(old)?.unwrap_or_default(), text(new)?.unwrap_or_default());
                replace::text(source, &old, &new)
            }
            How::Template { old, template } => {
                let (old, template) = (text(old)?.unwrap_or_default(), text(template)?.unwrap_or_default());
                replace::text(template, &old, &source)
            }
            How::Pattern { pattern, new } => {
                let new = text(new)?.unwrap_or_default();
                replace::pattern(source, pattern, None, &new)
            }
            How::Group { pattern, group, new } => {
                let new = text(new)?.unwrap_or_default();
                replace::pattern(source, pattern, Some(*group), &new)
            }
            How::Other { .. } => Ok(source),
        };
        replaced.map(Value::Text).map_err(fails)
    }
}

impl<'e> Call<'_, 'e> {
    fn fails<T>(&self, message: impl Into<String>) -> Result<T, Fault> {
        let of = self.arguments.iter().flatten().find(|node| matches!(node, Node::Attribute { .. }));
        let of = of.map_or(String::new(), |node| format!(" of {}", said(node)));
        fault(self.span, format!("{}{of}: {}", self.function.name(), message.into()))
    }

    fn given(&self, index: usize) -> Option<&'e Node> {
        self.arguments.get(index).and_then(Option::as_ref)
    }

    fn argument(&self, index: usize) -> Result<Value<'e>, Fault> {
        self.given(index).map_or(Ok(Value::Null), |node| self.evaluation.node(node))
    }

    fn text(&self, index: usize) -> Result<Text<'e>, Fault> {
        let Some(node) = self.given(index) else { return Ok(None) };
        text_of(self.evaluation.node(node)?, node, self.span, self.function.name())
    }

    fn text_or_empty(&self, index: usize) -> Result<Cow<'e, str>, Fault> {
        self.text(index).map(Option::unwrap_or_default)
    }

    /// A whole number, if there is a value.
    fn number(&self, index: usize) -> Result<Option<i64>, Fault> {
        let value = self.argument(index)?;
        if value.is_empty() {
            return Ok(None);
        }
        match as_number(&value).and_then(Number::as_whole) {
            Some(number) => Ok(Some(number)),
            None => self.fails(format!("{} is no whole number", self.given(index).map_or(String::new(), said))),
        }
    }

    fn number_or(&self, index: usize, default: i64) -> Result<i64, Fault> {
        self.number(index).map(|number| number.unwrap_or(default))
    }

    fn date(&self, index: usize) -> Result<Option<DateTime>, Fault> {
        let Some(node) = self.given(index) else { return Ok(None) };
        match self.evaluation.node(node)? {
            Value::Date(date) => Ok(Some(date)),
            value => {
                let Some(text) = text_of(value, node, self.span, self.function.name())? else { return Ok(None) };
                if text.is_empty() {
                    return Ok(None);
                }
                match date::parse(&text) {
                    Some(date) => Ok(Some(date)),
                    None => self.fails(format!("{} is no date", said(node))),
                }
            }
        }
    }

    fn interval(&self) -> Result<date::Interval, Fault> {
        match date::Interval::named(&self.text_or_empty(0)?) {
            Some(interval) => Ok(interval),
            None => self.fails("`interval` is none of yyyy, m, d, ww, h, n, s"),
        }
    }

    fn list(&self, index: usize) -> Result<Vec<Cow<'e, str>>, Fault> {
        let Some(node) = self.given(index) else { return Ok(Vec::new()) };
        match self.evaluation.node(node)? {
            Value::List(list) => Ok(list),
            value => Ok(text_of(value, node, self.span, self.function.name())?.into_iter().collect()),
        }
    }

    /// What `change` makes of the first argument; null stays null.
    fn changed(&self, change: impl FnOnce(Cow<'e, str>) -> Result<Cow<'e, str>, Fault>) -> Result<Value<'e>, Fault> {
        Ok(match self.text(0)? {
            Some(text) => Value::Text(change(text)?),
            None => Value::Null,
        })
    }

    fn culture(&self) -> Result<Culture, Fault> {
        Ok(self.text(1)?.map_or(Culture::Invariant, |name| Culture::named(&name)))
    }

    fn value(&self) -> Result<Value<'e>, Fault> {
        let evaluation = self.evaluation;
        Ok(match self.function {
            Function::Append => {
                let (source, suffix) = (self.text_or_empty(0)?, self.text_or_empty(1)?);
                if source.len() + suffix.len() > LONGEST_TEXT {
                    return self.fails(TOO_LONG);
                }
                if suffix.is_empty() {
                    return Ok(Value::Text(source));
                }
                let mut text = String::with_capacity(source.len() + suffix.len());
                text.push_str(&source);
                text.push_str(&suffix);
                Value::text(text)
            }
            Function::Join => self.join()?,
            Function::Left => Value::Text(text::left(self.text_or_empty(0)?, self.number_or(1, 0)?)),
            Function::Mid => {
                let source = self.text_or_empty(0)?;
                let (start, length) = (self.number_or(1, 1)?, self.number_or(2, 0)?);
                match (usize::try_from(start), usize::try_from(length)) {
                    (Ok(start @ 1..), Ok(length)) => Value::Text(text::mid(source, start, length)),
                    (Ok(_), Ok(_)) | (Err(_), _) => return self.fails("`start` is below 1"),
                    (_, Err(_)) => return self.fails("`length` is negative"),
                }
            }
            Function::InStr => {
                let (string, sought) = (self.text_or_empty(0)?, self.text_or_empty(1)?);
                let Ok(start @ 1..) = usize::try_from(self.number_or(2, 1)?) else {
                    return self.fails("`start` is below 1");
                };
                let without_case = matches!(self.argument(3)?, Value::Boolean(true));
                Value::count(text::position(&string, &sought, start, without_case))
            }
            Function::Word => {
                let number = usize::try_from(self.number_or(1, 0)?).unwrap_or(0);
                let delimiters = self.text_or_empty(2)?;
                match self.text_or_empty(0)? {
                    Cow::Borrowed(string) => Value::text(text::word(string, number, &delimiters)),
                    Cow::Owned(string) => Value::text(text::word(&string, number, &delimiters).to_owned()),
                }
            }
            Function::StripSpaces => self.changed(|text| Ok(text::without_spaces(text)))?,
            Function::ToLower => self.changed(|text| Ok(text::lower(text, self.culture()?)))?,
            Function::ToUpper => self.changed(|text| Ok(text::upper(text, self.culture()?)))?,
            Function::PCase => self.changed(|text| Ok(text::proper_case(&text, self.text(1)?.as_deref()).into()))?,
            Function::NormalizeDiacritics => self.changed(|text| Ok(text::without_diacritics(text)))?,
            Function::ConvertToBase64 => self.changed(|text| Ok(text::base64(&text).into()))?,
            Function::ConvertToUTF8Hex => self.changed(|text| Ok(text::hexadecimal(&text).into()))?,
            Function::CStr => self.changed(Ok)?,
            Function::IIF => {
                let yes = self.given(0).map_or(Ok(false), |condition| evaluation.truth(condition))?;
                self.argument(if yes { 1 } else { 2 })?
            }
            Function::Switch => self.switch()?,
            Function::Coalesce => {
                for index in 0..self.arguments.len() {
                    match self.argument(index)? {
                        Value::Null => {}
                        Value::List(list) if list.is_empty() => {}
                        value => return Ok(value),
                    }
                }
                Value::Null
            }
            Function::IsNull => {
                let value = self.argument(0)?;
                Value::Boolean(matches!(value, Value::Null) || matches!(value, Value::List(list) if list.is_empty()))
            }
            Function::IsNullOrEmpty => Value::Boolean(self.argument(0)?.is_empty()),
            Function::IsPresent => Value::Boolean(!self.argument(0)?.is_empty()),
            Function::IsString => Value::Boolean(matches!(self.argument(0)?, Value::Text(_))),
            Function::Not => Value::Boolean(!match self.argument(0)? {
                Value::Boolean(truth) => truth,
                Value::Text(text) => text == "True",
                _ => false,
            }),
            Function::CBool => Value::Boolean(match self.argument(0)? {
                Value::Null => false,
                Value::Boolean(truth) => truth,
                value => match (as_number(&value), &value) {
                    (Some(number), _) => number != Number::whole(0),
                    (None, Value::Text(text)) if text.eq_ignore_ascii_case("true") => true,
                    (None, Value::Text(text)) if text.eq_ignore_ascii_case("false") => false,
                    _ => return self.fails("is neither true nor false nor a number"),
                },
            }),
            Function::BitAnd => match (self.number(0)?, self.number(1)?) {
                (Some(one), Some(other)) => Value::whole(one & other),
                _ => Value::Null,
            },
            Function::IgnoreFlowIfNullOrEmpty => match self.argument(0)? {
                value if value.is_empty() => Value::Leave(Leave::Attribute),
                value => value,
            },
            Function::Count => Value::count(self.list(0)?.len()),
            Function::Item => {
                let Ok(index @ 1..) = usize::try_from(self.number_or(1, 0)?) else {
                    return self.fails("`index` is below 1");
                };
                self.list(0)?.into_iter().nth(index - 1).map_or(Value::Null, Value::Text)
            }
            Function::Split => self.split()?,
            Function::RemoveDuplicates => {
                let mut seen = std::collections::HashSet::new();
                Value::List(self.list(0)?.into_iter().filter(|item| seen.insert(item.clone())).collect())
            }
            Function::CDate => self.date(0)?.map_or(Value::Null, Value::Date),
            Function::DateAdd => {
                let (interval, number) = (self.interval()?, self.number(1)?);
                let (Some(number), Some(date)) = (number, self.date(2)?) else { return Ok(Value::Null) };
                match date::add(interval, number, date) {
                    Some(date) => Value::Date(date),
                    None => return self.fails("leads beyond the years 1 to 9999"),
                }
            }
            Function::DateDiff => match (self.interval()?, self.date(1)?, self.date(2)?) {
                (interval, Some(from), Some(to)) => Value::whole(date::difference(interval, from, to)),
                _ => Value::Null,
            },
            Function::DateFromNum => match self.number(0)? {
                // Both mean "never".
                None | Some(0 | i64::MAX) => Value::Null,
                Some(number) => match date::from_file_time(number) {
                    Some(date) => Value::Date(date),
                    None => return self.fails("leads beyond the years 1 to 9999"),
                },
            },
            Function::NumFromDate => self.date(0)?.map_or(Value::Null, |date| Value::whole(date::file_time(date))),
            Function::FormatDateTime => self.format()?,
            Function::Now => date::at(evaluation.moment.now).map_or(Value::Null, Value::Date),
            Function::Guid => Value::text(random::guid(self.random()?)),
            Function::RandomString => {
                let least =
                    [self.number_or(1, 0)?, self.number_or(2, 0)?, self.number_or(3, 0)?, self.number_or(4, 0)?];
                let (length, avoid) = (self.number_or(0, 0)?, self.text_or_empty(5)?);
                match random::text(self.random()?, length, least, &avoid) {
                    Ok(text) => Value::text(text),
                    Err(message) => return self.fails(message),
                }
            }
            Function::Redact => self.argument(0)?,
            // The check lets none of these through.
            Function::Replace
            | Function::SelectUniqueValue
            | Function::SingleAppRoleAssignment
            | Function::AppRoleAssignmentsComplex
            | Function::AssertiveAppRoleAssignmentsComplex => return self.fails("means nothing here"),
        })
    }

    fn random(&self) -> Result<&'e Random, Fault> {
        match &self.evaluation.moment.random {
            Some(random) => Ok(random),
            None => self.fails("there is no randomness here"),
        }
    }

    fn join(&self) -> Result<Value<'e>, Fault> {
        let separator = self.text_or_empty(0)?;
        let (mut out, mut first) = (Bounded::default(), true);
        for index in 1..self.arguments.len() {
            for item in self.list(index)?.iter().filter(|item| !item.is_empty()) {
                let pushed = if first { Ok(()) } else { out.push(&separator) };
                if let Err(message) = pushed.and_then(|()| out.push(item)) {
                    return self.fails(message);
                }
                first = false;
            }
        }
        Ok(Value::text(out.into_text()))
    }

    fn switch(&self) -> Result<Value<'e>, Fault> {
        let source = self.text_or_empty(0)?;
        for index in (2..self.arguments.len()).step_by(2) {
            if self.text_or_empty(index)? == source {
                return self.argument(index + 1);
            }
        }
        self.argument(1)
    }

    fn split(&self) -> Result<Value<'e>, Fault> {
        let (source, delimiter) = (self.text_or_empty(0)?, self.text_or_empty(1)?);
        if delimiter.is_empty() {
            return self.fails("`delimiter` is empty");
        }
        let mut parts = Vec::new();
        let mut add = |part: Cow<'e, str>| {
            if !part.is_empty() {
                parts.push(part);
            }
            parts.len() <= MOST_VALUES
        };
        let fits = match &source {
            Cow::Borrowed(source) => source.split(&*delimiter).all(|part| add(part.trim().into())),
            Cow::Owned(source) => source.split(&*delimiter).all(|part| add(part.trim().to_owned().into())),
        };
        if fits { Ok(Value::List(parts)) } else { self.fails(format!("gives more than {MOST_VALUES} values")) }
    }

    fn format(&self) -> Result<Value<'e>, Fault> {
        let wrong = |message: String| self.fails::<Format>(message);
        let output = match Format::parse(&self.text_or_empty(3)?) {
            Ok(format) => format,
            Err(message) => wrong(message)?,
        };
        let Some(node) = self.given(0) else { return Ok(Value::Null) };
        let text = match self.evaluation.node(node)? {
            Value::Date(date) => return Ok(Value::text(output.write(date, true))),
            value => text_of(value, node, self.span, self.function.name())?,
        };
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(Value::Null) };
        let styles = match Styles::parse(&self.text_or_empty(1)?) {
            Ok(styles) => styles,
            Err(message) => return self.fails(message),
        };
        let input = match Format::parse(&self.text_or_empty(2)?) {
            Ok(format) => format,
            Err(message) => wrong(message)?,
        };
        match input.read(&text, styles) {
            Some((date, utc)) => Ok(Value::text(output.write(date, utc))),
            None => self.fails(format!("{} does not match `inputFormat`", said(node))),
        }
    }
}
