"""The interpreter's end of a Python session.

Reads cells from the agent on the descriptor named in PANDO_REPL_FD, each a line
"SEQUENCE BYTES" and then that many bytes of code, and writes JSON lines there:
{"seq", "result": {mime type: text}} for each rich result, then {"seq", "done"}.
What the code prints goes to the process's own output, which the agent reads.
"""

import ast
import asyncio
import base64
import builtins
import inspect
import io
import json
import linecache
import os
import signal
import sys
import traceback
import types
from importlib import machinery

MAX_TEXT = 64 * 1024
DRAWING = "pando_drawing"

# Each method of an object that shows itself, and what it shows.
REPRS = (
    ("_repr_html_", "text/html"),
    ("_repr_markdown_", "text/markdown"),
    ("_repr_svg_", "image/svg+xml"),
    ("_repr_png_", "image/png"),
    ("_repr_jpeg_", "image/jpeg"),
    ("_repr_pdf_", "application/pdf"),
    ("_repr_latex_", "text/latex"),
    ("_repr_json_", "application/json"),
    ("_repr_javascript_", "application/javascript"),
)


class Cell:
    """What runs now."""

    seq = 0
    running = False


def as_text(value):
    """A representation as the wire has it: bytes in base64, structures as JSON."""
    if isinstance(value, tuple) and value:
        value = value[0]  # (data, metadata)
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode("ascii")
    return value if isinstance(value, str) else json.dumps(value, default=str)


def plain(value):
    text = repr(value)
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"


def bundle(value):
    """All representations of a value. One that fails is left out."""
    shown = {}
    if not isinstance(value, type):
        try:
            method = getattr(value, "_repr_mimebundle_", None)
            found = method() if callable(method) else None
            if isinstance(found, tuple):
                found = found[0]
            for kind, data in (found or {}).items():
                shown[str(kind)] = as_text(data)
        except Exception:
            traceback.print_exc()
        for name, kind in REPRS:
            if kind in shown:
                continue
            try:
                method = getattr(value, name, None)
                data = method() if callable(method) else None
                if data is not None:
                    shown[kind] = as_text(data)
            except Exception:
                traceback.print_exc()
    if "text/plain" not in shown:
        try:
            shown["text/plain"] = plain(value)
        except Exception as error:
            shown["text/plain"] = f"<{type(value).__name__}, whose repr raises {error!r}>"
    return shown


def say(message):
    line = json.dumps({"seq": Cell.seq, **message}).encode("ascii") + b"\n"
    sent = 0
    while sent < len(line):
        sent += os.write(CHANNEL, line[sent:])


def display(*values):
    """Shows values as results of the cell."""
    for value in values:
        say({"result": bundle(value)})


def show_figures(*_args, **_kwargs):
    """Shows every open figure, and closes it."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return
    for number in pyplot.get_fignums():
        figure = pyplot.figure(number)
        picture = io.BytesIO()
        figure.savefig(picture, format="png", bbox_inches="tight")
        say({"result": {"image/png": as_text(picture.getvalue()), "text/plain": plain(figure)}})
        pyplot.close(figure)


class Drawing:
    """What matplotlib draws with, a module that is made when it asks: pictures in
    memory, shown as results."""

    @staticmethod
    def find_spec(name, _path=None, _target=None):
        return machinery.ModuleSpec(name, Drawing) if name == DRAWING else None

    @staticmethod
    def create_module(_spec):
        return None

    @staticmethod
    def exec_module(module):
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        module.FigureCanvas = FigureCanvasAgg
        module.show = show_figures


def interrupt(_signal, _frame):
    # Between cells there is nothing to interrupt.
    if Cell.running:
        Cell.running = False
        raise KeyboardInterrupt


def compiled(code, name):
    """The cell in two parts: its statements, and its last expression where it ends in one."""
    tree = compile(code, name, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    last = None
    # A semicolon keeps a value from being shown.
    if tree.body and isinstance(tree.body[-1], ast.Expr) and not code.rstrip().endswith(";"):
        last = ast.Expression(tree.body.pop().value)
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    body = compile(tree, name, "exec", flags) if tree.body else None
    return body, compile(last, name, "eval", flags) if last else None


def evaluate(part):
    value = eval(part, NAMESPACE)
    if not part.co_flags & inspect.CO_COROUTINE:
        return value
    task = LOOP.create_task(value)
    try:
        return LOOP.run_until_complete(task)
    except KeyboardInterrupt:
        task.cancel()
        LOOP.run_until_complete(asyncio.wait([task]))
        raise KeyboardInterrupt from None


def described(error):
    """An error with its traceback, without the frames of this file."""
    told = traceback.TracebackException.from_exception(error)
    part = told
    while part is not None:
        kept = [frame for frame in part.stack if frame.filename != __file__]
        part.stack = traceback.StackSummary.from_list(kept)
        part = part.__cause__ or part.__context__
    return "".join(told.format())


def run(code, name):
    """Runs a cell; its exit code and its traceback, where it raised."""
    linecache.cache[name] = (len(code), None, code.splitlines(True), name)
    try:
        Cell.running = True
        body, last = compiled(code, name)
        if body is not None:
            evaluate(body)
        value = evaluate(last) if last is not None else None
        if value is not None:
            NAMESPACE["_"] = value
            display(value)
        show_figures()
        return 0, None
    except SystemExit as end:
        code = end.code
        if code is None:
            return 0, None
        return (code if isinstance(code, int) else 1), f"SystemExit: {code}"
    except BaseException as error:
        return 1, described(error)
    finally:
        Cell.running = False


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass


def main():
    channel = os.fdopen(CHANNEL, "rb", closefd=False)
    say({"ready": True})
    while True:
        header = channel.readline().split()
        if len(header) != 2:
            return
        code = channel.read(int(header[1])).decode("utf-8", "replace")
        Cell.seq = int(header[0])
        try:
            exit_code, error = run(code, f"<cell {Cell.seq}>")
        except KeyboardInterrupt:
            # It came while a cell was on its way out.
            exit_code, error = 1, "KeyboardInterrupt\n"
        flush()
        say({"done": {"exit": exit_code, "error": error}})


CHANNEL = int(os.environ.pop("PANDO_REPL_FD"))
os.set_inheritable(CHANNEL, False)
signal.signal(signal.SIGINT, interrupt)
# Cells find an interpreter as if they had been typed into one.
sys.argv = [""]
sys.path[0] = ""
sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
sys.stderr.reconfigure(line_buffering=True, errors="backslashreplace")
sys.meta_path.append(Drawing)
os.environ.setdefault("MPLBACKEND", f"module://{DRAWING}")
builtins.display = display
LOOP = asyncio.new_event_loop()
asyncio.set_event_loop(LOOP)
SPACE = types.ModuleType("__main__")
NAMESPACE = SPACE.__dict__
NAMESPACE["__builtins__"] = builtins
sys.modules["__main__"] = SPACE
main()
