//! A real ssh server on this machine.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{Wanted, World, unpack};
use crate::Secret;
use crate::git::{Credential, GitError, KeyPair, Source};

/// An sshd of its own: this folder's settings, keys and nothing of the machine's.
struct Sshd {
    child: Child,
    port: u16,
}

impl Sshd {
    fn start(folder: &Path, allowed_key: &str) -> Self {
        fs::create_dir_all(folder).unwrap();
        let host_key = KeyPair::new("host").unwrap();
        write(&folder.join("host_key"), host_key.private.reveal());
        write(&folder.join("keys"), &format!("restrict {allowed_key}\n"));
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let at = folder.display();
        write(
            &folder.join("config"),
            &format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/host_key\nPidFile none\n\
                 AuthorizedKeysFile {at}/keys\nPasswordAuthentication no\n\
                 KbdInteractiveAuthentication no\nUsePAM no\nStrictModes no\n\
                 PermitRootLogin prohibit-password\n"
            ),
        );
        let _ = fs::create_dir_all("/run/sshd");
        let log = fs::File::create(folder.join("log")).unwrap();
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(folder.join("config"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, port }
    }

    async fn ready(&self) -> io::Result<()> {
        loop {
            if tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
}

#[tokio::test]
#[ignore = "needs root and /usr/sbin/sshd (openssh-server): make test-ssh"]
async fn a_deploy_key_opens_a_repository_and_the_host_is_known_again() {
    let world = World::allowing(&["127.0.0.1"]).await;
    world.forge.create_repo("acme/shop", &[("v", b"1")], "main").await.unwrap();
    let pair = KeyPair::new("pando").unwrap();
    let folder = world.folder.path().join("sshd");
    let sshd = Sshd::start(&folder, &pair.public);
    tokio::time::timeout(Duration::from_secs(10), sshd.ready()).await.unwrap().unwrap();
    let bare = world.folder.path().join("forge/repositories/acme/shop.git");
    let text = format!("ssh://root@127.0.0.1:{}{}", sshd.port, bare.display());
    let url = world.mirrors.parse(&text).unwrap();
    let key = |pair: &KeyPair| Some(Credential::Key(Secret::new(pair.private.reveal())));
    let wanted = Wanted::of("main", "");

    let none = Source::new(url.clone(), world.org, None);
    let refused = world.mirrors.fetch(&none, &wanted).await.err().unwrap();
    assert!(matches!(refused, GitError::NoKey(_)), "{refused}");
    let wrong = Source::new(url.clone(), world.org, key(&KeyPair::new("x").unwrap()));
    let refused = world.mirrors.fetch(&wrong, &wanted).await.err().unwrap();
    assert!(matches!(refused, GitError::Denied { is_known: true, .. }), "{refused}");
    let source = Source::new(url.clone(), world.org, key(&pair));
    let mirror = world.mirrors.fetch(&source, &wanted).await.unwrap();
    assert_eq!(fs::read(unpack(&mirror).await.path.join("v")).unwrap(), b"1");
    let known = fs::read_to_string(world.mirrors.root.join("known_hosts")).unwrap();
    assert!(known.starts_with(&format!("[127.0.0.1]:{} ssh-ed25519 ", sshd.port)), "{known}");

    // Another server in its place is not believed.
    let port = sshd.port;
    drop(sshd);
    drop(mirror);
    let mut config = fs::read_to_string(folder.join("config")).unwrap();
    let other = KeyPair::new("other").unwrap();
    write(&folder.join("host_key"), other.private.reveal());
    config.push_str("# again\n");
    write(&folder.join("config"), &config);
    let child = Command::new("/usr/sbin/sshd")
        .args(["-D", "-e", "-f"])
        .arg(folder.join("config"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let sshd = Sshd { child, port };
    tokio::time::timeout(Duration::from_secs(10), sshd.ready()).await.unwrap().unwrap();
    world.forge.repo("acme/shop").unwrap().push("main", &[("v", b"2")], "two").await.unwrap();
    let refused = world.mirrors.fetch(&source, &wanted).await.err().unwrap();
    assert!(refused.to_string().contains("Host key verification failed"), "{refused}");
    world.forge.stop().await;
}
