//! A resource as the identity provider sees it, a person or a group: what lists and answers are made of.

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use serde_json::Value;

use crate::http::error::Refusal;
use crate::ports::Entry;
use crate::scim::ResourceType;
use crate::scim::command::Projection;
use crate::scim::etag::{self, Preconditions};
use crate::scim::filter::Subject;
use crate::scim::resource::{Meta, Resource};

/// A resource ready to be answered.
pub struct Shown {
    /// What it is.
    pub kind: ResourceType,
    /// What the directory says of it beside its attributes.
    pub entry: Entry,
    /// The attributes to be seen.
    pub seen: Resource,
    /// Its version.
    pub tag: Option<String>,
}

impl Shown {
    /// The SCIM `id`.
    pub fn key(&self) -> &str {
        &self.entry.key
    }

    /// What a filter or an order is asked of; `resource` stands for what is seen.
    pub fn subject<'a>(&'a self, resource: &'a Resource) -> Subject<'a> {
        // Nobody filters or sorts by an address: the location is not needed to decide.
        Subject { kind: self.kind, resource, meta: self.meta("") }
    }

    /// Its address.
    pub fn location(&self, base: &str) -> String {
        location(base, self.kind, &self.entry.key)
    }

    /// The JSON that a client gets.
    pub fn render(&self, base: &str, projection: &Projection) -> Value {
        self.seen.render(self.kind, self.meta(&self.location(base)), projection)
    }

    fn meta<'a>(&'a self, location: &'a str) -> Meta<'a> {
        let Entry { key, created, modified, .. } = &self.entry;
        Meta { id: key, location, created: *created, modified: *modified, version: self.tag.as_deref() }
    }
}

/// What cannot stand in a path segment as it is (RFC 3986 §2.3 names what can).
const ESCAPED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The address of a resource.
pub fn location(base: &str, kind: ResourceType, key: &str) -> String {
    let key = percent_encoding::utf8_percent_encode(key, &ESCAPED);
    format!("{base}/{}/{key}", kind.endpoint())
}

/// The version of a resource as an entity tag: the directory's own, with what the link adds to it; without one a digest of the
/// content. A group whose directory tells no version has none, since its membership is not at hand to be digested. A
/// person's read-only `groups` is not part of it: the groups' versions move with that.
pub fn tag(kind: ResourceType, entry: &Entry, whole: &Resource) -> Option<String> {
    match (&entry.version, kind) {
        (Some(version), _) if *whole == entry.resource => Some(etag::weak(version)),
        (Some(version), _) => {
            let mut all = whole.as_map().clone();
            all.insert("version".into(), version.as_str().into());
            Some(etag::of_content(&Resource::from_map(all)))
        }
        (None, ResourceType::User) => Some(etag::of_content(whole)),
        (None, ResourceType::Group) => None,
    }
}

/// `If-Match` and `If-None-Match` of a request.
pub fn preconditions(headers: &HeaderMap) -> Result<Preconditions, Refusal> {
    let joined = |name: HeaderName| {
        let values: Vec<_> = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("?")).collect();
        (!values.is_empty()).then(|| values.join(","))
    };
    let (matching, none_matching) = (joined(header::IF_MATCH), joined(header::IF_NONE_MATCH));
    Ok(Preconditions::parse(matching.as_deref(), none_matching.as_deref())?)
}

/// Writes the version into an answer's headers.
pub fn write_tag(tag: Option<&str>, headers: &mut HeaderMap) {
    headers.extend(tag.and_then(|tag| HeaderValue::from_str(tag).ok()).map(|value| (header::ETAG, value)));
}

#[cfg(test)]
mod tests {
    use crate::scim::command::Query;

    #[test]
    fn what_is_not_wanted_need_not_be_read() {
        let urn = "urn:ietf:params:scim:schemas:core:2.0:Group";
        for (query, wanted) in [
            ("", true),
            ("attributes=displayName", false),
            ("attributes=displayName,MEMBERS.value", true),
            ("excludedAttributes=members", false),
            ("excludedAttributes=members.display", true),
            ("excludedAttributes=members[type eq \"User\"]", true),
            (&format!("attributes={urn}"), true),
            (&format!("attributes={urn}:members"), true),
            (&format!("excludedAttributes={urn}:members"), false),
            ("attributes=members&excludedAttributes=members", false),
        ] {
            assert_eq!(Query::parse(query).unwrap().projection.wants("members"), wanted, "{query}");
        }
    }
}
