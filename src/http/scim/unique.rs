//! Values that no two resources may share where the directory cannot see to it: those of declared attributes (RFC 7643 §7,
//! `uniqueness`). The standard's own, `userName` and `displayName`, are the directory's.

use tokio::sync::MutexGuard;

use super::walk::{Next, Walk};
use crate::http::error::Refusal;
use crate::http::gateway::Runtime;
use crate::ports::{Directory as _, Lookup};
use crate::scim::ResourceType;
use crate::scim::error::ScimError;
use crate::scim::resource::Resource;

/// How many resources are looked at for one value that the directory cannot find.
const SCAN: u64 = 20_000;

/// Sees to it that nobody else has what `after` newly holds; `key` is the resource's own, if it is there already. Until the guard
/// is dropped nobody else can come by such a value. Without declared unique attributes nothing is asked and nobody waits.
///
/// # Errors
/// 409 `uniqueness` naming the attribute; 400 `tooMany` when that would take a look at too many.
pub async fn claim<'t>(
    tenant: &'t Runtime,
    kind: ResourceType,
    key: Option<&str>,
    before: Option<&Resource>,
    after: &Resource,
) -> Result<Option<MutexGuard<'t, ()>>, Refusal> {
    let held = before.map(|before| before.unique_values(kind)).unwrap_or_default();
    let mut claimed = after.unique_values(kind);
    claimed.retain(|one| !held.contains(one));
    if claimed.is_empty() {
        return Ok(None);
    }
    let guard = tenant.locks.unique().await;
    for (path, value) in claimed {
        let exact = path.leaf().is_some_and(|attribute| attribute.case_exact);
        let same = |held: &str| held == value || (!exact && held.to_lowercase() == value.to_lowercase());
        let finds = tenant.directory.finds_by(kind, &path);
        let lookup = if finds { Lookup::Equal { path: path.clone(), value: value.clone() } } else { Lookup::All };
        let mut walk = Walk::default();
        loop {
            let found = tenant.directory.find(kind, &lookup, walk.page()).await?;
            if found.total > SCAN {
                return Err(ScimError::too_many(format!(
                    "{path}: too many resources would have to be looked at to see that it is unique"
                ))
                .into());
            }
            let (new, last) = match walk.take(found.entries, found.total, |entry| entry.key.as_str())? {
                Next::More(new) => (new, false),
                Next::Last(new) => (new, true),
            };
            let others = new.iter().filter(|entry| Some(entry.key.as_str()) != key);
            for other in others {
                if other.resource.unique_values(kind).iter().any(|(at, held)| *at == path && same(held)) {
                    return Err(ScimError::uniqueness(format!(
                        "{path}: is already taken by another resource; change it, or the other one"
                    ))
                    .into());
                }
            }
            if last {
                break;
            }
        }
    }
    Ok(Some(guard))
}
