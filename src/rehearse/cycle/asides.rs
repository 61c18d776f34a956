//! What is tried once beside the phases: clearing an attribute, walking the list by pages (RFC 7644 §3.4.2.4), and answers
//! with fewer attributes (§3.9).

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::{Cycle, user_path};
use crate::rehearse::attribute::Attribute;
use crate::rehearse::endpoint::{Purpose, list, wants};
use crate::rehearse::people::{Mapping, single_patch};
use crate::rehearse::report::{Check, Trip};

/// Pages that are walked before a directory counts as too large for it.
const PAGES: u64 = 1000;

impl Cycle<'_> {
    /// Clears an optional attribute of the last person, as Entra's null test does.
    pub(super) async fn clear(&self) {
        let Some(id) = (0..self.lives.len()).rev().find_map(|index| self.id(index)) else { return };
        let attribute = match self.mapping {
            Mapping { title: true, .. } => Attribute::Title,
            Mapping { department: true, .. } => Attribute::Department,
            _ => {
                self.endpoint.report.skip(Check::Clear, "the endpoint announces no optional attribute for it");
                return;
            }
        };
        for value in [json!(""), Value::Null] {
            let refill = single_patch("Replace", attribute.path(), &json!("Temporary"));
            let outcome = match self.patch(&id, &refill).await {
                Ok(()) => self.patch(&id, &single_patch("Replace", attribute.path(), &value)).await,
                Err(trip) => Err(trip),
            };
            let outcome = match outcome {
                Ok(()) => self.read(&id).await.and_then(|(answer, user)| match attribute.read(&user) {
                    None | Some("") => Ok(()),
                    Some(_) => {
                        let why = format!("{} still has its value after {value}", attribute.path());
                        Err(Trip::over(&answer, why, "fails its SCIM_Null_Update test; old values stay for ever"))
                    }
                }),
                Err(trip) => Err(trip),
            };
            self.note(Check::Clear, outcome);
        }
    }

    /// Walks the whole list by pages.
    pub(super) async fn walk(&self) {
        let mut missing: HashMap<String, usize> =
            (0..self.lives.len()).filter_map(|index| Some((self.id(index)?, index))).collect();
        if missing.is_empty() {
            return;
        }
        let count = self.lives.len().div_ceil(2).clamp(2, 100);
        let (mut start, mut seen, mut doubled) = (1, HashSet::new(), 0_u64);
        let mut line = String::new();
        for _ in 0..PAGES {
            let answer = match self.endpoint.get(&format!("/Users?startIndex={start}&count={count}")).await {
                Ok(answer) => answer,
                Err(trip) => {
                    self.note(Check::Paging, Err(trip));
                    return;
                }
            };
            if start == 1 && matches!(answer.status, 400 | 403 | 404 | 405 | 501) {
                self.endpoint.report.skip(Check::Paging, format!("the list is not offered ({})", answer.status));
                return;
            }
            let (total, page) = match list(&answer, Purpose::Query) {
                Ok(found) => found,
                Err(trip) => {
                    self.note(Check::Paging, Err(trip));
                    return;
                }
            };
            let echoed = answer.json().unwrap_or_default()["startIndex"].as_u64();
            if echoed.is_some_and(|echoed| echoed != start) || (echoed.is_none() && start > 1) {
                let why = format!("startIndex is {echoed:?}, sent was {start}");
                self.note(Check::Paging, Err(Trip::over(&answer, why, "fails its pagination test")));
                return;
            }
            for id in page.iter().filter_map(|user| user["id"].as_str()) {
                if missing.remove(id).is_some() {
                    seen.insert(id.to_owned());
                } else if seen.contains(id) {
                    doubled += 1;
                }
            }
            start += page.len() as u64;
            if page.is_empty() || start > total {
                let then = "does not page itself; Okta's import loses people or takes them twice";
                let outcome = if missing.is_empty() && doubled == 0 {
                    Ok(())
                } else {
                    let why = format!("{} people not in the list, {doubled} more than once", missing.len());
                    Err(Trip::at(line, Some(200), why, then))
                };
                self.note(Check::Paging, outcome);
                return;
            }
            line.clone_from(&answer.line);
        }
        self.endpoint.report.skip(Check::Paging, format!("the list has more than {PAGES} pages"));
    }

    /// `attributes` and `excludedAttributes` (RFC 7644 §3.9).
    pub(super) async fn project(&self) {
        let Some(id) = (0..self.lives.len()).find_map(|index| self.id(index)) else { return };
        let path = user_path(&id);
        for (more, wanted, unwanted) in
            [("?attributes=userName", "userName", "name"), ("?excludedAttributes=name", "userName", "name")]
        {
            let outcome = self.endpoint.get(&format!("{path}{more}")).await.and_then(|answer| {
                wants(&answer, &[200], Purpose::Read)?;
                let user = answer.json().unwrap_or_default();
                if user.get("id").is_none() || user.get(wanted).is_none() {
                    Err(Trip::over(&answer, format!("id or {wanted} is missing"), ""))
                } else if user.get(unwanted).is_some() {
                    let then = "gets more than it asked for; with groups that is every member, each time";
                    Err(Trip::over(&answer, format!("{unwanted} is there all the same"), then))
                } else {
                    Ok(())
                }
            });
            self.note(Check::Projection, outcome);
        }
    }
}
