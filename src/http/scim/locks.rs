//! Changes to one person, one after the other: a PATCH is read, applied and written back, and two at once must lose nothing
//! (design decision 4).

use std::hash::{BuildHasher as _, RandomState};

use tokio::sync::{Mutex, MutexGuard};

const STRIPES: usize = 512;

/// A bounded set of locks that names are spread over. Two names may share one: that costs a wait, never an error.
/// Whoever needs a user name's and a key's lock takes the user name's first.
pub struct Locks {
    names: Box<[Mutex<()>]>,
    keys: Box<[Mutex<()>]>,
    hasher: RandomState,
}

impl Default for Locks {
    fn default() -> Self {
        let stripes = || (0..STRIPES).map(|_| Mutex::new(())).collect();
        Self { names: stripes(), keys: stripes(), hasher: RandomState::new() }
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

    fn stripe(&self, name: &str) -> usize {
        usize::try_from(self.hasher.hash_one(name) % STRIPES as u64).unwrap_or(0)
    }
}
