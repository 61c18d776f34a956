//! The tables: attributes of RFC 7643 §8.7.1, with its errata's and the practice's sense where that page contradicts itself
//! (addresses have `primary`; values that are ids are compared with regard to case, as ids are).

use super::{Attribute, ENTERPRISE, GROUP, Kind, Mutability, Returned, Schema, USER, Uniqueness};

const fn attribute(name: &'static str, kind: Kind, description: &'static str) -> Attribute {
    Attribute {
        name,
        kind,
        multi_valued: false,
        required: false,
        case_exact: false,
        mutability: Mutability::ReadWrite,
        returned: Returned::Default,
        uniqueness: Uniqueness::None,
        description,
        canonical_values: &[],
        reference_types: &[],
        sub_attributes: &[],
    }
}

const fn text(name: &'static str, description: &'static str) -> Attribute {
    attribute(name, Kind::String, description)
}

const fn complex(name: &'static str, sub_attributes: &'static [Attribute], description: &'static str) -> Attribute {
    Attribute { sub_attributes, ..attribute(name, Kind::Complex, description) }
}

const fn list(name: &'static str, sub_attributes: &'static [Attribute], description: &'static str) -> Attribute {
    Attribute { multi_valued: true, ..complex(name, sub_attributes, description) }
}

const fn reference(
    name: &'static str,
    reference_types: &'static [&'static str],
    description: &'static str,
) -> Attribute {
    Attribute { reference_types, case_exact: true, ..attribute(name, Kind::Reference, description) }
}

const fn read_only(of: Attribute) -> Attribute {
    Attribute { mutability: Mutability::ReadOnly, ..of }
}

const fn immutable(of: Attribute) -> Attribute {
    Attribute { mutability: Mutability::Immutable, ..of }
}

const fn exact(of: Attribute) -> Attribute {
    Attribute { case_exact: true, ..of }
}

const DISPLAY: Attribute = text("display", "A human-readable name of the value.");
const PRIMARY: Attribute =
    attribute("primary", Kind::Boolean, "Whether this is the preferred value; at most one of the list is.");

const fn label(canonical_values: &'static [&'static str]) -> Attribute {
    Attribute { canonical_values, ..text("type", "A label for the value's function, such as 'work' or 'home'.") }
}

pub(super) static COMMON: [Attribute; 4] = [
    Attribute {
        multi_valued: true,
        required: true,
        returned: Returned::Always,
        ..reference("schemas", &["uri"], "The URNs of the schemas that the resource uses.")
    },
    Attribute {
        returned: Returned::Always,
        uniqueness: Uniqueness::Server,
        ..read_only(exact(text("id", "The identifier that the server gave to the resource.")))
    },
    exact(text("externalId", "The identifier that the provisioning client gave to the resource.")),
    read_only(complex(
        "meta",
        &[
            read_only(exact(text("resourceType", "The name of the resource's type."))),
            read_only(attribute("created", Kind::DateTime, "When the resource was created.")),
            read_only(attribute("lastModified", Kind::DateTime, "When the resource was last changed.")),
            read_only(reference("location", &["uri"], "The URI of the resource.")),
            read_only(exact(text("version", "The version of the resource."))),
        ],
        "What the server knows of the resource itself.",
    )),
];

pub(super) static USER_SCHEMA: Schema = Schema {
    id: USER,
    name: "User",
    description: "User Account",
    attributes: &[
        Attribute {
            required: true,
            uniqueness: Uniqueness::Server,
            ..text("userName", "The name by which the user is known to the service; unique, compared without case.")
        },
        complex(
            "name",
            &[
                text("formatted", "The full name, formatted for display."),
                text("familyName", "The family name, or last name."),
                text("givenName", "The given name, or first name."),
                text("middleName", "The middle name or names."),
                text("honorificPrefix", "The title, such as 'Ms.'."),
                text("honorificSuffix", "The suffix, such as 'III'."),
            ],
            "The components of the user's name.",
        ),
        text("displayName", "The name of the user, suitable for display."),
        text("nickName", "The casual way to address the user."),
        Attribute { case_exact: false, ..reference("profileUrl", &["external"], "The URL of the user's profile.") },
        text("title", "The user's title, such as 'Vice President'."),
        text("userType", "The relationship between the organization and the user, such as 'Contractor'."),
        text("preferredLanguage", "The user's preferred languages, as in an Accept-Language header."),
        text("locale", "The user's default location for currency, dates and numbers."),
        text("timezone", "The user's time zone, such as 'America/Los_Angeles'."),
        attribute("active", Kind::Boolean, "Whether the user may use the service."),
        Attribute {
            mutability: Mutability::WriteOnly,
            returned: Returned::Never,
            ..exact(text("password", "The user's password in clear; set, never returned."))
        },
        list(
            "emails",
            &[text("value", "The e-mail address."), DISPLAY, label(&["work", "home", "other"]), PRIMARY],
            "E-mail addresses of the user.",
        ),
        list(
            "phoneNumbers",
            &[
                text("value", "The phone number."),
                DISPLAY,
                label(&["work", "home", "mobile", "fax", "pager", "other"]),
                PRIMARY,
            ],
            "Phone numbers of the user.",
        ),
        list(
            "ims",
            &[
                text("value", "The instant messaging address."),
                DISPLAY,
                label(&["aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo"]),
                PRIMARY,
            ],
            "Instant messaging addresses of the user.",
        ),
        list(
            "photos",
            &[
                reference("value", &["external"], "The URL of the photo."),
                DISPLAY,
                label(&["photo", "thumbnail"]),
                PRIMARY,
            ],
            "URLs of photos of the user.",
        ),
        list(
            "addresses",
            &[
                text("formatted", "The full address, formatted for display or a mailing label."),
                text("streetAddress", "Street, house number, post office box."),
                text("locality", "The city."),
                text("region", "The state or region."),
                text("postalCode", "The postal code."),
                text("country", "The country, as an ISO 3166-1 alpha-2 code."),
                label(&["work", "home", "other"]),
                PRIMARY,
            ],
            "Postal addresses of the user.",
        ),
        read_only(list(
            "groups",
            &[
                read_only(exact(text("value", "The id of the group."))),
                read_only(reference("$ref", &["User", "Group"], "The URI of the group.")),
                read_only(DISPLAY),
                read_only(label(&["direct", "indirect"])),
            ],
            "Groups to which the user belongs; changed through the groups.",
        )),
        list(
            "entitlements",
            &[text("value", "The entitlement."), DISPLAY, label(&[]), PRIMARY],
            "Entitlements of the user.",
        ),
        list("roles", &[text("value", "The role."), DISPLAY, label(&[]), PRIMARY], "Roles of the user."),
        list(
            "x509Certificates",
            &[exact(attribute("value", Kind::Binary, "The DER certificate, in base64.")), DISPLAY, label(&[]), PRIMARY],
            "Certificates issued to the user.",
        ),
    ],
};

pub(super) static ENTERPRISE_SCHEMA: Schema = Schema {
    id: ENTERPRISE,
    name: "EnterpriseUser",
    description: "Enterprise User",
    attributes: &[
        text("employeeNumber", "The number by which the organization knows the user."),
        text("costCenter", "The name of a cost center."),
        text("organization", "The name of an organization."),
        text("division", "The name of a division."),
        text("department", "The name of a department."),
        complex(
            "manager",
            &[
                exact(text("value", "The id of the user's manager.")),
                reference("$ref", &["User"], "The URI of the user's manager."),
                read_only(text("displayName", "The display name of the user's manager.")),
            ],
            "The user's manager.",
        ),
    ],
};

pub(super) static GROUP_SCHEMA: Schema = Schema {
    id: GROUP,
    name: "Group",
    description: "Group",
    attributes: &[
        Attribute {
            required: true,
            uniqueness: Uniqueness::Server,
            ..text("displayName", "The name of the group, suitable for display.")
        },
        list(
            "members",
            &[
                immutable(exact(text("value", "The id of the member."))),
                immutable(reference("$ref", &["User", "Group"], "The URI of the member.")),
                immutable(label(&["User", "Group"])),
                read_only(DISPLAY),
            ],
            "The members of the group.",
        ),
    ],
};
