//! The master key at work: finding or making it, sealing what an earlier version left in clear, changing it.
//!
//! A state whose keys are sealed under another master key is never given new keys: that would end every grant in silence. It
//! says which master key it wants.

use std::io::{ErrorKind, Write as _};
use std::path::Path;

use sqlx::{Row as _, Sqlite, Transaction};
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use super::{Store, StoreError};
use crate::oauth::seal::{Fingerprint, Master, MasterKey, Place, SealError};
use crate::types::Random;

/// What seals and opens.
pub(super) struct Vault {
    key: MasterKey,
    random: Random,
}

impl Vault {
    pub fn seal(&self, place: &Place<'_>, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.key.seal(place, plain, &self.random).map_err(unsealed)
    }

    pub fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        self.key.open(place, sealed).map(Zeroizing::new).map_err(unsealed)
    }
}

fn unsealed(error: SealError) -> StoreError {
    match error {
        SealError::OtherKey { under } => StoreError::MasterKey(format!(
            "a key in the state is sealed under the master key {under}, which is not the one in use"
        )),
        SealError::Damaged => StoreError::Corrupt("a sealed key"),
    }
}

/// A row of either table that holds something secret.
struct Row {
    /// `None` for a server secret.
    algorithm: Option<String>,
    name: String,
    value: Zeroizing<Vec<u8>>,
    sealed: bool,
}

impl Row {
    fn place(&self) -> Place<'_> {
        match &self.algorithm {
            Some(algorithm) => Place::SigningKey { kid: &self.name, algorithm },
            None => Place::ServerSecret { name: &self.name },
        }
    }
}

impl Store {
    /// Gets the master key that seals this state's keys, from where `master` says; seals what an earlier version left in clear. To
    /// be called before keys or server secrets are asked for; a second call changes nothing.
    ///
    /// # Errors
    /// [`StoreError::MasterKey`] when the state's keys are sealed under another one, or it cannot be read or made.
    pub async fn unlock(&self, master: &Master, random: &Random) -> Result<(), StoreError> {
        if self.vault.get().is_some() {
            return Ok(());
        }
        let key = match self.master_key(master).await? {
            Some(key) => key,
            None => new(master, random)?,
        };
        let vault = Vault { key, random: random.clone() };
        self.seal_what_is_clear(&vault).await?;
        // Whoever came first at the same moment found the same key.
        let _ = self.vault.set(vault);
        Ok(())
    }

    /// The master key that `master` names, if it is there and fits this state. `None`: there is nothing sealed yet, and none was made.
    ///
    /// # Errors
    /// As [`Store::unlock`].
    pub async fn master_key(&self, master: &Master) -> Result<Option<MasterKey>, StoreError> {
        // Asked first: another process that starts just now makes the file before it seals anything.
        let under = self.sealed_under().await?;
        let (key, whose) = match master {
            Master::Given(key) => (Some(key.clone()), "master_key under [keys]".to_owned()),
            Master::Beside(path) => (read(path)?, format!("`{}`", path.display())),
            Master::Passing => (None, "it".to_owned()),
        };
        let Some(under) = under else { return Ok(key) };
        match key {
            Some(key) if key.fingerprint() == under => Ok(Some(key)),
            Some(key) => Err(StoreError::MasterKey(format!(
                "the state's keys are sealed under the master key {under}, but {whose} is {}: \
                 give that one back, or change it with `portcullis keys reseal`",
                key.fingerprint()
            ))),
            None => Err(StoreError::MasterKey(format!(
                "the state's keys are sealed under the master key {under}, which is not there: \
                 put {whose} back, or set master_key under [keys]"
            ))),
        }
    }

    /// Seals every key and secret, now under `old`, under the master key that `master` names; running gateways go on with what they
    /// have opened, and need the new one at their next start. How many it were.
    ///
    /// # Errors
    /// When one does not open under `old`; nothing has changed then.
    pub async fn reseal(&self, old: &MasterKey, master: &Master, random: &Random) -> Result<usize, StoreError> {
        let key = match master {
            Master::Beside(path) => read(path)?.map_or_else(|| make(path, random), Ok)?,
            Master::Given(_) | Master::Passing => new(master, random)?,
        };
        let done = key.fingerprint();
        let [old, new] = [old.clone(), key].map(|key| Vault { key, random: random.clone() });
        let mut transaction = self.begin().await?;
        let rows = rows(&mut transaction).await?;
        // One may have been added under the new key meanwhile, or the command is given again.
        let sealed_anew = |row: &&Row| row.sealed && Fingerprint::of(&row.value) == Ok(done);
        for row in rows.iter().filter(|row| !sealed_anew(row)) {
            let plain = if row.sealed { old.open(&row.place(), &row.value)? } else { row.value.clone() };
            write(&mut transaction, row, &new.seal(&row.place(), &plain)?).await?;
        }
        transaction.commit().await?;
        Ok(rows.len())
    }

    pub(super) fn vault(&self) -> Result<&Vault, StoreError> {
        self.vault.get().ok_or_else(|| StoreError::MasterKey("the state is locked: no master key was given".to_owned()))
    }

    /// The master key that this state's keys are sealed under, if any is.
    async fn sealed_under(&self) -> Result<Option<Fingerprint>, StoreError> {
        let sealed: Option<Vec<u8>> = sqlx::query_scalar(
            "SELECT private_key FROM signing_keys WHERE sealed = 1
             UNION ALL SELECT value FROM server_secrets WHERE sealed = 1 LIMIT 1",
        )
        .fetch_optional(self.reader())
        .await?;
        sealed.map(|sealed| Fingerprint::of(&sealed).map_err(unsealed)).transpose()
    }

    async fn seal_what_is_clear(&self, vault: &Vault) -> Result<(), StoreError> {
        const ANY: &str = "SELECT EXISTS (SELECT 1 FROM signing_keys WHERE sealed = 0)
                               OR EXISTS (SELECT 1 FROM server_secrets WHERE sealed = 0)";
        if !sqlx::query_scalar::<_, bool>(ANY).fetch_one(self.reader()).await? {
            return Ok(());
        }
        // What was in clear is overwritten, in the file and in its log.
        sqlx::query("PRAGMA secure_delete = ON").execute(self.writer()).await?;
        let mut transaction = self.begin().await?;
        let rows = rows(&mut transaction).await?;
        for row in rows.iter().filter(|row| !row.sealed) {
            write(&mut transaction, row, &vault.seal(&row.place(), &row.value)?).await?;
        }
        transaction.commit().await?;
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(self.writer()).await?;
        tracing::info!("the keys that an earlier version left in clear are sealed now");
        Ok(())
    }
}

async fn rows(transaction: &mut Transaction<'static, Sqlite>) -> Result<Vec<Row>, StoreError> {
    sqlx::query(
        "SELECT algorithm, kid, private_key, sealed FROM signing_keys
         UNION ALL SELECT NULL, name, value, sealed FROM server_secrets",
    )
    .fetch_all(&mut **transaction)
    .await?
    .iter()
    .map(|row| {
        Ok(Row {
            algorithm: row.try_get(0)?,
            name: row.try_get(1)?,
            value: Zeroizing::new(row.try_get(2)?),
            sealed: row.try_get(3)?,
        })
    })
    .collect()
}

async fn write(transaction: &mut Transaction<'static, Sqlite>, row: &Row, sealed: &[u8]) -> Result<(), StoreError> {
    let statement = match row.algorithm {
        Some(_) => "UPDATE signing_keys SET private_key = $2, sealed = 1 WHERE kid = $1",
        None => "UPDATE server_secrets SET value = $2, sealed = 1 WHERE name = $1",
    };
    sqlx::query(statement).bind(&row.name).bind(sealed).execute(&mut **transaction).await?;
    Ok(())
}

fn read(path: &Path) -> Result<Option<MasterKey>, StoreError> {
    let cannot = |error| StoreError::MasterKey(format!("cannot read `{}`: {error}", path.display()));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot(error)),
    };
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(path).map_err(cannot)?) & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "others than its owner may read the master key; chmod 600 it");
    }
    let help = "is no master key: it must hold 32 bytes in base64 or hexadecimal digits";
    MasterKey::parse(&text).map(Some).ok_or_else(|| StoreError::MasterKey(format!("`{}` {help}", path.display())))
}

/// A master key for a state that has none yet.
fn new(master: &Master, random: &Random) -> Result<MasterKey, StoreError> {
    match master {
        Master::Given(key) => Ok(key.clone()),
        Master::Beside(path) => make(path, random),
        Master::Passing => Ok(MasterKey::mint(random)),
    }
}

/// Makes the file, whole, readable by its owner only. Of several processes that start at once one wins, and all get its key.
fn make(path: &Path, random: &Random) -> Result<MasterKey, StoreError> {
    let key = MasterKey::mint(random);
    let attempt = || -> std::io::Result<bool> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = NamedTempFile::new_in(folder)?; // mode 0600
        writeln!(file, "{}", key.text().expose())?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(path) {
            Ok(_) => Ok(true),
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error.error),
        }
    };
    let made = attempt()
        .map_err(|error| StoreError::MasterKey(format!("cannot make the master key `{}`: {error}", path.display())))?;
    if made {
        tracing::info!(path = %path.display(), "made the master key of this state; keep a copy of it with the state's");
        return Ok(key);
    }
    read(path)?.ok_or_else(|| StoreError::MasterKey(format!("`{}` came and went", path.display())))
}

#[cfg(test)]
mod tests {
    use super::super::testing::stores;
    use super::*;
    use crate::types::{Clock, Timestamp};

    fn clock() -> Clock {
        Clock::manual(Timestamp::from_seconds(1_800_000_000))
    }

    #[tokio::test]
    async fn a_file_beside_the_state_is_made_once_and_wanted_ever_after() {
        let stores = stores().await;
        let (url, path) = (stores.url(), stores.directory.path().join("state.db.key"));
        let beside = Master::Beside(path.clone());
        let random = Random::seeded(1);
        let secret = async |store: &Store| store.server_secret("derivation", &random.bytes()).await.unwrap();
        assert_eq!(stores.each[1].master_key(&beside).await.unwrap(), None, "looking makes nothing");

        let (one, two) = (Store::open(&url, clock()).await.unwrap(), Store::open(&url, clock()).await.unwrap());
        let (a, b) = tokio::join!(one.unlock(&beside, &random), two.unlock(&beside, &random));
        a.unwrap();
        b.unwrap();
        let kept = secret(&one).await;
        assert_eq!(secret(&two).await, kept);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }

        // The very key may be given instead; another one, junk or none is told apart, and changes nothing.
        let text = std::fs::read_to_string(&path).unwrap();
        let given = Master::Given(MasterKey::parse(&text).unwrap());
        let again = Store::open(&url, clock()).await.unwrap();
        again.unlock(&given, &random).await.unwrap();
        assert_eq!(secret(&again).await, kept);
        let other = Master::Given(MasterKey::mint(&random));
        for (content, master, words) in [
            (Some(text.as_str()), &other, "but master_key under [keys] is"),
            (Some("junk"), &beside, "is no master key"),
            (None, &beside, "put `"),
            (None, &Master::Passing, "set master_key"),
        ] {
            match content {
                Some(content) => std::fs::write(&path, content).unwrap(),
                None => _ = std::fs::remove_file(&path),
            }
            let store = Store::open(&url, clock()).await.unwrap();
            let error = store.unlock(master, &random).await.unwrap_err();
            assert!(matches!(error, StoreError::MasterKey(_)) && error.to_string().contains(words), "{error}");
            assert_eq!(path.exists(), content.is_some());
        }
    }

    #[tokio::test]
    async fn what_an_earlier_version_left_in_clear_is_sealed_and_gone() {
        const KEY: &[u8] = b"a private key in clear, as it was";
        const SECRET: [u8; 32] = *b"a server secret of 32 bytes long";
        let stores = stores().await;
        let store = &stores.each[1];
        sqlx::query("INSERT INTO signing_keys (kid, algorithm, private_key, created) VALUES ('old', 'EdDSA', $1, 0)")
            .bind(KEY)
            .execute(store.writer())
            .await
            .unwrap();
        sqlx::query("INSERT INTO server_secrets (name, value) VALUES ('derivation', $1)")
            .bind(&SECRET[..])
            .execute(store.writer())
            .await
            .unwrap();
        let rests = || {
            ["state.db", "state.db-wal"].iter().any(|name| {
                let bytes = std::fs::read(stores.directory.path().join(name)).unwrap_or_default();
                [KEY, &SECRET].iter().any(|clear| bytes.windows(clear.len()).any(|window| window == *clear))
            })
        };
        assert!(rests());
        store.unlock(&Master::Given(MasterKey::mint(&Random::seeded(1))), &Random::seeded(2)).await.unwrap();
        assert!(!rests());
        assert_eq!(store.signing_keys().await.unwrap()[0].pkcs8.as_slice(), KEY);
        assert_eq!(store.server_secret("derivation", &[0; 32]).await.unwrap(), SECRET);
    }

    #[tokio::test]
    async fn the_master_key_is_changed_for_all_or_none() {
        let stores = stores().await;
        let random = Random::seeded(1);
        let [old, new, other] = [0; 3].map(|_| MasterKey::mint(&random));
        let store = &stores.each[1];
        store.unlock(&Master::Given(old.clone()), &random).await.unwrap();
        store.server_secret("derivation", &[7; 32]).await.unwrap();
        let given = Master::Given(new);
        assert!(store.reseal(&other, &given, &random).await.is_err());
        for _ in 0..2 {
            assert_eq!(store.reseal(&old, &given, &random).await.unwrap(), 1, "twice does no harm");
        }
        let again = Store::open(&stores.url(), clock()).await.unwrap();
        assert!(again.unlock(&Master::Given(old), &random).await.is_err());
        again.unlock(&given, &random).await.unwrap();
        assert_eq!(again.server_secret("derivation", &[0; 32]).await.unwrap(), [7; 32]);
    }
}
