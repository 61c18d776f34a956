//! The discovery documents (RFC 7643 §5 to §7, RFC 7644 §4), made from the tables: camelCase values, no nulls.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Attribute, DEFAULT_RESULTS, Kind, MAX_RESULTS, ResourceType, Schema, Selection, additions, enterprise};
use crate::scim::bulk;
use crate::scim::command::list_response;

const SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";
const RESOURCE_TYPE: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
const SERVICE_PROVIDER_CONFIG: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";

/// What a gateway can do, for `/ServiceProviderConfig`. Nothing is announced by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Bulk requests, and how large they may be.
    pub bulk: Option<bulk::Limits>,
    /// Whether `password` can be set.
    pub change_password: bool,
    /// Sorting.
    pub sort: bool,
    /// Entity tags.
    pub etag: bool,
    /// Paging by cursor (RFC 9865), and how long a cursor is good for.
    pub cursor: Option<Duration>,
}

/// What a tenant shows of the schemas.
#[derive(Clone, Copy)]
pub struct Offer<'a> {
    /// The types that it serves.
    pub kinds: &'a [ResourceType],
    /// The declared schemas that it lists.
    pub declared: &'a Selection,
    /// Whether an attribute of a person is offered: asked by its path, as in `userName`, `name.givenName`, `emails`, the enterprise
    /// extension's with its URN. An attribute with parts appears with those of its parts that are offered, and a label such as
    /// `phoneNumbers.type` with those of its values: `phoneNumbers[type eq "work"]`.
    pub attributes: &'a dyn Fn(&str) -> bool,
}

/// `/ServiceProviderConfig` (RFC 7643 §5). `base` is the absolute SCIM base without a trailing slash;
/// `authentication_schemes` are objects of RFC 7643 §5's form, the first being the primary one.
#[must_use]
pub fn service_provider_config(base: &str, authentication_schemes: &[Value], can: &Capabilities) -> Value {
    let limits = can.bulk.unwrap_or(bulk::Limits { operations: 0, payload: 0 });
    let mut pagination = json!({
        "cursor": can.cursor.is_some(),
        "index": true,
        "defaultPaginationMethod": "index",
        "defaultPageSize": DEFAULT_RESULTS,
        "maxPageSize": MAX_RESULTS,
    });
    if let Some(life) = can.cursor {
        pagination["cursorTimeout"] = life.as_secs().into();
    }
    json!({
        "schemas": [SERVICE_PROVIDER_CONFIG],
        "patch": { "supported": true },
        "bulk": {
            "supported": can.bulk.is_some(),
            "maxOperations": limits.operations,
            "maxPayloadSize": limits.payload,
        },
        "filter": { "supported": true, "maxResults": MAX_RESULTS },
        "changePassword": { "supported": can.change_password },
        "sort": { "supported": can.sort },
        "etag": { "supported": can.etag },
        "pagination": pagination,
        "authenticationSchemes": authentication_schemes,
        "meta": { "resourceType": "ServiceProviderConfig", "location": format!("{base}/ServiceProviderConfig") },
    })
}

/// `/Schemas` (RFC 7643 §7) as a list: those of which anything is offered.
#[must_use]
pub fn schemas(base: &str, offer: &Offer<'_>) -> Value {
    let documents: Vec<_> = all(offer).iter().filter_map(|it| it.document(base, offer)).collect();
    list_response(documents.len() as u64, 1, documents)
}

/// `/Schemas/{urn}`: one schema, or `None` when there is none of that URN or nothing of it is offered.
#[must_use]
pub fn schema(base: &str, urn: &str, offer: &Offer<'_>) -> Option<Value> {
    all(offer).iter().find(|it| it.schema.id.eq_ignore_ascii_case(urn))?.document(base, offer)
}

/// `/ResourceTypes` (RFC 7643 §6) as a list; an extension is named if anything of it is offered.
#[must_use]
pub fn resource_types(base: &str, offer: &Offer<'_>) -> Value {
    let shown = all(offer);
    let resource_type = |&kind: &ResourceType| {
        let extensions: Vec<_> = shown
            .iter()
            .filter(|it| it.kind == kind && it.schema.id != kind.schema() && it.document(base, offer).is_some())
            .map(|it| json!({ "schema": it.schema.id, "required": false }))
            .collect();
        let mut document = json!({
            "schemas": [RESOURCE_TYPE],
            "id": kind.name(),
            "name": kind.name(),
            "endpoint": format!("/{}", kind.endpoint()),
            "description": kind.definition().description,
            "schema": kind.schema(),
        });
        if !extensions.is_empty() {
            document["schemaExtensions"] = extensions.into();
        }
        let location = format!("{base}/ResourceTypes/{}", kind.name());
        document["meta"] = json!({ "resourceType": "ResourceType", "location": location });
        document
    };
    let types: Vec<_> = offer.kinds.iter().map(resource_type).collect();
    list_response(types.len() as u64, 1, types)
}

/// A schema and whose it is.
struct Shown {
    kind: ResourceType,
    schema: &'static Schema,
    /// Whether `Offer::attributes` decides on its attributes; the others are offered whole.
    asked: bool,
}

fn all(offer: &Offer<'_>) -> Vec<Shown> {
    let mut all = Vec::new();
    for &kind in offer.kinds {
        let is_user = kind == ResourceType::User;
        all.push(Shown { kind, schema: kind.definition(), asked: is_user });
        if is_user {
            all.push(Shown { kind, schema: enterprise(), asked: true });
        }
        all.extend(offer.declared.extensions(kind).into_iter().map(|schema| Shown { kind, schema, asked: false }));
    }
    all
}

impl Shown {
    fn document(&self, base: &str, offer: &Offer<'_>) -> Option<Value> {
        let Self { kind, schema, asked } = *self;
        let core = schema.id == kind.schema();
        let prefix = if core { String::new() } else { format!("{}:", schema.id) };
        let offered = |path: &str| !asked || (offer.attributes)(path);
        // RFC 7643 §3.1 counts `externalId` to every resource's schema without listing it there; Entra's schema discovery
        // misses what is mapped and not listed, and it is mapped by default. `id` and `meta` are nobody's to map.
        let common = super::common().iter().filter(|it| core && it.name == "externalId");
        let mut attributes: Vec<_> = schema
            .attributes
            .iter()
            .chain(common)
            .filter_map(|it| described(it, &format!("{prefix}{}", it.name), &offered))
            .collect();
        if core && offer.declared.lists(schema.id) {
            attributes.extend(additions(kind).iter().filter_map(|it| described(it, it.name, &|_| true)));
        }
        if attributes.is_empty() {
            return None;
        }
        Some(json!({
            "schemas": [SCHEMA],
            "id": schema.id,
            "name": schema.name,
            "description": schema.description,
            "attributes": attributes,
            "meta": { "resourceType": "Schema", "location": format!("{base}/Schemas/{}", schema.id) },
        }))
    }
}

fn described(attribute: &Attribute, path: &str, offered: &dyn Fn(&str) -> bool) -> Option<Value> {
    if attribute.kind != Kind::Complex {
        return offered(path).then(|| Value::Object(characteristics(attribute)));
    }
    let mut parts: Vec<_> = attribute
        .sub_attributes
        .iter()
        .filter_map(|sub| described(sub, &format!("{path}.{}", sub.name), offered))
        .collect();
    if parts.is_empty() {
        return None;
    }
    // A type that is announced and then dropped would mislead the client that picks from the list.
    for part in parts.iter_mut().filter(|part| part["name"] == "type") {
        if let Some(Value::Array(values)) = part.get_mut("canonicalValues") {
            values.retain(|value| offered(&format!("{path}[type eq {value}]")));
        }
    }
    let mut document = characteristics(attribute);
    document.insert("subAttributes".into(), Value::Array(parts));
    Some(Value::Object(document))
}

fn characteristics(attribute: &Attribute) -> Map<String, Value> {
    let mut document = Map::new();
    document.insert("name".into(), attribute.name.into());
    document.insert("type".into(), attribute.kind.as_str().into());
    document.insert("multiValued".into(), attribute.multi_valued.into());
    document.insert("description".into(), attribute.description.into());
    document.insert("required".into(), attribute.required.into());
    if matches!(attribute.kind, Kind::String | Kind::Reference | Kind::Binary) {
        document.insert("caseExact".into(), attribute.case_exact.into());
    }
    document.insert("mutability".into(), attribute.mutability.as_str().into());
    document.insert("returned".into(), attribute.returned.as_str().into());
    if attribute.kind != Kind::Complex && attribute.kind != Kind::Boolean {
        document.insert("uniqueness".into(), attribute.uniqueness.as_str().into());
    }
    if !attribute.canonical_values.is_empty() {
        document.insert("canonicalValues".into(), json!(attribute.canonical_values));
    }
    if !attribute.reference_types.is_empty() {
        document.insert("referenceTypes".into(), json!(attribute.reference_types));
    }
    document
}

#[cfg(test)]
mod tests {
    use super::super::{ENTERPRISE, user};
    use super::*;

    fn people(attributes: &dyn Fn(&str) -> bool) -> Offer<'_> {
        static NONE: std::sync::LazyLock<Selection> = std::sync::LazyLock::new(Selection::default);
        Offer { kinds: &[ResourceType::User], declared: &NONE, attributes }
    }

    const BASE: &str = "https://scim.example.com/t/acme/scim/v2";

    fn names(attributes: &Value) -> Vec<&str> {
        attributes.as_array().unwrap().iter().map(|attribute| attribute["name"].as_str().unwrap()).collect()
    }

    #[test]
    fn schemas_show_what_is_offered() {
        let all = schemas(BASE, &people(&|_| true));
        assert_eq!(all["totalResults"], 2);
        assert_eq!(names(&all["Resources"][0]["attributes"]).len(), user().attributes.len() + 1);
        assert!(names(&all["Resources"][0]["attributes"]).contains(&"externalId"));
        let typed = ["emails.value", "emails.type", "emails[type eq \"work\"]"];
        let typed = schemas(BASE, &people(&|path| typed.contains(&path)));
        assert_eq!(typed["Resources"][0]["attributes"][0]["subAttributes"][1]["canonicalValues"], json!(["work"]));
        let some = schemas(BASE, &people(&|path| ["userName", "emails.value", "name.givenName"].contains(&path)));
        assert_eq!(some["totalResults"], 1);
        assert_eq!(names(&some["Resources"][0]["attributes"]), ["userName", "name", "emails"]);
        assert_eq!(names(&some["Resources"][0]["attributes"][2]["subAttributes"]), ["value"]);
        let department =
            schema(BASE, &ENTERPRISE.to_uppercase(), &people(&|path| path.ends_with(":2.0:User:department"))).unwrap();
        assert_eq!(department["meta"]["location"], format!("{BASE}/Schemas/{ENTERPRISE}"));
        assert_eq!(names(&department["attributes"]), ["department"]);
        assert_eq!(schema(BASE, ENTERPRISE, &people(&|path| !path.contains(':'))), None);
        assert_eq!(schema(BASE, "urn:x", &people(&|_| true)), None);
    }

    #[test]
    fn an_attribute_is_described_whole() {
        let all = schemas(BASE, &people(&|_| true));
        assert_eq!(
            all["Resources"][0]["attributes"][0],
            json!({"name": "userName", "type": "string", "multiValued": false, "required": true, "caseExact": false,
                   "mutability": "readWrite", "returned": "default", "uniqueness": "server",
                   "description": "The name by which the user is known to the service; unique, compared without case."})
        );
        assert!(!all.to_string().contains("null"));
    }

    #[test]
    fn resource_types_and_configuration() {
        let types = resource_types(BASE, &people(&|_| true));
        assert_eq!(types["Resources"][0]["schemaExtensions"], json!([{"schema": ENTERPRISE, "required": false}]));
        assert!(
            resource_types(BASE, &people(&|path| path == "userName"))["Resources"][0].get("schemaExtensions").is_none()
        );
        let config = service_provider_config(BASE, &[json!({"type": "oauthbearertoken"})], &Capabilities::default());
        assert_eq!(config["filter"], json!({"supported": true, "maxResults": 1000}));
        assert_eq!(config["authenticationSchemes"][0]["type"], "oauthbearertoken");
        assert_eq!(config["bulk"]["supported"], false);
    }
}
