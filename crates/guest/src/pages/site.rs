//! Which file a path is answered with.
//!
//! A file as it is; a folder by its `index.html`; `/about` by `about.html`; what is none
//! of these by `index.html` where the site is one page, else by `404.html` with that
//! status. What begins with a dot is not shown, `.well-known` apart (RFC 8615): there is
//! a `.git` in many a folder that is served. A link leads to what could be shown in its own
//! place: not out of the site, or the app that it is a part of.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use http::header::{ACCEPT, CACHE_CONTROL};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use pando_guest_protocol::control::APP_FOLDER;
use percent_encoding::percent_decode_str;
use tower_http::services::ServeDir;
use tower_http::services::fs::ServeFileSystemResponseBody as Body;

const PAGE: &str = "/index.html";
const MISSING: &str = "/404.html";
/// A browser asks again whether what it has is still so, and is told in a few bytes.
const FRESH: HeaderValue = HeaderValue::from_static("public, max-age=0, must-revalidate");

/// The files of a folder. Clones share nothing but its name.
#[derive(Debug, Clone)]
pub(super) struct Site {
    files: ServeDir,
    folder: PathBuf,
    /// Where what is shown may lie, however it is reached.
    bounds: PathBuf,
    single_page: bool,
}

impl Site {
    pub(super) fn new(folder: &Path, single_page: bool) -> Self {
        let files = ServeDir::new(folder).precompressed_gzip().precompressed_br();
        let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let app = Path::new(APP_FOLDER);
        let bounds = if real.starts_with(app) { app.to_owned() } else { real };
        Self { files, folder: folder.to_owned(), bounds, single_page }
    }

    /// Answers a request; bodies are not read.
    pub(super) async fn answer<B>(
        &self,
        request: Request<B>,
    ) -> Result<Response<Body>, Infallible> {
        let (parts, _) = request.into_parts();
        let (method, headers) = (parts.method, parts.headers);
        let mut answer = Response::default();
        for (path, status) in self.tries(parts.uri.path(), &headers) {
            let Some(uri) = path.parse::<PathAndQuery>().ok().map(Uri::from) else { continue };
            if self.leads_out(&path) {
                continue;
            }
            answer = self.file(&method, uri, &headers).await;
            if answer.status() != StatusCode::NOT_FOUND {
                if answer.status() == StatusCode::OK {
                    *answer.status_mut() = status;
                }
                answer.headers_mut().insert(CACHE_CONTROL, FRESH);
                return Ok(answer);
            }
        }
        *answer.status_mut() = StatusCode::NOT_FOUND;
        Ok(answer)
    }

    /// What to look for, in order, and the status that it is found with.
    fn tries(&self, path: &str, headers: &HeaderMap) -> Vec<(String, StatusCode)> {
        let mut tries = Vec::with_capacity(4);
        if !is_hidden(path) {
            tries.push((path.to_owned(), StatusCode::OK));
            if !path.ends_with('/') {
                tries.push((format!("{path}.html"), StatusCode::OK));
            }
        }
        if self.single_page && wants_page(path, headers) {
            tries.push((PAGE.to_owned(), StatusCode::OK));
        } else if self.folder.join(&MISSING[1..]).is_file() {
            tries.push((MISSING.to_owned(), StatusCode::NOT_FOUND));
        }
        tries
    }

    /// Whether links lead from a path to what is not of the site.
    fn leads_out(&self, path: &str) -> bool {
        let Ok(path) = percent_decode_str(path).decode_utf8() else { return false };
        let Ok(real) = self.folder.join(path.trim_start_matches('/')).canonicalize() else {
            return false;
        };
        match real.strip_prefix(&self.bounds) {
            Ok(below) => is_hidden(&below.to_string_lossy()),
            Err(_) => true,
        }
    }

    async fn file(&self, method: &Method, uri: Uri, headers: &HeaderMap) -> Response<Body> {
        let mut request = Request::new(());
        *request.method_mut() = method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = headers.clone();
        let failed = |error: io::Error| {
            let mut answer = Response::default();
            *answer.status_mut() = match error.kind() {
                ErrorKind::NotFound
                | ErrorKind::NotADirectory
                | ErrorKind::InvalidFilename
                | ErrorKind::PermissionDenied => StatusCode::NOT_FOUND,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            answer
        };
        self.files.clone().try_call(request).await.unwrap_or_else(failed)
    }
}

/// Whether some part of a path begins with a dot, however it is written.
fn is_hidden(path: &str) -> bool {
    let path = percent_decode_str(path).decode_utf8_lossy();
    path.split('/').any(|part| part.starts_with('.') && part != ".well-known")
}

/// A page's own address, and not one of the files that it asks for: a script that is not
/// there must not be answered with a page.
fn wants_page(path: &str, headers: &HeaderMap) -> bool {
    let last = path.rsplit('/').next().unwrap_or_default();
    let takes_pages = headers
        .get(ACCEPT)
        .is_some_and(|accept| accept.to_str().is_ok_and(|accept| accept.contains("text/html")));
    takes_pages || !last.contains('.')
}

#[cfg(test)]
mod tests {
    use std::fs;

    use http::header::{ACCEPT, CONTENT_TYPE};
    use http_body_util::BodyExt;

    use super::*;

    struct World {
        folder: tempfile::TempDir,
    }

    impl World {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            for (name, text) in [
                ("site/index.html", "home"),
                ("site/about.html", "about"),
                ("site/assets/app.js", "script"),
                ("site/blog/index.html", "blog"),
                ("site/.git/config", "secret"),
                ("site/.well-known/it", "known"),
                ("outside", "outside"),
            ] {
                let path = folder.path().join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Self { folder }
        }

        async fn get(&self, single_page: bool, path: &str) -> (u16, String, String) {
            let site = Site::new(&self.folder.path().join("site"), single_page);
            let accept = if path.contains('.') { "*/*" } else { "text/html,*/*" };
            let request = Request::get(path).header(ACCEPT, accept).body(()).unwrap();
            let answer = site.answer(request).await.unwrap();
            let kind = answer.headers().get(CONTENT_TYPE).map(|kind| kind.to_str().unwrap());
            let kind = kind.unwrap_or_default().to_owned();
            let status = answer.status().as_u16();
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            (status, kind, String::from_utf8(body.to_vec()).unwrap())
        }
    }

    #[test]
    fn a_link_does_not_lead_out_of_the_site() {
        let world = World::new();
        let folder = world.folder.path();
        fs::write(folder.join(".secret"), "secret").unwrap();
        for (name, target) in [
            ("out", "/etc/passwd"),
            ("hidden", ".secret"),
            ("in", "index.html"),
            ("gone", "nowhere"),
        ] {
            std::os::unix::fs::symlink(target, folder.join(name)).unwrap();
        }
        let site = Site::new(folder, false);
        for (path, leads_out) in
            [("/out", true), ("/hidden", true), ("/in", false), ("/gone", false), ("/", false)]
        {
            assert_eq!(site.leads_out(path), leads_out, "{path}");
        }
    }

    #[tokio::test]
    async fn files_folders_and_pages_without_their_ending() {
        let world = World::new();
        for (path, status, kind, text) in [
            ("/", 200, "text/html", "home"),
            ("/?q=1", 200, "text/html", "home"),
            ("/about", 200, "text/html", "about"),
            ("/about.html", 200, "text/html", "about"),
            ("/assets/app.js", 200, "text/javascript", "script"),
            ("/blog/", 200, "text/html", "blog"),
            ("/blog", 307, "", ""),
            ("/.well-known/it", 200, "application/octet-stream", "known"),
            ("/nothing", 404, "", ""),
        ] {
            let (status, kind, text) = (status, kind.to_owned(), text.to_owned());
            assert_eq!(world.get(false, path).await, (status, kind, text), "{path}");
        }
    }

    #[tokio::test]
    async fn nothing_hidden_and_nothing_outside_is_shown() {
        let world = World::new();
        for path in [
            "/.git/config",
            "/%2egit/config",
            "/%2Egit/config",
            "/assets/../.git/config",
            "/../outside",
            "/%2e%2e/outside",
            "/..%2foutside",
            "/assets/..%2f.git/config",
            "/assets%2f..%2f.git%2fconfig",
            "/%2f.git/config",
        ] {
            let (status, _, text) = world.get(false, path).await;
            assert!(status == 404 || status == 400, "{path} {status}");
            assert!(!text.contains("secret") && !text.contains("outside"), "{path}");
        }
    }

    #[tokio::test]
    async fn a_single_page_sorts_out_what_is_no_file() {
        let world = World::new();
        assert_eq!(world.get(true, "/users/7").await.2, "home");
        assert_eq!(world.get(true, "/assets/gone.js").await.0, 404);
        fs::write(world.folder.path().join("site/404.html"), "missing").unwrap();
        assert_eq!(world.get(true, "/users/7").await.2, "home");
        assert_eq!(world.get(false, "/users/7").await, (404, "text/html".into(), "missing".into()));
    }

    #[tokio::test]
    async fn other_methods_are_refused() {
        let world = World::new();
        let site = Site::new(&world.folder.path().join("site"), true);
        let answer = site.answer(Request::post("/").body(()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    }
}
