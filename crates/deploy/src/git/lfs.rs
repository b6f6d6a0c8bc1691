//! Files in LFS: what the tree has in their place is a pointer, and the file itself is
//! fetched from the forge (<https://github.com/git-lfs/git-lfs/tree/main/docs>).

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use futures_util::StreamExt;
use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::json;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::access::Source;
use super::host::HostPort;
use super::index::Entry;
use super::program::Call;
use super::scratch::Scratch;
use super::{GitError, web};

/// The largest pointer (docs/spec.md there).
pub(super) const MAX_POINTER_BYTES: u64 = 1024;
/// The least: its version, a digest and a size.
const MIN_POINTER_BYTES: u64 = 110;
const MAX_OBJECTS: usize = 10_000;
/// The files of a tree together.
const MAX_BYTES: u64 = 2 << 30;
/// How many one question names: what forges take.
const BATCH: usize = 100;
const MAX_ANSWER_BYTES: usize = 4 << 20;
/// How long one file may take.
const FILE_LIMIT: Duration = Duration::from_secs(300);
const MEDIA: &str = "application/vnd.git-lfs+json";
/// What an answer may not set of a request.
const OWN_HEADERS: [&str; 4] = ["host", "content-length", "transfer-encoding", "connection"];
/// The folder of a mirror with the files themselves.
pub(super) const FOLDER: &str = "lfs";

/// A pointer: which file stands there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Pointer {
    /// SHA-256 in hex.
    pub id: String,
    pub bytes: u64,
}

/// Files that are here: by id, where, and how large.
pub(super) type Objects = HashMap<String, (PathBuf, u64)>;

impl Pointer {
    /// Reads one; none where the text is something else.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut lines = text.lines();
        let version = lines.next()?.strip_prefix("version ")?;
        if version != "https://git-lfs.github.com/spec/v1" {
            return None;
        }
        let (mut id, mut bytes) = (None, None);
        for line in lines {
            match line.split_once(' ')? {
                ("oid", oid) => id = oid.strip_prefix("sha256:").filter(|id| is_id(id)),
                ("size", size) => bytes = size.parse().ok(),
                _ => {}
            }
        }
        Some(Self { id: id?.to_owned(), bytes: bytes? })
    }
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether any of these can be in LFS.
pub(super) fn may_have(entries: &[Entry]) -> bool {
    entries.iter().any(|entry| entry.path.ends_with(b".gitattributes"))
        && entries.iter().any(may_be)
}

fn may_be(entry: &Entry) -> bool {
    entry.is_file() && (MIN_POINTER_BYTES..=MAX_POINTER_BYTES).contains(&entry.bytes)
}

/// The files in LFS of a tree: where each stands among `entries`. `made` is a repository
/// that holds the commit and an index of it: git reads the attributes there, which are
/// switched off in the mirror.
pub(super) async fn pointers(
    made: &Path,
    entries: &[Entry],
) -> Result<BTreeMap<usize, Pointer>, GitError> {
    let mut found = BTreeMap::new();
    if !may_have(entries) {
        return Ok(found);
    }
    let small: Vec<usize> = (0..entries.len()).filter(|at| may_be(&entries[*at])).collect();
    let paths: Vec<&[u8]> = small.iter().map(|at| &entries[*at].path[..]).collect();
    let arguments = ["check-attr", "--cached", "--stdin", "-z", "filter"];
    let input = [paths.join(&0), vec![0]].concat();
    let room = input.len() + paths.len() * 64 + 1024;
    let said = Call { input: &input, ..Call::new(made, &arguments) }.run(room).await?;
    let words: Vec<&[u8]> = said.split(|byte| *byte == 0).collect();
    // Path, attribute, value, for each path in its order.
    let is_lfs = |at: &usize| words.get(at * 3 + 2).is_some_and(|value| *value == b"lfs");
    let filtered: Vec<usize> = (0..small.len()).filter(is_lfs).map(|at| small[at]).collect();
    if filtered.is_empty() {
        return Ok(found);
    }
    let ids: String = filtered.iter().map(|at| format!("{}\n", entries[*at].id)).collect();
    let arguments = ["cat-file", "--batch"];
    let room = filtered.len() * (MAX_POINTER_BYTES as usize + 128);
    let said = Call { input: ids.as_bytes(), ..Call::new(made, &arguments) }.run(room).await?;
    let mut rest = &said[..];
    for at in filtered {
        // `id blob size`, a line end, the file, a line end.
        let bytes = entries[at].bytes as usize;
        let line = rest.iter().position(|byte| *byte == b'\n').map(|end| end + 1);
        let content = line.and_then(|start| rest.get(start..start + bytes));
        let content = content.ok_or(GitError::Unreadable("cat-file"))?;
        if let Some(pointer) = Pointer::read(content) {
            found.insert(at, pointer);
        }
        rest = rest.get(line.unwrap_or(0) + bytes + 1..).unwrap_or_default();
    }
    Ok(found)
}

/// Brings those files into the mirror at `dir` that are not there yet.
pub(super) async fn bring(
    dir: &Path,
    source: &Source,
    pointers: &BTreeMap<usize, Pointer>,
    allowed: &[HostPort],
) -> Result<Objects, GitError> {
    let folder = dir.join(FOLDER);
    let mut objects = Objects::new();
    let mut missing = Vec::new();
    for pointer in pointers.values() {
        let path = folder.join(&pointer.id);
        let is_here =
            std::fs::metadata(&path).is_ok_and(|metadata| metadata.len() == pointer.bytes);
        let known = objects.insert(pointer.id.clone(), (path, pointer.bytes));
        // An empty file is in no store.
        if known.is_none() && !is_here {
            missing.push(pointer);
        }
    }
    if objects.len() > MAX_OBJECTS {
        return Err(GitError::TooMany { what: "files in LFS", limit: MAX_OBJECTS });
    }
    let bytes = objects.values().fold(0_u64, |sum, (_, bytes)| sum.saturating_add(*bytes));
    if bytes > MAX_BYTES {
        return Err(GitError::TooLarge { what: "sum of its files in LFS", limit_bytes: MAX_BYTES });
    }
    if missing.is_empty() {
        return Ok(objects);
    }
    if source.url.is_ssh() {
        return Err(GitError::LfsOverSsh);
    }
    std::fs::create_dir_all(&folder).map_err(GitError::Folder)?;
    // Beside the mirror, in which whoever fetches clears away what is not whole.
    let parts = Scratch::new(dir.parent().unwrap_or(dir)).map_err(GitError::Folder)?;
    for batch in missing.chunks(BATCH) {
        let answers = ask(source, batch, allowed).await?;
        for pointer in batch {
            let named = |error| GitError::Lfs { id: pointer.id.clone(), error: Box::new(error) };
            let action = answers
                .get(&pointer.id)
                .ok_or_else(|| named(GitError::Web("the forge does not have it".into())))?;
            let part = parts.path().join(&pointer.id);
            let download = download(&part, source, pointer, action, allowed);
            let fetched = tokio::time::timeout(FILE_LIMIT, download);
            let late = GitError::Timeout { verb: "lfs", limit: FILE_LIMIT };
            fetched.await.unwrap_or(Err(late)).map_err(named)?;
            std::fs::rename(&part, folder.join(&pointer.id)).map_err(GitError::Folder)?;
        }
    }
    Ok(objects)
}

#[derive(Deserialize)]
struct Answer {
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    oid: String,
    actions: Option<Actions>,
    error: Option<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Actions {
    download: Option<Action>,
}

/// Where a file is.
#[derive(Deserialize)]
struct Action {
    href: String,
    #[serde(default)]
    header: HashMap<String, String>,
}

async fn ask(
    source: &Source,
    batch: &[&Pointer],
    allowed: &[HostPort],
) -> Result<HashMap<String, Action>, GitError> {
    let repository = source.url.to_string();
    let dot_git = if repository.ends_with(".git") { "" } else { ".git" };
    let (client, url) =
        web::client(&format!("{repository}{dot_git}/info/lfs/objects/batch"), allowed).await?;
    let objects: Vec<_> =
        batch.iter().map(|pointer| json!({ "oid": pointer.id, "size": pointer.bytes })).collect();
    let question = json!({
        "operation": "download", "transfers": ["basic"], "hash_algo": "sha256", "objects": objects,
    });
    let mut request = client.post(url).body(question.to_string());
    request = request.header("Accept", MEDIA).header("Content-Type", MEDIA);
    if let Some(authorization) = source.authorization() {
        request = request.header("Authorization", authorization);
    }
    let answer = request.send().await.map_err(|error| web::failed("cannot be asked", &error))?;
    if !answer.status().is_success() {
        let status = answer.status().as_u16();
        return Err(GitError::Web(format!("the forge answered {status} for the files in LFS")));
    }
    let body = web::body(answer, MAX_ANSWER_BYTES, "answer about files in LFS").await?;
    let answer: Answer =
        serde_json::from_slice(&body).map_err(|_| GitError::Unreadable("the LFS server"))?;
    let mut actions = HashMap::new();
    for object in answer.objects {
        if let Some(problem) = object.error {
            let message: String =
                problem.message.chars().filter(|it| !it.is_control()).take(200).collect();
            let error = GitError::Web(format!("the forge says: {message}"));
            let id = object.oid.chars().take(64).collect();
            return Err(GitError::Lfs { id, error: Box::new(error) });
        }
        if let Some(action) = object.actions.and_then(|actions| actions.download) {
            actions.insert(object.oid, action);
        }
    }
    Ok(actions)
}

/// Fetches one into a new file, and checks that it is what its name says.
async fn download(
    part: &Path,
    source: &Source,
    pointer: &Pointer,
    action: &Action,
    allowed: &[HostPort],
) -> Result<(), GitError> {
    let (client, url) = web::client(&action.href, allowed).await?;
    let mut request = client.get(url.clone());
    let mut is_authorized = false;
    for (name, value) in &action.header {
        if let (Ok(name), Ok(value)) =
            (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str()))
            && !OWN_HEADERS.contains(&name.as_str())
        {
            is_authorized |= name == reqwest::header::AUTHORIZATION;
            request = request.header(name, value);
        }
    }
    if !is_authorized
        && is_of(&url, source)
        && let Some(authorization) = source.authorization()
    {
        request = request.header("Authorization", authorization);
    }
    let answer = request.send().await.map_err(|error| web::failed("cannot be asked", &error))?;
    if answer.status().as_u16() != 200 {
        let status = answer.status().as_u16();
        return Err(GitError::Web(format!("the forge answered {status}")));
    }
    write(answer, part, pointer).await
}

async fn write(answer: reqwest::Response, part: &Path, pointer: &Pointer) -> Result<(), GitError> {
    let mut file = File::create_new(part).await.map_err(GitError::Folder)?;
    let (mut sum, mut bytes) = (Context::new(&SHA256), 0_u64);
    let mut stream = answer.bytes_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| web::failed("broke off", &error))?;
        bytes += chunk.len() as u64;
        if bytes > pointer.bytes {
            break;
        }
        sum.update(&chunk);
        file.write_all(&chunk).await.map_err(GitError::Folder)?;
    }
    file.flush().await.map_err(GitError::Folder)?;
    let sum: String = sum.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    if bytes != pointer.bytes || sum != pointer.id {
        return Err(GitError::Web("what the forge sent is another file".into()));
    }
    Ok(())
}

/// Whether an address is at the repository's own host.
fn is_of(url: &Url, source: &Source) -> bool {
    url.scheme() == source.url.protocol()
        && url.host_str() == Some(source.url.host())
        && url.port_or_known_default() == Some(source.url.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_told_from_other_files() {
        let id = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393";
        let version = "version https://git-lfs.github.com/spec/v1\n";
        let text = format!("{version}oid sha256:{id}\nsize 12345\n");
        let pointer = Pointer { id: id.into(), bytes: 12345 };
        assert_eq!(Pointer::read(text.as_bytes()), Some(pointer.clone()));
        let with_more = format!("{version}ext-0-foo sha256:{id}\noid sha256:{id}\nsize 12345\n");
        assert_eq!(Pointer::read(with_more.as_bytes()), Some(pointer));
        for text in [
            String::new(),
            "hello\n".into(),
            format!("oid sha256:{id}\nsize 1\n"),
            format!("{version}oid sha256:../../etc/passwd\nsize 1\n"),
            format!("{version}oid sha256:{}\nsize 1\n", id.to_uppercase()),
            format!("{version}oid sha256:{id}\nsize -1\n"),
            format!("{version}oid sha256:{id}\n"),
            format!("{version}size 1\n"),
        ] {
            assert_eq!(Pointer::read(text.as_bytes()), None, "{text}");
        }
    }
}
