"""Previews by repository through the public SDK, unmodified. Rows alone: nothing is deployed."""

import random
import uuid

import pytest

import pandastack
from pandastack import Client

MASK = "••••••••"


@pytest.fixture
def repo(server):
    """A repository that is not there (RFC 2606) with two apps: its number, its name, the apps."""
    apps, name = Client().apps, f"owner/{uuid.uuid4().hex[:8]}"
    made = [apps.create(f"repo-{uuid.uuid4().hex[:8]}", f"https://forge.invalid/{name}")["id"] for _ in range(2)]
    yield random.SystemRandom().randrange(1 << 40), name, made
    for app in made:
        apps.delete(app)


def test_previews_are_switched_by_repository(repo):
    apps, (number, name, _) = Client().apps, repo
    with pytest.raises(pandastack.NotFoundError, match=str(number)):
        apps.enable_preview_repo(number)
    enabled = apps.enable_preview_repo(number, repo_full_name=name)
    assert (enabled["github_repo_id"], enabled["enabled"]) == (number, True)
    listed = {"github_repo_id": number, "repo_full_name": name, "enabled": True}
    assert listed in apps.preview_repos()
    assert apps.disable_preview_repo(number) is None
    assert {**listed, "enabled": False} in apps.preview_repos()
    # Its number is known now.
    assert apps.enable_preview_repo(number)["enabled"]
    with pytest.raises(pandastack.BadRequestError, match="another number"):
        apps.enable_preview_repo(number + 1, repo_full_name=name)


def test_previews_of_a_repository_are_given_variables(repo):
    apps, (number, name, both) = Client().apps, repo
    apps.enable_preview_repo(number, repo_full_name=name)
    assert apps.list_preview_env(number) == []
    apps.set_env(both[0], "LEVEL", "info")
    set_to = apps.set_preview_env(number, "LEVEL", "debug")
    assert (set_to["key"], set_to["secret"]) == ("LEVEL", False)
    apps.set_preview_env(number, "TOKEN", "hunter2", secret=True)
    assert apps.import_preview_env(number, "A=1\nexport B='2'\nA=3\n") == {"imported": 2, "total": 3}
    shown = {entry["key"]: entry["value"] for entry in apps.list_preview_env(number)}
    assert shown == {"A": "3", "B": "2", "LEVEL": "debug", "TOKEN": MASK}
    for app in both:
        theirs = {it["key"]: it["value"] for it in apps.list_env(app) if it["scope"] == "preview"}
        assert theirs == shown
    # What the app's own deployments are given stays.
    assert {"key": "LEVEL", "value": "info", "secret": False, "scope": "production"} in apps.list_env(both[0])
    for key in shown:
        assert apps.unset_preview_env(number, key) is None
    assert apps.list_preview_env(number) == []
    with pytest.raises(pandastack.NotFoundError, match="LEVEL"):
        apps.unset_preview_env(number, "LEVEL")
    with pytest.raises(pandastack.BadRequestError, match="line 2"):
        apps.import_preview_env(number, "A=1\nnothing\n")
    assert apps.list_preview_env(number) == []
