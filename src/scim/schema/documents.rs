//! The discovery documents (RFC 7643 §5 to §7, RFC 7644 §4), made from the tables: camelCase values, no nulls.

use serde_json::{Map, Value, json};

use super::{Attribute, ENTERPRISE, Kind, MAX_RESULTS, Schema, USER, enterprise, user};
use crate::scim::command::list_response;

const SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";
const RESOURCE_TYPE: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
const SERVICE_PROVIDER_CONFIG: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";

/// `/ServiceProviderConfig` (RFC 7643 §5). `base` is the absolute SCIM base without a trailing slash;
/// `authentication_schemes` are objects of RFC 7643 §5's form, the first being the primary one.
#[must_use]
pub fn service_provider_config(base: &str, authentication_schemes: &[Value]) -> Value {
    json!({
        "schemas": [SERVICE_PROVIDER_CONFIG],
        "patch": { "supported": true },
        "bulk": { "supported": false, "maxOperations": 0, "maxPayloadSize": 0 },
        "filter": { "supported": true, "maxResults": MAX_RESULTS },
        "changePassword": { "supported": false },
        "sort": { "supported": false },
        "etag": { "supported": false },
        "authenticationSchemes": authentication_schemes,
        "meta": { "resourceType": "ServiceProviderConfig", "location": format!("{base}/ServiceProviderConfig") },
    })
}

/// `/Schemas` (RFC 7643 §7) as a list. Only those attributes appear whose path `offered` affirms: `userName`, `name.givenName`,
/// `emails`, the extension's with its URN. An attribute with parts appears with those of its parts that are offered, and a
/// label such as `phoneNumbers.type` with those of its values: `phoneNumbers[type eq "work"]`.
#[must_use]
pub fn schemas(base: &str, offered: &dyn Fn(&str) -> bool) -> Value {
    let documents: Vec<_> = [user(), enterprise()].into_iter().filter_map(|it| document(base, it, offered)).collect();
    list_response(documents.len() as u64, 1, documents)
}

/// `/Schemas/{urn}`: one schema, or `None` when there is none of that URN or nothing of it is offered.
#[must_use]
pub fn schema(base: &str, urn: &str, offered: &dyn Fn(&str) -> bool) -> Option<Value> {
    let schema = [user(), enterprise()].into_iter().find(|schema| schema.id.eq_ignore_ascii_case(urn))?;
    document(base, schema, offered)
}

/// `/ResourceTypes` (RFC 7643 §6) as a list; the enterprise extension is named if anything of it is `offered`.
#[must_use]
pub fn resource_types(base: &str, offered: &dyn Fn(&str) -> bool) -> Value {
    let mut user_type = json!({
        "schemas": [RESOURCE_TYPE],
        "id": "User",
        "name": "User",
        "endpoint": "/Users",
        "description": "User Account",
        "schema": USER,
    });
    if document(base, enterprise(), offered).is_some() {
        user_type["schemaExtensions"] = json!([{ "schema": ENTERPRISE, "required": false }]);
    }
    user_type["meta"] = json!({ "resourceType": "ResourceType", "location": format!("{base}/ResourceTypes/User") });
    list_response(1, 1, vec![user_type])
}

fn document(base: &str, schema: &'static Schema, offered: &dyn Fn(&str) -> bool) -> Option<Value> {
    let prefix = if schema.id == USER { String::new() } else { format!("{}:", schema.id) };
    // RFC 7643 §3.1 counts `externalId` to every resource's schema without listing it there; Entra's schema discovery misses
    // what is mapped and not listed, and it is mapped by default. `id` and `meta` are nobody's to map.
    let common = super::common().iter().filter(|it| schema.id == USER && it.name == "externalId");
    let attributes: Vec<_> = schema
        .attributes
        .iter()
        .chain(common)
        .filter_map(|it| described(it, &format!("{prefix}{}", it.name), offered))
        .collect();
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
    use super::*;

    const BASE: &str = "https://scim.example.com/t/acme/scim/v2";

    fn names(attributes: &Value) -> Vec<&str> {
        attributes.as_array().unwrap().iter().map(|attribute| attribute["name"].as_str().unwrap()).collect()
    }

    #[test]
    fn schemas_show_what_is_offered() {
        let all = schemas(BASE, &|_| true);
        assert_eq!(all["totalResults"], 2);
        assert_eq!(names(&all["Resources"][0]["attributes"]).len(), user().attributes.len() + 1);
        assert!(names(&all["Resources"][0]["attributes"]).contains(&"externalId"));
        let typed = ["emails.value", "emails.type", "emails[type eq \"work\"]"];
        let typed = schemas(BASE, &|path| typed.contains(&path));
        assert_eq!(typed["Resources"][0]["attributes"][0]["subAttributes"][1]["canonicalValues"], json!(["work"]));
        let some = schemas(BASE, &|path| ["userName", "emails.value", "name.givenName"].contains(&path));
        assert_eq!(some["totalResults"], 1);
        assert_eq!(names(&some["Resources"][0]["attributes"]), ["userName", "name", "emails"]);
        assert_eq!(names(&some["Resources"][0]["attributes"][2]["subAttributes"]), ["value"]);
        let department =
            schema(BASE, &ENTERPRISE.to_uppercase(), &|path| path.ends_with(":2.0:User:department")).unwrap();
        assert_eq!(department["meta"]["location"], format!("{BASE}/Schemas/{ENTERPRISE}"));
        assert_eq!(names(&department["attributes"]), ["department"]);
        assert_eq!(schema(BASE, ENTERPRISE, &|path| !path.contains(':')), None);
        assert_eq!(schema(BASE, "urn:x", &|_| true), None);
    }

    #[test]
    fn an_attribute_is_described_whole() {
        let all = schemas(BASE, &|_| true);
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
        let types = resource_types(BASE, &|_| true);
        assert_eq!(types["Resources"][0]["schemaExtensions"], json!([{"schema": ENTERPRISE, "required": false}]));
        assert!(resource_types(BASE, &|path| path == "userName")["Resources"][0].get("schemaExtensions").is_none());
        let config = service_provider_config(BASE, &[json!({"type": "oauthbearertoken"})]);
        assert_eq!(config["filter"], json!({"supported": true, "maxResults": 1000}));
        assert_eq!(config["authenticationSchemes"][0]["type"], "oauthbearertoken");
        assert_eq!(config["bulk"]["supported"], false);
    }
}
