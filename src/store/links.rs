//! Links: what the directory cannot hold about a managed person (design decision 3).
//!
//! Nearly every request reads one, so reads go through a small cache, and every write passes it. A link is written by one
//! process; another one's write shows after [`FRESH`].

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use moka::future::Cache;
use moka::ops::compute::Op;
use serde_json::{Map, Value};
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{QueryBuilder, Row as _, Sqlite};

use super::{Store, StoreError};
use crate::types::Timestamp;

/// How long a cached link may stand in for the row.
const FRESH: Duration = Duration::from_secs(30);
/// What the cache may hold, in bytes, as estimated by [`weight`].
const CACHE_BYTES: u64 = 4 * 1024 * 1024;
/// How many keys one statement asks for.
const CHUNK: usize = 200;
/// Up to so many links are looked up one by one: they are likely cached, which a statement made for the occasion is not.
const FEW: usize = 4;

/// How a person stands to the identity provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkState {
    /// Managed: created or taken over by the identity provider.
    Managed,
    /// No longer managed: answers `active: false` and can still be addressed.
    Unlinked,
    /// Deleted for the identity provider: hidden until it creates the person again.
    Removed,
}

impl LinkState {
    const ALL: [Self; 3] = [Self::Managed, Self::Unlinked, Self::Removed];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Managed => "managed",
            Self::Unlinked => "unlinked",
            Self::Removed => "removed",
        }
    }
}

/// What is remembered about one person of one tenant.
#[derive(Clone, PartialEq)]
pub struct Link {
    /// The directory's immutable key.
    pub key: String,
    /// How the person stands to the identity provider.
    pub state: LinkState,
    /// `externalId`, if the directory has no field for it.
    pub external_id: Option<String>,
    /// For values whose form writing changed: path to `{"sent": …, "held": …}`.
    pub asserted: Map<String, Value>,
}

impl Link {
    /// A link that says nothing but how the person stands.
    pub fn new(key: &str, state: LinkState) -> Self {
        Self { key: key.to_owned(), state, external_id: None, asserted: Map::new() }
    }
}

/// Prints no values: they are somebody's.
impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("key", &self.key).field("state", &self.state).finish_non_exhaustive()
    }
}

/// Links by tenant and key; `None` is the knowledge that there is none.
#[derive(Clone)]
pub(super) struct Links(Cache<String, Option<Link>>);

impl Links {
    pub(super) fn new() -> Self {
        Self(
            Cache::builder()
                .max_capacity(CACHE_BYTES)
                .weigher(|place: &String, link: &Option<Link>| weight(place, link.as_ref()))
                .time_to_live(FRESH)
                .build(),
        )
    }

    /// Runs `change`, whose outcome is what the cache holds from then on. One at a time for a key, so that a slow read cannot
    /// put an old link over a new one.
    async fn put(
        &self,
        tenant: &str,
        key: &str,
        change: impl Future<Output = Result<Option<Link>, StoreError>> + Send,
    ) -> Result<(), StoreError> {
        self.0.entry(place(tenant, key)).and_try_compute_with(|_| async { change.await.map(Op::Put) }).await?;
        Ok(())
    }
}

impl Store {
    /// The link of `tenant` for the person with `key`.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn link(&self, tenant: &str, key: &str) -> Result<Option<Link>, StoreError> {
        let place = place(tenant, key);
        if let Some(link) = self.links.0.get(&place).await {
            return Ok(link);
        }
        let outcome = self
            .links
            .0
            .entry(place)
            .and_try_compute_with(async |held| match held {
                Some(_) => Ok(Op::Nop),
                None => fetch(self.reader(), tenant, key).await.map(Op::Put),
            })
            .await?;
        Ok(outcome.into_entry().and_then(moka::Entry::into_value))
    }

    /// The links of `tenant` for those of `keys` that have one.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn links(&self, tenant: &str, keys: &[&str]) -> Result<HashMap<String, Link>, StoreError> {
        let mut links = HashMap::with_capacity(keys.len());
        if keys.len() <= FEW {
            for key in keys {
                links.extend(self.link(tenant, key).await?.map(|link| ((*key).to_owned(), link)));
            }
            return Ok(links);
        }
        for chunk in keys.chunks(CHUNK) {
            let mut query =
                QueryBuilder::<Sqlite>::new("SELECT key, state, external_id, asserted FROM links WHERE tenant = ");
            query.push_bind(tenant).push(" AND key IN (");
            let mut list = query.separated(", ");
            for key in chunk {
                list.push_bind(*key);
            }
            query.push(")");
            for row in query.build().persistent(false).fetch_all(self.reader()).await? {
                let link = read(&row)?;
                links.insert(link.key.clone(), link);
            }
        }
        Ok(links)
    }

    /// The links of `tenant` that hold `external_id`, at most `limit`: nobody keeps a client from giving it to several people,
    /// and a person who is gone from the directory may have left one.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn links_by_external_id(
        &self,
        tenant: &str,
        external_id: &str,
        limit: u32,
    ) -> Result<Vec<Link>, StoreError> {
        sqlx::query(
            "SELECT key, state, external_id, asserted FROM links WHERE tenant = $1 AND external_id = $2
             ORDER BY key LIMIT $3",
        )
        .bind(tenant)
        .bind(external_id)
        .bind(limit)
        .fetch_all(self.reader())
        .await?
        .iter()
        .map(read)
        .collect()
    }

    /// Since when the person with `key` is managed: from the write that made the link so to the one that ends it. `None` for
    /// those who are not, and for links older than this knowledge.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn managed_since(&self, tenant: &str, key: &str) -> Result<Option<Timestamp>, StoreError> {
        let since: Option<Option<i64>> =
            sqlx::query_scalar("SELECT managed_since FROM links WHERE tenant = $1 AND key = $2")
                .bind(tenant)
                .bind(key)
                .fetch_optional(self.reader())
                .await?;
        Ok(since.flatten().map(Timestamp::from_millis))
    }

    /// Writes a link, in place of the one of the same key. Carried to its end even if the caller goes away meanwhile.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn put_link(&self, tenant: &str, link: &Link) -> Result<(), StoreError> {
        let (store, tenant, link) = (self.clone(), tenant.to_owned(), link.clone());
        to_the_end(async move {
            let key = link.key.clone();
            let change = async {
                sqlx::query(
                    "INSERT INTO links (tenant, key, state, external_id, asserted, managed_since)
                     VALUES ($1, $2, $3, $4, $5, $6)
                     ON CONFLICT (tenant, key) DO UPDATE SET state = excluded.state,
                         external_id = excluded.external_id, asserted = excluded.asserted,
                         managed_since = CASE WHEN links.state = excluded.state THEN links.managed_since
                                              ELSE excluded.managed_since END",
                )
                .bind(&tenant)
                .bind(&link.key)
                .bind(link.state.as_str())
                .bind(&link.external_id)
                .bind(serde_json::to_string(&link.asserted).map_err(|_| StoreError::Corrupt("a link"))?)
                .bind((link.state == LinkState::Managed).then(|| store.clock.now().millis()))
                .execute(store.writer())
                .await?;
                Ok(Some(link))
            };
            store.links.put(&tenant, &key, change).await
        })
        .await
    }

    /// Forgets a link; without one, nothing happens. Carried to its end even if the caller goes away meanwhile.
    ///
    /// # Errors
    /// When the state is not available.
    pub async fn remove_link(&self, tenant: &str, key: &str) -> Result<(), StoreError> {
        let (store, tenant, key) = (self.clone(), tenant.to_owned(), key.to_owned());
        to_the_end(async move {
            let change = async {
                sqlx::query("DELETE FROM links WHERE tenant = $1 AND key = $2")
                    .bind(&tenant)
                    .bind(&key)
                    .execute(store.writer())
                    .await?;
                Ok(None)
            };
            store.links.put(&tenant, &key, change).await
        })
        .await
    }
}

/// Runs `work` in a task of its own: a caller whose connection breaks does not leave row and cache apart.
async fn to_the_end(work: impl Future<Output = Result<(), StoreError>> + Send + 'static) -> Result<(), StoreError> {
    match tokio::spawn(work).await {
        Ok(outcome) => outcome,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(StoreError::Unavailable(sqlx::Error::PoolClosed)),
    }
}

async fn fetch(reader: &SqlitePool, tenant: &str, key: &str) -> Result<Option<Link>, StoreError> {
    sqlx::query("SELECT key, state, external_id, asserted FROM links WHERE tenant = $1 AND key = $2")
        .bind(tenant)
        .bind(key)
        .fetch_optional(reader)
        .await?
        .map(|row| read(&row))
        .transpose()
}

fn read(row: &SqliteRow) -> Result<Link, StoreError> {
    let state: &str = row.try_get(1)?;
    Ok(Link {
        key: row.try_get(0)?,
        state: LinkState::ALL
            .into_iter()
            .find(|known| known.as_str() == state)
            .ok_or(StoreError::Corrupt("a link's state"))?,
        external_id: row.try_get(2)?,
        asserted: serde_json::from_str(row.try_get(3)?).map_err(|_| StoreError::Corrupt("a link's values"))?,
    })
}

/// Where a link lies in the cache. A tenant's name holds no NUL.
fn place(tenant: &str, key: &str) -> String {
    let mut place = String::with_capacity(tenant.len() + 1 + key.len());
    place.push_str(tenant);
    place.push('\0');
    place.push_str(key);
    place
}

/// About how many bytes an entry takes, cache bookkeeping included.
fn weight(place: &str, link: Option<&Link>) -> u32 {
    let held = link.map_or(0, |link| {
        let values: usize = link.asserted.iter().map(|(path, value)| 128 + path.len() + size(value)).sum();
        128 + link.key.len() + link.external_id.as_ref().map_or(0, String::len) + values
    });
    u32::try_from(200 + place.len() + held).unwrap_or(u32::MAX)
}

fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(|value| 32 + size(value)).sum(),
        Value::Object(map) => map.iter().map(|(key, value)| 96 + key.len() + size(value)).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::stores;
    use super::*;

    fn link(key: &str, state: LinkState, external_id: Option<&str>) -> Link {
        let Value::Object(asserted) = json!({"userName": {"sent": "A@x", "held": "a@x"}}) else { unreachable!() };
        Link { key: key.to_owned(), state, external_id: external_id.map(str::to_owned), asserted }
    }

    #[tokio::test]
    async fn what_was_put_is_read_in_its_own_tenant_only() {
        for store in stores().await.each {
            assert_eq!(store.link("acme", "7").await.unwrap(), None, "and this is cached");
            for state in LinkState::ALL {
                let put = link("7", state, Some("e7"));
                store.put_link("acme", &put).await.unwrap();
                assert_eq!(store.link("acme", "7").await.unwrap().as_ref(), Some(&put), "from the cache");
                store.links.0.invalidate_all();
                assert_eq!(store.link("acme", "7").await.unwrap(), Some(put), "from the row");
            }
            assert_eq!(store.link("other", "7").await.unwrap(), None);
            store.remove_link("acme", "7").await.unwrap();
            assert_eq!(store.link("acme", "7").await.unwrap(), None);
            store.links.0.invalidate_all();
            assert_eq!(store.link("acme", "7").await.unwrap(), None);
            store.remove_link("acme", "7").await.unwrap();
        }
    }

    #[tokio::test]
    async fn managed_is_since_the_link_became_so() {
        for store in stores().await.each {
            let since = async |key: &str| store.managed_since("acme", key).await.unwrap();
            assert_eq!(since("7").await, None, "no link");
            let put = async |state| store.put_link("acme", &link("7", state, None)).await.unwrap();
            put(LinkState::Managed).await;
            let first = since("7").await.expect("a time");
            store.clock.advance(Duration::from_mins(1));
            put(LinkState::Managed).await;
            assert_eq!(since("7").await, Some(first), "a change does not begin it anew");
            put(LinkState::Unlinked).await;
            assert_eq!(since("7").await, None);
            put(LinkState::Managed).await;
            assert!(since("7").await.is_some_and(|again| again.since(first) == Duration::from_mins(1)));
        }
    }

    #[tokio::test]
    async fn many_are_read_at_once() {
        for store in stores().await.each {
            let keys: Vec<String> = (0..450).map(|n| format!("k{n:03}")).collect();
            for key in keys.iter().step_by(2) {
                store.put_link("acme", &link(key, LinkState::Managed, None)).await.unwrap();
            }
            let asked: Vec<&str> = keys.iter().map(String::as_str).collect();
            let found = store.links("acme", &asked).await.unwrap();
            assert_eq!(found.len(), 225);
            assert_eq!(found["k448"], link("k448", LinkState::Managed, None));
            assert!(store.links("acme", &[]).await.unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn an_external_id_finds_everybody_who_has_it() {
        for store in stores().await.each {
            for (key, state) in [("1", LinkState::Removed), ("2", LinkState::Unlinked), ("3", LinkState::Managed)] {
                store.put_link("acme", &link(key, state, Some("e"))).await.unwrap();
            }
            store.put_link("acme", &link("4", LinkState::Managed, Some("E"))).await.unwrap();
            let keys = async |external_id: &str, limit| {
                let found = store.links_by_external_id("acme", external_id, limit).await.unwrap();
                found.into_iter().map(|link| link.key).collect::<Vec<_>>()
            };
            assert_eq!(keys("e", 9).await, ["1", "2", "3"]);
            assert_eq!(keys("e", 2).await, ["1", "2"]);
            assert_eq!(keys("E", 9).await, ["4"], "caseExact, RFC 7643 §3.1");
            assert!(store.links_by_external_id("other", "e", 9).await.unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn a_write_whose_caller_went_away_still_shows() {
        let stores = stores().await;
        let store = &stores.each[1];
        assert_eq!(store.link("acme", "7").await.unwrap(), None);
        let put = link("7", LinkState::Managed, None);
        {
            let mut writing = std::pin::pin!(store.put_link("acme", &put));
            assert!(futures_util::poll!(writing.as_mut()).is_pending());
        }
        // Waits its turn behind the abandoned write of the same key.
        store.put_link("acme", &link("7", LinkState::Unlinked, None)).await.unwrap();
        store.links.0.invalidate_all();
        assert!(store.link("acme", "7").await.unwrap().is_some());
    }

    #[test]
    fn a_link_does_not_print_values() {
        let printed = format!("{:?}", link("7", LinkState::Managed, Some("secret-id")));
        assert!(!printed.contains("secret-id") && !printed.contains("a@x"), "{printed}");
    }
}
