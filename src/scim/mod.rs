//! SCIM 2.0 (RFC 7643, RFC 7644): schemas, resources, paths, filters, PATCH. Plain functions and types, no I/O.
//!
//! Names are canonical once something has been parsed: what reads `USERNAME` or `Emails[Type eq "work"]` gives `userName`
//! and `emails[type eq "work"]`. Nothing here knows a vendor, a directory or HTTP beyond the status an error carries.

pub mod bulk;
mod characteristics;
pub mod command;
pub mod cursor;
mod entries;
pub mod error;
pub mod etag;
pub mod filter;
pub mod members;
mod normalise;
pub mod patch;
pub mod path;
mod render;
pub mod resource;
mod resource_type;
pub mod schema;
pub mod sort;
mod syntax;

pub use resource_type::{Member, ResourceType};
