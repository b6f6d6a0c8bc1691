//! Request parts as values, each refusal in Pando's own words: axum's extractors
//! would answer in plain text and without the field.

use std::str::FromStr;

use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use futures_util::StreamExt;
use pando_node::held::Held;
use pando_types::{Code, PublicError, limits};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::held;
use crate::refusal::Refused;

/// What a message repeats of a text of the client.
const MAX_SHOWN_CHARS: usize = 64;
/// What a message repeats of each end of what serde says.
const MAX_END_CHARS: usize = 128;
/// What a value takes for each byte of the JSON it was read from: a list of texts of one
/// letter takes most.
pub const EACH_BYTE_READ: usize = 16;

/// A JSON object in the body, whatever its content type says. Fields that are
/// not known are left alone, since clients may be newer than the server, but where a type says
/// otherwise: a setting that is misspelt must not be lost.
#[derive(Debug)]
pub struct JsonBody<T>(pub Held<T>);

/// The same, where the body may be absent, or null.
#[derive(Debug)]
pub struct OptionalJson<T>(pub Held<T>);

/// What the placeholders of the route's path stand for.
#[derive(Debug)]
pub struct UrlPath<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refused> {
        let body = read(request, limits::MAX_JSON_BODY_BYTES).await?;
        Ok(Self(understand(body, parse)?))
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for OptionalJson<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refused> {
        let body = read(request, limits::MAX_JSON_BODY_BYTES).await?;
        Ok(Self(understand(body, parse_optional)?))
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for UrlPath<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            // A name that is not UTF-8 is the name of nothing.
            Err(_) => Err(PublicError::new(Code::NotFound, "the path is not UTF-8").into()),
        }
    }
}

/// The id in a path. Text that is no id is the id of nothing: 404, not 400.
pub fn id<T: FromStr>(noun: &str, text: &str) -> Result<T, PublicError> {
    text.parse().map_err(|_| PublicError::not_found(noun, shown(text)))
}

/// The start of a text of the client, for a message.
pub fn shown(text: &str) -> &str {
    text.char_indices().nth(MAX_SHOWN_CHARS).map_or(text, |(end, _)| &text[..end])
}

/// The body, whole, counted as it comes.
pub async fn read(request: Request, limit_bytes: usize) -> Result<Held<Vec<u8>>, Refused> {
    let mut body = Held::nothing(held::account(request.extensions())?);
    let mut pieces = request.into_body().into_data_stream();
    let whole = async {
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|_| {
                let message = "the body ended before it was complete";
                PublicError::new(Code::InvalidRequest, message)
            })?;
            if body.len() + piece.len() > limit_bytes {
                let message = format!("the body is larger than {limit_bytes} bytes");
                return Err(PublicError::new(Code::TooLarge, message));
            }
            body.push(&piece)?;
        }
        Ok(())
    };
    let Ok(read) = timeout(limits::MAX_BODY_TIME, whole).await else {
        let secs = limits::MAX_BODY_TIME.as_secs();
        let message = format!("the body was not complete after {secs} s");
        let error = PublicError::new(Code::InvalidRequest, message);
        return Err(Refused::with_status(StatusCode::REQUEST_TIMEOUT, error));
    };
    read?;
    Ok(body)
}

/// What `body` says, counted as the most that it may take.
pub fn understand<T>(
    body: Held<Vec<u8>>,
    read: impl FnOnce(&[u8]) -> Result<T, PublicError>,
) -> Result<Held<T>, PublicError> {
    let (body, mut charge) = body.apart();
    charge.grow(EACH_BYTE_READ * body.len())?;
    let value = read(&body)?;
    charge.shrink_to(EACH_BYTE_READ * body.len());
    Ok(Held::new(value, charge))
}

/// Reads a JSON object. The field of an error is its path: `env.PATH`, `volumes[0].name`.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, PublicError> {
    // serde also fills a struct from a JSON array, in the order of its fields.
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        let message = "the body must be a JSON object";
        return Err(PublicError::new(Code::InvalidRequest, message));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        field_error(&path, error.inner())
    })?;
    reader.end().map_err(|error| field_error(".", &error))?;
    Ok(value)
}

/// The same, where an absent body, or null, stands for what is asked most often.
pub fn parse_optional<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, PublicError> {
    if body.is_empty() || body.trim_ascii() == b"null" { Ok(T::default()) } else { parse(body) }
}

/// Both ends of what serde says: it repeats a value of the wrong type whole, and says
/// behind it what was expected.
fn shortened(text: &str) -> String {
    let count = text.chars().count();
    if count <= 2 * MAX_END_CHARS {
        return text.to_owned();
    }
    let end = |skip: usize| text.chars().skip(skip).take(MAX_END_CHARS).collect::<String>();
    format!("{} … {}", end(0), end(count - MAX_END_CHARS))
}

fn field_error(path: &str, error: &serde_json::Error) -> PublicError {
    use serde_json::error::Category;
    let text = shortened(&error.to_string());
    if !matches!(error.classify(), Category::Data) {
        let message = format!("the body is not valid JSON: {text}");
        return PublicError::new(Code::InvalidRequest, message);
    }
    // serde reports a missing field at its parent; its name is in the text alone.
    let missing = text.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    let field = match (path, missing) {
        (".", Some(name)) => name.to_owned(),
        (parent, Some(name)) => format!("{parent}.{name}"),
        (".", None) => return PublicError::new(Code::InvalidRequest, text),
        (path, None) => path.to_owned(),
    };
    let unknown = text.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
    if let Some(name) = unknown {
        let message = format!("`{}` is no field of this request", shown(name));
        let hint = text.split_once(", ").map_or("", |(_, rest)| rest);
        let hint = hint.split(" at line ").next().unwrap_or(hint);
        return PublicError::invalid(shown(name), message).hint(hint.to_owned());
    }
    match missing {
        Some(_) => PublicError::invalid(&field, format!("`{field}` is missing")),
        None => {
            let what = text.split(" at line ").next().unwrap_or(&text);
            PublicError::invalid(&field, format!("`{field}`: {what}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::response::IntoResponse;
    use futures_util::stream;
    use pando_node::held::Budget;
    use pando_types::app::{CreateApp, CreateDeployment, UpdateApp};
    use pando_types::sandbox::CreateSandbox;

    fn refused<T: DeserializeOwned + std::fmt::Debug>(body: &str) -> (Option<String>, String) {
        let error = parse::<T>(body.as_bytes()).unwrap_err();
        assert_eq!(error.code, Code::InvalidRequest);
        (error.field, error.message)
    }

    #[test]
    fn a_long_value_of_the_wrong_type_is_not_repeated() {
        let body = format!(r#"{{"ttl_seconds": "{}"}}"#, "x\\n\u{1f419}".repeat(10_000));
        let (field, message) = refused::<CreateSandbox>(&body);
        assert_eq!(field.as_deref(), Some("ttl_seconds"));
        assert!(message.chars().count() < 300, "{message}");
        assert!(message.contains("invalid type: string \"x"), "{message}");
        assert!(message.ends_with("expected a whole number"), "{message}");
    }

    #[test]
    fn the_field_at_fault_is_named() {
        let (field, message) = refused::<CreateApp>(r#"{"git_url":"x"}"#);
        assert_eq!((field.as_deref(), message.as_str()), (Some("name"), "`name` is missing"));

        let (field, message) = refused::<CreateSandbox>(r#"{"ttl_seconds":"soon"}"#);
        assert_eq!(field.as_deref(), Some("ttl_seconds"));
        assert_eq!(
            message,
            "`ttl_seconds`: invalid type: string \"soon\", expected a whole number"
        );

        let (field, _) = refused::<CreateSandbox>(r#"{"metadata":{"a":1}}"#);
        assert_eq!(field.as_deref(), Some("metadata.a"));
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        for body in ["", "[]", "null", "3", "\"x\"", "{", "{}}", "{\"a\":}"] {
            let (field, _) = refused::<CreateSandbox>(body);
            assert_eq!(field, None, "{body:?}");
        }
    }

    fn request(budget: &Budget, body: Body) -> Request {
        let mut request = Request::new(body);
        request.extensions_mut().insert(budget.account(None));
        request
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let budget = Budget::new(1 << 20);
        let first = stream::iter([Ok::<_, std::io::Error>("{")]);
        let body = Body::from_stream(first.chain(stream::pending()));
        let refused = read(request(&budget, body), 100).await.unwrap_err();
        assert_eq!(refused.into_response().status(), StatusCode::REQUEST_TIMEOUT);
        assert_eq!(budget.taken_bytes(), 0);
    }

    #[tokio::test]
    async fn a_body_is_counted_as_it_comes_and_then_as_what_it_may_become() {
        let budget = Budget::new(1 << 20);
        let text = format!(r#"{{"name":"{}","git_url":"x"}}"#, "x".repeat(5000));
        let body = read(request(&budget, text.clone().into()), 8192).await.unwrap();
        assert_eq!(budget.taken_bytes(), 8192);
        let app = understand(body, parse::<CreateApp>).unwrap();
        assert_eq!(app.name.len(), 5000);
        assert_eq!(budget.taken_bytes(), EACH_BYTE_READ * text.len());
        drop(app);
        let long = read(request(&budget, text.clone().into()), 5000).await.unwrap_err();
        assert_eq!(long.into_error().code, Code::TooLarge);
        let account = budget.account(None);
        let _hog = account.take((1 << 19) - 8192).unwrap();
        let body = read(request(&budget, text.into()), 8192).await.unwrap();
        let refused = understand(body, parse::<CreateApp>).unwrap_err();
        assert_eq!((refused.code, refused.retry_after_secs), (Code::Unavailable, Some(5)));
    }

    #[test]
    fn unknown_fields_are_left_alone() {
        let body = br#" {"template":"base","new_in_2030":{"x":[1]}}"#;
        assert_eq!(parse::<CreateSandbox>(body).unwrap().template.as_deref(), Some("base"));
    }

    #[test]
    fn a_misspelt_setting_of_an_app_is_refused() {
        let error = parse::<CreateDeployment>(br#"{"git_commit":"x"}"#).unwrap_err();
        assert_eq!(error.field.as_deref(), Some("git_commit"));
        assert_eq!(error.message, "`git_commit` is no field of this request");
        assert_eq!(error.hint.as_deref(), Some("expected `git_ref` or `fresh`"));
        let (field, _) = refused::<UpdateApp>(r#"{"git_url":"https://forge.example/a/b"}"#);
        assert_eq!(field.as_deref(), Some("git_url"));
    }

    #[test]
    fn a_message_repeats_little() {
        assert_eq!(shown("näh"), "näh");
        assert_eq!(shown(&"ä".repeat(65)), "ä".repeat(64));
    }

    #[test]
    fn a_text_that_is_no_id_names_nothing() {
        let error = id::<pando_types::SandboxId>("sandbox", "nope").unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (Code::NotFound, "no sandbox `nope`"));
    }
}
