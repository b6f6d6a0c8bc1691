//! Commands that have a folder for their root.

use pando_guest_protocol::session::FailureKind;

use super::*;

/// A root with a shell and an account, and a program behind a link that is right in there alone.
const MAKE: &str = r#"set -e
cd "$1"
for file in $(command -v sh) $(ldd "$(command -v sh)" | grep -o '/[^ ]*'); do
    mkdir -p ".${file%/*}"
    cp -L "$file" ".$file"
done
mkdir -p etc srv opt/bin
ln -s "$(command -v sh)" opt/bin/tool
ln -s /srv work
echo 'app:x:4321:4322::/srv:/bin/sh' >etc/passwd
echo 'files:x:77:app' >etc/group
echo 'FROM_FILE=1' >etc/environment
chmod -R go+rX .
"#;

#[tokio::test]
async fn a_root_is_where_everything_is_looked_for() {
    if !rustix::process::geteuid().is_root() {
        // Nobody else may change a root.
        return;
    }
    let agent = Agent::start().await;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_str().unwrap();
    let made = std::process::Command::new("sh").args(["-c", MAKE, "sh", root]).status().unwrap();
    assert!(made.success());
    std::fs::set_permissions(root, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let within = |script: &str| {
        let mut exec = command(&["tool", "-c", script]);
        exec.root = Some(root.to_owned());
        exec.env = BTreeMap::from([("PATH".to_owned(), "/opt/bin".to_owned())]);
        exec
    };
    let ask = async |exec: Exec| {
        let mut stream = agent.ask(Operation::Exec(exec)).await;
        outcome(&mut stream).await
    };

    let mut exec =
        within("pwd -P; echo $HOME ${FROM_FILE-none}; echo /*; [ -w /srv ] || echo not mine");
    exec.user = Some("app".into());
    exec.cwd = Some("/work".into());
    let said = ask(exec).await;
    let lines: Vec<_> = said.text().lines().collect();
    assert_eq!(lines[..2], ["/srv", "/srv none"], "{said:?}");
    assert!(lines[2].contains("/opt") && !lines[2].contains("/proc"), "{said:?}");
    assert_eq!(lines[3], "not mine");
    // The agent itself has stayed where it was.
    assert_eq!(agent.shell("[ -d /proc/self ] && pwd").await.text(), "/\n");

    let failure = async |change: &dyn Fn(&mut Exec)| {
        let mut exec = within("true");
        change(&mut exec);
        agent.failure(Operation::Exec(exec)).await
    };
    let none = failure(&|exec| exec.root = Some("/no/such".into())).await;
    assert_eq!(none.kind, FailureKind::NoDirectory, "{}", none.message);
    assert!(none.message.contains("`/no/such` to take for its root"), "{}", none.message);
    let elsewhere = failure(&|exec| exec.cwd = Some(root.to_owned())).await;
    assert_eq!(elsewhere.kind, FailureKind::NoDirectory, "{}", elsewhere.message);
    let nobody = failure(&|exec| exec.user = Some("daemon".into())).await;
    assert_eq!(nobody.kind, FailureKind::NoUser, "{}", nobody.message);
    let missing = failure(&|exec| exec.argv[0] = "ls".into()).await;
    assert_eq!(missing.kind, FailureKind::NotFound, "{}", missing.message);
}
