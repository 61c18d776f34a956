//! What a server's refusal means to an identity provider (RFC 4511 §4.1.9, appendix A). The server's own words stay here: they
//! may quote values.

use ldap3::LdapError;

use super::config::Entity;
use crate::ports::DirectoryError;
use crate::scim::ResourceType;

/// Why an operation did not go through.
#[derive(Debug)]
pub enum Fault {
    /// The server answered with a result other than success.
    Result {
        /// Its code.
        code: u32,
        /// Its words.
        text: String,
    },
    /// No answer in time.
    Silent,
    /// The connection broke, or could not be made; whether the operation may have been carried out.
    Broken {
        /// For the log.
        reason: String,
        /// False when it is certain that nothing was done.
        maybe_done: bool,
    },
}

/// Codes that more than one place knows.
pub mod code {
    /// `sizeLimitExceeded`
    pub const SIZE_LIMIT: u32 = 4;
    /// `compareFalse`
    pub const COMPARE_FALSE: u32 = 5;
    /// `compareTrue`
    pub const COMPARE_TRUE: u32 = 6;
    /// `noSuchAttribute`: a value that shall go is not there.
    pub const NO_SUCH_ATTRIBUTE: u32 = 16;
    /// `attributeOrValueExists`: a value that shall come is there.
    pub const VALUE_EXISTS: u32 = 20;
    /// `noSuchObject`
    pub const NO_SUCH_OBJECT: u32 = 32;
    /// `unwillingToPerform`
    pub const UNWILLING: u32 = 53;
    /// `objectClassViolation`
    pub const CLASS_VIOLATION: u32 = 65;
    /// `entryAlreadyExists`
    pub const ENTRY_EXISTS: u32 = 68;
}

impl Fault {
    /// The result's code.
    pub const fn code(&self) -> Option<u32> {
        match self {
            Self::Result { code, .. } => Some(*code),
            Self::Silent | Self::Broken { .. } => None,
        }
    }

    /// Whether the connection is of no use any more.
    pub const fn ends_connection(&self) -> bool {
        !matches!(self, Self::Result { .. })
    }
}

impl From<LdapError> for Fault {
    fn from(error: LdapError) -> Self {
        match error {
            LdapError::LdapResult { result } => Self::Result { code: result.rc, text: result.text },
            LdapError::Timeout { .. } => Self::Silent,
            // It never left the process.
            LdapError::OpSend { .. } | LdapError::FilterParsing | LdapError::AddNoValues => {
                Self::Broken { reason: "the connection to the server is closed".into(), maybe_done: false }
            }
            // The library's texts name addresses and what is wrong with the connection, never what was sent.
            other => Self::Broken { reason: other.to_string(), maybe_done: true },
        }
    }
}

/// A fault of an operation that only reads.
pub fn reading(fault: Fault, entity: &Entity) -> DirectoryError {
    match fault {
        Fault::Broken { reason, .. } => DirectoryError::Failed { reason, maybe_done: false },
        Fault::Silent => DirectoryError::Silent,
        Fault::Result { code: code::NO_SUCH_OBJECT, .. } => {
            DirectoryError::Refused { reason: format!("there is no {}, or we may not see it", entity.base) }
        }
        Fault::Result { code: code::SIZE_LIMIT, .. } => {
            let reason = "the server gives fewer entries than there are: raise its size limit for our bind DN".into();
            DirectoryError::Refused { reason }
        }
        result @ Fault::Result { .. } => writing(result, entity),
    }
}

/// A fault of an operation that changes something.
pub fn writing(fault: Fault, entity: &Entity) -> DirectoryError {
    let (code, text) = match fault {
        Fault::Result { code, text } => (code, text),
        Fault::Silent => return DirectoryError::Silent,
        Fault::Broken { reason, maybe_done } => return DirectoryError::Failed { reason, maybe_done },
    };
    let named = || entity.mapping.named_in(&text).map(|(path, _)| path.to_string());
    let invalid = |detail: &str| DirectoryError::Invalid { attribute: named(), detail: detail.to_owned() };
    match code {
        // Overlays that keep values unique answer as those that keep rules.
        19 if rule(&text) => invalid("is refused by a rule of the directory"),
        19 | code::ENTRY_EXISTS => DirectoryError::Conflict {
            attribute: named().unwrap_or_else(|| {
                let usual = if entity.kind == ResourceType::User { "userName" } else { "displayName" };
                usual.to_owned()
            }),
        },
        code::NO_SUCH_OBJECT => DirectoryError::NotFound,
        8 | 13 | 48 | 49 | 50 | code::UNWILLING => {
            DirectoryError::Refused { reason: format!("the server answers {}", name(code)) }
        }
        3 | 51 | 52 => DirectoryError::Busy { retry_after: None },
        code::NO_SUCH_ATTRIBUTE | code::VALUE_EXISTS => {
            DirectoryError::Failed { reason: "the entry keeps changing under our hands".into(), maybe_done: false }
        }
        17 => invalid("is an attribute that the directory's schema does not know"),
        18 | 21 | 34 => invalid("has a form that the directory does not take"),
        64 | 67 => invalid("cannot be part of the entry's name"),
        code::CLASS_VIOLATION => invalid("is required, or not allowed, by the entry's object class"),
        66 => invalid("the entry has others below it"),
        69 => invalid("cannot be changed in an entry that is there"),
        _ => DirectoryError::Failed { reason: format!("the server answers {}", name(code)), maybe_done: false },
    }
}

/// Whether a constraint is one on the value itself, not one of uniqueness.
fn rule(text: &str) -> bool {
    let text = text.to_lowercase();
    ["modification", "quality", "length", "too short", "too long", "syntax"].iter().any(|word| text.contains(word))
}

/// Code and name of a result.
fn name(code: u32) -> String {
    let name = match code {
        1 => "operationsError",
        2 => "protocolError",
        8 => "strongerAuthRequired",
        10 => "referral: it is not the one that keeps these entries",
        11 => "adminLimitExceeded",
        12 => "unavailableCriticalExtension",
        13 => "confidentialityRequired",
        48 => "inappropriateAuthentication",
        49 => "invalidCredentials",
        50 => "insufficientAccessRights",
        53 => "unwillingToPerform",
        54 => "loopDetect",
        71 => "affectsMultipleDSAs",
        _ => return format!("result {code}"),
    };
    format!("result {code} {name}")
}
