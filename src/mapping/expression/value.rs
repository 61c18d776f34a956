//! What expressions compute with.

use std::borrow::Cow;
use std::fmt;

use jiff::civil::DateTime;

/// A decimal number: 64 bits before the point, at most nine digits after it. No rounding, no overflow in comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number(i128);

const UNIT: i128 = 1_000_000_000;

impl Number {
    /// A whole number.
    pub const fn whole(number: i64) -> Self {
        Self(number as i128 * UNIT)
    }

    /// The whole number it is, if it is one.
    pub fn as_whole(self) -> Option<i64> {
        (self.0 % UNIT == 0).then(|| i64::try_from(self.0 / UNIT).ok()).flatten()
    }

    /// Reads `7`, `-7` or `1.5`; nothing else.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(whole, rest)| (whole, Some(rest)));
        let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits(whole) || whole.len() > 40 || fraction.is_some_and(|it| !all_digits(it) || it.len() > 9) {
            return None;
        }
        let whole = whole.parse::<i128>().ok().filter(|whole| *whole <= i128::from(u64::MAX))?;
        let fraction = format!("{:0<9}", fraction.unwrap_or("")).parse::<i128>().ok()?;
        let size = whole * UNIT + fraction;
        let number = if negative { -size } else { size };
        i64::try_from(number / UNIT).ok().map(|_| Self(number))
    }

    /// From JSON; `None` for what is beyond 64 bits or nine decimals.
    pub fn from_json(number: &serde_json::Number) -> Option<Self> {
        number.as_i64().map(Self::whole).or_else(|| Self::parse(&number.to_string()))
    }

    /// As JSON.
    pub fn to_json(self) -> serde_json::Value {
        match self.as_whole() {
            Some(whole) => whole.into(),
            None => serde_json::from_str(&self.to_string()).unwrap_or_default(),
        }
    }
}

/// Decimal digits; no zeros at the end of a fraction.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let (whole, fraction) =
            (self.0.unsigned_abs() / UNIT.unsigned_abs(), self.0.unsigned_abs() % UNIT.unsigned_abs());
        write!(f, "{whole}")?;
        if fraction == 0 {
            return Ok(());
        }
        f.write_str(".")?;
        f.write_str(format!("{fraction:09}").trim_end_matches('0'))
    }
}

/// What stays out of the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// The attribute: the target keeps what it has.
    Attribute,
    /// The whole object.
    Object,
}

/// A value while it is being computed; borrows from the person and from the expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// An attribute that is not there.
    Null,
    /// Text, also empty.
    Text(Cow<'a, str>),
    /// A number.
    Number(Number),
    /// True or false.
    Boolean(bool),
    /// A date and time in UTC.
    Date(DateTime),
    /// Several texts in order.
    List(Vec<Cow<'a, str>>),
    /// No value at all; the check lets it reach only what may pass it on.
    Leave(Leave),
}

impl<'a> Value<'a> {
    /// An owned text.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(text.into())
    }

    /// A whole number.
    pub const fn whole(number: i64) -> Self {
        Self::Number(Number::whole(number))
    }

    /// A count.
    pub fn count(count: usize) -> Self {
        Self::whole(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// Null or the empty text, or a list without any other.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Text(text) => text.is_empty(),
            Self::List(list) => list.iter().all(|item| item.is_empty()),
            _ => false,
        }
    }

    /// As JSON; a boolean stays one, a date is its printed form.
    pub fn into_json(self) -> serde_json::Value {
        match self {
            Self::Null | Self::Leave(_) => serde_json::Value::Null,
            Self::Text(text) => text.into_owned().into(),
            Self::Number(number) => number.to_json(),
            Self::Boolean(truth) => truth.into(),
            Self::Date(date) => super::date::printed(date).into(),
            Self::List(list) => list.into_iter().map(Cow::into_owned).collect::<Vec<_>>().into(),
        }
    }
}

/// The text form of a boolean.
pub const fn truth(truth: bool) -> &'static str {
    if truth { "True" } else { "False" }
}
