//! How a membership changes in a REST user system: by calls about members, by a list put in place, or person by person.

use serde_json::Value;

use super::answer::{self, Step};
use super::config::groups::{Changer, Guard, Membership as Form};
use super::config::members::Named;
use super::groups::{Teams, named_in, of_members, unknown};
use super::records::{Edit, after_the_fact};
use super::shape::Place;
use crate::directory::client::Deadline;
use crate::directory::unasked;
use crate::ports::{DirectoryError, Entry, GroupChange};
use crate::scim::resource::Resource;

impl Teams<'_> {
    /// A change that needs several calls: first what can be refused, and nothing before it is known that those who shall be
    /// members are there.
    pub(super) async fn change(
        &self,
        key: &str,
        change: &GroupChange,
        add: &[Named],
        remove: &[Named],
        deadline: Deadline,
    ) -> Result<Entry, DirectoryError> {
        let renames = change.before != change.after;
        let at_once = match &self.groups.membership {
            Form::SubResource { add: changer, .. } => add.len() <= changer.batch,
            Form::List { .. } | Form::Attribute { .. } => false,
        };
        if renames || !at_once {
            self.see_that_there(add, deadline).await?;
        }
        if renames {
            self.records.update(key, &change.before, &change.after, deadline).await?;
        }
        let under_way = |error| if renames { after_the_fact(error) } else { error };
        self.join(key, add, deadline).await.map_err(under_way)?;
        let under_way = |error| if renames || !add.is_empty() { after_the_fact(error) } else { error };
        self.leave(key, remove, deadline).await.map_err(under_way)?;
        let entry = self.records.read_by(key, deadline).await.map_err(under_way)?;
        entry.ok_or(DirectoryError::NotFound)
    }

    /// Makes these members.
    pub(super) async fn join(&self, key: &str, add: &[Named], deadline: Deadline) -> Result<(), DirectoryError> {
        match &self.groups.membership {
            Form::SubResource { add: changer, .. } => {
                for some in add.chunks(changer.batch) {
                    match self.ask(Step::Add, changer, key, some, deadline).await {
                        // Being a member already is no error.
                        Ok(()) => {}
                        Err(DirectoryError::Conflict { .. }) if some.len() == 1 => {}
                        Err(DirectoryError::NotFound) => {
                            let there = self.records.read_record(key, deadline).await?.is_some();
                            return Err(if there { unknown() } else { DirectoryError::NotFound });
                        }
                        Err(error) => return Err(of_members(error, true)),
                    }
                }
                Ok(())
            }
            Form::Attribute { place, single, guard, .. } => {
                if add.is_empty() {
                    return Ok(());
                }
                let value = self.value_of(key, deadline).await?.ok_or(DirectoryError::NotFound)?;
                for one in add {
                    let entered = self.rewrite(one, place, *guard, deadline, |held| {
                        let mut names = named_in(held);
                        if names.contains(&value) {
                            return Ok(Edit::Stays);
                        }
                        let own = self.groups.members.value(&value);
                        if *single {
                            return Ok(Edit::Becomes(own));
                        }
                        let list = held.and_then(Value::as_array).cloned();
                        let mut list = list.unwrap_or_else(|| names.drain(..).map(Value::String).collect());
                        list.push(own);
                        Ok(Edit::Becomes(Value::Array(list)))
                    });
                    match entered.await {
                        Err(DirectoryError::NotFound) => return Err(unknown()),
                        outcome => outcome?,
                    }
                }
                Ok(())
            }
            Form::List { .. } => unasked("a call that adds members"),
        }
    }

    async fn leave(&self, key: &str, remove: &[Named], deadline: Deadline) -> Result<(), DirectoryError> {
        match &self.groups.membership {
            Form::SubResource { remove: changer, .. } => {
                for some in remove.chunks(changer.batch) {
                    match self.ask(Step::Remove, changer, key, some, deadline).await {
                        // Not being a member is no error; that the group is there is seen when it is read afterwards.
                        Ok(()) => {}
                        Err(DirectoryError::NotFound | DirectoryError::Conflict { .. }) if some.len() == 1 => {}
                        Err(error) => return Err(of_members(error, true)),
                    }
                }
                Ok(())
            }
            Form::Attribute { place, guard, .. } => {
                if remove.is_empty() {
                    return Ok(());
                }
                let value = self.value_of(key, deadline).await?.ok_or(DirectoryError::NotFound)?;
                for one in remove {
                    let left = self.rewrite(one, place, *guard, deadline, |held| {
                        Ok(match held {
                            Some(Value::Array(list)) => {
                                let is_it = |entry: &Value| answer::text(entry).as_ref() == Some(&value);
                                if !list.iter().any(is_it) {
                                    return Ok(Edit::Stays);
                                }
                                Edit::Becomes(list.iter().filter(|entry| !is_it(entry)).cloned().collect())
                            }
                            held if named_in(held).contains(&value) => Edit::Becomes(Value::Null),
                            _ => Edit::Stays,
                        })
                    });
                    match left.await {
                        // Who is gone is in no group.
                        Ok(()) | Err(DirectoryError::NotFound) => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(())
            }
            Form::List { .. } => unasked("a call that removes members"),
        }
    }

    /// One call about some members.
    async fn ask(
        &self,
        step: Step,
        changer: &Changer,
        key: &str,
        some: &[Named],
        deadline: Deadline,
    ) -> Result<(), DirectoryError> {
        let [first, ..] = some else { return Ok(()) };
        let body = self.groups.members.body(changer, some);
        let call = self.records.config.fill(step, &changer.operation, &self.slots(key, first), body);
        // Whom no call can name is not there.
        self.records.call(call, deadline).await?.map(|_| ()).ok_or(DirectoryError::NotFound)
    }

    /// Edits the field of a person's record that names their groups.
    async fn rewrite(
        &self,
        person: &Named,
        place: &Place,
        guard: Guard,
        deadline: Deadline,
        edit: impl Fn(Option<&Value>) -> Result<Edit, DirectoryError>,
    ) -> Result<(), DirectoryError> {
        let nothing = Resource::default();
        self.people.rewrite(&person.key, (&nothing, &nothing), place, guard, deadline, edit).await.map(|_| ())
    }

    /// A list of members with some added and some removed; entries that stay are left as they are.
    pub(super) fn edited(&self, held: Option<&Value>, add: &[Named], remove: &[Named]) -> Result<Edit, DirectoryError> {
        let members = self.listed(held)?;
        let list = held.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut edited: Vec<Value> = Vec::with_capacity(list.len() + add.len());
        edited
            .extend(members.iter().zip(list).filter(|(one, _)| !remove.contains(one)).map(|(_, entry)| entry.clone()));
        let removed = list.len() - edited.len();
        for (place, one) in add.iter().enumerate() {
            if (!members.contains(one) || remove.contains(one)) && !add[..place].contains(one) {
                edited.push(self.groups.members.write(one));
            }
        }
        if removed == 0 && edited.len() == list.len() {
            return Ok(Edit::Stays);
        }
        Ok(Edit::Becomes(Value::Array(edited)))
    }
}
