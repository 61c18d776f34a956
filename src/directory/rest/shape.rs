//! Fields deep inside a record. A field whose name begins with `/` is a place in the record, such as
//! `/contact/phones/0/number` (JSON Pointer, RFC 6901); the table of attributes knows it by that name like any other field.
//! Here records are laid flat for the table and folded up again for the wire. Pure; knows neither SCIM nor HTTP.

use serde_json::{Map, Value};

/// The places that a table names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape(Vec<Place>);

/// One place in a record: at least one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pointer: String,
    steps: Vec<String>,
}

/// The most entries of a list that a place may name: what is not there yet must be filled up with null.
const MOST_ENTRIES: usize = 100;

impl Place {
    /// Reads a JSON Pointer that leads into an object.
    ///
    /// # Errors
    /// Says what is wrong and what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix('/') else {
            return Err(format!("is a JSON Pointer (RFC 6901): write \"/{text}\""));
        };
        let steps: Vec<String> = rest.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
        if steps.iter().any(|step| index(step).is_some_and(|index| index >= MOST_ENTRIES)) {
            return Err(format!("names an entry beyond the first {MOST_ENTRIES} of a list"));
        }
        if index(&steps[0]).is_some() {
            return Err("begins in a list, but a record is an object".into());
        }
        Ok(Self { pointer: text.to_owned(), steps })
    }

    /// The member of the record in which the place lies.
    pub fn top(&self) -> &str {
        &self.steps[0]
    }

    /// Whether the place is a member of the record itself.
    pub const fn is_plain(&self) -> bool {
        self.steps.len() == 1
    }

    fn in_list(&self) -> bool {
        self.steps.iter().any(|step| index(step).is_some())
    }

    /// What stands there.
    pub fn get<'r>(&self, record: &'r Map<String, Value>) -> Option<&'r Value> {
        let mut held = record.get(&self.steps[0])?;
        for step in &self.steps[1..] {
            held = match held {
                Value::Object(parts) => parts.get(step)?,
                Value::Array(list) => list.get(index(step)?)?,
                _ => return None,
            };
        }
        Some(held)
    }

    /// Puts a value there, making what is missing on the way.
    pub fn set(&self, record: &mut Map<String, Value>, value: Value) {
        let mut held = record.entry(self.steps[0].as_str()).or_insert(Value::Null);
        for step in &self.steps[1..] {
            held = if let Some(index) = index(step) {
                if !held.is_array() {
                    *held = Value::Array(Vec::new());
                }
                let Value::Array(list) = held else { return };
                if list.len() <= index {
                    list.resize(index + 1, Value::Null);
                }
                &mut list[index]
            } else {
                if !held.is_object() {
                    *held = Value::Object(Map::new());
                }
                let Value::Object(parts) = held else { return };
                parts.entry(step.as_str()).or_insert(Value::Null)
            };
        }
        *held = value;
    }

    /// Takes away what stands there, and what it leaves empty on the way. An entry of a list that others follow becomes null,
    /// so that these keep their places.
    pub fn remove(&self, record: &mut Map<String, Value>) {
        if let Some(top) = record.get_mut(&self.steps[0])
            && (self.steps.len() == 1 || take(top, &self.steps[1..]))
        {
            record.shift_remove(&self.steps[0]);
        }
    }
}

/// Takes away what `steps` lead to; whether nothing is left of `held`.
fn take(held: &mut Value, steps: &[String]) -> bool {
    let Some((step, rest)) = steps.split_first() else { return true };
    match held {
        Value::Object(parts) => {
            if parts.get_mut(step).is_some_and(|part| take(part, rest)) {
                parts.shift_remove(step);
            }
            parts.is_empty()
        }
        Value::Array(list) => {
            let Some(index) = index(step).filter(|index| *index < list.len()) else { return list.is_empty() };
            if take(&mut list[index], rest) {
                list[index] = Value::Null;
            }
            while list.last().is_some_and(Value::is_null) {
                list.pop();
            }
            list.is_empty()
        }
        _ => false,
    }
}

fn index(step: &str) -> Option<usize> {
    let spelt = step == "0" || (!step.starts_with('0') && step.bytes().all(|byte| byte.is_ascii_digit()));
    if spelt { step.parse().ok() } else { None }
}

impl Shape {
    /// The places among the names of fields.
    ///
    /// # Errors
    /// The first field that is no place, and why.
    pub fn of<'f>(fields: impl Iterator<Item = &'f str>) -> Result<Self, (String, String)> {
        let places = fields.filter(|field| field.starts_with('/'));
        places
            .map(|field| Place::parse(field).map_err(|problem| (field.to_owned(), problem)))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The record with what stands at each place also under the place's name.
    pub fn flat(&self, record: &Map<String, Value>) -> Map<String, Value> {
        let mut flat = record.clone();
        for place in &self.0 {
            if let Some(value) = place.get(record) {
                flat.insert(place.pointer.clone(), value.clone());
            }
        }
        flat
    }

    /// Whether every name of a field is that of a member of the record itself.
    pub const fn is_flat(&self) -> bool {
        self.0.is_empty()
    }

    /// The record with every place as the flat names say; a place whose name is gone is emptied.
    pub fn folded(&self, mut flat: Map<String, Value>) -> Map<String, Value> {
        for place in &self.0 {
            match flat.shift_remove(&place.pointer) {
                Some(value) => place.set(&mut flat, value),
                None => place.remove(&mut flat),
            }
        }
        flat
    }

    /// A partial record, in which only the places that are named stand.
    pub fn part(&self, mut flat: Map<String, Value>) -> Map<String, Value> {
        for place in &self.0 {
            if let Some(value) = flat.shift_remove(&place.pointer) {
                place.set(&mut flat, value);
            }
        }
        flat
    }

    /// Whether one of these fields cannot be sent alone: it lies in a list, which is replaced as a whole, or inside an
    /// object, unless what is sent is merged into it (`merges`, RFC 7396).
    pub fn needs_whole<'f>(&self, mut fields: impl Iterator<Item = &'f str>, merges: bool) -> bool {
        fields.any(|field| {
            let place = self.0.iter().find(|place| place.pointer == field);
            place.is_some_and(|place| place.in_list() || !(merges || place.is_plain()))
        })
    }

    /// The member of the record in which a field lies.
    pub fn top_of<'f>(&'f self, field: &'f str) -> &'f str {
        self.0.iter().find(|place| place.pointer == field).map_or(field, Place::top)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else { panic!("an object") };
        map
    }

    fn shape() -> Shape {
        Shape::of(["name", "/contact/mail", "/contact/phones/0/number", "/contact/phones/1/number"].into_iter())
            .unwrap()
    }

    #[test]
    fn a_record_is_laid_flat_and_folded_up_again() {
        let record =
            map(json!({"name": "ada", "contact": {"mail": "a@x", "phones": [{"number": "1", "type": "w"}], "fax": 1}}));
        let flat = shape().flat(&record);
        assert_eq!(flat["/contact/mail"], "a@x");
        assert_eq!(flat["/contact/phones/0/number"], "1");
        assert_eq!(flat.get("/contact/phones/1/number"), None);
        assert_eq!(shape().folded(flat), record);
    }

    #[test]
    fn a_place_is_made_and_emptied() {
        for (flat, folded) in [
            (json!({"/contact/phones/1/number": "2"}), json!({"contact": {"phones": [null, {"number": "2"}]}})),
            (json!({"/contact/mail": "a@x", "contact": 5}), json!({"contact": {"mail": "a@x"}})),
            (json!({"contact": {"mail": "a@x"}}), json!({})),
            (
                json!({"contact": {"phones": [{"number": "1"}, {"number": "2"}]}, "/contact/phones/1/number": "2"}),
                json!({"contact": {"phones": [null, {"number": "2"}]}}),
            ),
            (
                json!({"contact": {"phones": [{"number": "1"}, {"number": "2"}]}, "/contact/phones/0/number": "1"}),
                json!({"contact": {"phones": [{"number": "1"}]}}),
            ),
        ] {
            assert_eq!(shape().folded(map(flat.clone())), map(folded), "{flat}");
        }
    }

    #[test]
    fn what_cannot_be_sent_alone_is_known() {
        for (field, merges, whole) in [
            ("name", false, false),
            ("/contact/mail", true, false),
            ("/contact/mail", false, true),
            ("/contact/phones/0/number", true, true),
        ] {
            assert_eq!(shape().needs_whole([field].into_iter(), merges), whole, "{field}");
        }
        assert_eq!((shape().top_of("/contact/mail"), shape().top_of("name")), ("contact", "name"));
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for (field, problem) in [
            ("/0/name", "begins in a list, but a record is an object"),
            ("/names/1000000", "names an entry beyond the first 100 of a list"),
        ] {
            assert_eq!(Shape::of([field].into_iter()), Err((field.to_owned(), problem.to_owned())));
        }
    }
}
