//! (to come)
/// A resource.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Resource(serde_json::Map<String, serde_json::Value>);
