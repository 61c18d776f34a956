//! (to come)
/// A path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AttrPath;
