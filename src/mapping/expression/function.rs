//! The functions: names, parameters, results, and what each needs beside the person. What they do is in `evaluate`.

use super::types::Type;

/// What a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Whatever there is.
    Any,
    /// Text, or what has a text form.
    Text,
    /// A text written out in the expression, since it is compiled when the configuration is loaded.
    Written,
    /// A whole number, or a text of digits.
    Number,
    /// True or false, or a text that says so.
    Boolean,
    /// A date, or a text that is one.
    Date,
    /// Several values, or one.
    List,
    /// One of the comparison words.
    Mode,
    /// An interval's letters: `yyyy m d ww h n s`.
    Interval,
}

/// Whether a parameter must be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// Always.
    Always,
    /// It may be left empty or, at the end, off.
    Optional,
    /// It must have its place, which may be empty.
    MayBeEmpty,
}

/// One parameter.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name in messages.
    pub name: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// Whether it must be given.
    pub given: Given,
    /// Whether a flow marker may come in here and pass through.
    pub passes: bool,
}

const fn takes(takes: Takes, name: &'static str) -> Parameter {
    Parameter { name, takes, given: Given::Always, passes: false }
}

const fn text(name: &'static str) -> Parameter {
    takes(Takes::Text, name)
}

const fn optional(parameter: Parameter) -> Parameter {
    Parameter { given: Given::Optional, ..parameter }
}

const fn passing(parameter: Parameter) -> Parameter {
    Parameter { passes: true, ..parameter }
}

/// What a function needs beside its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Nothing.
    Pure,
    /// The time.
    Clock,
    /// Randomness: only in mappings that are applied on creation.
    Create,
    /// Nothing, but its value must not be shown.
    Log,
    /// Something only the identity provider has, or a search in the directory; the text says what to do instead.
    Elsewhere(&'static str),
}

/// How a function's result has its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    /// Always this.
    Type(Type),
    /// What the arguments that may be its result have in common.
    Arguments,
}

/// A function's outside.
#[derive(Debug)]
pub struct Signature {
    /// Which one.
    pub function: Function,
    /// Its name.
    pub name: &'static str,
    /// Its parameters in order.
    pub parameters: &'static [Parameter],
    /// How many of the last parameters may come again and again; 0 for none.
    pub repeats: usize,
    /// What it gives.
    pub gives: Gives,
    /// What it needs.
    pub class: Class,
}

impl Signature {
    /// The parameter at this place.
    pub fn parameter(&self, index: usize) -> Option<&'static Parameter> {
        let (count, repeats) = (self.parameters.len(), self.repeats);
        if index < count || repeats == 0 {
            return self.parameters.get(index);
        }
        self.parameters.get(count - repeats + (index - count) % repeats)
    }

    /// How it is called, for messages.
    pub fn usage(&self) -> String {
        let mut parts: Vec<String> = self
            .parameters
            .iter()
            .map(|it| if it.given == Given::Optional { format!("{}?", it.name) } else { it.name.to_owned() })
            .collect();
        if self.repeats > 0 {
            parts.push("…".into());
        }
        format!("{}({})", self.name, parts.join(", "))
    }
}

macro_rules! functions {
    ($($name:ident ($($parameter:expr),*) $(* $repeats:literal)? => $gives:expr, $class:expr;)*) => {
        /// A function by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(clippy::upper_case_acronyms, reason = "the language's own name")]
        pub enum Function { $(#[doc = concat!("`", stringify!($name), "`.")] $name,)* }

        impl Function {
            /// Every function, in the order of the reference.
            pub const ALL: &'static [Signature] = &[$(Signature {
                function: Self::$name,
                name: stringify!($name),
                parameters: &[$($parameter),*],
                repeats: 0 $(+ $repeats)?,
                gives: $gives,
                class: $class,
            },)*];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

const TEXT: Gives = Gives::Type(Type::Text);
const NUMBER: Gives = Gives::Type(Type::Number);
const BOOLEAN: Gives = Gives::Type(Type::Boolean);
const LIST: Gives = Gives::Type(Type::List);
const DATE: Gives = Gives::Type(Type::Date);

functions! {
    Append(text("source"), text("suffix")) => TEXT, Class::Pure;
    Join(text("separator"), takes(Takes::List, "source")) * 1 => TEXT, Class::Pure;
    Left(text("string"), takes(Takes::Number, "count")) => TEXT, Class::Pure;
    Mid(text("source"), takes(Takes::Number, "start"), takes(Takes::Number, "length")) => TEXT, Class::Pure;
    InStr(text("string"), text("sought"), optional(takes(Takes::Number, "start")), optional(takes(Takes::Mode, "mode")))
        => NUMBER, Class::Pure;
    Word(text("string"), takes(Takes::Number, "number"), text("delimiters")) => TEXT, Class::Pure;
    StripSpaces(text("source")) => TEXT, Class::Pure;
    ToLower(text("source"), optional(text("culture"))) => TEXT, Class::Pure;
    ToUpper(text("source"), optional(text("culture"))) => TEXT, Class::Pure;
    PCase(text("source"), optional(text("separators"))) => TEXT, Class::Pure;
    NormalizeDiacritics(text("source")) => TEXT, Class::Pure;
    Replace(
        text("source"), optional(text("oldValue")), optional(takes(Takes::Written, "regexPattern")),
        optional(takes(Takes::Written, "regexGroupName")), optional(text("replacementValue")),
        optional(text("replacementAttributeName")), optional(text("template"))
    ) => TEXT, Class::Pure;
    ConvertToBase64(text("source")) => TEXT, Class::Pure;
    ConvertToUTF8Hex(text("source")) => TEXT, Class::Pure;
    IIF(takes(Takes::Boolean, "condition"), passing(takes(Takes::Any, "yes")), passing(takes(Takes::Any, "no")))
        => Gives::Arguments, Class::Pure;
    Switch(
        text("source"), Parameter { given: Given::MayBeEmpty, ..passing(takes(Takes::Any, "default")) },
        text("key"), passing(takes(Takes::Any, "value"))
    ) * 2 => Gives::Arguments, Class::Pure;
    Coalesce(takes(Takes::Any, "source")) * 1 => Gives::Arguments, Class::Pure;
    IsNull(takes(Takes::Any, "expression")) => BOOLEAN, Class::Pure;
    IsNullOrEmpty(takes(Takes::Any, "expression")) => BOOLEAN, Class::Pure;
    IsPresent(takes(Takes::Any, "expression")) => BOOLEAN, Class::Pure;
    IsString(takes(Takes::Any, "expression")) => BOOLEAN, Class::Pure;
    Not(takes(Takes::Any, "boolean")) => BOOLEAN, Class::Pure;
    CBool(takes(Takes::Any, "expression")) => BOOLEAN, Class::Pure;
    BitAnd(takes(Takes::Number, "number1"), takes(Takes::Number, "number2")) => NUMBER, Class::Pure;
    IgnoreFlowIfNullOrEmpty(takes(Takes::Any, "expression")) => Gives::Arguments, Class::Pure;
    Count(takes(Takes::List, "attribute")) => NUMBER, Class::Pure;
    Item(takes(Takes::List, "attribute"), takes(Takes::Number, "index")) => TEXT, Class::Pure;
    Split(text("source"), text("delimiter")) => LIST, Class::Pure;
    RemoveDuplicates(takes(Takes::List, "attribute")) => LIST, Class::Pure;
    CStr(text("value")) => TEXT, Class::Pure;
    CDate(takes(Takes::Date, "text")) => DATE, Class::Pure;
    DateAdd(takes(Takes::Interval, "interval"), takes(Takes::Number, "number"), takes(Takes::Date, "date"))
        => DATE, Class::Pure;
    DateDiff(takes(Takes::Interval, "interval"), takes(Takes::Date, "from"), takes(Takes::Date, "to"))
        => NUMBER, Class::Pure;
    DateFromNum(takes(Takes::Number, "number")) => DATE, Class::Pure;
    NumFromDate(takes(Takes::Date, "text")) => NUMBER, Class::Pure;
    FormatDateTime(
        takes(Takes::Any, "source"), optional(text("dateTimeStyles")), text("inputFormat"), text("outputFormat")
    ) => TEXT, Class::Pure;
    Now() => DATE, Class::Clock;
    Guid() => TEXT, Class::Create;
    RandomString(
        takes(Takes::Number, "length"), takes(Takes::Number, "minimumNumbers"), takes(Takes::Number, "minimumSpecialCharacters"),
        takes(Takes::Number, "minimumCapitalLetters"), takes(Takes::Number, "minimumLowerCaseLetters"),
        optional(text("charactersToAvoid"))
    ) => TEXT, Class::Create;
    Redact(passing(takes(Takes::Any, "value"))) => Gives::Arguments, Class::Log;
    SelectUniqueValue(text("rule"), text("rule")) * 1 => TEXT, Class::Elsewhere(
        "it searches the directory; let the directory refuse a taken value (409 uniqueness), or make the value unique \
         with [externalId]");
    SingleAppRoleAssignment(takes(Takes::Any, "appRoleAssignments")) => TEXT, Class::Elsewhere(
        "the identity provider evaluates it before it sends: write Item([roles.value], 1)");
    AppRoleAssignmentsComplex(takes(Takes::Any, "appRoleAssignments")) => TEXT, Class::Elsewhere(
        "the identity provider evaluates it before it sends: read [roles.value]");
    AssertiveAppRoleAssignmentsComplex(takes(Takes::Any, "appRoleAssignments")) => TEXT, Class::Elsewhere(
        "the identity provider evaluates it before it sends: read [roles.value]");
}

impl Function {
    /// The outside of the function with this name.
    ///
    /// # Errors
    /// The nearest name, if any is near.
    pub fn named(name: &str) -> Result<&'static Signature, Option<&'static str>> {
        Self::ALL
            .iter()
            .find(|signature| signature.name == name)
            .ok_or_else(|| super::nearest(name, Self::ALL.iter().map(|signature| signature.name)))
    }
}
