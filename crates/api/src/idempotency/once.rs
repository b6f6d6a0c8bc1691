//! What comes in with an `Idempotency-Key`: the request, and the key that tells it
//! from others.

use aws_lc_rs::digest;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderName};
use pando_node::held::Held;
use pando_types::PublicError;
use pando_types::limits::{MAX_IDEMPOTENCY_KEY_BYTES, MAX_JSON_BODY_BYTES};
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use crate::extract;
use crate::refusal::Refused;

/// The header.
const NAME: HeaderName = HeaderName::from_static("idempotency-key");

/// The header of creates, as their routes describe it.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it describes; `Once` reads")]
pub struct IdempotencyKey {
    /// Chosen by the client, for one request and its repeats: within a day they make one
    /// thing and get one answer (`Idempotency-Replayed: true` from the second on). A repeat
    /// while the first is under way is 409 with `Retry-After`, one with another request 422.
    #[param(rename = "Idempotency-Key", min_length = 1, max_length = 255, pattern = "^[!-~]+$")]
    idempotency_key: Option<String>,
}

/// What a request is to make, and whether its sender may repeat it. The body is a
/// JSON object.
#[derive(Debug)]
pub struct Once<T> {
    /// What the body says.
    pub request: Held<T>,
    repeat: Repeat,
}

/// The same, where the body may be absent, or null.
#[derive(Debug)]
pub struct OptionalOnce<T>(pub Once<T>);

/// Whether, and as what, a request may come again.
#[derive(Debug)]
pub struct Repeat(pub(super) Option<Key>);

/// A key, and the SHA-256 of the request that it came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) text: String,
    pub(super) fingerprint: [u8; 32],
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Once<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refused> {
        let (repeat, body) = Repeat::of(request).await?;
        Ok(Self { request: extract::understand(body, extract::parse)?, repeat })
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for OptionalOnce<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refused> {
        let (repeat, body) = Repeat::of(request).await?;
        let request = extract::understand(body, extract::parse_optional)?;
        Ok(Self(Once { request, repeat }))
    }
}

impl<T> Once<T> {
    /// The request and its repeat, apart.
    pub fn apart(self) -> (Held<T>, Repeat) {
        (self.request, self.repeat)
    }
}

impl Repeat {
    async fn of(request: Request) -> Result<(Self, Held<Vec<u8>>), Refused> {
        let text = key_text(request.headers())?;
        let what = format!("{} {}\n", request.method(), request.uri().path());
        let body = extract::read(request, MAX_JSON_BODY_BYTES).await?;
        let key = text.map(|text| {
            let mut context = digest::Context::new(&digest::SHA256);
            context.update(what.as_bytes());
            context.update(&body);
            let mut fingerprint = [0; 32];
            fingerprint.copy_from_slice(context.finish().as_ref());
            Key { text, fingerprint }
        });
        Ok((Self(key), body))
    }
}

fn key_text(headers: &HeaderMap) -> Result<Option<String>, PublicError> {
    let mut values = headers.get_all(NAME).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.as_bytes();
    let fits = (1..=MAX_IDEMPOTENCY_KEY_BYTES).contains(&text.len())
        && text.iter().all(u8::is_ascii_graphic)
        && values.next().is_none();
    if !fits {
        return Err(PublicError::invalid(
            "Idempotency-Key",
            format!(
                "`Idempotency-Key` is one header of 1 to {MAX_IDEMPOTENCY_KEY_BYTES} visible \
                 ASCII characters"
            ),
        ));
    }
    Ok(Some(String::from_utf8_lossy(text).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn a_key_is_one_header_of_visible_characters() {
        let read = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(NAME, HeaderValue::from_bytes(value).unwrap());
            }
            key_text(&headers).map_err(|error| error.field)
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[b"\"8e03978e\""]), Ok(Some("\"8e03978e\"".into())));
        assert_eq!(read(&[&[b'x'; 255]]), Ok(Some("x".repeat(255))));
        for bad in [&[b"".as_slice()][..], &[&[b'x'; 256]], &[b"a b"], &[b"\xFF"], &[b"a", b"a"]] {
            assert_eq!(read(bad), Err(Some("Idempotency-Key".into())));
        }
    }
}
