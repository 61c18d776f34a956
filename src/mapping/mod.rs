//! The declared table between SCIM attributes (RFC 7643) and the fields of a directory's own flat JSON records.
//!
//! A [`Table`] turns a record into a person, a person into a whole record, and the difference of two persons into the fields
//! to change. It knows no transport, no directory kind and no dialect. A value the table cannot carry over is an error that
//! names the field or the attribute, never the value.

mod table;

pub use table::{Changes, Column, Kind, Table, Unreadable, Unwritable};
