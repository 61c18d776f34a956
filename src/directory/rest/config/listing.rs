//! A call that lists, and how its list goes on from answer to answer.

use crate::directory::rest::template::{Operation, Slot};

/// `paging`, `first_page` and `next` as written.
#[derive(Clone, Debug)]
pub struct PagingDraft {
    /// `paging`; none means as the slots of the call say.
    pub kind: Option<String>,
    /// `first_page`.
    pub first_page: u64,
    /// `next`.
    pub next: String,
}

impl Default for PagingDraft {
    fn default() -> Self {
        Self { kind: None, first_page: 1, next: "/next".into() }
    }
}

/// How a list goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Paging {
    /// By how many to pass over.
    Offset,
    /// By the number of a page.
    Page {
        /// The number of the first.
        first: u64,
    },
    /// By a text in the answer before.
    Cursor {
        /// Where it stands.
        next: String,
    },
    /// By an address in the answer before: in its `Link` header (RFC 8288), or in its body.
    Link {
        /// Where it stands in the body; `None`: in the header.
        next: Option<String>,
    },
    /// Not at all: one answer holds everything.
    Whole,
}

/// A call that lists.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// The call.
    pub operation: Operation,
    /// How it goes on.
    pub paging: Paging,
    /// Where an answer holds the list: a JSON Pointer.
    pub items: String,
    /// Where it says how many there are in all.
    pub total: String,
    /// The most entries of one answer.
    pub page_size: u64,
}

/// What is declared of lists beside the call.
pub struct Declared {
    /// How they go on.
    pub paging: PagingDraft,
    /// `items`.
    pub items: String,
    /// `total`.
    pub total: String,
    /// `page_size`.
    pub page_size: u64,
}

const KINDS: [&str; 5] = ["offset", "page", "cursor", "link", "none"];

impl Declared {
    /// Reads a call that lists, with the slots it must and may hold beside those of its paging.
    ///
    /// # Errors
    /// What is wrong, and the key at which, if it is not the call's own.
    pub fn read(
        &self,
        text: &str,
        required: &[Slot],
        optional: &[Slot],
    ) -> Result<Listing, (Option<&'static str>, String)> {
        let kind = match self.paging.kind.as_deref() {
            Some(kind) => *KINDS.iter().find(|known| **known == kind).ok_or_else(|| {
                (Some("paging"), format!("\"{kind}\" is none of \"offset\", \"page\", \"cursor\", \"link\", \"none\""))
            })?,
            None if text.contains("{page}") => "page",
            None if text.contains("{cursor}") => "cursor",
            None => "offset",
        };
        let next = || match self.paging.next.as_str() {
            next if next.starts_with('/') => Ok(next.to_owned()),
            other => Err((Some("next"), format!("is a JSON Pointer (RFC 6901): write \"/{other}\""))),
        };
        let (own, may, paging): (&[Slot], &[Slot], _) = match kind {
            "page" => (&[Slot::Page], &[Slot::Limit], Paging::Page { first: self.paging.first_page }),
            "cursor" => (&[Slot::Cursor], &[Slot::Limit], Paging::Cursor { next: next()? }),
            "link" if self.paging.next == PagingDraft::default().next => {
                (&[], &[Slot::Limit], Paging::Link { next: None })
            }
            "link" => (&[], &[Slot::Limit], Paging::Link { next: Some(next()?) }),
            "none" => (&[], &[Slot::Limit], Paging::Whole),
            _ => (&[Slot::Offset, Slot::Limit], &[], Paging::Offset),
        };
        let operation = Operation::parse_with(text, &[required, own].concat(), &[may, optional].concat())
            .map_err(|problem| (None, problem))?;
        Ok(Listing {
            operation,
            paging,
            items: self.items.clone(),
            total: self.total.clone(),
            page_size: self.page_size,
        })
    }
}
