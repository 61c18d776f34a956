//! Changes to one person, one after the other: a PATCH is read, applied and written back, and two at once must lose nothing
//! (design decision 4). Of a group, changes that only add and remove members go side by side; one that replaces the membership
//! or changes an attribute goes alone.

use std::hash::{BuildHasher as _, RandomState};

use tokio::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

const STRIPES: usize = 512;

/// A bounded set of locks that names are spread over. Two names may share one: that costs a wait, never an error.
/// Whoever needs a name's and a key's lock takes the name's first.
pub struct Locks {
    names: Box<[Mutex<()>]>,
    keys: Box<[Mutex<()>]>,
    groups: Box<[RwLock<()>]>,
    unique: Mutex<()>,
    hasher: RandomState,
}

impl Default for Locks {
    fn default() -> Self {
        let stripes = || (0..STRIPES).map(|_| Mutex::new(())).collect();
        let groups = (0..STRIPES).map(|_| RwLock::new(())).collect();
        Self { names: stripes(), keys: stripes(), groups, unique: Mutex::default(), hasher: RandomState::new() }
    }
}

impl Locks {
    /// Waits until nobody else is creating a person of this user name.
    pub async fn user_name(&self, user_name: &str) -> MutexGuard<'_, ()> {
        self.names[self.stripe(&user_name.to_lowercase())].lock().await
    }

    /// Waits until nobody else is changing the person with this key.
    pub async fn key(&self, key: &str) -> MutexGuard<'_, ()> {
        self.keys[self.stripe(key)].lock().await
    }

    /// Waits until nobody else is creating a group of this name.
    pub async fn display_name(&self, display_name: &str) -> MutexGuard<'_, ()> {
        self.names[self.stripe(&format!("\0{}", display_name.to_lowercase()))].lock().await
    }

    /// Waits until nobody is changing the group with this key in a way that cannot bear company.
    pub async fn group_shared(&self, key: &str) -> RwLockReadGuard<'_, ()> {
        self.groups[self.stripe(key)].read().await
    }

    /// Waits until nobody is changing the group with this key.
    pub async fn group(&self, key: &str) -> RwLockWriteGuard<'_, ()> {
        self.groups[self.stripe(key)].write().await
    }

    /// Waits until nobody else is coming by a value that must be unique. Taken last.
    pub async fn unique(&self) -> MutexGuard<'_, ()> {
        self.unique.lock().await
    }

    fn stripe(&self, name: &str) -> usize {
        usize::try_from(self.hasher.hash_one(name) % STRIPES as u64).unwrap_or(0)
    }
}
