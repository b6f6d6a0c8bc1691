"""Apps of the public SDK, unmodified: real repositories, installed, built and served in real
microVMs."""

import json
import os
import subprocess
import time
import urllib.error
import urllib.request

import pytest

import pandastack
from pandastack import Client

from conftest import KEY

STATIC = {"index.html": "<h1>as it is</h1>\n", "about.html": "about\n", ".hidden": "secret\n"}

EXPRESS = {
    "package.json": '{"name": "web", "private": true, "packageManager": "pnpm@9.15.0", '
    '"scripts": {"start": "node server.js"}, "dependencies": {"express": "4.21.2"}}\n',
    "pnpm-workspace.yaml": "packages:\n  - apps/*\n",
    "apps/web/package.json": '{"name": "web", "private": true, '
    '"scripts": {"start": "node server.js"}, "dependencies": {"express": "4.21.2", "shared": "workspace:*"}}\n',
    "apps/web/server.js": "const app = require('express')();\n"
    "app.get('/', (q, r) => r.send(require('shared') + ' ' + process.env.WORD));\n"
    "app.listen(process.env.PORT);\n",
    "apps/shared/package.json": '{"name": "shared", "version": "1.0.0", "main": "index.js"}\n',
    "apps/shared/index.js": "module.exports = 'shared';\n",
}

FLASK = {
    "requirements.txt": "flask==3.1.0\n",
    "app.py": "from flask import Flask\n\napp = Flask(__name__)\n\n\n"
    "@app.get('/')\ndef page():\n    return 'flask'\n",
}

VITE = {
    "package.json": '{"name": "page", "private": true, "type": "module", '
    '"scripts": {"dev": "vite", "build": "vite build"}, '
    '"dependencies": {"react": "19.1.0", "react-dom": "19.1.0"}, '
    '"devDependencies": {"vite": "6.3.5", "@vitejs/plugin-react": "4.4.1"}}\n',
    "vite.config.js": "import react from '@vitejs/plugin-react';\n"
    "export default { plugins: [react()] };\n",
    "index.html": '<div id="root">vite</div><script type="module" src="/main.jsx"></script>\n',
    "main.jsx": "import { createRoot } from 'react-dom/client';\n"
    "createRoot(document.getElementById('root')).render(<p>react</p>);\n",
}

NEXT = {
    "package.json": '{"name": "next", "private": true, "scripts": {"build": "next build", "start": "next start"}, '
    '"dependencies": {"next": "15.5.29", "react": "19.1.0", "react-dom": "19.1.0"}}\n',
    "app/layout.js": "export default ({ children }) => <html><body>{children}</body></html>;\n",
    "app/page.js": "export const dynamic = 'force-dynamic';\n"
    "export default async () => <h1>{`rendered for ${process.env.WORD}`}</h1>;\n",
}

# Web answers as soon as its worker does, and with what that said.
WORKER = {
    "package.json": '{"name": "two", "private": true, "dependencies": {"express": "4.21.2"}}\n',
    "Procfile": "web: node web.js\nworker: node worker.js\n",
    "web.js": "const asking = () => require('net').connect('worker.sock');\n"
    "require('express')().get('/', (q, r) => asking().on('error', () => r.sendStatus(503))\n"
    "  .on('data', (said) => r.send(`it said ${said}`))).listen(process.env.PORT);\n",
    "worker.js": "require('net').createServer((web) => web.end('hello')).listen('worker.sock');\n",
}

YARN_PNP = {
    "package.json": '{"name": "berry", "private": true, "packageManager": "yarn@4.9.1", '
    '"scripts": {"start": "node server.js"}, "dependencies": {"express": "4.21.2"}}\n',
    ".yarnrc.yml": "nodeLinker: pnp\nenableGlobalCache: false\n",
    "server.js": "require('express')().get('/', (q, r) => r.send('pnp ' + !!process.versions.pnp))"
    ".listen(process.env.PORT);\n",
}

FASTAPI = {
    "requirements.txt": "fastapi==0.115.12\nuvicorn==0.34.2\n",
    "main.py": "from fastapi import FastAPI\n\napp = FastAPI()\n\n\n"
    "@app.get('/')\ndef page():\n    return {'made': 'fastapi'}\n",
}

C = {"Makefile": "web: web.c\n\tcc -O2 -o web web.c\n", "Procfile": "web: ./web\n", "web.c": """\
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void) {
    const char *page = "HTTP/1.1 200 OK\\r\\nContent-Length: 8\\r\\nConnection: close\\r\\n\\r\\ncompiled";
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(getenv("PORT")))};
    char asked[4096];
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 64)) return 1;
    for (;;) {
        int asking = accept(listener, 0, 0);
        if (read(asking, asked, sizeof asked) > 0) write(asking, page, strlen(page));
        close(asking);
    }
}
"""}

QUICK = {
    "static": (STATIC, {}, "as it is", "Static site, because index.html is there."),
    "pnpm": (EXPRESS, {"root_directory": "apps/web", "env": {"WORD": "word"}}, "shared word",
             "Installing pnpm 9.15.0 from npm's registry."),
}
# Flask is in `test_again.py`, each run.
SLOW = {
    "flask": (FLASK, {}, "flask", "Flask, because requirements.txt names flask."),
    "vite": (VITE, {}, '<div id="root">', "Vite, because package.json depends on vite."),
    "next": (NEXT, {"env": {"WORD": "word"}}, "<h1>rendered for word</h1>",
             "Next.js, because package.json depends on next."),
    "worker": (WORKER, {}, "it said hello", "worker: $ node worker.js"),
    "yarn": (YARN_PNP, {}, "pnp true", "Installing yarn 4.9.1 from npm's registry."),
    "fastapi": (FASTAPI, {}, '{"made":"fastapi"}', "FastAPI, because requirements.txt names fastapi."),
    "compiled": (C, {"build_command": "make"}, "compiled", "because the Procfile has a web line"),
}
APPS = QUICK | SLOW if os.environ.get("PANDO_SLOW_APPS") else QUICK


@pytest.fixture(scope="module")
def apps(server):
    return Client().apps


def page(server, app, path="/"):
    host = app["url"].split("//")[1].rstrip("/")
    request = urllib.request.Request(f"http://127.0.0.1:{server}{path}", headers={"Host": host})
    return urllib.request.urlopen(request, timeout=60).read().decode()


def live(apps, app, deployment):
    """Waits until it is; returns what it said."""
    lines = list(apps.deploy_logs(app["id"], deployment["id"]))
    seen = apps.deployment(app["id"], deployment["id"])
    assert seen["status"] == "live", (seen["error"], lines[-40:])
    return lines


@pytest.mark.parametrize("name", APPS)
def test_a_repository_becomes_a_page(server, apps, forge, name):
    files, settings, expected, said = APPS[name]
    forge.push(name, files)
    begun = time.monotonic()
    app = apps.create(name=name, git_url=forge.url, git_branch=name, **settings)
    try:
        lines = live(apps, app, apps.deployments(app["id"])[0])
        assert any(said in line for line in lines), lines
        print(f"{name}: live after {time.monotonic() - begun:.0f} s")
        app = apps.get(app["id"])
        assert app["status"] == "running" and expected in page(server, app)
    finally:
        apps.delete(app["id"])


def test_curl_alone_makes_an_app(server, forge):
    def curl(*arguments):
        return subprocess.run(["curl", "-sS", "--fail-with-body", "--max-time", "30", *arguments],
                              capture_output=True, text=True, check=True).stdout

    forge.push("curl", STATIC)
    key, apps = ["-H", f"Authorization: Bearer {KEY}"], f"http://127.0.0.1:{server}/v1/apps"
    asked = json.dumps({"name": "curl", "git_url": forge.url, "git_branch": "curl"})
    app = json.loads(curl(*key, "--json", asked, apps))
    try:
        deadline = time.monotonic() + 300
        while app["status"] != "running":
            assert app["status"] != "failed" and time.monotonic() < deadline, app
            time.sleep(0.2)
            app = json.loads(curl(*key, f"{apps}/{app['id']}"))
        # A name under localhost needs no DNS.
        assert curl(app["url"]) == STATIC["index.html"]
    finally:
        curl(*key, "-X", "DELETE", f"{apps}/{app['id']}")


def test_an_app_through_its_life(server, apps, forge):
    forge.push("life", STATIC)
    app = apps.create(name="life", git_url=forge.url, git_branch="life")
    live(apps, app, apps.deployments(app["id"])[0])
    assert "as it is" in page(server, app)
    assert "about" in page(server, app, "/about")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        page(server, app, "/.hidden")

    changed = apps.update(app["id"], build_command="echo built > index.html", auto_deploy=False)
    assert changed["build_command"] == "echo built > index.html"
    assert "as it is" in page(server, app)
    live(apps, app, apps.deploy(app["id"]))
    assert page(server, app) == "built\n"
    with pytest.raises(pandastack.BadRequestError, match="port"):
        apps.update(app["id"], port=0)

    apps.update(app["id"], build_command="echo no; exit 7")
    failed = apps.deploy(app["id"], git_ref="life")
    lines = list(apps.deploy_logs(app["id"], failed["id"]))
    assert apps.deployment(app["id"], failed["id"])["status"] == "failed", lines
    assert page(server, app) == "built\n"
    assert [it["status"] for it in apps.deployments(app["id"])] == ["failed", "live", "live"]
    apps.delete(app["id"])
    with pytest.raises(urllib.error.HTTPError, match="404"):
        page(server, app)
