//! The rules of repeats, over real rows: what is made is a number that counts up.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use pando_types::DeploymentId;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Notify;

use super::*;

/// What is made, and how.
#[derive(Default)]
struct Shop {
    made: Mutex<Vec<DeploymentId>>,
    begun: AtomicU32,
    refuses: AtomicBool,
    /// Where it is set, making waits.
    gate: Option<Notify>,
}

struct Order(Arc<Shop>);

impl Create for Order {
    type Id = DeploymentId;
    type Made = Value;
    const STATUS: StatusCode = StatusCode::CREATED;

    fn id() -> DeploymentId {
        DeploymentId::new()
    }

    async fn make(self, id: DeploymentId) -> Result<Value, PublicError> {
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        if let Some(gate) = &self.0.gate {
            gate.notified().await;
        }
        if self.0.refuses.load(Ordering::SeqCst) {
            return Err(PublicError::new(Code::Unavailable, "no room").retry_after(5));
        }
        self.0.made.lock().unwrap().push(id);
        Ok(json!({ "id": id }))
    }

    async fn made(&self, id: DeploymentId) -> Result<Option<Value>, PublicError> {
        let made = self.0.made.lock().unwrap().contains(&id);
        Ok(made.then(|| json!({ "id": id })))
    }
}

struct World {
    data: TempDir,
    repeats: Repeats,
    org: OrgId,
    shop: Arc<Shop>,
}

impl World {
    async fn new(shop: Shop) -> Self {
        let data = tempfile::tempdir().unwrap();
        let repeats = open(&data).await;
        let org = repeats.store.org_default().await.unwrap().id;
        Self { data, repeats, org, shop: Arc::new(shop) }
    }

    /// Another process over the same rows.
    async fn restart(&mut self) {
        self.repeats = open(&self.data).await;
    }

    async fn ask(
        &self,
        key: Option<&str>,
        fingerprint: u8,
    ) -> Result<(u16, bool, String), Refused> {
        let key = key.map(|text| Key { text: text.into(), fingerprint: [fingerprint; 32] });
        let order = Order(Arc::clone(&self.shop));
        let response = Repeat(key).run(&self.repeats, self.org, order).await?;
        let replayed = response.headers().contains_key(REPLAYED);
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        Ok((status, replayed, String::from_utf8(body.to_vec()).unwrap()))
    }

    fn count(&self) -> usize {
        self.shop.made.lock().unwrap().len()
    }
}

async fn open(data: &TempDir) -> Repeats {
    let store = Store::open(&data.path().join("pando.db")).await.unwrap();
    Repeats::new(store, Sealer::open(&data.path().join("secret.key")).unwrap())
}

fn code(outcome: Result<(u16, bool, String), Refused>) -> Code {
    outcome.unwrap_err().into_error().code
}

#[tokio::test]
async fn a_repeat_gets_the_same_answer_also_of_another_server() {
    let mut world = World::new(Shop::default()).await;
    let (status, replayed, body) = world.ask(Some("k"), 1).await.unwrap();
    assert_eq!((status, replayed), (201, false));
    assert_eq!(world.ask(Some("k"), 1).await.unwrap(), (201, true, body.clone()));
    world.restart().await;
    assert_eq!(world.ask(Some("k"), 1).await.unwrap(), (201, true, body));
    assert_eq!(world.count(), 1);
    assert_eq!(code(world.ask(Some("k"), 2).await), Code::IdempotencyKeyReused);
    // Another key, and none.
    for key in [Some("other"), None, None] {
        assert!(!world.ask(key, 1).await.unwrap().1);
    }
    assert_eq!(world.count(), 4);
}

#[tokio::test]
async fn what_was_refused_may_be_asked_again() {
    let world = World::new(Shop::default()).await;
    world.shop.refuses.store(true, Ordering::SeqCst);
    assert_eq!(code(world.ask(Some("k"), 1).await), Code::Unavailable);
    world.shop.refuses.store(false, Ordering::SeqCst);
    // Nothing was made, so even another request may take the key.
    assert_eq!(world.ask(Some("k"), 2).await.unwrap().0, 201);
    assert_eq!(world.count(), 1);
}

#[tokio::test]
async fn of_many_at_once_one_makes_and_a_client_that_leaves_changes_nothing() {
    let world = World::new(Shop { gate: Some(Notify::new()), ..Shop::default() }).await;
    let (repeats, org) = (world.repeats.clone(), world.org);
    let order = Order(Arc::clone(&world.shop));
    let first = tokio::spawn(async move {
        let key = Key { text: "k".into(), fingerprint: [1; 32] };
        Repeat(Some(key)).run(&repeats, org, order).await
    });
    while world.shop.begun.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let refused = world.ask(Some("k"), 1).await.unwrap_err().into_error();
    assert_eq!((refused.code, refused.retry_after_secs), (Code::Conflict, Some(1)));
    assert_eq!(code(world.ask(Some("k"), 2).await), Code::IdempotencyKeyReused);
    first.abort();
    world.shop.gate.as_ref().unwrap().notify_one();
    let answer = loop {
        match world.ask(Some("k"), 1).await {
            Ok(answer) => break answer,
            Err(refused) => assert_eq!(refused.into_error().code, Code::Conflict),
        }
        tokio::task::yield_now().await;
    };
    assert!(answer.1, "the first went on without its client");
    assert_eq!(world.count(), 1);
}

#[tokio::test]
async fn a_server_that_died_midway_is_taken_up_and_nothing_is_made_twice() {
    for died_after_making in [true, false] {
        let world = World::new(Shop::default()).await;
        // What the dead server left: an open row, and the thing itself or not.
        let id = DeploymentId::new();
        let row = IdempotencyRow {
            org: world.org,
            key: "k".into(),
            fingerprint: [1; 32],
            subject: id.to_string(),
            answer: None,
            created: world.repeats.store.now(),
        };
        assert_eq!(world.repeats.store.idempotency_claim(&row).await.unwrap(), Claim::New);
        if died_after_making {
            world.shop.made.lock().unwrap().push(id);
        }
        assert_eq!(code(world.ask(Some("k"), 2).await), Code::IdempotencyKeyReused);
        let (status, _, body) = world.ask(Some("k"), 1).await.unwrap();
        assert_eq!((status, body.contains(&id.to_string())), (201, died_after_making));
        assert_eq!(world.ask(Some("k"), 1).await.unwrap(), (201, true, body));
        assert_eq!(world.count(), 1);
    }
}

#[tokio::test]
async fn an_answer_is_not_readable_in_the_rows() {
    let world = World::new(Shop::default()).await;
    let (_, _, body) = world.ask(Some("k"), 1).await.unwrap();
    let row = IdempotencyRow {
        org: world.org,
        key: "k".into(),
        fingerprint: [1; 32],
        subject: String::new(),
        answer: None,
        created: world.repeats.store.now(),
    };
    let Claim::Known(known) = world.repeats.store.idempotency_claim(&row).await.unwrap() else {
        panic!("the key is not known")
    };
    let (_, sealed) = known.answer.unwrap();
    assert!(!sealed.windows(8).any(|bytes| body.as_bytes().windows(8).any(|told| told == bytes)));
}
