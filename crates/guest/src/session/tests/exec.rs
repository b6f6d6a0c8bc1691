use pando_guest_protocol::session::{FailureKind, Signal, Started};

use super::*;

#[tokio::test]
async fn streams_apart_and_the_exit_code() {
    let agent = Agent::start().await;
    let outcome = agent.shell("echo out; echo err >&2; exit 7").await;
    assert_eq!(
        (outcome.stdout.as_slice(), outcome.stderr.as_slice()),
        (&b"out\n"[..], &b"err\n"[..])
    );
    assert_eq!((outcome.done.exit_code, outcome.done.timed_out), (7, false));
}

#[tokio::test]
async fn a_signal_counts_from_128() {
    let agent = Agent::start().await;
    assert_eq!(agent.shell("kill -TERM $$").await.done.exit_code, 128 + 15);
}

#[tokio::test]
async fn output_that_is_not_utf8_passes_unchanged() {
    let agent = Agent::start().await;
    assert_eq!(agent.shell(r"printf '\377\000\376'").await.stdout, [0xff, 0, 0xfe]);
}

#[tokio::test]
async fn much_output_passes_whole_and_waits_for_its_reader() {
    let agent = Agent::start().await;
    let total = 20_000_000;
    let mut stream = agent.ask(Operation::Exec(shell(&format!("head -c {total} /dev/zero")))).await;
    let mut count = 0;
    loop {
        let frame = frame::expect(&mut stream).await.unwrap();
        match frame.kind {
            Kind::Stdout => {
                assert!(frame.payload.len() <= frame::CHUNK_BYTES);
                count += frame.payload.len();
            }
            Kind::Reply => break,
            _ => panic!("{frame:?}"),
        }
    }
    assert_eq!(count, total);
}

#[tokio::test]
async fn input_is_passed_until_its_end() {
    let agent = Agent::start().await;
    let mut stream = agent.ask(Operation::Exec(command(&["cat"]))).await;
    frame::write(&mut stream, Kind::Data, b"one ").await.unwrap();
    frame::write(&mut stream, Kind::Data, b"two").await.unwrap();
    frame::write(&mut stream, Kind::End, &[]).await.unwrap();
    let outcome = outcome(&mut stream).await;
    assert_eq!((outcome.text(), outcome.done.exit_code), ("one two", 0));
}

#[tokio::test]
async fn input_that_is_not_read_is_dropped() {
    let agent = Agent::start().await;
    let mut stream = agent.ask(Operation::Exec(shell("exec <&-; echo closed; sleep 0.3"))).await;
    let ready = frame::expect(&mut stream).await.unwrap();
    assert_eq!(ready.payload, b"closed\n");
    for _ in 0..8 {
        frame::write(&mut stream, Kind::Data, &[0; frame::CHUNK_BYTES]).await.unwrap();
    }
    assert_eq!(outcome(&mut stream).await.done.exit_code, 0);
}

#[tokio::test]
async fn environment_directory_and_name() {
    let agent = Agent::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut exec = shell("echo $PATH; echo $LANG; echo $EXTRA; echo ${TERM-unset}; pwd; echo $0");
    exec.cwd = Some(folder.path().to_str().unwrap().into());
    exec.env =
        BTreeMap::from([("EXTRA".into(), "a b=c".into()), ("PATH".into(), "/usr/bin:/bin".into())]);
    let outcome = outcome(&mut agent.ask(Operation::Exec(exec)).await).await;
    let lines: Vec<_> = outcome.text().lines().collect();
    let real = folder.path().canonicalize().unwrap();
    assert_eq!(lines, ["/usr/bin:/bin", "C.UTF-8", "a b=c", "unset", real.to_str().unwrap(), "sh"]);
}

#[tokio::test]
async fn what_cannot_start_is_named() {
    let agent = Agent::start().await;
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script");
    std::fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    let script = script.to_str().unwrap().to_owned();
    type Change<'a> = &'a dyn Fn(&mut Exec);
    let ask = async |change: Change<'_>| {
        let mut exec = command(&["true"]);
        change(&mut exec);
        agent.failure(Operation::Exec(exec)).await
    };
    let cases: [(FailureKind, &str, Change<'_>); 11] = [
        (FailureKind::NotFound, "no program `no-such` in PATH", &|exec| {
            exec.argv[0] = "no-such".into()
        }),
        (FailureKind::NotFound, "no program `/no/such`", &|exec| exec.argv[0] = "/no/such".into()),
        (FailureKind::NoDirectory, "`/no/dir`", &|exec| exec.cwd = Some("/no/dir".into())),
        (FailureKind::NoDirectory, "`relative`", &|exec| exec.cwd = Some("relative".into())),
        (FailureKind::NoUser, "no user `no-such`", &|exec| exec.user = Some("no-such".into())),
        (FailureKind::Denied, "is not executable", &|exec| exec.argv[0].clone_from(&script)),
        (FailureKind::Invalid, "argv is empty", &|exec| exec.argv.clear()),
        (FailureKind::Invalid, "argv[1]", &|exec| exec.argv.push("a\0b".into())),
        (FailureKind::Invalid, "env: `A=B`", &|exec| {
            drop(exec.env.insert("A=B".into(), String::new()))
        }),
        (FailureKind::Invalid, "is not absolute", &|exec| exec.detached_log = Some("log".into())),
        (FailureKind::Invalid, "is no name", &|exec| exec.log_name = Some("a.b".into())),
    ];
    for (kind, message, change) in cases {
        let failure = ask(change).await;
        assert_eq!(failure.kind, kind, "{}", failure.message);
        assert!(failure.message.contains(message), "{}", failure.message);
    }
    // The kernel's own refusal comes back too, and takes nobody's child along.
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let failure = ask(&|exec| exec.argv[0].clone_from(&script)).await;
    assert_eq!(failure.kind, FailureKind::NotFound, "{}", failure.message);
    assert!(failure.message.contains("did not start"), "{}", failure.message);
}

#[tokio::test]
async fn a_time_limit_takes_the_whole_group() {
    let agent = Agent::start().await;
    let mut exec = shell("sleep 60 & echo $!; trap '' TERM; sleep 60; sleep 60");
    exec.timeout_ms = Some(300);
    let outcome = outcome(&mut agent.ask(Operation::Exec(exec)).await).await;
    assert_eq!((outcome.done.exit_code, outcome.done.timed_out), (128 + 9, true));
    until("the background's end", || !is_alive(outcome.text())).await;
}

#[tokio::test]
async fn a_member_that_ignores_the_signal_goes_with_its_leader() {
    let agent = Agent::start().await;
    let mut exec = shell("sh -c \"trap '' TERM; echo \\$\\$; exec sleep 60\" & exec sleep 60");
    exec.timeout_ms = Some(300);
    let outcome = outcome(&mut agent.ask(Operation::Exec(exec)).await).await;
    assert!(outcome.done.timed_out);
    until("the member's end", || !is_alive(outcome.text())).await;
}

#[tokio::test]
async fn a_signal_reaches_the_whole_group() {
    let agent = Agent::start().await;
    let script = "trap 'echo got; exit 5' USR1; echo on; while :; do sleep 0.05; done";
    let mut stream = agent.ask(Operation::Exec(shell(script))).await;
    assert_eq!(frame::expect(&mut stream).await.unwrap().payload, b"on\n");
    let signal = Signal { number: rustix::process::Signal::USR1.as_raw() };
    frame::write_json(&mut stream, Kind::Signal, &signal).await.unwrap();
    let outcome = outcome(&mut stream).await;
    assert_eq!((outcome.text(), outcome.done.exit_code), ("got\n", 5));
}

#[tokio::test]
async fn a_host_that_leaves_takes_the_group_along() {
    let agent = Agent::start().await;
    let mut stream = agent.ask(Operation::Exec(shell("sleep 60 & echo $!; wait"))).await;
    frame::write(&mut stream, Kind::End, &[]).await.unwrap();
    let pid = String::from_utf8(frame::expect(&mut stream).await.unwrap().payload).unwrap();
    assert!(is_alive(&pid));
    drop(stream);
    until("the group's end", || !is_alive(&pid)).await;
}

#[tokio::test]
async fn a_host_that_leaves_is_noticed_behind_unread_input() {
    let agent = Agent::start().await;
    let mut stream = agent.ask(Operation::Exec(shell("echo $$; exec sleep 60"))).await;
    let pid = String::from_utf8(frame::expect(&mut stream).await.unwrap().payload).unwrap();
    // One for the pipe, one for the agent's hand, and a little that stays in its socket.
    for bytes in [frame::CHUNK_BYTES, frame::CHUNK_BYTES, 1000] {
        frame::write(&mut stream, Kind::Data, &vec![0; bytes]).await.unwrap();
    }
    assert!(is_alive(&pid));
    drop(stream);
    until("the command's end", || !is_alive(&pid)).await;
}

#[tokio::test]
async fn a_background_process_neither_holds_the_session_nor_dies_with_it() {
    let agent = Agent::start().await;
    let outcome = agent.shell("setsid sleep 60 & echo $!").await;
    assert_eq!(outcome.done.exit_code, 0);
    let pid = outcome.text().trim().to_owned();
    assert!(is_alive(&pid));
    agent.shell(&format!("kill -9 {pid}")).await;
    until("its end", || !is_alive(&pid)).await;
}

#[tokio::test]
async fn a_background_process_that_keeps_talking_is_let_go() {
    let agent = Agent::start().await;
    let outcome =
        agent.shell("setsid sh -c 'while echo talk; do sleep 0.05; done' & echo $!").await;
    assert_eq!(outcome.done.exit_code, 0);
}

#[tokio::test]
async fn what_ends_right_after_the_command_is_still_heard() {
    let agent = Agent::start().await;
    let outcome = agent.shell("(sleep 0.05; echo late) &").await;
    assert_eq!(outcome.text(), "late\n");
}

#[tokio::test]
async fn many_at_once_keep_their_own_exit_codes() {
    let agent = Agent::start().await;
    let scripts: Vec<_> = (0..40).map(|code| format!("(sleep 0.01 &) ; exit {code}")).collect();
    let mut streams = Vec::new();
    for script in &scripts {
        streams.push(agent.ask(Operation::Exec(shell(script))).await);
    }
    for (code, mut stream) in (0..).zip(streams) {
        assert_eq!(outcome(&mut stream).await.done.exit_code, code);
    }
}

#[tokio::test]
async fn a_detached_command_lives_on_and_writes_its_log() {
    let agent = Agent::start().await;
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("logs/app.log");
    let ask = async |script: &str| {
        let mut exec = shell(script);
        exec.detached_log = Some(log.to_str().unwrap().into());
        agent.answer(Operation::Exec(exec)).await.json::<Started>().unwrap().pid.to_string()
    };
    let first = ask("echo out; echo err >&2; cat; exec sleep 60").await;
    until("the first log", || std::fs::read_to_string(&log).is_ok_and(|text| text == "out\nerr\n"))
        .await;
    assert!(is_alive(&first));
    // Leads its group, and its own session.
    agent.shell(&format!("kill -9 -{first}")).await;
    until("its end", || !is_alive(&first)).await;
    until("its reaping", || !std::path::Path::new(&format!("/proc/{first}")).exists()).await;
    ask("echo again").await;
    until("the second log", || {
        std::fs::read_to_string(&log).is_ok_and(|text| text == "out\nerr\nagain\n")
    })
    .await;
}

/// As root, to become somebody else; without root there is nobody to become.
#[tokio::test]
async fn another_user_is_become_whole() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let agent = Agent::start().await;
    let mut exec = shell("id -u; id -g; id -G; echo $HOME");
    exec.user = Some("54321".into());
    exec.cwd = None;
    let outcome = outcome(&mut agent.ask(Operation::Exec(exec)).await).await;
    assert_eq!(outcome.text(), "54321\n54321\n54321\n/\n");
}
