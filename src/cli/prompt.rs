//! Passwords from a person: typed twice without echo at a terminal, or one line of standard input. Never an argument, which every
//! process of the machine could read.

use std::io::{self, IsTerminal as _, Read as _};

use console::Term;
use zeroize::Zeroize as _;

use super::Failure;
use crate::oauth::password::MAX_BYTES;
use crate::types::Secret;

/// Asks for a password with the text `ask`.
///
/// # Errors
/// When nothing can be read, what was typed the second time differs, or there is a terminal to read from and none to ask on.
pub fn password(ask: &str) -> Result<Secret, Failure> {
    if io::stdin().is_terminal() { typed(ask) } else { piped() }
}

fn typed(ask: &str) -> Result<Secret, Failure> {
    let terminal = [Term::stderr(), Term::stdout()]
        .into_iter()
        .find(Term::is_term)
        .ok_or_else(|| Failure::failed("there is no terminal to ask for the password on; pipe it in instead"))?;
    let read = |ask: &str| -> Result<Secret, Failure> {
        terminal
            .write_str(ask)
            .and_then(|()| terminal.read_secure_line())
            .map(Secret::new)
            .map_err(|error| Failure::failed(format!("cannot read the password: {error}")))
    };
    let first = read(&format!("{ask}: "))?;
    let second = read("The same again: ")?;
    if first.digest().same(&second.digest()) {
        Ok(first)
    } else {
        Err(Failure::failed("the two differ; nothing was changed"))
    }
}

fn piped() -> Result<Secret, Failure> {
    let mut text = String::new();
    // Room for the longest password, its line end, and one more byte that tells it is too long.
    let bound = MAX_BYTES as u64 + 3;
    if let Err(error) = io::stdin().lock().take(bound).read_to_string(&mut text) {
        text.zeroize();
        return Err(Failure::failed(format!("cannot read the password from standard input: {error}")));
    }
    let line = first_line(&text).map(Secret::new);
    text.zeroize();
    line.ok_or_else(|| Failure::failed("there is no password on standard input; write it there as one line"))
}

/// The first line without its end; `None` if it is empty.
fn first_line(text: &str) -> Option<&str> {
    text.split('\n').next().map(|line| line.strip_suffix('\r').unwrap_or(line)).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_without_its_end() {
        for (text, expected) in [
            ("correct horse\n", Some("correct horse")),
            ("correct horse\r\nmore\n", Some("correct horse")),
            (" blanks stay ", Some(" blanks stay ")),
            ("", None),
            ("\nlate\n", None),
        ] {
            assert_eq!(first_line(text), expected, "{text:?}");
        }
    }
}
