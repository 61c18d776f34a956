//! One resource at a time: create, read, replace, PATCH, of either type; and what an answer holds beside the directory's entry,
//! a person's groups and a group's members, which are asked for only when they are wanted.

use std::collections::HashMap;

use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::groups::{Group, MOST_MEMBERS};
use super::shown::{Shown, location, preconditions, write_tag};
use super::{Surface, media_type, offers_groups, query, resource, respond};
use crate::http::error::Refusal;
use crate::http::message::{Request, Response, empty};
use crate::http::record::Record;
use crate::ports::Directory as _;
use crate::scim::command::Projection;
use crate::scim::error::ScimError;
use crate::scim::etag::Verdict;
use crate::scim::path::AttrPath;
use crate::scim::{Member, ResourceType, members, patch};

/// A request about resources of one type.
pub struct Handler<'a> {
    pub surface: &'a Surface<'a>,
    pub kind: ResourceType,
    pub request: &'a Request,
}

impl Handler<'_> {
    /// POST: 201.
    pub async fn create(&self, record: &mut Record) -> Result<Response, Refusal> {
        media_type(self.request)?;
        let projection = query(self.request)?.projection;
        let sent = resource(self.surface.tenant, self.kind, self.request, record)?;
        let (shown, members) = match self.kind {
            ResourceType::User => (self.surface.people().create(sent, record).await?.shown(), None),
            ResourceType::Group => {
                let (group, members) = self.surface.groups().create(sent, record).await?;
                (self.surface.shown(group), Some(members))
            }
        };
        let location = shown.location(self.surface.base());
        let mut response = self.answer(StatusCode::CREATED, shown, &projection, members).await?;
        response.headers_mut().extend(HeaderValue::from_str(&location).ok().map(|value| (header::LOCATION, value)));
        Ok(response)
    }

    /// GET: 200, or 304 when the client has this version.
    pub async fn read(&self, id: &str, record: &mut Record) -> Result<Response, Refusal> {
        let (projection, when) = (query(self.request)?.projection, preconditions(&self.request.headers)?);
        let shown = match self.kind {
            ResourceType::User => self.surface.people().read(id).await?.shown(),
            ResourceType::Group => self.surface.shown(self.surface.groups().read(id).await?),
        };
        record.target = Some(shown.key().to_owned());
        match when.decide(shown.tag.as_deref(), true) {
            Verdict::Proceed => self.answer(StatusCode::OK, shown, &projection, None).await,
            Verdict::NotModified => Ok(bare(StatusCode::NOT_MODIFIED, &shown)),
            Verdict::Failed => Err(ScimError::precondition_failed(
                "If-Match: the resource is in another version; leave the header out to read it",
            )
            .into()),
        }
    }

    /// PUT: 200.
    pub async fn replace(&self, id: &str, record: &mut Record) -> Result<Response, Refusal> {
        media_type(self.request)?;
        let (projection, when) = (query(self.request)?.projection, preconditions(&self.request.headers)?);
        let sent = resource(self.surface.tenant, self.kind, self.request, record)?;
        let shown = match self.kind {
            ResourceType::User => self.surface.people().replace(id, sent, &when, record).await?.shown(),
            ResourceType::Group => self.surface.shown(self.surface.groups().replace(id, sent, &when, record).await?),
        };
        self.answer(StatusCode::OK, shown, &projection, None).await
    }

    /// PATCH: a person with 200, since validators look at the answer; a group with 204 unless attributes are asked for, and
    /// never with its members (entra.md §4.2 and §3.6).
    pub async fn patch(&self, id: &str, record: &mut Record) -> Result<Response, Refusal> {
        media_type(self.request)?;
        let (mut projection, when) = (query(self.request)?.projection, preconditions(&self.request.headers)?);
        let operations = patch::parse(&self.request.body)?;
        let shown = match self.kind {
            ResourceType::User => self.surface.people().patch(id, &operations, &when, record).await?.shown(),
            ResourceType::Group => {
                let shown = self.surface.shown(self.surface.groups().patch(id, operations, &when, record).await?);
                if projection.attributes.is_empty() {
                    return Ok(bare(StatusCode::NO_CONTENT, &shown));
                }
                projection.excluded.push(AttrPath::core("members"));
                shown
            }
        };
        self.answer(StatusCode::OK, shown, &projection, None).await
    }

    async fn answer(
        &self,
        status: StatusCode,
        shown: Shown,
        projection: &Projection,
        members: Option<Vec<Member>>,
    ) -> Result<Response, Refusal> {
        let mut one = [shown];
        self.surface.complete(&mut one, projection, members).await?;
        let [shown] = one;
        let mut response = respond(status, &shown.render(self.surface.base(), projection));
        write_tag(shown.tag.as_deref(), response.headers_mut());
        Ok(response)
    }
}

/// An answer without a body, but with the version.
fn bare(status: StatusCode, shown: &Shown) -> Response {
    let mut response = empty(status);
    write_tag(shown.tag.as_deref(), response.headers_mut());
    response
}

impl Surface<'_> {
    /// A group as this tenant sees it.
    pub fn shown(&self, group: Group) -> Shown {
        group.shown(&self.tenant.config.schemas)
    }

    /// Adds to people their groups and to groups their members, where the answer shall hold them. `known` are the members of
    /// the one group there is, if they are at hand.
    pub async fn complete(
        &self,
        page: &mut [Shown],
        projection: &Projection,
        mut known: Option<Vec<Member>>,
    ) -> Result<(), Refusal> {
        if !offers_groups(self.tenant) {
            return Ok(());
        }
        let base = self.base();
        let groups = AttrPath::core("groups");
        if projection.wants("groups") && self.tenant.config.dialect.offers(&groups) {
            let people: Vec<&str> =
                page.iter().filter(|shown| shown.kind == ResourceType::User).map(Shown::key).collect();
            let mut of: HashMap<String, Vec<Value>> = HashMap::new();
            if !people.is_empty() {
                for membership in self.tenant.directory.memberships(&people).await? {
                    let mut entry = json!({
                        "value": membership.group,
                        "$ref": location(base, ResourceType::Group, &membership.group),
                        "type": "direct",
                    });
                    if let Some(display) = membership.display {
                        entry["display"] = display.into();
                    }
                    of.entry(membership.member).or_default().push(entry);
                }
            }
            for shown in page.iter_mut().filter(|shown| shown.kind == ResourceType::User) {
                match of.remove(shown.key()) {
                    Some(entries) => shown.seen.set(&groups, Value::Array(entries)),
                    None => drop(shown.seen.remove(&groups)),
                }
            }
        }
        if projection.wants("members") {
            let mut total = 0;
            for shown in page.iter_mut().filter(|shown| shown.kind == ResourceType::Group) {
                let held = match known.take() {
                    Some(known) => known,
                    None => match self.groups().members(shown.key()).await {
                        // Gone since it was read.
                        Err(Refusal::Scim(error)) if error.status == 404 => Vec::new(),
                        held => held?,
                    },
                };
                total += held.len() as u64;
                if total > MOST_MEMBERS {
                    return Err(ScimError::too_many(format!(
                        "members: these groups have more than {MOST_MEMBERS}; leave them out with excludedAttributes=members"
                    ))
                    .into());
                }
                if !held.is_empty() {
                    let value = members::value(&held, |member| location(base, member.kind, &member.key));
                    shown.seen.set(&AttrPath::core("members"), value);
                }
            }
        }
        Ok(())
    }
}
