//! What is wrong with a configuration, where, and how to put it right.
//!
//! The texts never hold a secret: the reader covers secret values in the source text before it is kept here, and messages
//! quote only what is not one.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can, but is probably not what was meant, or not safe.
    Warning,
    /// Worth knowing.
    Note,
}

impl Severity {
    /// The word in front of a message.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The configuration file as it was named.
    pub file: String,
    /// Line, from 1; `None` when the value came from an environment variable or the file could not be read.
    pub line: Option<usize>,
    /// Column in characters, from 1.
    pub column: Option<usize>,
    /// The overriding environment variable that the value came from.
    pub variable: Option<String>,
    /// The path of the key, such as `tenants.acme.limits.read`; empty for the file as a whole.
    pub key: String,
    /// What is wrong, quoting the offending text unless it is secret.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Where in the source text, in bytes.
    #[serde(skip)]
    pub(super) span: Option<Range<usize>>,
    /// That text, secrets covered, if it is another file's than the configuration's.
    #[serde(skip)]
    pub(super) source: Option<Arc<str>>,
}

/// `file:line:column: message (help)`, the form that editors and scripts read; errors carry no word, others do.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.variable, self.line, self.column) {
            (Some(variable), ..) => write!(f, "{variable}: ")?,
            (None, Some(line), Some(column)) => write!(f, "{}:{line}:{column}: ", self.file)?,
            _ => write!(f, "{}: ", self.file)?,
        }
        if self.severity != Severity::Error {
            write!(f, "{}: ", self.severity.as_str())?;
        }
        f.write_str(&self.message)?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, " ({help})"))
    }
}

/// All findings of one reading, in the order of the file, those of variables last.
#[derive(Clone, PartialEq, Eq)]
pub struct Diagnostics {
    /// The file's text with every secret covered.
    source: Arc<str>,
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Sorts `list`; `source` must have its secrets covered already.
    pub(super) fn new(source: impl Into<Arc<str>>, mut list: Vec<Diagnostic>) -> Self {
        list.sort_by_cached_key(|found| {
            let other = found.source.is_some().then(|| found.file.clone());
            (found.span.is_none(), other, found.span.as_ref().map(|span| span.start), found.severity)
        });
        list.dedup();
        Self { source: source.into(), list }
    }

    /// The findings, to be told among those of another file.
    pub(super) fn of_another_file(self) -> impl Iterator<Item = Diagnostic> {
        let source = self.source;
        self.list.into_iter().map(move |found| match found.source {
            Some(_) => found,
            None => Diagnostic { source: Some(Arc::clone(&source)), ..found },
        })
    }

    /// The findings.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many findings there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether any of them forbids the configuration's use.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|found| found.severity == Severity::Error)
    }

    /// A report for people: the offending line of the file under each message; with colours for a terminal.
    pub fn report(&self, colours: bool) -> String {
        let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
        let renderer = renderer.decor_style(DecorStyle::Unicode);
        self.list.iter().map(|found| self.render(&renderer, found) + "\n\n").collect()
    }

    fn render(&self, renderer: &Renderer, found: &Diagnostic) -> String {
        let level = match found.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let mut group = match (&found.variable, &found.span) {
            (Some(variable), _) => Group::with_title(level.primary_title(format!("{variable}: {}", found.message))),
            (None, None) => Group::with_title(level.primary_title(format!("{}: {}", found.file, found.message))),
            (None, Some(span)) => level.primary_title(&found.message).element(
                Snippet::source(found.source.as_deref().unwrap_or(&self.source))
                    .path(&found.file)
                    .annotation(AnnotationKind::Primary.span(span.clone())),
            ),
        };
        if let Some(help) = &found.help {
            group = group.element(Level::HELP.message(help));
        }
        renderer.render(&[group])
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One line each.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.list.iter().try_for_each(|found| writeln!(f, "{found}"))
    }
}

impl fmt::Debug for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Diagnostics {}

/// An array of findings.
impl Serialize for Diagnostics {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.list.serialize(serializer)
    }
}

/// Line and column, both from 1 and the column in characters, of byte `offset` in `source`.
pub(super) fn position(source: &str, offset: usize) -> (usize, usize) {
    let before = source.get(..offset).unwrap_or(source);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
