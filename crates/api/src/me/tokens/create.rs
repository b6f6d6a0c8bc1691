//! `POST /v1/me/tokens`.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use pando_node::held::Held;
use pando_store::{Insert, Store};
use pando_types::api::{CreateToken, NewToken};
use pando_types::limits::{MAX_KEY_DAYS, MAX_KEYS};
use pando_types::{ApiKeyId, Code, OrgId, PublicError};

use super::shown;
use crate::Api;
use crate::auth::Caller;
use crate::idempotency::{Create, IdempotencyKey, Once};
use crate::key::{KeyError, NewKey};
use crate::refusal::{Refused, store_failed};
use crate::refusals::Refusals;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Makes an API key of the caller's org. The answer is the only time that it is shown.
#[utoipa::path(
    post, path = "/me/tokens", tag = "tokens", operation_id = "token_create",
    params(IdempotencyKey), request_body = CreateToken,
    responses((status = 201, body = NewToken), Refusals)
)]
pub async fn create(
    State(api): State<Api>,
    caller: Caller,
    once: Once<CreateToken>,
) -> Result<Response, Refused> {
    let (request, repeat) = once.apart();
    let org = caller.org;
    repeat.run(&api.repeats, org, Wanted { store: api.store.clone(), org, request }).await
}

struct Wanted {
    store: Store,
    org: OrgId,
    request: Held<CreateToken>,
}

impl Create for Wanted {
    type Id = ApiKeyId;
    type Made = NewToken;
    const STATUS: StatusCode = StatusCode::CREATED;

    fn id() -> ApiKeyId {
        ApiKeyId::new()
    }

    async fn make(self, id: ApiKeyId) -> Result<NewToken, PublicError> {
        let now = self.store.now();
        let life = self.request.expires_in_days.map(life).transpose()?;
        let mut key =
            NewKey::generate(self.org, &self.request.label, now).map_err(|error| match error {
                KeyError::Randomness => PublicError::internal(),
                wrong => PublicError::invalid("label", wrong.to_string()),
            })?;
        key.row.id = id;
        key.row.expires = life.map(|life| now.plus(life));
        let failed = |error| store_failed(error).into_error();
        if self.store.key_count(self.org).await.map_err(failed)? >= u64::from(MAX_KEYS) {
            let message = format!("the org has {MAX_KEYS} API keys, which is the most");
            return Err(PublicError::new(Code::Conflict, message).hint("delete one first"));
        }
        match self.store.key_insert(&key.row).await.map_err(failed)? {
            Insert::Done => Ok(NewToken { token: key.text, shown: shown(&key.row) }),
            Insert::Exists => Err(PublicError::internal()),
        }
    }

    /// A key that was made and shown to nobody is of no use: it goes.
    async fn made(&self, id: ApiKeyId) -> Result<Option<NewToken>, PublicError> {
        let gone = self.store.key_delete(self.org, id).await;
        gone.map_err(|error| store_failed(error).into_error())?;
        Ok(None)
    }
}

fn life(days: i64) -> Result<Duration, PublicError> {
    let days = u32::try_from(days).ok().filter(|days| (1..=MAX_KEY_DAYS).contains(days));
    days.map(|days| DAY * days).ok_or_else(|| {
        let message = format!("`expires_in_days` must be from 1 to {MAX_KEY_DAYS}");
        PublicError::invalid("expires_in_days", message)
    })
}
