//! The grammar: text to [`Syntax`] and back. Knows no function and no attribute by name.
//!
//! ```text
//! expression = operand [ comparison operand ] ;
//! operand    = call | attribute | string | number | word ;
//! call       = name "(" [ argument { "," argument } ] ")" ;
//! argument   = [ expression ] ;                      (empty: not given)
//! attribute  = "[" name, up to the balancing bracket "]" ;
//! string     = '"' { character | '\\' | '\"' } '"' ;
//! number     = [ "-" ] digits [ "." digits ] | "&H" hex-digits ;
//! ```

use std::fmt::{self, Write as _};
use std::ops::Range;

use super::Problem;
use super::value::Number;

/// The longest expression, in bytes.
pub const LONGEST: usize = 32 * 1024;
/// How deep calls may nest.
pub const DEEPEST: usize = 64;

/// A piece of an expression and where it stands. Two are equal when they say the same, wherever they stand.
#[derive(Clone, Debug)]
pub struct Syntax {
    /// What it says.
    pub term: Term,
    /// Where, in bytes of the whole expression.
    pub span: Range<usize>,
}

impl PartialEq for Syntax {
    fn eq(&self, other: &Self) -> bool {
        self.term == other.term
    }
}

/// What a piece of an expression says.
#[derive(Clone, Debug, PartialEq)]
pub enum Term {
    /// `Name(…)`; an argument that is not given is `None`.
    Call {
        /// The function's name as written; the piece's span begins with it.
        name: String,
        /// What stands between the parentheses.
        arguments: Vec<Option<Syntax>>,
    },
    /// `[name]`.
    Attribute(String),
    /// `"text"`.
    Text(String),
    /// `7`, `-1.5` or `&H2A`.
    Number(Number),
    /// A bare word.
    Word(Word),
    /// `left = right` and its like.
    Compare {
        /// Which relation.
        operator: Comparison,
        /// The left side; no comparison itself.
        left: Box<Syntax>,
        /// The right side; no comparison itself.
        right: Box<Syntax>,
    },
}

/// The bare words there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Compare with regard to case.
    Binary,
    /// Compare without regard to case.
    Text,
    /// Leave the attribute out.
    IgnoreAttribute,
    /// Leave the whole object out.
    IgnoreObject,
}

impl Word {
    /// Every word.
    pub const ALL: [Self; 4] = [Self::Binary, Self::Text, Self::IgnoreAttribute, Self::IgnoreObject];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Binary => "vbBinaryCompare",
            Self::Text => "vbTextCompare",
            Self::IgnoreAttribute => "IgnoreAttributeFlow",
            Self::IgnoreObject => "IgnoreObjectFlow",
        }
    }
}

/// The relations there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>`
    Unequal,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
}

impl Comparison {
    /// Longer ones before those they begin with.
    const ALL: [Self; 6] =
        [Self::Unequal, Self::GreaterOrEqual, Self::LessOrEqual, Self::Equal, Self::Greater, Self::Less];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Unequal => "<>",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
        }
    }

    /// Whether it asks for an order.
    pub const fn orders(self) -> bool {
        !matches!(self, Self::Equal | Self::Unequal)
    }
}

impl Syntax {
    /// Parses a whole expression.
    ///
    /// # Errors
    /// The first place where the text stops being one, and what to write.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        if text.len() > LONGEST {
            return Err(Problem::new(LONGEST..LONGEST, format!("the expression is longer than {LONGEST} bytes")));
        }
        let mut parser = Parser { text, at: 0, depth: 0 };
        parser.blanks();
        if parser.rest().is_empty() {
            return Err(parser.here("the expression is empty").help("write one such as StripSpaces([userName])"));
        }
        let expression = parser.expression()?;
        parser.blanks();
        if parser.rest().is_empty() { Ok(expression) } else { Err(parser.stray()) }
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    fn take(&mut self, token: &str) -> bool {
        let there = self.rest().starts_with(token);
        self.at += if there { token.len() } else { 0 };
        there
    }

    /// A problem with the next character.
    fn here(&self, message: impl Into<String>) -> Problem {
        Problem::new(self.at..self.at + self.peek().map_or(0, char::len_utf8), message)
    }

    fn expression(&mut self) -> Result<Syntax, Problem> {
        let left = self.operand()?;
        self.blanks();
        let at = self.at;
        let Some(operator) = Comparison::ALL.into_iter().find(|operator| self.take(operator.as_str())) else {
            return Ok(left);
        };
        if operator == Comparison::Equal && self.peek() == Some('=') {
            return Err(Problem::new(at..at + 2, "`==` is no comparison").help("write a single `=`"));
        }
        self.blanks();
        let right = self.operand()?;
        self.blanks();
        if let Some(again) = Comparison::ALL.into_iter().find(|operator| self.rest().starts_with(operator.as_str())) {
            let span = self.at..self.at + again.as_str().len();
            return Err(Problem::new(span, "comparisons cannot be chained").help("nest IIF"));
        }
        let span = left.span.start..right.span.end;
        Ok(Syntax { term: Term::Compare { operator, left: Box::new(left), right: Box::new(right) }, span })
    }

    fn operand(&mut self) -> Result<Syntax, Problem> {
        let start = self.at;
        let term = match self.peek() {
            Some('[') => Term::Attribute(self.attribute()?),
            Some('"') => Term::Text(self.string()?),
            Some('-' | '&' | '0'..='9') => Term::Number(self.number()?),
            Some(c) if c.is_ascii_alphabetic() => self.name()?,
            _ => return Err(self.stray()),
        };
        Ok(Syntax { term, span: start..self.at })
    }

    fn name(&mut self) -> Result<Term, Problem> {
        let start = self.at;
        let length = self.rest().bytes().position(|byte| !(byte.is_ascii_alphanumeric() || byte == b'_'));
        let name = &self.rest()[..length.unwrap_or(self.rest().len())];
        self.at += name.len();
        let after = self.at;
        self.blanks();
        if self.take("(") {
            return self.arguments(name, start);
        }
        self.at = after;
        if let Some(word) = Word::ALL.into_iter().find(|word| word.as_str() == name) {
            return Ok(Term::Word(word));
        }
        let problem = Problem::new(start..after, format!("`{name}` is no word of this language"));
        Err(match Word::ALL.into_iter().find(|word| word.as_str().eq_ignore_ascii_case(name)) {
            Some(word) => problem.help(format!("case counts: write {}", word.as_str())),
            None if name.eq_ignore_ascii_case("true") => problem.help("write \"True\""),
            None if name.eq_ignore_ascii_case("false") => problem.help("write \"False\""),
            None => problem.help(format!("an attribute is written [{name}], a text \"{name}\", a function {name}(…)")),
        })
    }

    fn arguments(&mut self, name: &str, start: usize) -> Result<Term, Problem> {
        self.depth += 1;
        if self.depth > DEEPEST {
            let span = start..start + name.len();
            return Err(Problem::new(span, format!("calls are nested deeper than {DEEPEST}")).help("use Switch"));
        }
        let mut arguments = Vec::new();
        self.blanks();
        if !self.take(")") {
            loop {
                self.blanks();
                let empty = matches!(self.peek(), Some(',' | ')'));
                arguments.push(if empty { None } else { Some(self.expression()?) });
                self.blanks();
                if self.take(",") {
                    continue;
                }
                if self.take(")") {
                    break;
                }
                if self.rest().is_empty() {
                    let span = start..start + name.len();
                    return Err(
                        Problem::new(span, format!("the parenthesis of {name} is never closed")).help("add `)`")
                    );
                }
                return Err(self.stray());
            }
        }
        self.depth -= 1;
        Ok(Term::Call { name: name.to_owned(), arguments })
    }

    /// Up to the balancing bracket; brackets in quotes do not count.
    fn attribute(&mut self) -> Result<String, Problem> {
        let start = self.at;
        let (mut open, mut quoted, mut escaped) = (0_usize, false, false);
        for (offset, c) in self.rest().char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                '[' if !quoted => open += 1,
                ']' if !quoted => {
                    open -= 1;
                    if open == 0 {
                        let name = self.rest()[1..offset].trim();
                        self.at += offset + 1;
                        if name.is_empty() {
                            return Err(Problem::new(start..self.at, "there is no name between the brackets"));
                        }
                        return Ok(name.to_owned());
                    }
                }
                _ => {}
            }
        }
        let message =
            if quoted { "a quote in this attribute's name is never closed" } else { "the bracket is never closed" };
        Err(Problem::new(start..start + 1, message).help("write [name]"))
    }

    fn string(&mut self) -> Result<String, Problem> {
        let start = self.at;
        let mut text = String::new();
        let mut characters = self.rest().char_indices().skip(1).peekable();
        while let Some((offset, c)) = characters.next() {
            match c {
                '"' => {
                    self.at += offset + 1;
                    return Ok(text);
                }
                '\\' => match characters.next_if(|&(_, next)| matches!(next, '"' | '\\')) {
                    Some((_, escaped)) => text.push(escaped),
                    None => text.push('\\'),
                },
                c => text.push(c),
            }
        }
        let problem = Problem::new(start..start + 1, "the text is never closed");
        Err(match self.rest().find(CURLY) {
            Some(_) => problem.help("a curly quote closes no text: write \""),
            None => problem.help("add \" at its end; inside a text write \\\" for a quote and \\\\ for a backslash"),
        })
    }

    fn number(&mut self) -> Result<Number, Problem> {
        let start = self.at;
        if self.take("&") {
            if !(self.take("H") || self.take("h")) {
                self.at = start;
                return Err(self.here("`&` joins no texts").help("use Append or Join; a hexadecimal number is &H2A"));
            }
            let digits = self.run(|byte| byte.is_ascii_hexdigit());
            return i64::from_str_radix(digits, 16).map(Number::whole).map_err(|_| {
                Problem::new(start..self.at, "is no hexadecimal number of 64 bits").help("write one such as &H2A")
            });
        }
        let negative = self.take("-");
        let whole = self.run(|byte| byte.is_ascii_digit());
        if whole.is_empty() {
            self.at = start;
            return Err(self
                .here("`-` stands before no number")
                .help("there is no subtraction; see DateAdd and DateDiff"));
        }
        let mut text = format!("{}{whole}", if negative { "-" } else { "" });
        if self.rest().as_bytes().first() == Some(&b'.')
            && self.rest().as_bytes().get(1).is_some_and(u8::is_ascii_digit)
        {
            self.at += 1;
            text.push('.');
            text.push_str(self.run(|byte| byte.is_ascii_digit()));
        }
        Number::parse(&text).ok_or_else(|| {
            Problem::new(start..self.at, "is too large or too fine a number")
                .help("numbers have 64 bits and at most nine decimals")
        })
    }

    fn run(&mut self, wanted: impl Fn(u8) -> bool) -> &'t str {
        let rest = self.rest();
        let length = rest.bytes().position(|byte| !wanted(byte)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// Something stands where it cannot.
    fn stray(&self) -> Problem {
        let Some(next) = self.peek() else {
            return self.here("the expression ends where a value is missing");
        };
        if CURLY.contains(&next) {
            let problem = self.here(format!("`{next}` is a quote from a word processor"));
            return problem.help("write straight quotes: \"…\"");
        }
        let word: String = self.rest().chars().take_while(char::is_ascii_alphabetic).collect();
        if matches!(word.to_ascii_uppercase().as_str(), "AND" | "OR" | "NOT" | "MOD") {
            let span = self.at..self.at + word.len();
            return Problem::new(span, format!("there is no operator {word}"))
                .help("nest IIF: in the second argument for AND, in the third for OR; Not(…) is a function");
        }
        match next {
            '\'' => self.here("texts stand in double quotes").help("write \"…\""),
            '+' | '&' => self.here(format!("`{next}` joins no texts")).help("use Append or Join"),
            '*' | '/' | '-' => self.here("there is no arithmetic").help("see DateAdd, DateDiff and BitAnd"),
            '!' => self.here("`!` is no operator").help("not equal is `<>`, and Not(…) is a function"),
            ')' => self.here("`)` closes nothing or stands where a value is missing"),
            ',' => self.here("`,` stands outside of a function's parentheses"),
            ']' => self.here("`]` closes nothing"),
            _ => self.here(format!("`{}` stands where nothing of this kind can", next.escape_debug())),
        }
    }
}

/// Quotes that word processors make.
const CURLY: [char; 8] = ['“', '”', '„', '‟', '‘', '’', '«', '»'];

/// The canonical spelling: what it parses to is the same again.
impl fmt::Display for Syntax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.term {
            Term::Call { name, arguments } => {
                write!(f, "{name}(")?;
                for (index, argument) in arguments.iter().enumerate() {
                    f.write_str(if index > 0 { ", " } else { "" })?;
                    if let Some(argument) = argument {
                        argument.fmt(f)?;
                    }
                }
                f.write_char(')')
            }
            Term::Attribute(name) => write!(f, "[{name}]"),
            Term::Text(text) => {
                f.write_char('"')?;
                for c in text.chars() {
                    if matches!(c, '"' | '\\') {
                        f.write_char('\\')?;
                    }
                    f.write_char(c)?;
                }
                f.write_char('"')
            }
            Term::Number(number) => number.fmt(f),
            Term::Word(word) => f.write_str(word.as_str()),
            Term::Compare { operator, left, right } => write!(f, "{left} {} {right}", operator.as_str()),
        }
    }
}
