//! `Idempotency-Key`: a create that may be sent again, whatever became of the
//! first time, and makes one thing.
//!
//! The key's row names the thing's id before anything is made:
//!
//! ```text
//! new ──────────> open ──made──> answered, kept for a day: a repeat gets that answer
//!                  │ └─refused──> the row goes: nothing was made, so the key is free
//!                  └─server died─> a repeat looks for the id: made ──> answered
//!                                                             not ───> open, under a new id
//! ```
//!
//! A repeat while the first is under way is 409 with `Retry-After`; a repeat with
//! another request is 422. Answers are sealed: they hold keys and ids that are
//! credentials.

mod once;

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use pando_store::{Claim, IdempotencyRow, Sealer, Store};
use pando_types::limits::KEEP_IDEMPOTENCY;
use pando_types::{Code, OrgId, PublicError, Timestamp};
use serde::Serialize;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use self::once::Key;
pub use self::once::{IdempotencyKey, Once, OptionalOnce, Repeat};
use crate::refusal::{Refused, store_failed};

/// Says that an answer is one from before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The column that answers are sealed for.
const COLUMN: &str = "answer";
/// How often keys that came long ago are forgotten.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);
/// Seconds until a repeat of something under way is worth it.
const RETRY_AFTER_SECS: u32 = 1;

/// A create of one kind of thing.
pub trait Create: Send + Sync + Sized + 'static {
    /// The thing's id.
    type Id: Display + FromStr + Copy + Send + Sync;
    /// The thing.
    type Made: Serialize + Send + Sync;
    /// What says that it was made.
    const STATUS: StatusCode;

    /// An id that is not taken.
    fn id() -> Self::Id;

    /// Makes the thing of this id. A refusal means that nothing was made.
    fn make(self, id: Self::Id) -> impl Future<Output = Result<Self::Made, PublicError>> + Send;

    /// What became of [`Create::make`] whose end nobody heard: `None` when nothing
    /// is left of it.
    fn made(
        &self,
        id: Self::Id,
    ) -> impl Future<Output = Result<Option<Self::Made>, PublicError>> + Send;
}

impl Repeat {
    /// Makes what is wanted, unless a request with the same key did.
    pub async fn run<C: Create>(
        self,
        repeats: &Repeats,
        org: OrgId,
        create: C,
    ) -> Result<Response, Refused> {
        let Some(key) = self.0 else {
            let made = create.make(C::id()).await?;
            return Ok(response(C::STATUS, serialized(&made)?));
        };
        let entered = repeats.enter(org, &key)?;
        let work = Work { repeats: repeats.clone(), org, key };
        // In a task of its own: a client that goes away cannot cut it midway.
        let done = tokio::spawn(async move {
            let outcome = work.run(create).await;
            drop(entered);
            outcome
        });
        done.await.unwrap_or_else(|_| Err(PublicError::internal().into()))
    }
}

/// What is known of creates with a key. Clones share it.
#[derive(Clone)]
pub struct Repeats {
    store: Store,
    sealer: Sealer,
    /// Those that this process works on. A row that is open and not among them was
    /// left by a server that died.
    open: Arc<Mutex<Open>>,
}

/// By org and key: the fingerprint of the request.
type Open = HashMap<(OrgId, String), [u8; 32]>;

/// Held while one is worked on.
struct Entered {
    open: Arc<Mutex<Open>>,
    key: (OrgId, String),
}

impl Repeats {
    /// Keeps keys in `store`, their answers sealed by `sealer`.
    #[must_use]
    pub fn new(store: Store, sealer: Sealer) -> Self {
        Self { store, sealer, open: Arc::default() }
    }

    /// Forgets keys that came long ago, now and then, until `shutdown` is cancelled.
    pub async fn keep_short(self, shutdown: CancellationToken) {
        let keep_ms = i64::try_from(KEEP_IDEMPOTENCY.as_millis()).unwrap_or(i64::MAX);
        let mut tick = tokio::time::interval(PRUNE_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = tick.tick() => {}
            }
            let before = self.store.now().as_millis().saturating_sub(keep_ms);
            let pruned = self.store.idempotency_prune(Timestamp::from_millis(before)).await;
            if let Err(error) = pruned {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "old keys are still there"
                );
            }
        }
    }

    fn enter(&self, org: OrgId, key: &Key) -> Result<Entered, PublicError> {
        let name = (org, key.text.clone());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match open.get(&name) {
            Some(fingerprint) if *fingerprint != key.fingerprint => Err(reused()),
            Some(_) => Err(under_way()),
            None => {
                open.insert(name.clone(), key.fingerprint);
                Ok(Entered { open: Arc::clone(&self.open), key: name })
            }
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// One create under its key.
struct Work {
    repeats: Repeats,
    org: OrgId,
    key: Key,
}

impl Work {
    async fn run<C: Create>(self, create: C) -> Result<Response, Refused> {
        let id = C::id();
        let claim = IdempotencyRow {
            org: self.org,
            key: self.key.text.clone(),
            fingerprint: self.key.fingerprint,
            subject: id.to_string(),
            answer: None,
            created: self.repeats.store.now(),
        };
        match self.repeats.store.idempotency_claim(&claim).await.map_err(store_failed)? {
            Claim::New => self.make(create, id).await,
            Claim::Known(row) if row.fingerprint != self.key.fingerprint => Err(reused().into()),
            Claim::Known(row) => match &row.answer {
                Some((status, sealed)) => self.replay(&row.subject, *status, sealed),
                None => self.take_up(create, &row.subject).await,
            },
        }
    }

    /// Goes on where another server died.
    async fn take_up<C: Create>(&self, create: C, subject: &str) -> Result<Response, Refused> {
        let earlier = subject.parse::<C::Id>().map_err(|_| PublicError::internal())?;
        if let Some(made) = create.made(earlier).await? {
            return self.finish::<C>(&made, earlier).await;
        }
        let id = C::id();
        let store = &self.repeats.store;
        let renewed = store
            .idempotency_renew(self.org, &self.key.text, subject, &id.to_string())
            .await
            .map_err(store_failed)?;
        if renewed { self.make(create, id).await } else { Err(under_way().into()) }
    }

    async fn make<C: Create>(&self, create: C, id: C::Id) -> Result<Response, Refused> {
        match create.make(id).await {
            Ok(made) => self.finish::<C>(&made, id).await,
            Err(refusal) => {
                let store = &self.repeats.store;
                if let Err(error) = store.idempotency_release(self.org, &self.key.text).await {
                    // It stays open: a repeat looks for what was made, and finds nothing.
                    store_failed(error);
                }
                Err(refusal.into())
            }
        }
    }

    async fn finish<C: Create>(&self, made: &C::Made, id: C::Id) -> Result<Response, Refused> {
        let body = serialized(made)?;
        let sealed =
            self.repeats.sealer.seal(&id.to_string(), COLUMN, &body).map_err(seal_failed)?;
        let store = &self.repeats.store;
        store
            .idempotency_finish(self.org, &self.key.text, C::STATUS.as_u16(), &sealed)
            .await
            .map_err(store_failed)?;
        Ok(response(C::STATUS, body))
    }

    fn replay(&self, subject: &str, status: u16, sealed: &[u8]) -> Result<Response, Refused> {
        let body = self.repeats.sealer.unseal(subject, COLUMN, sealed).map_err(seal_failed)?;
        let status = StatusCode::from_u16(status).map_err(|_| PublicError::internal())?;
        let mut response = response(status, body);
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        Ok(response)
    }
}

fn response(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn serialized(made: &impl Serialize) -> Result<Vec<u8>, PublicError> {
    serde_json::to_vec(made).map_err(|_| PublicError::internal())
}

fn seal_failed(error: pando_store::SealError) -> Refused {
    tracing::error!(error = &error as &dyn std::error::Error, "an answer cannot be kept or read");
    PublicError::internal().into()
}

fn under_way() -> PublicError {
    let message = "a request with this `Idempotency-Key` is under way";
    PublicError::new(Code::Conflict, message).retry_after(RETRY_AFTER_SECS)
}

fn reused() -> PublicError {
    let message = "this `Idempotency-Key` came with another request before";
    PublicError {
        field: Some("Idempotency-Key".to_owned()),
        ..PublicError::new(Code::IdempotencyKeyReused, message)
            .hint("choose a new key for each request")
    }
}

#[cfg(test)]
mod tests;
