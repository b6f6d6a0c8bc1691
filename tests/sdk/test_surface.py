"""Logs and code contexts of the public SDK, unmodified, against real microVMs."""

import base64
import threading
import time

import pytest

import pandastack
from pandastack import Sandbox


@pytest.fixture(scope="module")
def sandbox(server):
    sandbox = Sandbox.create(template="base", ttl_seconds=1800)
    yield sandbox
    sandbox.kill()


def test_logs(sandbox):
    sandbox.exec("echo out näh; echo err >&2")
    assert "out näh" in list(sandbox.logs())
    assert list(sandbox.logs(stream="stderr"))[-1] == "err"
    assert "err" not in list(sandbox.logs(stream="stdout"))


def test_logs_followed(sandbox):
    heard = []
    done = threading.Event()

    def follow():
        for line in sandbox.logs(follow=True):
            heard.append(line)
            if line == "the last":
                done.set()
                return

    threading.Thread(target=follow, daemon=True).start()
    sandbox.exec("echo the first; sleep 0.3; echo the last")
    assert done.wait(60), heard
    assert heard.index("the first") < heard.index("the last")


def test_code_context_keeps_its_state(sandbox):
    with sandbox.create_code_context() as context:
        assert context.run_code("x = 41").text is None
        run = context.run_code("import sys\nprint('out')\nprint('err', file=sys.stderr)\nx + 1")
        assert (run.text, run.exit_code, run.error) == ("42", 0, None)
        assert run.logs == {"stdout": "out\n", "stderr": "err\n"}
    with pytest.raises(pandastack.NotFoundError):
        context.run_code("x")


def test_code_context_rich_results(sandbox):
    with sandbox.create_code_context("py") as context:
        run = context.run_code(
            "class Table:\n"
            "  def _repr_html_(self): return '<table></table>'\n"
            "  def _repr_json_(self): return {'rows': 0}\n"
            "  def _repr_png_(self): return b'\\x89PNG'\n"
            "display('first')\n"
            "Table()"
        )
        assert run.results[0].text == "'first'"
        table = run.results[1]
        assert table.html == "<table></table>"
        assert table.json == {"rows": 0}
        assert base64.b64decode(run.png) == b"\x89PNG"


def test_code_context_errors_and_time_limits(sandbox):
    with sandbox.create_code_context() as context:
        run = context.run_code("kept = 1\n1 / 0")
        assert run.exit_code == 1
        assert run.error.endswith("ZeroDivisionError: division by zero\n")
        with pytest.raises(pandastack.SandboxTimeout):
            context.run_code("while True: pass", timeout_seconds=1)
        assert context.run_code("kept").text == "1"


def test_code_context_figures(sandbox):
    said = []
    # Its first import makes a cache of fonts, which takes longer than the SDK waits for a cell.
    code = sandbox.exec_stream(
        "pip install --break-system-packages -q matplotlib && python3 -c 'import matplotlib.pyplot'",
        on_stdout=said.append, on_stderr=said.append, timeout_seconds=900,
    )
    assert code == 0, "".join(said)
    with sandbox.create_code_context() as context:
        context.run_code("import matplotlib.pyplot as plt")
        run = context.run_code("plt.plot([1, 2, 3])\nplt.show()\nprint('shown')")
        assert run.error is None and run.stdout == "shown\n", run
        assert base64.b64decode(run.results[0].png).startswith(b"\x89PNG\r\n")
        assert run.stderr == ""


@pytest.mark.parametrize("language, code, text", [
    ("javascript", "const n = 6; await Promise.resolve(n * 7)", "42"),
    ("python3", "6 * 7", "42"),
])
def test_code_context_languages(sandbox, language, code, text):
    with sandbox.create_code_context(language) as context:
        assert context.run_code(code).text == text


def test_code_context_shell(sandbox):
    with sandbox.create_code_context("bash") as context:
        context.run_code("cd /srv && n=42")
        assert context.run_code("echo $n in $PWD").stdout == "42 in /srv\n"
        with pytest.raises(pandastack.BadRequestError):
            sandbox.create_code_context("cobol")
