//! Dates: reading and printing them, and the arithmetic of Visual Basic's DateAdd and DateDiff; formats are in `format`.
//! Everything is UTC, in the invariant culture, from year 1 to year 9999.

use jiff::civil::DateTime;
use jiff::{SignedDuration, Span};

use crate::types::Timestamp;

/// Day 0 of file times and of weeks' counting.
const FILE_TIME: DateTime = DateTime::constant(1601, 1, 1, 0, 0, 0, 0);
const FIRST: DateTime = DateTime::constant(1, 1, 1, 0, 0, 0, 0);
/// The time that is now, as a date.
pub fn at(now: Timestamp) -> Option<DateTime> {
    kept(DateTime::constant(1970, 1, 1, 0, 0, 0, 0).checked_add(SignedDuration::from_millis(now.millis())).ok()?)
}

/// A date in the years that there are.
fn kept(date: DateTime) -> Option<DateTime> {
    (1..=9999).contains(&date.year()).then_some(date)
}

/// `M/d/yyyy h:mm:ss tt`.
pub fn printed(date: DateTime) -> String {
    let (hour, half) = half_day(date.hour());
    format!(
        "{}/{}/{:04} {hour}:{:02}:{:02} {half}",
        date.month(),
        date.day(),
        date.year(),
        date.minute(),
        date.second()
    )
}

pub(super) fn half_day(hour: i8) -> (i8, &'static str) {
    ((hour + 11) % 12 + 1, if hour < 12 { "AM" } else { "PM" })
}

/// Reads an ISO 8601 date with or without time and offset, or the printed form; without an offset it is UTC.
pub fn parse(text: &str) -> Option<DateTime> {
    let text = text.trim();
    let mut reader = Reader(text);
    if text.contains('/') {
        let (month, (), day, (), year) =
            (reader.number(1, 2)?, reader.take("/")?, reader.number(1, 2)?, reader.take("/")?, reader.number(4, 4)?);
        let mut parts = Parts { year, month, day, ..Parts::default() };
        if !reader.0.is_empty() {
            reader.take(" ")?;
            parts.hour = reader.number(1, 2).filter(|hour| (1..=12).contains(hour))?;
            reader.take(":")?;
            parts.minute = reader.number(2, 2)?;
            reader.take(":")?;
            parts.second = reader.number(2, 2)?;
            reader.take(" ")?;
            parts.afternoon = Some(reader.half()?);
        }
        return if reader.0.is_empty() { parts.date() } else { None };
    }
    let (year, (), month, (), day) =
        (reader.number(4, 4)?, reader.take("-")?, reader.number(2, 2)?, reader.take("-")?, reader.number(2, 2)?);
    let mut parts = Parts { year, month, day, ..Parts::default() };
    if reader.take("T").or_else(|| reader.take("t")).or_else(|| reader.take(" ")).is_some() {
        parts.hour = reader.number(2, 2)?;
        reader.take(":")?;
        parts.minute = reader.number(2, 2)?;
        if reader.take(":").is_some() {
            parts.second = reader.number(2, 2)?;
            if reader.take(".").is_some() {
                parts.nanosecond = reader.fraction(1, 9)?;
            }
        }
        _ = reader.take(" ");
    }
    if !reader.0.is_empty() {
        parts.offset = Some(reader.offset()?);
    }
    if reader.0.is_empty() { parts.date() } else { None }
}

/// The interval of DateAdd and DateDiff.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// `yyyy`
    Year,
    /// `m`
    Month,
    /// `d`
    Day,
    /// `ww`
    Week,
    /// `h`
    Hour,
    /// `n`
    Minute,
    /// `s`
    Second,
}

impl Interval {
    /// The interval with these letters.
    pub fn named(letters: &str) -> Option<Self> {
        Some(match letters {
            "yyyy" => Self::Year,
            "m" => Self::Month,
            "d" => Self::Day,
            "ww" => Self::Week,
            "h" => Self::Hour,
            "n" => Self::Minute,
            "s" => Self::Second,
            _ => return None,
        })
    }

    const fn seconds(self) -> i64 {
        match self {
            Self::Year | Self::Month => 0,
            Self::Week => 7 * 86_400,
            Self::Day => 86_400,
            Self::Hour => 3600,
            Self::Minute => 60,
            Self::Second => 1,
        }
    }
}

/// `date` moved on by so many intervals; a month's end stays one. `None` beyond the years that there are.
pub fn add(interval: Interval, number: i64, date: DateTime) -> Option<DateTime> {
    let moved = match interval {
        Interval::Year => date.checked_add(Span::new().try_years(number).ok()?).ok()?,
        Interval::Month => date.checked_add(Span::new().try_months(number).ok()?).ok()?,
        other => date.checked_add(SignedDuration::from_secs(number.checked_mul(other.seconds())?)).ok()?,
    };
    kept(moved)
}

/// How many intervals lie between; positive when `to` is later.
pub fn difference(interval: Interval, from: DateTime, to: DateTime) -> i64 {
    let years = i64::from(to.year()) - i64::from(from.year());
    match interval {
        Interval::Year => years,
        Interval::Month => years * 12 + i64::from(to.month()) - i64::from(from.month()),
        // Sundays crossed: the first day of year 1 was a Monday.
        Interval::Week => {
            let week = |date: DateTime| (date.duration_since(FIRST).as_secs().div_euclid(86_400) + 1).div_euclid(7);
            week(to) - week(from)
        }
        other => {
            let nanos = to.duration_since(from).as_nanos();
            i64::try_from(nanos / (i128::from(other.seconds()) * 1_000_000_000)).unwrap_or(i64::MAX)
        }
    }
}

/// The date of a file time: 100 ns since 1601.
pub fn from_file_time(number: i64) -> Option<DateTime> {
    let nanos = i128::from(number) * 100;
    let seconds = i64::try_from(nanos.div_euclid(1_000_000_000)).ok()?;
    let rest = i32::try_from(nanos.rem_euclid(1_000_000_000)).ok()?;
    kept(FILE_TIME.checked_add(SignedDuration::new(seconds, rest)).ok()?)
}

/// The file time of a date.
pub fn file_time(date: DateTime) -> i64 {
    i64::try_from(date.duration_since(FILE_TIME).as_nanos() / 100).unwrap_or(i64::MAX)
}

/// What was read of a date.
pub(super) struct Parts {
    pub year: i64,
    pub month: i64,
    pub day: i64,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
    pub nanosecond: i64,
    /// Whether a twelve-hour clock showed the second half of the day.
    pub afternoon: Option<bool>,
    /// Seconds east of UTC.
    pub offset: Option<i64>,
}

impl Default for Parts {
    fn default() -> Self {
        Self { year: 1, month: 1, day: 1, hour: 0, minute: 0, second: 0, nanosecond: 0, afternoon: None, offset: None }
    }
}

impl Parts {
    /// The date in UTC, if there is such a day and time.
    pub fn date(&self) -> Option<DateTime> {
        let hour = match self.afternoon {
            None => self.hour,
            Some(afternoon) => self.hour % 12 + if afternoon { 12 } else { 0 },
        };
        let small = |number: i64| i8::try_from(number).ok();
        let date = DateTime::new(
            i16::try_from(self.year).ok()?,
            small(self.month)?,
            small(self.day)?,
            small(hour)?,
            small(self.minute)?,
            small(self.second)?,
            i32::try_from(self.nanosecond).ok()?,
        );
        kept(date.ok()?.checked_sub(SignedDuration::from_secs(self.offset.unwrap_or(0))).ok()?)
    }
}

/// A text that is taken piece by piece.
pub(super) struct Reader<'t>(pub &'t str);

impl Reader<'_> {
    pub fn take(&mut self, token: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(token)?;
        Some(())
    }

    /// The index of the one of `tokens` that comes next, in any case.
    pub fn take_any(&mut self, tokens: &[&str]) -> Option<usize> {
        let here = |token: &&str| self.0.get(..token.len()).is_some_and(|start| start.eq_ignore_ascii_case(token));
        let index = tokens.iter().position(here)?;
        self.0 = &self.0[tokens[index].len()..];
        Some(index)
    }

    fn digits(&mut self, least: usize, most: usize) -> Option<&str> {
        let count = self.0.bytes().take(most).take_while(u8::is_ascii_digit).count();
        if count < least {
            return None;
        }
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        Some(digits)
    }

    pub fn number(&mut self, least: usize, most: usize) -> Option<i64> {
        self.digits(least.max(1), most)?.parse().ok()
    }

    /// Digits of a fraction, as nanoseconds.
    pub fn fraction(&mut self, least: usize, most: usize) -> Option<i64> {
        format!("{:0<9}", self.digits(least, most)?).parse().ok()
    }

    pub fn half(&mut self) -> Option<bool> {
        self.take_any(&["AM", "PM"]).map(|half| half == 1)
    }

    pub fn name(&mut self, names: &[&str], short: bool) -> Option<i64> {
        let names: Vec<&str> = names.iter().map(|name| if short { &name[..3] } else { name }).collect();
        self.take_any(&names).and_then(|index| i64::try_from(index).ok())
    }

    /// `Z`, `+02`, `+0200` or `+02:00`, as seconds.
    pub fn offset(&mut self) -> Option<i64> {
        if self.take("Z").or_else(|| self.take("z")).is_some() {
            return Some(0);
        }
        let sign = if self.take("-").is_some() { -1 } else { self.take("+").map(|()| 1)? };
        let hours = self.number(1, 2)?;
        let colon = self.take(":").is_some();
        let minutes = match self.number(2, 2) {
            Some(minutes) => minutes,
            None if !colon => 0,
            None => return None,
        };
        (hours <= 14 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
    }
}
