//! What the text functions do. Characters are counted, never cut in half.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use unicode_normalization::char::{decompose_canonical, is_combining_mark};
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory as _};

/// Whose rules of case apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Culture {
    /// One character to one character, for everybody.
    Invariant,
    /// Turkish and Azerbaijani, with their two letters i.
    Turkic,
}

impl Culture {
    /// The culture of this name, such as `tr-TR`.
    pub fn named(name: &str) -> Self {
        let language = name.split(['-', '_']).next().unwrap_or("");
        if ["tr", "az"].iter().any(|turkic| language.eq_ignore_ascii_case(turkic)) {
            Self::Turkic
        } else {
            Self::Invariant
        }
    }
}

/// The small letter, by simple case mapping.
pub fn lower_character(c: char, culture: Culture) -> char {
    match (c, culture) {
        ('I', Culture::Turkic) => 'ı',
        ('İ', _) => 'i',
        _ => only(c.to_lowercase()).unwrap_or(c),
    }
}

/// The capital letter, by simple case mapping.
pub fn upper_character(c: char, culture: Culture) -> char {
    match (c, culture) {
        ('i', Culture::Turkic) => 'İ',
        // Greek letters with iota below: their full mapping is two letters, the simple one another single letter.
        ('\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}', _) => {
            char::from_u32(c as u32 + 8).unwrap_or(c)
        }
        ('\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}', _) => char::from_u32(c as u32 + 9).unwrap_or(c),
        _ => only(c.to_uppercase()).unwrap_or(c),
    }
}

fn only(mut characters: impl Iterator<Item = char>) -> Option<char> {
    let first = characters.next();
    if characters.next().is_some() { None } else { first }
}

/// In small letters.
pub fn lower(text: Cow<'_, str>, culture: Culture) -> Cow<'_, str> {
    if culture == Culture::Invariant && text.is_ascii() {
        return if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            text.to_ascii_lowercase().into()
        } else {
            text
        };
    }
    text.chars().map(|c| lower_character(c, culture)).collect::<String>().into()
}

/// In capitals.
pub fn upper(text: Cow<'_, str>, culture: Culture) -> Cow<'_, str> {
    if culture == Culture::Invariant && text.is_ascii() {
        return if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
            text.to_ascii_uppercase().into()
        } else {
            text
        };
    }
    text.chars().map(|c| upper_character(c, culture)).collect::<String>().into()
}

/// Each word capitalised, the rest in small letters; words end at `separators`, or at what is no letter, mark or number.
pub fn proper_case(text: &str, separators: Option<&str>) -> String {
    let ends = |c: char| match separators {
        Some(separators) => separators.contains(c),
        None => ends_word(c),
    };
    let mut begins = true;
    let letter = |c: char| {
        let cased =
            if begins { upper_character(c, Culture::Invariant) } else { lower_character(c, Culture::Invariant) };
        begins = ends(c);
        cased
    };
    text.chars().map(letter).collect()
}

fn ends_word(c: char) -> bool {
    match c.general_category_group() {
        GeneralCategoryGroup::Separator | GeneralCategoryGroup::Punctuation | GeneralCategoryGroup::Symbol => true,
        _ => matches!(c.general_category(), GeneralCategory::Control | GeneralCategory::Format),
    }
}

/// Without accents: marks go from Latin letters, and the letters that are a letter and a stroke become plain ones.
pub fn without_diacritics(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.is_ascii() {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut after_latin = false;
    for c in text.chars() {
        if is_combining_mark(c) && c.general_category() == GeneralCategory::NonspacingMark {
            if !after_latin {
                out.push(c);
            }
            continue;
        }
        let mut base = None;
        decompose_canonical(c, |part| base = base.or(Some(part)));
        let base = base.unwrap_or(c);
        after_latin = is_latin(base);
        match base {
            'æ' => out.push_str("ae"),
            'Æ' => out.push_str("AE"),
            'ø' | 'œ' => out.push_str("oe"),
            'Ø' | 'Œ' => out.push_str("OE"),
            'ß' => out.push_str("ss"),
            'ẞ' => out.push_str("SS"),
            'ł' => out.push('l'),
            'Ł' => out.push('L'),
            'ı' => out.push('i'),
            base if after_latin => out.push(base),
            _ => out.push(c),
        }
    }
    out.into()
}

fn is_latin(c: char) -> bool {
    c.is_ascii_alphabetic()
        || (c.is_alphabetic() && matches!(c, '\u{aa}'..='\u{2af}' | '\u{1e00}'..='\u{1eff}' | '\u{a720}'..='\u{a7ff}'))
}

/// The first characters; a negative count is all of them.
pub fn left(text: Cow<'_, str>, count: i64) -> Cow<'_, str> {
    let Ok(count) = usize::try_from(count) else { return text };
    match text.char_indices().nth(count) {
        None => text,
        Some((end, _)) => part(text, 0, end),
    }
}

/// `length` characters from the one that `start` counts to, from 1; both not negative.
pub fn mid(text: Cow<'_, str>, start: usize, length: usize) -> Cow<'_, str> {
    let byte = |count: usize| text.char_indices().nth(count).map_or(text.len(), |(at, _)| at);
    let (from, to) = (byte(start.saturating_sub(1)), byte(start.saturating_sub(1).saturating_add(length)));
    part(text, from, to)
}

fn part(text: Cow<'_, str>, from: usize, to: usize) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => text[from..to].into(),
        Cow::Owned(text) => text[from..to].to_owned().into(),
    }
}

/// Where `sought` stands in `text` at or after the character `start`, all counted from 1; 0 when it does not.
pub fn position(text: &str, sought: &str, start: usize, without_case: bool) -> usize {
    let skip = start.saturating_sub(1);
    let Some(from) = text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(skip) else { return 0 };
    let rest = &text[from..];
    let found = if without_case {
        let (rest, sought) = (lower(rest.into(), Culture::Invariant), lower(sought.into(), Culture::Invariant));
        rest.find(&*sought).map(|at| rest[..at].chars().count())
    } else {
        rest.find(sought).map(|at| rest[..at].chars().count())
    };
    found.map_or(0, |at| skip + at + 1)
}

/// The word that `number` counts to, from 1; empty if there are fewer. Each character of `delimiters` ends one.
pub fn word<'a>(text: &'a str, number: usize, delimiters: &str) -> &'a str {
    let mut words = text.split(|c| delimiters.contains(c)).filter(|word| !word.is_empty());
    if number == 0 { "" } else { words.nth(number - 1).unwrap_or("") }
}

/// Without U+0020.
pub fn without_spaces(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains(' ') { text.replace(' ', "").into() } else { text }
}

/// Base 64 of the UTF-16 little-endian bytes.
pub fn base64(text: &str) -> String {
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    STANDARD.encode(bytes)
}

/// Capital hexadecimal digits of the UTF-8 bytes.
pub fn hexadecimal(text: &str) -> String {
    const DIGITS: [u8; 16] = *b"0123456789ABCDEF";
    text.bytes().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}
