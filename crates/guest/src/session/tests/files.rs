use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use pando_guest_protocol::session::{Entry, EntryKind, FailureKind, Written};

use super::*;

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

async fn write(agent: &Agent, path: &Path, mode: u32, content: &[u8]) -> Frame {
    let mut stream = agent.ask(Operation::WriteFile { path: text(path), mode }).await;
    for chunk in content.chunks(frame::CHUNK_BYTES) {
        frame::write(&mut stream, Kind::Data, chunk).await.unwrap();
    }
    frame::write(&mut stream, Kind::End, &[]).await.unwrap();
    frame::expect(&mut stream).await.unwrap()
}

async fn read(agent: &Agent, path: &Path) -> (Entry, Vec<u8>) {
    let mut stream = agent.ask(Operation::ReadFile { path: text(path) }).await;
    let entry = frame::expect(&mut stream).await.unwrap();
    assert_eq!(entry.kind, Kind::Reply, "{entry:?}");
    (entry.json().unwrap(), data(&mut stream).await)
}

async fn data(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let frame = frame::expect(stream).await.unwrap();
        match frame.kind {
            Kind::Data => bytes.extend(frame.payload),
            Kind::End => return bytes,
            _ => panic!("{frame:?}"),
        }
    }
}

async fn list(agent: &Agent, path: &Path) -> Vec<Entry> {
    let bytes = data(&mut agent.ask(Operation::List { path: text(path) }).await).await;
    bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn what_is_written_is_read() {
    let agent = Agent::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/deep/file");
    let content: Vec<u8> = (0..3_000_000u32).map(|number| (number % 251) as u8).collect();
    let written: Written = write(&agent, &path, 0o640, &content).await.json().unwrap();
    assert_eq!(written.bytes, content.len() as u64);
    let (entry, back) = read(&agent, &path).await;
    assert!(back == content);
    assert_eq!((entry.name.as_str(), entry.kind), ("file", EntryKind::File));
    assert_eq!((entry.size_bytes, entry.mode), (content.len() as u64, 0o640));
    assert_eq!(names(path.parent().unwrap()), ["file"]);

    assert_eq!(write(&agent, &path, 0o600, b"").await.kind, Kind::Reply);
    let (entry, back) = read(&agent, &path).await;
    assert_eq!((entry.mode, back.len()), (0o640, 0), "an existing file keeps its mode");
}

#[tokio::test]
async fn a_link_stays_and_its_file_is_replaced() {
    let agent = Agent::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (file, link, dangling) =
        (folder.path().join("file"), folder.path().join("link"), folder.path().join("dangling"));
    fs::write(&file, "old").unwrap();
    symlink("file", &link).unwrap();
    symlink("nowhere", &dangling).unwrap();
    write(&agent, &link, 0o644, b"new").await;
    assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    assert!(link.is_symlink());
    write(&agent, &dangling, 0o644, b"new").await;
    assert!(dangling.is_file() && !dangling.is_symlink());
}

#[tokio::test]
async fn a_broken_upload_leaves_the_old_file_and_nothing_else() {
    let agent = Agent::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "old").unwrap();
    let mut stream = agent.ask(Operation::WriteFile { path: text(&path), mode: 0o644 }).await;
    frame::write(&mut stream, Kind::Data, b"half").await.unwrap();
    until("the draft", || names(folder.path()).len() == 2).await;
    drop(stream);
    until("its removal", || names(folder.path()).len() == 1).await;
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");

    let mut stream = agent.ask(Operation::WriteFile { path: text(&path), mode: 0o644 }).await;
    frame::write(&mut stream, Kind::Stdout, b"?").await.unwrap();
    assert_eq!(failure_in(&frame::expect(&mut stream).await.unwrap()).kind, FailureKind::Invalid);
    until("its removal", || names(folder.path()).len() == 1).await;
}

#[tokio::test]
async fn a_failed_upload_is_told_to_a_host_that_is_still_sending() {
    let agent = Agent::start().await;
    let folder = tempfile::tempdir().unwrap();
    let frame = write(&agent, folder.path(), 0o644, &vec![0; 1_000_000]).await;
    let failure = failure_in(&frame);
    assert_eq!(failure.kind, FailureKind::Conflict, "{}", failure.message);
}

/// On a small file system of its own, in a mount namespace that ends with its
/// threads. Needs root; without it there is nothing to try.
#[test]
fn a_full_disk_is_said_and_the_draft_removed() {
    use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
    use rustix::thread::{UnshareFlags, unshare_unsafe};

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let in_namespace = move || {
        // SAFETY: descriptors stay shared; what changes is this thread's and that of those it starts.
        if unsafe { unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::FS) }.is_err() {
            return;
        }
        mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE).unwrap();
        mount("tmpfs", &path, "tmpfs", MountFlags::empty(), c"size=256k").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let agent = Agent::start().await;
            let frame = write(&agent, &path.join("file"), 0o644, &vec![1; 1_000_000]).await;
            let failure = failure_in(&frame);
            assert_eq!(failure.kind, FailureKind::NoSpace, "{}", failure.message);
            until("the draft's removal", || names(&path).is_empty()).await;
        });
    };
    std::thread::spawn(in_namespace).join().unwrap();
}

#[tokio::test]
async fn listings_are_sorted_and_typed() {
    let agent = Agent::start().await;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("b"), "12345").unwrap();
    fs::create_dir(folder.path().join("a")).unwrap();
    symlink("nowhere", folder.path().join("c")).unwrap();
    let bad: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"d\xff");
    fs::write(folder.path().join(bad), "").unwrap();
    let found = list(&agent, folder.path()).await;
    let found: Vec<_> = found.iter().map(|entry| (entry.name.as_str(), entry.kind)).collect();
    let expected = [
        ("a", EntryKind::Dir),
        ("b", EntryKind::File),
        ("c", EntryKind::Link),
        ("d\u{fffd}", EntryKind::File),
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_long_listing_comes_in_whole_lines() {
    let agent = Agent::start().await;
    let folder = tempfile::tempdir().unwrap();
    for number in 0..2000 {
        fs::write(folder.path().join(format!("{number:04}-{}", "x".repeat(50))), "").unwrap();
    }
    let mut stream = agent.ask(Operation::List { path: text(folder.path()) }).await;
    let (mut frames, mut lines) = (0, 0);
    loop {
        let frame = frame::expect(&mut stream).await.unwrap();
        if frame.kind == Kind::End {
            break;
        }
        assert_eq!(frame.payload.last(), Some(&b'\n'));
        frames += 1;
        lines += frame.payload.iter().filter(|byte| **byte == b'\n').count();
    }
    assert_eq!(lines, 2000);
    assert!(frames > 1);
}

#[tokio::test]
async fn names_are_made_moved_and_removed() {
    let agent = Agent::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (deep, moved) = (folder.path().join("a/b"), folder.path().join("c"));
    for _ in 0..2 {
        assert_eq!(agent.answer(Operation::MakeDir { path: text(&deep) }).await.kind, Kind::Reply);
    }
    fs::write(deep.join("file"), "").unwrap();
    let rename = Operation::Rename { from: text(&deep), to: text(&moved) };
    assert_eq!(agent.answer(rename).await.kind, Kind::Reply);
    let remove = |recursive| Operation::Remove { path: text(&moved), recursive };
    assert_eq!(agent.failure(remove(false)).await.kind, FailureKind::Conflict);
    let stat = Operation::Stat { path: text(&moved) };
    let entry: Entry = agent.answer(stat.clone()).await.json().unwrap();
    assert_eq!((entry.name.as_str(), entry.kind), ("c", EntryKind::Dir));
    assert_eq!(agent.answer(remove(true)).await.kind, Kind::Reply);
    assert_eq!(agent.failure(stat).await.kind, FailureKind::NotFound);
    assert_eq!(agent.failure(remove(true)).await.kind, FailureKind::NotFound);
}

#[tokio::test]
async fn removing_a_link_leaves_what_it_points_to() {
    let agent = Agent::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (kept, link) = (folder.path().join("kept"), folder.path().join("link"));
    fs::create_dir(&kept).unwrap();
    fs::write(kept.join("file"), "").unwrap();
    symlink(&kept, &link).unwrap();
    agent.answer(Operation::Remove { path: text(&link), recursive: true }).await;
    assert_eq!(names(folder.path()), ["kept"]);
    assert_eq!(names(&kept), ["file"]);
}

#[tokio::test]
async fn senseless_requests_have_their_kind() {
    let agent = Agent::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let read = |path: &str| Operation::ReadFile { path: path.into() };
    let cases = [
        (FailureKind::Invalid, read("relative")),
        (FailureKind::Invalid, read("/nul\0")),
        (FailureKind::Invalid, read(&format!("/{}", "x/".repeat(3000)))),
        (FailureKind::Invalid, read(&format!("/{}", "x".repeat(300)))),
        (FailureKind::NotFound, read("/no/such/file")),
        (FailureKind::Conflict, read(&text(folder.path()))),
        (FailureKind::Conflict, read("/dev/zero")),
        (FailureKind::Conflict, read(&format!("{}/below", text(&file)))),
        (FailureKind::Conflict, Operation::List { path: text(&file) }),
        (FailureKind::Conflict, Operation::MakeDir { path: text(&file) }),
        (FailureKind::Invalid, Operation::Remove { path: "/".into(), recursive: true }),
        (FailureKind::Invalid, Operation::Remove { path: "/tmp/..".into(), recursive: true }),
        (FailureKind::Invalid, Operation::WriteFile { path: text(&file), mode: 0o10000 }),
        (FailureKind::Conflict, Operation::WriteFile { path: "/".into(), mode: 0o644 }),
        (FailureKind::Conflict, Operation::WriteFile { path: "/dev/null".into(), mode: 0o644 }),
        (FailureKind::Conflict, Operation::WriteFile { path: "/tmp/new/".into(), mode: 0o644 }),
        (
            FailureKind::Conflict,
            Operation::WriteFile { path: format!("{}/x", text(&file)), mode: 0o644 },
        ),
    ];
    for (kind, operation) in cases {
        let failure = agent.failure(operation.clone()).await;
        assert_eq!(failure.kind, kind, "{operation:?}: {}", failure.message);
    }
}

#[tokio::test]
async fn a_pipe_without_a_writer_does_not_hold_the_agent() {
    let agent = Agent::start().await;
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let failure = agent.failure(Operation::ReadFile { path: text(&pipe) }).await;
    assert_eq!(failure.kind, FailureKind::Conflict);
}

#[tokio::test]
async fn files_of_proc_are_read_whole() {
    let agent = Agent::start().await;
    let (entry, bytes) = read(&agent, Path::new("/proc/self/status")).await;
    assert_eq!(entry.size_bytes, 0);
    assert!(!bytes.is_empty());
}

#[tokio::test]
async fn what_claims_to_be_empty_and_has_no_end_is_refused_before_its_first_byte() {
    let agent = Agent::start().await;
    // Nothing is mapped at address 0; the page map of all addresses is half a terabyte.
    for path in ["/proc/self/mem", "/proc/self/pagemap", "/dev/zero"] {
        let failure = agent.failure(Operation::ReadFile { path: path.into() }).await;
        assert_eq!(failure.kind, FailureKind::Conflict, "{path}: {}", failure.message);
        assert!(failure.message.contains(path), "{}", failure.message);
    }
}
