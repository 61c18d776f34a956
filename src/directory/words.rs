//! What a directory says of a refusal, made fit to be passed on: short, on one line, and only when it repeats none of the
//! values that were sent (design decision 13).

/// The longest explanation that is passed on, in bytes.
const LONGEST: usize = 300;

/// An explanation on one line and of bounded length; `None` if there is none.
pub fn bounded(text: &str) -> Option<String> {
    let mut words: String = text.split(|c: char| c.is_control() || c.is_whitespace()).collect::<Vec<_>>().join(" ");
    words.truncate(words.floor_char_boundary(LONGEST));
    Some(words).filter(|words| !words.is_empty())
}

/// Whether a text repeats a value that was sent, or a longer word of one.
pub fn repeats(words: &str, sent: &[&str]) -> bool {
    let words = words.to_lowercase();
    sent.iter().any(|value| {
        let value = value.to_lowercase();
        (value.chars().count() > 1 && words.contains(&value))
            || value.split(|c: char| !c.is_alphanumeric()).any(|part| part.chars().count() > 2 && words.contains(part))
    })
}
