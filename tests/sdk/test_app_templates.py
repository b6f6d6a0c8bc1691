"""Apps on a template of their org's own: what is in it is there, and its size is theirs."""

import pytest

import pandastack
from pandastack import Client

from test_apps import live, page

TOOL = "own-tool"
DOCKERFILE = f"""\
FROM base
RUN printf '#!/bin/sh\\necho {{said}} by %s\\n' "$WORD" >/usr/local/bin/{TOOL} && chmod +x /usr/local/bin/{TOOL}
ENV COLOUR=green
"""
FILES = {
    "index.py": f"""\
import os, subprocess
from http.server import BaseHTTPRequestHandler, HTTPServer
class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        said = subprocess.run(["{TOOL}"], capture_output=True, text=True).stdout.strip()
        self.wfile.write(f"{{said}}, {{os.cpu_count()}}, {{os.environ.get('COLOUR')}}".encode())
HTTPServer(("", int(os.environ["PORT"])), Page).serve_forever()
""",
    "pando.toml": f'[build]\ninstall = "{TOOL} >said"\n\n[resources]\ncpu = 2\nmemory_mb = 2048\n',
}


def build(said):
    templates = Client().templates
    build = templates.build_from_dockerfile("tools", DOCKERFILE.replace("{said}", said), cpu=1, memory_mb=1024)
    lines = list(templates.build_logs(build.id))
    assert templates.get_build(build.id).is_done, lines[-30:]


@pytest.fixture(scope="module")
def template(server):
    build("first")
    yield "tools"
    Client().templates.delete("tools")


def test_an_app_runs_on_its_orgs_template(server, forge, template):
    apps = Client().apps
    forge.push("tools", FILES)
    with pytest.raises(pandastack.BadRequestError, match="cpu of template `tools` is 1"):
        apps.create(name="tools", git_url=forge.url, git_branch="tools", template=template, cpu=4)
    app = apps.create(name="tools", git_url=forge.url, git_branch="tools", template=template,
                      start_command="python3 index.py")
    try:
        assert (app["template"], app["cpu"], app["memory_mb"]) == ("tools", 1, 1024), app
        lines = live(apps, app, apps.deployments(app["id"])[0])
        assert page(server, app) == "first by, 1, green", lines
        # Built anew, it is another one: nothing that was made on the old one is used.
        build("second")
        lines = live(apps, app, apps.deploy(app["id"]))
        assert page(server, app) == "second by, 1, green", lines
        assert f"$ {TOOL} >said" in lines, lines
        # What is named no more is as for any app.
        apps.update(app["id"], template="base", start_command="python3 -m http.server $PORT", install_command="true")
        live(apps, app, apps.deploy(app["id"]))
        assert "index.py" in page(server, app)
    finally:
        apps.delete(app["id"])
