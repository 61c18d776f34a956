//! The declared table between SCIM attributes (RFC 7643) and the fields of a directory's own flat JSON records.
//!
//! A [`Table`] turns a record into a person, a person into a whole record, and the difference of two persons into the fields
//! to change. What happens on the way is an [`expression`](expression::Expression), there and back. It knows no transport, no directory kind and no dialect. A value the table cannot carry over is an error that
//! names the field or the attribute, never the value.

mod column;
pub mod expression;
mod inverse;
mod line;
pub mod scope;
mod table;
mod trial;

pub use column::{Apply, Column, Kind, Read, Write};
pub use inverse::Inverse;
pub use line::{Line, Slip};
pub use table::{Changes, Table, Unreadable, Unwritable};
pub use trial::{Loss, losses};
