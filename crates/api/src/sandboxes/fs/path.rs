//! Which paths are taken: absolute, no NUL, no `..`, not too long. The guest
//! would be the only one harmed by others, but a path with `..` in it is a
//! mistake far more often than a wish.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use pando_types::PublicError;
use pando_types::limits::{MAX_PATH_BYTES, MAX_PATH_COMPONENT_BYTES};
use pando_types::schema::value::GuestPath;
use utoipa::IntoParams;

use crate::query;
use crate::refusal::Refused;

/// The query of a file's routes, as they describe it.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes; `FilePath` reads")]
pub struct PathQuery {
    /// Absolute, without `..` and NUL.
    #[param(value_type = GuestPath, inline)]
    path: String,
}

/// The checked `path` of the query.
#[derive(Debug)]
pub struct FilePath(pub String);

impl<S: Send + Sync> FromRequestParts<S> for FilePath {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refused> {
        let path = query::value(parts.uri.query(), "path")?.ok_or_else(|| {
            PublicError::invalid("path", "`path` is missing: add `?path=/absolute/path`")
        })?;
        check("path", &path)?;
        Ok(Self(path))
    }
}

/// Refuses what is no path for a guest, by the name of the field that held it.
pub fn check(field: &str, path: &str) -> Result<(), PublicError> {
    let wrong = |what: &str| Err(PublicError::invalid(field, format!("`{field}` {what}")));
    if !path.starts_with('/') {
        return wrong("must be absolute: it must start with `/`");
    }
    if path.len() >= MAX_PATH_BYTES {
        return wrong(&format!("must be shorter than {MAX_PATH_BYTES} bytes"));
    }
    if path.contains('\0') {
        return wrong("must not hold a NUL byte");
    }
    if path.split('/').any(|component| component == "..") {
        return wrong("must not have `..` in it");
    }
    if path.split('/').any(|component| component.len() > MAX_PATH_COMPONENT_BYTES) {
        return wrong(&format!("has a component of more than {MAX_PATH_COMPONENT_BYTES} bytes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_absolute_plain_paths_are_taken() {
        for good in ["/", "/a", "/a/b..c/...", "/a/./b", "/näh e/", "/a//b"] {
            assert_eq!(check("path", good), Ok(()), "{good}");
        }
        let name = "x".repeat(MAX_PATH_COMPONENT_BYTES);
        assert_eq!(check("path", &format!("/{name}/{name}")), Ok(()));
        let long = "/x".repeat(MAX_PATH_BYTES / 2);
        assert_eq!(check("path", &long[2..]), Ok(()));
        for bad in [&format!("/{name}x"), "", "a", "./a", "/..", "/a/../b", "/a/..", "/a\0b", &long]
        {
            let error = check("path", bad).unwrap_err();
            assert_eq!(error.field.as_deref(), Some("path"), "{bad}");
        }
    }
}
