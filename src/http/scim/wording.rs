//! What goes wrong, in the words of the tenant's dialect: a refusal of the directory names the SCIM attribute and not the
//! downstream's field, running out of capacity names what has run out, and a 429 may take the vendor's own form
//! (questions 5, 10 and 27 of `reference/dialects.md`). What the directory said itself stays in the log.

use http::{HeaderValue, header};
use serde_json::json;

use crate::dialect::Dialect;
use crate::http::error::Refusal;
use crate::http::message::Response;
use crate::ports::DirectoryError;
use crate::scim::error::ScimError;

/// The refusal as this dialect says it, and what only the operator should read.
pub fn in_dialect(dialect: &Dialect, refusal: Refusal) -> (Refusal, Option<String>) {
    let errors = &dialect.errors;
    let Refusal::Directory(fault) = refusal else { return (refusal, None) };
    let cause = || Some(format!("directory: {fault}"));
    match &fault {
        DirectoryError::Invalid { attribute, detail } if !errors.directory_words => {
            // The longest name that the words hold: `contact.email` is not `contact.emailAsLoginName`.
            let named =
                errors.fields.iter().filter(|(field, _)| names(detail, field)).max_by_key(|(field, _)| field.len());
            let attribute = named.map(|(_, path)| path.to_string()).or_else(|| attribute.clone());
            let text = match attribute {
                Some(path) => format!("{path}: {} refused the value; correct it where it comes from", dialect.title),
                None => format!(
                    "{} refused a value and did not say of which attribute; the gateway's log has its words",
                    dialect.title
                ),
            };
            (ScimError::invalid_value(text).into(), cause())
        }
        DirectoryError::NoCapacity { .. } => match &errors.no_capacity {
            // 403 without a keyword; nothing here or in the client's protocol repeats it.
            Some(text) => (ScimError::forbidden(text).into(), cause()),
            None => (Refusal::Directory(fault), None),
        },
        DirectoryError::Conflict { attribute } if attribute == "userName" => match &errors.conflict {
            Some(text) => (ScimError::uniqueness(text).into(), None),
            None => (Refusal::Directory(fault), None),
        },
        _ => (Refusal::Directory(fault), None),
    }
}

/// Whether `words` name the field: as a whole name, or as the end of a dotted one.
fn names(words: &str, field: &str) -> bool {
    let inside = |character: char| character.is_alphanumeric() || character == '_';
    words.match_indices(field).any(|(at, _)| {
        let (before, after) = (&words[..at], &words[at + field.len()..]);
        !before.ends_with(inside) && !after.starts_with(inside)
    })
}

/// The body of a 429 in the vendor's own form, if the tenant wants that.
pub fn throttled(dialect: &Dialect, response: &mut Response) {
    let Some(code) = dialect.errors.throttle_code.as_deref().filter(|_| dialect.errors.throttle_envelope) else {
        return;
    };
    let message = "Request rate exceeded";
    let body = json!({
        "errorCode": code, "message": message, "errors": [{ "errorCode": code, "message": message }],
    });
    *response.body_mut() = body.to_string().into();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(dialect: &str, fault: DirectoryError) -> (u16, String, Option<String>) {
        let dialect = Dialect::named(dialect).unwrap();
        let (refusal, cause) = in_dialect(dialect, Refusal::Directory(fault));
        let (status, detail) = match &refusal {
            Refusal::Scim(error) => (error.status, error.detail.clone()),
            other => panic!("{other:?}"),
        };
        (status, detail, cause)
    }

    /// Row "Error style" and question 27: the client reads SCIM paths, the log the downstream's words.
    #[test]
    fn a_refused_value_is_told_by_its_scim_path() {
        let rows = [
            (
                "Parameter [extension.contact.businessAddress.state] value is invalid.",
                r#"addresses[type eq "work"].region: "#,
            ),
            ("Parameter [contact.email] is taken", r#"emails[type eq "work"].value: "#),
            ("Parameter [contact.emailAsLoginName] is wrong", "RingCentral refused a value"),
            ("something", "RingCentral refused a value"),
        ];
        for (words, wanted) in rows {
            let fault = DirectoryError::Invalid { attribute: None, detail: words.into() };
            let (status, detail, cause) = told("ringcentral", fault);
            assert_eq!(status, 400);
            assert!(detail.starts_with(wanted), "{detail}");
            assert!(!detail.contains("contact"), "{detail}");
            assert!(cause.is_some_and(|cause| cause.contains(words)), "{words}");
        }
        let known = DirectoryError::Invalid { attribute: Some("title".into()), detail: "jobTitle is too long".into() };
        let (_, detail, _) = told("ringcentral", known);
        assert!(detail.starts_with("title: ") && !detail.contains("jobTitle"), "{detail}");
    }

    /// Question 10: 403 without scimType, naming what has run out.
    #[test]
    fn running_out_of_extensions_is_403() {
        let fault = DirectoryError::NoCapacity { detail: "ERR-77".into() };
        let dialect = Dialect::named("ringcentral").unwrap();
        let (Refusal::Scim(error), Some(cause)) = in_dialect(dialect, Refusal::Directory(fault)) else {
            panic!("told")
        };
        assert_eq!((error.status, error.scim_type), (403, None));
        assert!(error.detail.contains("extension") && error.detail.contains("licence"), "{}", error.detail);
        assert!(!error.detail.contains("ERR-77") && cause.contains("ERR-77"));
    }
}
