//! Code sessions with real interpreters, where this machine has them.

use pando_guest_protocol::repl::{Cell, CellDone, Language, MAX_REPLS, OpenRepl, Repl, Repls};
use pando_guest_protocol::session::{Done, FailureKind};

use super::*;

fn open(language: Language) -> Operation {
    Operation::OpenRepl(OpenRepl {
        language,
        cwd: Some("/".into()),
        env: BTreeMap::new(),
        user: None,
    })
}

#[derive(Debug)]
struct Ran {
    stdout: String,
    stderr: String,
    results: Vec<BTreeMap<String, String>>,
    done: CellDone,
}

impl Agent {
    pub(super) async fn open_repl(&self, language: Language) -> String {
        self.answer(open(language)).await.json::<Repl>().unwrap().id
    }

    pub(super) async fn start_cell(&self, id: &str, code: &str, timeout_ms: u64) -> TcpStream {
        let mut stream = self.ask(Operation::RunCell(Cell { id: id.to_owned(), timeout_ms })).await;
        for chunk in code.as_bytes().chunks(frame::CHUNK_BYTES) {
            frame::write(&mut stream, Kind::Data, chunk).await.unwrap();
        }
        frame::write(&mut stream, Kind::End, &[]).await.unwrap();
        stream
    }

    async fn run(&self, id: &str, code: &str) -> Ran {
        ran(&mut self.start_cell(id, code, 60_000).await).await
    }

    async fn run_for(&self, id: &str, code: &str, timeout_ms: u64) -> Ran {
        ran(&mut self.start_cell(id, code, timeout_ms).await).await
    }
}

async fn ran(stream: &mut TcpStream) -> Ran {
    let (mut stdout, mut stderr, mut results) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        let frame = frame::expect(stream).await.unwrap();
        match frame.kind {
            Kind::Stdout => stdout.extend(frame.payload),
            Kind::Stderr => stderr.extend(frame.payload),
            Kind::Data => results.extend(frame.payload),
            Kind::Reply => {
                let bundles = results.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
                return Ran {
                    stdout: String::from_utf8(stdout).unwrap(),
                    stderr: String::from_utf8(stderr).unwrap(),
                    results: bundles.map(|line| serde_json::from_slice(line).unwrap()).collect(),
                    done: frame.json().unwrap(),
                };
            }
            _ => panic!("{frame:?}"),
        }
    }
}

fn plain(ran: &Ran) -> Vec<&str> {
    ran.results.iter().map(|bundle| bundle["text/plain"].as_str()).collect()
}

#[tokio::test]
async fn python_keeps_its_state_and_shows_its_values() {
    let agent = Agent::start().await;
    let id = agent.open_repl(Language::Python).await;
    assert_eq!(agent.run(&id, "x = 41").await.results.len(), 0);
    assert_eq!(plain(&agent.run(&id, "x + 1").await), ["42"]);
    let both = agent
        .run(
            &id,
            "import os, sys\nprint('out'); print('err', file=sys.stderr)\nos.system('echo sub');",
        )
        .await;
    assert_eq!((both.stdout.as_str(), both.stderr.as_str()), ("out\nsub\n", "err\n"));
    let rich = agent
        .run(&id, "class T:\n  def _repr_html_(self): return '<b>t</b>'\n  def _repr_png_(self): return b'\\x89PNG'\ndisplay(1)\nT()")
        .await;
    assert_eq!(rich.results[0]["text/plain"], "1");
    assert_eq!(rich.results[1]["text/html"], "<b>t</b>");
    assert_eq!(rich.results[1]["image/png"], "iVBORw==");
    let awaited = agent.run(&id, "import asyncio\nawait asyncio.sleep(0, 'awaited')").await;
    assert_eq!(plain(&awaited), ["'awaited'"]);
}

#[tokio::test]
async fn an_error_comes_with_its_traceback_and_the_session_goes_on() {
    let agent = Agent::start().await;
    let id = agent.open_repl(Language::Python).await;
    let failed = agent.run(&id, "def f():\n    return 1 / 0\n\nf()").await;
    let error = failed.done.error.unwrap();
    assert!(error.contains("line 4") && error.contains("return 1 / 0"), "{error}");
    assert!(error.ends_with("ZeroDivisionError: division by zero\n"), "{error}");
    assert!(!error.contains("python.py"), "{error}");
    assert_eq!(failed.done.exit_code, 1);
    let syntax = agent.run(&id, "x y").await.done.error.unwrap();
    assert!(syntax.starts_with("  File \"<cell 2>\", line 1"), "{syntax}");
    assert_eq!(plain(&agent.run(&id, "'on'").await), ["'on'"]);
    // No answer belongs to another question, however the code ends it.
    let exit = agent.run(&id, "import sys; sys.exit(4)").await;
    assert_eq!((exit.done.exit_code, exit.done.session_ended), (4, false));
}

#[tokio::test]
async fn a_cell_out_of_time_is_interrupted_and_its_state_is_kept() {
    let agent = Agent::start().await;
    let id = agent.open_repl(Language::Python).await;
    agent.run(&id, "x = 'kept'").await;
    for code in ["while True: pass", "import time; time.sleep(60)", "input() or sleep"] {
        let ran = agent.run_for(&id, code, 300).await;
        assert!(!ran.done.session_ended, "{code}: {:?}", ran.done);
        assert_eq!(ran.done.exit_code, 1, "{code}");
    }
    assert_eq!(plain(&agent.run(&id, "x").await), ["'kept'"]);
    let slow =
        agent.run_for(&id, "import time\nprint('before', flush=True)\ntime.sleep(60)", 500).await;
    assert!(slow.done.timed_out);
    assert_eq!(slow.stdout, "before\n");
}

#[tokio::test]
async fn a_cell_that_does_not_stop_takes_its_session_with_it() {
    let agent = Agent::start().await;
    let id = agent.open_repl(Language::Python).await;
    let code = "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(60)";
    let ran = agent.run_for(&id, code, 300).await;
    assert!(ran.done.timed_out && ran.done.session_ended, "{:?}", ran.done);
    assert_eq!(ran.done.exit_code, 128 + 9);
    let failure = agent.failure(Operation::RunCell(Cell { id, timeout_ms: 1000 })).await;
    assert_eq!(failure.kind, FailureKind::NotFound, "{}", failure.message);
}

#[tokio::test]
async fn an_interpreter_that_ends_says_so_and_is_gone() {
    let agent = Agent::start().await;
    let id = agent.open_repl(Language::Python).await;
    let ran = agent.run(&id, "import os; print('last', flush=True); os._exit(3)").await;
    assert_eq!((ran.done.exit_code, ran.done.session_ended), (3, true));
    assert!(ran.done.error.unwrap().contains("exited with 3"));
    assert_eq!(ran.stdout, "last\n");
    until("the table", || agent.services.repls.list().repls.is_empty()).await;
}

#[tokio::test]
async fn a_host_that_leaves_interrupts_its_cell_only() {
    let agent = Agent::start().await;
    let id = agent.open_repl(Language::Python).await;
    let mut stream = agent
        .start_cell(&id, "x = 5\nprint('on', flush=True)\nimport time\ntime.sleep(60)", 60_000)
        .await;
    assert_eq!(frame::expect(&mut stream).await.unwrap().payload, b"on\n");
    // A second one does not wait behind it.
    let busy = agent.failure(Operation::RunCell(Cell { id: id.clone(), timeout_ms: 1 })).await;
    assert_eq!(busy.kind, FailureKind::Conflict, "{}", busy.message);
    drop(stream);
    let mut answer = None;
    for _ in 0..500 {
        let mut stream = agent.start_cell(&id, "x", 60_000).await;
        let frame = frame::expect(&mut stream).await.unwrap();
        if frame.kind == Kind::Data {
            answer = Some(frame.payload);
            break;
        }
        assert_eq!(failure_in(&frame).kind, FailureKind::Conflict);
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(answer.unwrap(), b"{\"text/plain\": \"5\"}\n");
}

#[tokio::test]
async fn a_flood_waits_for_its_reader_and_lies_are_not_believed() {
    let agent = Agent::start().await;
    let id = agent.open_repl(Language::Python).await;
    let flood =
        agent.run(&id, "import sys\nfor _ in range(200):\n  sys.stdout.write('x' * 50_000)").await;
    assert_eq!(flood.stdout.len(), 10_000_000);
    // The code finds the channel and speaks for itself: of other cells, nonsense, endless lines.
    let lie = "import os\nfor fd in range(3, 64):\n  try:\n    os.write(fd, b'{\"seq\":1,\"done\":{\"exit\":9}}\\nnonsense\\n' + b'y' * 100)\n  except OSError: pass\n'honest'";
    let ran = agent.run(&id, lie).await;
    assert_eq!(ran.done.exit_code, 0, "{:?}", ran.done);
    let many = agent.run(&id, "for n in range(300): display(n)").await;
    assert_eq!(many.results.len(), 100);
    assert!(many.done.truncated);
    let large = agent.run(&id, "'z' * 9_000_000").await;
    assert!(large.results[0]["text/plain"].len() <= 70_000);
}

#[tokio::test]
async fn sessions_are_bounded_listed_and_closed() {
    let agent = Agent::start().await;
    let mut ids = Vec::new();
    for _ in 0..MAX_REPLS {
        ids.push(agent.open_repl(Language::Bash).await);
    }
    let full = agent.failure(open(Language::Bash)).await;
    assert_eq!(full.kind, FailureKind::Busy, "{}", full.message);
    let list: Repls = agent.answer(Operation::ListRepls).await.json().unwrap();
    assert_eq!(list.repls.len(), MAX_REPLS);
    for repl in &list.repls {
        agent.answer(Operation::CloseRepl { id: repl.id.clone() }).await.json::<Done>().unwrap();
        let pid = repl.pid.to_string();
        until("its end", || !is_alive(&pid)).await;
    }
    let failure = agent.failure(Operation::CloseRepl { id: ids[0].clone() }).await;
    assert_eq!(failure.kind, FailureKind::NotFound);
}

#[tokio::test]
async fn the_shell_keeps_its_variables_and_folder() {
    let agent = Agent::start().await;
    let id = agent.open_repl(Language::Bash).await;
    agent.run(&id, "x=41; cd /tmp; f() { echo in f; return 3; }").await;
    let ran = agent.run(&id, "echo $((x + 1)); pwd; echo err >&2; f").await;
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("42\n/tmp\nin f\n", "err\n"));
    assert_eq!(ran.done.exit_code, 3);
    let slow = agent.run_for(&id, "sleep 60; echo never", 300).await;
    assert!(slow.done.timed_out && !slow.done.session_ended, "{:?}", slow.done);
    assert_eq!(agent.run(&id, "echo $x").await.stdout, "41\n");
    let ended = agent.run(&id, "exit 5").await;
    assert_eq!((ended.done.exit_code, ended.done.session_ended), (5, true));
}

#[tokio::test]
async fn javascript_declares_again_and_awaits() {
    let agent = Agent::start().await;
    let found = agent.answer(open(Language::Javascript)).await;
    if found.kind == Kind::Failed {
        // A machine without node: the failure names it.
        assert!(failure_in(&found).message.contains("node"));
        return;
    }
    let id = found.json::<Repl>().unwrap().id;
    agent.run(&id, "const x = 1").await;
    let ran =
        agent.run(&id, "const x = 20; console.log('out'); x + await Promise.resolve(22)").await;
    assert_eq!((ran.stdout.as_str(), plain(&ran)), ("out\n", vec!["42"]));
    let failed = agent.run(&id, "null.field").await.done.error.unwrap();
    assert!(failed.starts_with("TypeError") && !failed.contains("node:inspector"), "{failed}");
    let slow = agent.run_for(&id, "await new Promise((r) => setTimeout(r, 60000))", 300).await;
    assert!(slow.done.timed_out && !slow.done.session_ended, "{:?}", slow.done);
    let json = agent.run(&id, "({ a: [1] })").await;
    assert_eq!(json.results[0]["application/json"], "{\"a\":[1]}");
}
