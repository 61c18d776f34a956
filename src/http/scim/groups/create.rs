//! Creating a group. As with people, a create is written down before the directory is asked, so that a repeat of one whose answer
//! was lost finds what its own first try made (design decision 6).

use serde_json::Value;

use super::{Group, Groups, display_name, taken};
use crate::http::error::Refusal;
use crate::http::record::Record;
use crate::http::scim::people::create::{is_ours, is_settled};
use crate::http::scim::people::note_dropped;
use crate::http::scim::unique;
use crate::ports::{Directory as _, DirectoryError, Entry, GroupChange, Lookup, Page};
use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;
use crate::scim::{Member, ResourceType, members};
use crate::store::OpenCreate;
use crate::types::Digest;

impl Groups<'_> {
    /// Creates the group, and gives it with its members.
    pub async fn create(&self, mut sent: Resource, record: &mut Record) -> Result<(Group, Vec<Member>), Refusal> {
        let body = Digest::of(Value::Object(sent.as_map().clone()).to_string().as_bytes());
        let members = members::take(&mut sent)?.unwrap_or_default();
        let display_name = display_name(&sent)?.to_owned();
        let mut dropped = Vec::new();
        let sent = self.listed(None, sent, &mut dropped)?;
        note_dropped(&dropped, record);
        sent.check_required(ResourceType::Group, &self.tenant.config.schemas)?;
        let _alone = self.tenant.locks.display_name(&display_name).await;
        // No person's user name begins with NUL.
        let name = Digest::of(format!("\0group\0{}", display_name.to_lowercase()).as_bytes());
        let earlier = self.store.open_create(self.name(), &name).await?;
        let intent = match earlier {
            Some(open) => open.id,
            None => self.store.begin_create(self.name(), &name, &body).await?,
        };
        let outcome = self.carry_out_create(&sent, &members, &display_name, earlier, body, record).await;
        if is_settled(&outcome, earlier.is_some()) {
            self.store.finish(intent).await?;
        }
        let group = outcome?;
        record.target = Some(group.entry.key.clone());
        Ok((group, members))
    }

    async fn carry_out_create(
        &self,
        sent: &Resource,
        members: &[Member],
        display_name: &str,
        earlier: Option<OpenCreate>,
        body: Digest,
        record: &mut Record,
    ) -> Result<Group, Refusal> {
        let mut wanted = sent.clone();
        self.strip(&mut wanted, record);
        let _claim = unique::claim(self.tenant, ResourceType::Group, None, None, &wanted).await?;
        let entry = match self.tenant.directory.create_group(&wanted, members).await {
            Ok(entry) => entry,
            Err(DirectoryError::Conflict { .. }) => {
                let held = self.named(display_name).await?;
                let ours = |entry: &Entry| earlier.is_some_and(|open| is_ours(&open, entry, body));
                let Some(entry) = held.filter(ours) else { return Err(taken().into()) };
                record.notes.push("found the earlier try".into());
                // The first try may have come as far as the group, not as far as its members.
                let change = GroupChange {
                    before: entry.resource.clone(),
                    after: wanted,
                    add: members.to_vec(),
                    remove: Vec::new(),
                };
                match self.tenant.directory.update_group(&entry.key, &change).await {
                    Ok(entry) => entry,
                    Err(error) => return Err(self.refused(error, &entry.key, members).await),
                }
            }
            Err(error) => return Err(self.refused(error, "", members).await),
        };
        self.remember(entry, sent, None).await
    }

    /// The group that the directory knows by this name.
    async fn named(&self, display_name: &str) -> Result<Option<Entry>, DirectoryError> {
        let path = AttrPath::core("displayName");
        if !self.tenant.directory.finds_by(ResourceType::Group, &path) {
            return Ok(None);
        }
        let lookup = Lookup::Equal { path: path.clone(), value: display_name.to_owned() };
        let found = self.tenant.directory.find(ResourceType::Group, &lookup, Page { offset: 0, limit: 10 }).await?;
        let wanted = display_name.to_lowercase();
        let same = |entry: &Entry| entry.resource.text(&path).is_some_and(|name| name.to_lowercase() == wanted);
        Ok(found.entries.into_iter().find(same))
    }
}
