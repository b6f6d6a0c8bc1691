"""What of a deployment need not be done again, by the public SDK in real microVMs: installs,
builds, starts."""

import json
import time
import urllib.request

import pytest

from pandastack import BadRequestError, Client
from test_apps import FLASK, page

APP = FLASK | {"app.py": FLASK["app.py"].replace("'flask'", "'VERSION ' + __import__('os').environ.get('WORD', '')")}


def version(text):
    return APP | {"app.py": APP["app.py"].replace("VERSION", text)}


def ended(apps, app, deployment):
    """Waits until it is live; what it said, and how long its states took."""
    lines = list(apps.deploy_logs(app["id"], deployment["id"]))
    seen = apps.deployment(app["id"], deployment["id"])
    assert seen["status"] == "live", (seen["error"], lines[-40:])
    phases = {phase["status"]: phase["duration_ms"] for phase in seen["phases"]}
    print(f"{seen['reason']}: {sum(phases.values())} ms {phases}")
    return lines, phases


def post(server, path, body=None):
    """What the SDK has no method for."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{server}/v1{path}", method="POST", data=json.dumps(body or {}).encode(),
        headers={"Authorization": "Bearer pds_0123456789abcdef0123456789abcdef", "Content-Type": "application/json"},
    )
    return json.load(urllib.request.urlopen(request, timeout=60))


def test_what_is_there_is_not_made_again(server, forge):
    apps = Client().apps
    first_commit = forge.push("again", version("one"))
    app = apps.create(name="again", git_url=forge.url, git_branch="again", env={"WORD": "first"})
    try:
        lines, first = ended(apps, app, apps.deployments(app["id"])[0])
        assert "one first" in page(server, app)
        with pytest.raises(BadRequestError):
            apps.rollback(app["id"])

        # Sources alone changed: nothing is installed.
        forge.push("again", version("two"))
        lines, second = ended(apps, app, apps.deploy(app["id"]))
        assert "two first" in page(server, app)
        assert any("Nothing to install" in line for line in lines), lines
        assert second["installing"] < first["installing"] / 3

        # Back, and the same again: nothing is built, and nothing started.
        lines, back = ended(apps, app, apps.rollback(app["id"]))
        assert "one first" in page(server, app)
        assert "installing" not in back and "fetching" not in back
        lines, same = ended(apps, app, apps.deploy(app["id"], git_ref=first_commit))
        assert any("Going on with the machine of deployment" in line for line in lines), lines
        assert "one first" in page(server, app)

        # Another environment needs a start, and no more.
        apps.update(app["id"], env={"WORD": "other"})
        lines, restart = ended(apps, app, post(server, f"/apps/{app['id']}/restart"))
        assert "one other" in page(server, app)
        assert "installing" not in restart and "building" not in restart

        # The machine's death is no reason to build, either.
        live = apps.get(app["id"])
        Client().sandboxes.delete(live["sandbox_id"])
        until = time.monotonic() + 60
        while apps.get(app["id"])["sandbox_id"] in (live["sandbox_id"], None):
            assert time.monotonic() < until, "it does not come back"
            time.sleep(0.1)
        assert "one other" in page(server, app)
    finally:
        apps.delete(app["id"])
