//! SCIM 2.0 (RFC 7643, RFC 7644): resources, schemas, paths, filters, PATCH. Plain functions and types, no I/O.

pub mod path;
pub mod resource;
