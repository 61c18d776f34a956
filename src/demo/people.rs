//! The sample people who are in a directory before any provisioning: invented, at example.com, of many tongues.
//!
//! Some are inactive, and some have what real people have and one dialect or another refuses: two first names, a surname with
//! spaces, a user name that is not their e-mail address, a phone number written to be read.

use std::ops::Range;

use serde_json::{Value, json};

use crate::scim::resource::Resource;

/// First name, last name, title, department.
type Sample = (&'static str, &'static str, &'static str, &'static str);

const PEOPLE: [Sample; 25] = [
    ("Adaeze", "Okonkwo", "Account Manager", "Sales"),
    ("Birgit", "Halvorsen", "Controller", "Finance"),
    ("Chidi", "Nwosu", "Support Engineer", "Support"),
    ("Mary Ann", "Whitfield", "Team Lead", "Support"),
    ("Daniela", "Ferreira", "Recruiter", "People"),
    ("Emre", "Aksoy", "Developer", "Engineering"),
    ("Freya", "Sandberg", "Designer", "Product"),
    ("Giang", "Tran", "Analyst", "Finance"),
    ("Hendrik", "van der Meer", "Warehouse Lead", "Logistics"),
    ("Iman", "Al-Farsi", "Counsel", "Legal"),
    ("Jelena", "Markovic", "Account Manager", "Sales"),
    ("Kaito", "Mori", "Developer", "Engineering"),
    ("Lucia", "Benitez", "Support Engineer", "Support"),
    ("Malik", "Diallo", "Dispatcher", "Logistics"),
    ("Noor", "Rashid", "Product Manager", "Product"),
    ("Olena", "Kovalenko", "Auditor", "Finance"),
    ("Pooja", "Deshmukh", "Developer", "Engineering"),
    ("Quentin", "Lefebvre", "Buyer", "Logistics"),
    ("Rosa", "Mendoza", "Payroll Specialist", "People"),
    ("Sione", "Tupou", "Field Engineer", "Support"),
    ("Talia", "Rosen", "Editor", "Product"),
    ("Umut", "Kaplan", "Account Manager", "Sales"),
    ("Viola", "Ricci", "Paralegal", "Legal"),
    ("Wen", "Zhao", "Data Engineer", "Engineering"),
    ("Yara", "Nasser", "Trainer", "People"),
];

/// The sample people of these numbers: always the same ones, nobody twice.
pub(super) fn sample(numbers: Range<usize>) -> Vec<Resource> {
    numbers.map(person).collect()
}

fn person(number: usize) -> Resource {
    let (given, family, title, department) = PEOPLE[number % PEOPLE.len()];
    let round = number / PEOPLE.len();
    let letters = |name: &str| name.to_lowercase().replace([' ', '-'], "");
    let suffix = if round == 0 { String::new() } else { (round + 1).to_string() };
    let email = format!("{}.{}{suffix}@example.com", letters(given), letters(family));
    let user_name = if number % 25 == 11 { format!("{}{suffix}", letters(family)) } else { email.clone() };
    let phone = match (number % 25, number % 100) {
        (15, last) => format!("+1 202 555 0{}", 100 + last),
        (_, last) => format!("+12025550{}", 100 + last),
    };
    let value = json!({
        "userName": user_name,
        "active": number % 9 != 6,
        "displayName": format!("{given} {family}"),
        "name": { "formatted": format!("{given} {family}"), "givenName": given, "familyName": family },
        "title": title,
        "emails": [{ "type": "work", "primary": true, "value": email }],
        "phoneNumbers": [{ "type": "work", "value": phone }, { "type": "mobile", "value": phone }],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "department": department },
    });
    match value {
        Value::Object(attributes) => Resource::from_map(attributes),
        _ => Resource::default(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::dialect::Dialect;

    #[test]
    fn nobody_is_there_twice() {
        let people = sample(0..2000);
        let names: HashSet<_> = people.iter().filter_map(Resource::user_name).collect();
        assert_eq!(names.len(), people.len());
    }

    #[test]
    fn every_dialect_accepts_most_and_the_strict_ones_refuse_some() {
        for dialect in Dialect::all() {
            let refused =
                sample(0..25).into_iter().filter(|one| !dialect.accept(None, one.clone()).violations.is_empty());
            let refused = refused.count();
            assert!(refused <= 5, "{} refuses {refused}", dialect.name);
            let strict = ["ringcentral", "vonage-business", "vonage-contact-center"].contains(&dialect.name.as_str());
            assert_eq!(refused > 0, strict, "{} refuses {refused}", dialect.name);
        }
    }

    #[test]
    fn some_are_inactive() {
        let inactive = sample(0..25).iter().filter(|one| one.active() == Some(false)).count();
        assert!((2..=5).contains(&inactive), "{inactive}");
    }
}
