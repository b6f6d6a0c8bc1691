"""An app's environment through the public SDK, unmodified. Rows alone: nothing is deployed."""

import concurrent.futures
import random
import uuid

import pytest

import pandastack
from pandastack import Client

MASK = "••••••••"


@pytest.fixture
def app(server):
    """An app of a repository that is not there (RFC 2606)."""
    apps = Client().apps
    made = apps.create(f"env-{uuid.uuid4().hex[:8]}", "https://forge.invalid/owner/repo")
    yield made["id"]
    apps.delete(made["id"])


def shown(app):
    return {(entry["key"], entry["scope"]): entry["value"] for entry in Client().apps.list_env(app)}


def test_variables_are_set_listed_and_removed(app):
    apps = Client().apps
    assert apps.list_env(app) == []
    assert apps.set_env(app, "LEVEL", "info") == {"key": "LEVEL", "secret": False, "scope": "all"}
    set_to = apps.set_env(app, "TOKEN", "hunter2", secret=True, scope="production")
    assert set_to == {"key": "TOKEN", "secret": True, "scope": "production"}
    assert apps.list_env(app) == [
        {"key": "LEVEL", "value": "info", "secret": False, "scope": "all"},
        {"key": "TOKEN", "value": MASK, "secret": True, "scope": "production"},
    ]
    apps.set_env(app, "LEVEL", "debug", scope="preview")
    assert shown(app) == {("LEVEL", "preview"): "debug", ("TOKEN", "production"): MASK}
    apps.set_env(app, "LEVEL", "warn", scope="production")
    assert shown(app) == {("LEVEL", "preview"): "debug", ("LEVEL", "production"): "warn",
                          ("TOKEN", "production"): MASK}
    assert apps.unset_env(app, "LEVEL") is None
    assert shown(app) == {("TOKEN", "production"): MASK}
    with pytest.raises(pandastack.NotFoundError, match="LEVEL"):
        apps.unset_env(app, "LEVEL")
    # What is set whole is secret.
    apps.update(app, env={"WHOLE": "x"})
    assert shown(app) == {("WHOLE", "production"): MASK}
    assert "env" not in apps.get(app)


def test_a_dotenv_is_imported_whole_or_not_at_all(app):
    apps = Client().apps
    text = "\ufeff# comment\r\nexport A=$HOME # not expanded\r\nB='two\nlines'\nC=\"a\\nb\"\n\nA=last\n"
    assert apps.import_env(app, text, scope="preview") == {"imported": 3, "total": 4}
    values = {("A", "preview"): "last", ("B", "preview"): "two\nlines", ("C", "preview"): "a\nb"}
    assert shown(app) == values
    for broken, line in (("D=1\nnothing\n", 2), ("D=1\n\nE='\n", 3), ("1D=1", 1)):
        with pytest.raises(pandastack.BadRequestError, match=f"line {line}: "):
            apps.import_env(app, broken)
    assert shown(app) == values
    apps.import_env(app, text, secret=True, scope="preview")
    assert shown(app) == dict.fromkeys(values, MASK)


def test_values_come_back_byte_for_byte(app):
    apps = Client().apps
    dice = random.Random(7)
    signs = "$`'\"\\#=%{}()&|;<>*?![]~ \t\r\n\x01\x7fäß\u2028\ufeff🌳aZ0"
    values = {f"V{n}": "".join(dice.choices(signs, k=dice.randrange(30))) for n in range(200)}
    lines = [name + '="' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for name, value in values.items()]
    apps.import_env(app, "\n".join(lines))
    assert {name: value for (name, _), value in shown(app).items()} == values
    for name in list(values)[:20]:
        apps.set_env(app, name, values[name] + "$")
        assert shown(app)[name, "all"] == values[name] + "$"


def test_changes_at_once_do_not_lose_each_other(app):
    apps, names = Client().apps, [f"K{n}" for n in range(40)]
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda name: apps.set_env(app, name, name), names))
    assert shown(app) == {(name, "all"): name for name in names}


def test_what_cannot_be_is_refused_by_its_field(app):
    apps = Client().apps
    for name, value, scope, why in (
        ("1A", "x", "all", "name of a variable"),
        ("A" * 257, "x", "all", "256 bytes"),
        ("A", "\0", "all", "NUL"),
        ("A", "x" * 65536, "all", "64 KiB"),
        ("A", "x", "staging", "scope"),
    ):
        with pytest.raises(pandastack.BadRequestError, match=why):
            apps.set_env(app, name, value, scope=scope)
    assert apps.list_env(app) == []
    with pytest.raises(pandastack.NotFoundError):
        apps.set_env(str(uuid.uuid4()), "A", "x")
