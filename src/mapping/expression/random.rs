//! `Guid` and `RandomString`, from the randomness that is handed in.

use crate::types::Random;

/// The longest random text.
const LONGEST: i64 = 256;
const NUMBERS: &str = "0123456789";
const SPECIALS: &str = "!#$%&()*+,-./:;<=>?@[]^_{|}~";
const CAPITALS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const SMALL: &str = "abcdefghijklmnopqrstuvwxyz";

/// A random UUID (RFC 9562 §5.4).
pub fn guid(random: &Random) -> String {
    let mut bytes = random.bytes::<16>();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        text.push_str(if matches!(index, 4 | 6 | 8 | 10) { "-" } else { "" });
        text.extend([byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0')));
    }
    text
}

/// Random text of `length` characters, with at least so many numbers, special characters, capitals and small letters, and
/// none of `avoid`.
///
/// # Errors
/// Which of the wishes cannot be met.
pub fn text(random: &Random, length: i64, least: [i64; 4], avoid: &str) -> Result<String, &'static str> {
    if !(1..=LONGEST).contains(&length) {
        return Err("`length` must be 1 to 256");
    }
    if least.iter().any(|it| !(0..=LONGEST).contains(it)) || least.iter().sum::<i64>() > length {
        return Err("`length` is less than the minimums together");
    }
    let kinds = [NUMBERS, SPECIALS, CAPITALS, SMALL].map(|kind| kind.chars().filter(|c| !avoid.contains(*c)).collect());
    let kinds: [Vec<char>; 4] = kinds;
    let all: Vec<char> = kinds.concat();
    let mut drawn = Vec::new();
    for (kind, least) in kinds.iter().zip(least) {
        for _ in 0..least {
            drawn.push(*kind.get(below(random, kind.len())).ok_or("`charactersToAvoid` leaves none of a wanted kind")?);
        }
    }
    while i64::try_from(drawn.len()).is_ok_and(|drawn| drawn < length) {
        drawn.push(*all.get(below(random, all.len())).ok_or("`charactersToAvoid` leaves none")?);
    }
    for last in (1..drawn.len()).rev() {
        drawn.swap(last, below(random, last + 1));
    }
    Ok(drawn.into_iter().collect())
}

/// A number below `bound`, each as likely as the others; 0 for a bound of 0.
fn below(random: &Random, bound: usize) -> usize {
    if bound < 2 {
        return 0;
    }
    let bound = u32::try_from(bound).unwrap_or(u32::MAX);
    let fair = u32::MAX - u32::MAX % bound;
    loop {
        let drawn = u32::from_le_bytes(random.bytes());
        if drawn < fair {
            return usize::try_from(drawn % bound).unwrap_or(0);
        }
    }
}
