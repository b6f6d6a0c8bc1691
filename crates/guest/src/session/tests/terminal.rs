use pando_guest_protocol::session::FailureKind;
use pando_guest_protocol::terminal::{Size, Terminal};

use super::*;

fn terminal(argv: &[&str]) -> Operation {
    Operation::Terminal(Terminal {
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        cwd: Some("/".into()),
        env: BTreeMap::new(),
        user: None,
        size: Size { rows: 30, cols: 100 },
    })
}

/// Reads until what was written holds `wanted`; gives all of it.
async fn until_said(stream: &mut TcpStream, said: &mut String, wanted: &str) {
    while !said.contains(wanted) {
        let next = tokio::time::timeout(std::time::Duration::from_secs(30), frame::expect(stream));
        let frame = next.await.unwrap_or_else(|_| panic!("no {wanted:?} in {said:?}")).unwrap();
        assert_eq!(frame.kind, Kind::Stdout, "{said} {frame:?}");
        said.push_str(std::str::from_utf8(&frame.payload).unwrap());
    }
}

async fn type_in(stream: &mut TcpStream, text: &str) {
    frame::write(stream, Kind::Data, text.as_bytes()).await.unwrap();
}

#[tokio::test]
async fn a_shell_on_a_terminal_of_that_size_until_it_exits() {
    let agent = Agent::start().await;
    let mut stream = agent.ask(terminal(&["sh"])).await;
    let mut said = String::new();
    type_in(&mut stream, "test -t 0 -a -t 1 -a -t 2 && stty size; echo $TERM; tty </dev/tty\n")
        .await;
    until_said(&mut stream, &mut said, "30 100\r\nxterm-256color\r\n/dev/tty\r\n").await;

    frame::write_json(&mut stream, Kind::Resize, &Size { rows: 50, cols: 132 }).await.unwrap();
    type_in(&mut stream, "stty size\n").await;
    until_said(&mut stream, &mut said, "50 132\r\n").await;

    // Said by the job itself, so that it is the terminal's foreground when it is said.
    type_in(&mut stream, "sh -c \"echo st''arted; exec sleep 60\"\n").await;
    until_said(&mut stream, &mut said, "started\r\n").await;
    type_in(&mut stream, "\u{3}").await;
    type_in(&mut stream, "echo inter''rupted $?; exit 7\n").await;
    until_said(&mut stream, &mut said, "interrupted 130").await;
    let outcome = outcome(&mut stream).await;
    assert_eq!(outcome.done.exit_code, 7);
}

#[tokio::test]
async fn all_that_was_written_comes_before_the_end() {
    let agent = Agent::start().await;
    let mut stream = agent.ask(terminal(&["sh", "-c", "seq 1 20000; echo last"])).await;
    let outcome = outcome(&mut stream).await;
    assert_eq!(outcome.text().lines().count(), 20_001);
    assert!(outcome.text().ends_with("20000\r\nlast\r\n"));
}

#[tokio::test]
async fn a_background_job_does_not_hold_a_session_that_ended() {
    let agent = Agent::start().await;
    let mut stream =
        agent.ask(terminal(&["sh", "-c", "trap '' HUP; sleep 60 & echo $! >&2; exit 3"])).await;
    let outcome = outcome(&mut stream).await;
    assert_eq!(outcome.done.exit_code, 3);
    let pid = outcome.text().trim();
    assert!(is_alive(pid));
    agent.shell(&format!("kill -9 {pid}")).await;
}

#[tokio::test]
async fn a_host_that_leaves_hangs_the_whole_session_up() {
    let agent = Agent::start().await;
    // A shell with a job in a group of its own, which ignores the hangup.
    let mut stream = agent.ask(terminal(&["bash", "--norc", "--noprofile", "-i"])).await;
    let mut said = String::new();
    let script = "(trap '' HUP TERM; exec sleep 61) & echo jo''b=$! she''ll=$$ al''l; sleep 63\n";
    type_in(&mut stream, script).await;
    until_said(&mut stream, &mut said, " all\r\n").await;
    let number = |name: &str| {
        let after = said.split(name).nth(1).unwrap();
        after.chars().take_while(char::is_ascii_digit).collect::<String>()
    };
    let (job, shell) = (number("job="), number("shell="));
    assert!(is_alive(&job) && is_alive(&shell), "{said}");
    stream.set_zero_linger().unwrap();
    drop(stream);
    until("the shell's end", || !is_alive(&shell)).await;
    until("the job's end", || !is_alive(&job)).await;
}

#[tokio::test]
async fn typing_that_nobody_reads_does_not_hide_that_the_host_left() {
    let agent = Agent::start().await;
    let mut stream =
        agent.ask(terminal(&["sh", "-c", "stty raw -echo; echo $$; exec sleep 64"])).await;
    let mut said = String::new();
    until_said(&mut stream, &mut said, "\n").await;
    for _ in 0..4 {
        frame::write(&mut stream, Kind::Data, &[b'x'; frame::CHUNK_BYTES]).await.unwrap();
    }
    let pid = said.trim().to_owned();
    assert!(is_alive(&pid));
    stream.set_zero_linger().unwrap();
    drop(stream);
    until("its end", || !is_alive(&pid)).await;
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let agent = Agent::start().await;
    let failure = agent.failure(terminal(&["no-such-program"])).await;
    assert_eq!(failure.kind, FailureKind::NotFound, "{}", failure.message);
}
