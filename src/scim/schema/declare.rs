//! Schemas that the configuration declares: extensions, and attributes added to the core schemas (RFC 7643 §3.3, §7).
//!
//! They are interned for the life of the process, so that an attribute is `&'static` whoever defined it. Declaring the same
//! again costs nothing; declaring a URN anew, as a reload may, puts the new definition in the place of the old one. Which of
//! them a tenant shows is its [`Selection`].

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;

use super::{
    Attribute, ENTERPRISE, Kind, Mutability, ResourceType, Returned, Schema, Uniqueness, common, enterprise, find,
    is_core,
};
use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;

/// How many attributes one declared schema may have.
const MOST_ATTRIBUTES: usize = 256;
/// The longest URN or name, in bytes.
const LONGEST_NAME: usize = 256;

/// A schema as the operator writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// The URN of an extension, or of a core schema whose resources get further attributes.
    pub urn: String,
    /// Short name; of no use where attributes are added to a core schema.
    pub name: String,
    /// What it describes.
    pub description: String,
    /// Whose extension it is; a core schema's URN says so itself.
    pub extends: ResourceType,
    /// The attributes.
    pub attributes: Vec<DeclaredAttribute>,
}

/// An attribute as the operator writes it (RFC 7643 §7 has the words).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of Attribute")]
pub struct DeclaredAttribute {
    pub name: String,
    pub kind: Kind,
    pub multi_valued: bool,
    pub required: bool,
    pub case_exact: bool,
    pub mutability: Mutability,
    pub returned: Returned,
    pub uniqueness: Uniqueness,
    pub description: String,
    pub canonical_values: Vec<String>,
    pub reference_types: Vec<String>,
    pub sub_attributes: Vec<DeclaredAttribute>,
}

impl DeclaredAttribute {
    /// An attribute with everything else as RFC 7643 §2.2 has it by default.
    #[must_use]
    pub fn new(name: &str, kind: Kind) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            multi_valued: false,
            required: false,
            case_exact: matches!(kind, Kind::Reference | Kind::Binary),
            mutability: Mutability::ReadWrite,
            returned: Returned::Default,
            uniqueness: Uniqueness::None,
            description: String::new(),
            canonical_values: Vec::new(),
            reference_types: Vec::new(),
            sub_attributes: Vec::new(),
        }
    }
}

/// Why a declaration cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{urn}{}: {message}", attribute.as_deref().map(|name| format!(", attribute {name}")).unwrap_or_default())]
pub struct DeclareError {
    /// The schema.
    pub urn: String,
    /// The attribute, or `attribute.part`.
    pub attribute: Option<String>,
    /// What is wrong and what to do.
    pub message: String,
}

/// One declared schema.
#[derive(Clone)]
struct Known {
    declared: Arc<Declared>,
    schema: &'static Schema,
}

impl Known {
    fn is_core(&self) -> bool {
        is_core(self.schema.id)
    }
}

/// What has been declared; `None` in most processes.
static KNOWN: ArcSwapOption<Vec<Known>> = ArcSwapOption::const_empty();
/// Held while declaring.
static DECLARING: Mutex<()> = Mutex::new(());

/// Whether these schemas can be declared together.
///
/// # Errors
/// The first mistake: a URN declared twice, one that is standard, a name that is none or that shadows a standard attribute, a
/// complex attribute without parts, characteristics that contradict each other.
pub fn check(declared: &[Declared]) -> Result<(), DeclareError> {
    for (index, schema) in declared.iter().enumerate() {
        if declared[..index].iter().any(|other| other.urn.eq_ignore_ascii_case(&schema.urn)) {
            return Err(refused(schema, None, "is declared twice; declare it once, with all its attributes"));
        }
        check_schema(schema)?;
    }
    check_across(declared)
}

/// Makes these schemas known to the process: [`super::extension`], [`super::core`] and [`AttrPath::parse`] find them from now on.
/// Those declared before and not again stay known; no tenant lists them any more.
///
/// # Errors
/// As [`check`]; then nothing is declared.
pub fn declare(declared: Vec<Declared>) -> Result<Before, DeclareError> {
    check(&declared)?;
    let mut replaced = Vec::new();
    let _alone = DECLARING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut known = KNOWN.load().as_deref().cloned().unwrap_or_default();
    for declared in declared {
        let declared =
            Declared { extends: ResourceType::of_urn(&declared.urn).unwrap_or(declared.extends), ..declared };
        let before = known.iter().position(|known| known.declared.urn.eq_ignore_ascii_case(&declared.urn));
        if before.is_some_and(|index| *known[index].declared == declared) {
            continue;
        }
        let new = Known { schema: Box::leak(Box::new(interned(&declared))), declared: Arc::new(declared) };
        match before {
            Some(index) => replaced.push(std::mem::replace(&mut known[index], new)),
            None => known.push(new),
        }
    }
    KNOWN.store((!known.is_empty()).then(|| Arc::new(known)));
    Ok(Before(replaced))
}

/// What [`declare`] put new definitions in the place of. Dropping it changes nothing.
#[derive(Default)]
pub struct Before(Vec<Known>);

impl Before {
    /// Puts the old definitions back: a configuration that turns out to be wrong must not change the one in force.
    pub fn restore(self) {
        let _alone = DECLARING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = KNOWN.load().as_deref().cloned().unwrap_or_default();
        for old in self.0 {
            if let Some(now) = known.iter_mut().find(|now| now.schema.id == old.schema.id) {
                *now = old;
            }
        }
        KNOWN.store((!known.is_empty()).then(|| Arc::new(known)));
    }
}

fn known<T>(pick: impl Fn(&Known) -> Option<T>) -> Option<T> {
    KNOWN.load().as_ref()?.iter().find_map(pick)
}

/// The declared extension with this URN.
pub(super) fn extension(urn: &str) -> Option<&'static Schema> {
    known(|it| (it.schema.id.eq_ignore_ascii_case(urn) && !it.is_core()).then_some(it.schema))
}

/// The type that the declared extension with this URN extends.
pub(super) fn extended(urn: &str) -> Option<ResourceType> {
    known(|it| (it.schema.id.eq_ignore_ascii_case(urn) && !it.is_core()).then_some(it.declared.extends))
}

/// The attribute of this name that was added to the core schema of this type.
pub(in crate::scim) fn added(kind: ResourceType, name: &str) -> Option<&'static Attribute> {
    known(|it| if it.is_core() && it.declared.extends == kind { it.schema.attribute(name) } else { None })
}

/// The attributes that were added to the core schema of this type.
pub(in crate::scim) fn additions(kind: ResourceType) -> &'static [Attribute] {
    known(|it| (it.is_core() && it.declared.extends == kind).then_some(it.schema.attributes)).unwrap_or_default()
}

/// The declared extensions of this type, in the order of their declaration.
pub(in crate::scim) fn extensions(kind: ResourceType) -> Vec<&'static Schema> {
    let known = KNOWN.load();
    let all = known.as_ref().map_or(&[][..], |known| known.as_slice());
    all.iter().filter(|it| !it.is_core() && it.declared.extends == kind).map(|it| it.schema).collect()
}

fn refused(schema: &Declared, attribute: Option<&str>, message: impl Into<String>) -> DeclareError {
    DeclareError { urn: schema.urn.clone(), attribute: attribute.map(str::to_owned), message: message.into() }
}

fn check_schema(schema: &Declared) -> Result<(), DeclareError> {
    let urn = schema.urn.as_str();
    let fault = |message: &str| Err(refused(schema, None, message));
    let is_urn = urn.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("urn:"))
        && urn.len() <= LONGEST_NAME
        && urn.split(':').count() >= 3
        && !urn.split(':').any(str::is_empty)
        && urn.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'.' | b'-' | b'_'));
    if !is_urn {
        return fault(
            "is no URN; write one of your own such as urn:example:params:scim:schemas:extension:acme:2.0:User",
        );
    }
    if urn.eq_ignore_ascii_case(ENTERPRISE) {
        return fault("is the standard's own extension; declare further attributes under a URN of your own");
    }
    if !is_core(urn) && urn.get(..29).is_some_and(|start| start.eq_ignore_ascii_case("urn:ietf:params:scim:schemas:")) {
        let standard = ["core:", "extension:enterprise:"];
        let rest = urn[29..].to_ascii_lowercase();
        if standard.iter().any(|start| rest.starts_with(start)) {
            return fault("is the standard's own; declare your attributes under a URN of your own");
        }
    }
    if urn.get(..25).is_some_and(|start| start.eq_ignore_ascii_case("urn:ietf:params:scim:api:")) {
        return fault("is the URN of a message, not of a schema; use a URN of your own");
    }
    if schema.attributes.is_empty() {
        return fault("has no attributes; declare at least one");
    }
    if schema.attributes.len() > MOST_ATTRIBUTES {
        return fault(&format!("has more than {MOST_ATTRIBUTES} attributes"));
    }
    for (index, attribute) in schema.attributes.iter().enumerate() {
        let name = attribute.name.as_str();
        let fault = |message: &str| Err(refused(schema, Some(name), message));
        if schema.attributes[..index].iter().any(|other| other.name.eq_ignore_ascii_case(name)) {
            return fault("is declared twice");
        }
        if is_core(urn) {
            let standard = ResourceType::ALL.into_iter().find(|kind| kind.definition().attribute(name).is_some());
            if let Some(kind) = standard {
                return fault(&format!("shadows the standard attribute of a {}; choose another name", kind.name()));
            }
            if find(common(), name).is_some() {
                return fault("shadows an attribute that every resource has; choose another name");
            }
            if enterprise().attribute(name).is_some() {
                return fault("shadows the attribute of the enterprise extension; choose another name");
            }
        }
        check_attribute(schema, name, attribute)?;
        for (index, part) in attribute.sub_attributes.iter().enumerate() {
            let path = format!("{name}.{}", part.name);
            if attribute.sub_attributes[..index].iter().any(|other| other.name.eq_ignore_ascii_case(&part.name)) {
                return Err(refused(schema, Some(&path), "is declared twice"));
            }
            if part.kind == Kind::Complex || part.multi_valued {
                return Err(refused(schema, Some(&path), "is a part and can be neither complex nor a list"));
            }
            check_attribute(schema, &path, part)?;
        }
    }
    Ok(())
}

fn check_attribute(schema: &Declared, path: &str, attribute: &DeclaredAttribute) -> Result<(), DeclareError> {
    let fault = |message: &str| Err(refused(schema, Some(path), message));
    let mut bytes = attribute.name.bytes();
    let named = bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || (first == b'$' && path.contains('.')))
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'$'))
        && attribute.name.len() <= LONGEST_NAME;
    if !named {
        return fault("is no name; begin with a letter and go on with letters, digits, '-' or '_'");
    }
    match (attribute.kind == Kind::Complex, attribute.sub_attributes.is_empty()) {
        (true, true) => return fault("is complex and has no parts; declare its subAttributes"),
        (false, false) => return fault("has parts and must be complex; write type = \"complex\""),
        _ => {}
    }
    if attribute.mutability == Mutability::WriteOnly && attribute.returned != Returned::Never {
        return fault("is writeOnly and must have returned = \"never\" (RFC 7643 §7)");
    }
    if matches!(attribute.kind, Kind::Complex | Kind::Boolean) && attribute.uniqueness != Uniqueness::None {
        return fault("cannot be unique; make a part of it unique, or leave uniqueness out");
    }
    if !attribute.canonical_values.is_empty() && !matches!(attribute.kind, Kind::String | Kind::Reference) {
        return fault("has canonicalValues and is no text");
    }
    if !attribute.reference_types.is_empty() && attribute.kind != Kind::Reference {
        return fault("has referenceTypes and is no reference");
    }
    Ok(())
}

/// The two core schemas may get an attribute of one name only if it is the same attribute: a filter names it for both.
fn check_across(declared: &[Declared]) -> Result<(), DeclareError> {
    let mut core = declared.iter().filter(|schema| is_core(&schema.urn));
    let (Some(first), Some(second)) = (core.next(), core.next()) else { return Ok(()) };
    for attribute in &second.attributes {
        let twin = first.attributes.iter().find(|other| other.name.eq_ignore_ascii_case(&attribute.name));
        if twin.is_some_and(|twin| twin != attribute) {
            let message = format!("differs from the attribute of this name in {}; declare both alike", first.urn);
            return Err(refused(second, Some(&attribute.name), message));
        }
    }
    Ok(())
}

fn interned(declared: &Declared) -> Schema {
    // A core schema's URN is kept in the standard's spelling.
    let id = ResourceType::of_urn(&declared.urn).map_or_else(|| text(&declared.urn), ResourceType::schema);
    Schema {
        id,
        name: text(&declared.name),
        description: text(&declared.description),
        attributes: attributes(&declared.attributes),
    }
}

fn attributes(declared: &[DeclaredAttribute]) -> &'static [Attribute] {
    let attribute = |it: &DeclaredAttribute| Attribute {
        name: text(&it.name),
        kind: it.kind,
        multi_valued: it.multi_valued,
        required: it.required,
        case_exact: it.case_exact,
        mutability: it.mutability,
        returned: it.returned,
        uniqueness: it.uniqueness,
        description: text(&it.description),
        canonical_values: texts(&it.canonical_values),
        reference_types: texts(&it.reference_types),
        sub_attributes: attributes(&it.sub_attributes),
    };
    if declared.is_empty() { &[] } else { Box::leak(declared.iter().map(attribute).collect()) }
}

fn text(text: &str) -> &'static str {
    Box::leak(text.into())
}

fn texts(texts: &[String]) -> &'static [&'static str] {
    if texts.is_empty() { &[] } else { Box::leak(texts.iter().map(|it| text(it)).collect()) }
}

/// The declared schemas that one tenant offers. Those it does not list it neither takes nor shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection(Vec<String>);

impl Selection {
    /// From the URNs of declared schemas, in any case. The URN of a core schema stands for the attributes added to it.
    #[must_use]
    pub const fn new(urns: Vec<String>) -> Self {
        Self(urns)
    }

    /// Whether the tenant lists this URN.
    #[must_use]
    pub fn lists(&self, urn: &str) -> bool {
        self.0.iter().any(|listed| listed.eq_ignore_ascii_case(urn))
    }

    /// Whether a resource of this type has the attribute here: standard, or declared and listed.
    #[must_use]
    pub fn has(&self, kind: ResourceType, path: &AttrPath) -> bool {
        match &path.schema {
            Some(urn) => self.shows_key(kind, urn),
            None => self.shows_key(kind, &path.attribute),
        }
    }

    /// The same for a key of a resource: an attribute's name or an extension's URN.
    fn shows_key(&self, kind: ResourceType, key: &str) -> bool {
        if key.contains(':') {
            return key.eq_ignore_ascii_case(ENTERPRISE) || self.lists(key);
        }
        added(kind, key).is_none() || self.lists(kind.schema())
    }

    /// `after` without what the tenant does not offer, in whose place stands what `before` had there: what a client cannot
    /// see is not its to change. Names in `dropped` what was held back.
    #[must_use]
    pub fn sift(
        &self,
        kind: ResourceType,
        before: Option<&Resource>,
        after: Resource,
        dropped: &mut Vec<String>,
    ) -> Resource {
        if KNOWN.load().is_none() {
            return after;
        }
        let hidden = |key: &str| !self.shows_key(kind, key);
        let before = before.map(Resource::as_map);
        let mut map = after.into_map();
        let held = |key: &str| before.and_then(|before| before.get(key));
        let sent: Vec<_> = map.keys().filter(|key| hidden(key)).cloned().collect();
        for key in sent {
            if map.get(&key) == held(&key) {
                continue;
            }
            dropped.push(key.clone());
            match held(&key) {
                Some(value) => drop(map.insert(key, value.clone())),
                None => drop(map.shift_remove(&key)),
            }
        }
        for (key, value) in before.into_iter().flatten() {
            if hidden(key) && !map.contains_key(key) {
                map.insert(key.clone(), value.clone());
            }
        }
        Resource::from_map(map)
    }

    /// Takes out of a resource what the tenant does not show.
    pub fn narrow(&self, kind: ResourceType, resource: &mut Resource) {
        if KNOWN.load().is_some() {
            *resource = self.sift(kind, None, std::mem::take(resource), &mut Vec::new());
        }
    }

    /// The listed extensions of this type.
    pub(super) fn extensions(&self, kind: ResourceType) -> Vec<&'static Schema> {
        extensions(kind).into_iter().filter(|schema| self.lists(schema.id)).collect()
    }
}
