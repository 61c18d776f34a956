//! A dialect in words, for `portcullis check`: what it offers, requires and refuses, and what it does.

use super::{Dialect, Letters, OnDelete, OnDisable, OnExisting, Phone, Rule, Visibility};
use crate::scim::path::AttrPath;

impl Dialect {
    /// Titles of at most ten characters, and what there is to say under each.
    #[must_use]
    pub fn explain(&self) -> Vec<(&'static str, String)> {
        let groups = if self.groups { "groups where the directory has them" } else { "no groups" };
        let offers = match self.offering.paths() {
            Some(paths) => format!("{}; {groups}", paths.join(", ")),
            None => format!("every attribute of the schemas; {groups}"),
        };
        let mut rows = vec![("Offers", offers), ("Requires", list(&self.required))];
        if !self.rules.is_empty() {
            let rules: Vec<_> = self.rules.iter().map(Rule::words).collect();
            rows.push(("Refuses", format!("what is not like this: {}", rules.join("; "))));
        }
        rows.push(("Shows", self.shows()));
        rows.push(("Creates", self.creates()));
        rows.push((
            "Disables",
            match self.on_disable {
                OnDisable::Disable => "active false disables the person in the directory",
                OnDisable::Unlink => "active false ends the link; the account in the directory stays as it is",
                OnDisable::Delete => "active false removes the person from the directory",
            }
            .to_owned(),
        ));
        rows.push((
            "Deletes",
            match self.on_delete {
                OnDelete::Delete => "DELETE removes the person from the directory",
                OnDelete::Deactivate => "DELETE disables the person in the directory and keeps their data",
                OnDelete::Unlink => "DELETE ends the link; the account in the directory stays as it is",
            }
            .to_owned(),
        ));
        if let Some(protected) = &self.protected {
            let (values, attribute) = (protected.values.join(", "), &protected.attribute);
            let text = format!("people with {values} in {attribute}: changed only by the grant of a super_user");
            rows.push(("Protects", text));
        }
        if !self.locked.is_empty() {
            let actions = if self.locked_actions.is_empty() {
                String::new()
            } else {
                format!("; the portal does not {} them", self.locked_actions.join(", "))
            };
            rows.push(("Locks", format!("{} of managed people in the portal{actions}", list(&self.locked))));
        }
        rows
    }

    fn shows(&self) -> String {
        let mut text = match self.visibility {
            Visibility::Everyone => "everybody in the directory".to_owned(),
            Visibility::Managed => "only those whom provisioning has created or linked".to_owned(),
        };
        for (name, meant) in &self.aliases {
            text = format!("{text}; filters may say {name} for {meant}");
        }
        text
    }

    fn creates(&self) -> String {
        let mut text = match self.on_existing {
            OnExisting::Conflict => "a userName that is there already is refused: 409".to_owned(),
            OnExisting::Link => "somebody of the same userName is linked: 201 with their id".to_owned(),
        };
        if self.revives {
            text.push_str("; somebody whom a DELETE put aside is taken up again");
        }
        if !self.default_active {
            text.push_str("; inactive unless active says otherwise");
        }
        for (to, from) in &self.copied {
            text = format!("{text}; {to} is taken from {from} when it is missing");
        }
        if !self.on_create.is_empty() {
            let given: Vec<_> = self.on_create.iter().map(|(path, value)| format!("{path} = {value}")).collect();
            text = format!("{text}; with {} where nothing is said of it", given.join(", "));
        }
        text
    }
}

impl Rule {
    fn words(&self) -> String {
        match self {
            Self::Text(text) => {
                let script = if text.letters == Letters::Unicode { " (letters of every script)" } else { "" };
                format!("{}: {}{script}", text.path, text.rule())
            }
            Self::Email(path) => format!("{path}: an e-mail address"),
            Self::Phone { path, form, strip } => {
                let form = match form {
                    Phone::E164 => "an E.164 number such as +14155550100".to_owned(),
                    Phone::Digits { min, max } => format!("{min}-{max} digits, perhaps after a +"),
                };
                format!("{path}: {form}, spaces {}", if *strip { "taken out" } else { "refused" })
            }
            Self::Same { path, other } => format!("{path}: the same as {other}"),
            Self::EmailSomewhere { path, other } => format!("an e-mail address in {path} or as {other}"),
            Self::Region { region, country } => {
                format!("{region}: a state, province or county of the {country} where that is US, GB or CA")
            }
        }
    }
}

fn list(paths: &[AttrPath]) -> String {
    paths.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
