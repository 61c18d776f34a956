//! Moving a busy connection from one door to the next and closing the last one costs no request.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jsonwebtoken::Algorithm;
use portcullis::oauth::door::{QUIET, closable_door};
use portcullis::oauth::{Door, Doors};
use portcullis::types::Timestamp;

use crate::federation::federate;
use crate::issuer::{Issuer, Signer};
use crate::table::{Table, access};

const WORKERS: usize = 4;

/// An identity provider at work: it asks for a token by whatever door it is set up with, uses it some ten times, and asks again.
struct Provider {
    table: Arc<Table>,
    signer: Signer,
    issuer: Issuer,
    door: Mutex<Option<Door>>,
    number: AtomicUsize,
    sent: AtomicUsize,
    /// How many tokens each worker has used up.
    rounds: [AtomicUsize; WORKERS],
    failed: Mutex<Vec<String>>,
    stop: AtomicBool,
}

impl Provider {
    /// The bearer to come with; none where it was asked for and not given.
    async fn bearer(&self) -> Option<String> {
        let door = *self.door.lock().unwrap();
        let answer = match door {
            None => return Some(self.table.gateway.token("standard").to_owned()),
            Some(Door::Federation) => {
                let number = self.number.fetch_add(1, Ordering::Relaxed);
                let assertion = self.signer.sign(&self.issuer.claims(self.table.now(), number));
                self.table.by_assertion(&assertion).await
            }
            Some(_) => self.table.by_secret(self.table.secret.expose()).await,
        };
        self.sent.fetch_add(1, Ordering::Relaxed);
        if answer.status != 200 {
            self.failed.lock().unwrap().push(format!("token {} {}", answer.status, answer.json()));
            return None;
        }
        Some(access(&answer))
    }

    async fn work(self: Arc<Self>, number: usize) {
        while !self.stop.load(Ordering::Acquire) {
            let Some(bearer) = self.bearer().await else { continue };
            for _ in 0..10 {
                let answer = self.table.scim(&format!("Bearer {bearer}")).await;
                self.sent.fetch_add(1, Ordering::Relaxed);
                if answer.status != 200 {
                    self.failed.lock().unwrap().push(format!("scim {} {}", answer.status, answer.json()));
                }
            }
            self.rounds[number].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until every worker has got a token and used it up, both since now.
    async fn go_on(&self) {
        let rounds = || self.rounds.iter().map(|rounds| rounds.load(Ordering::Relaxed));
        let before: Vec<_> = rounds().collect();
        while rounds().zip(&before).any(|(now, before)| now < before + 3) {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_on_the_way() {
    let signer = Signer::ed25519("one", 1);
    let issuer = Issuer::start(&[&signer]).await;
    let trust = issuer.trust(&[Algorithm::EdDSA]);
    let table = Arc::new(Table::lay("standard", Doors::NONE, federate(trust)).await);
    let provider = Arc::new(Provider {
        table: Arc::clone(&table),
        signer,
        issuer,
        door: Mutex::new(None),
        number: AtomicUsize::new(0),
        sent: AtomicUsize::new(0),
        rounds: Default::default(),
        failed: Mutex::default(),
        stop: AtomicBool::new(false),
    });
    let workers: Vec<_> = (0..WORKERS).map(|number| tokio::spawn(Arc::clone(&provider).work(number))).collect();
    let store = table.store();
    let open = async |doors| {
        assert!(store.set_doors("standard", "app", doors).await.unwrap());
        table.notice();
    };
    let turn = |door| *provider.door.lock().unwrap() = Some(door);

    // A static token to client credentials: open, turn the provider round, wait until it has, revoke.
    provider.go_on().await;
    open(Doors::NONE.with(Door::ClientCredentials)).await;
    turn(Door::ClientCredentials);
    provider.go_on().await;
    let token = store.secret_tokens("standard").await.unwrap().remove(0);
    assert!(store.revoke_secret_token("standard", &token.id).await.unwrap());
    table.notice();
    provider.go_on().await;

    // Client credentials to federation; what came through the old door lives on when it is closed.
    open(Doors::NONE.with(Door::ClientCredentials).with(Door::Federation)).await;
    turn(Door::Federation);
    provider.go_on().await;
    // The rule says when: not while the old door was in use a moment ago, but after it has been quiet.
    store.flush_audit().await;
    let uses = store.door_uses("standard", "app").await.unwrap();
    let last = |door: Door| uses.iter().find(|(name, _)| name == door.as_str()).map(|(_, at)| *at);
    let doors = Doors::NONE.with(Door::ClientCredentials).with(Door::Federation);
    let safe = |now: Timestamp| closable_door(Door::ClientCredentials, doors, last, Some(now), now).safe;
    assert!(!safe(table.gateway.clock.now()) && safe(table.gateway.clock.now().after(QUIET)));
    open(Doors::NONE.with(Door::Federation)).await;
    provider.go_on().await;
    // And back again, as if the new one had been a mistake.
    open(doors).await;
    turn(Door::ClientCredentials);
    provider.go_on().await;

    provider.stop.store(true, Ordering::Release);
    for worker in workers {
        tokio::time::timeout(Duration::from_secs(20), worker).await.unwrap().unwrap();
    }
    assert_eq!(*provider.failed.lock().unwrap(), Vec::<String>::new());
    assert!(provider.sent.load(Ordering::Relaxed) > 500);
}
