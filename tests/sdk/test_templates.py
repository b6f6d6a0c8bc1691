"""Templates of the public SDK, unmodified, built in real microVMs."""

import io
import tarfile

import pytest

import pandastack
from pandastack import Client, Sandbox

DOCKERFILE = """\
# A comment, so that lines and steps differ.
FROM pando/base

ENV GREETING="hello world" COLOUR=green
RUN mkdir -p /srv/site && \\
    useradd --create-home web
WORKDIR /srv/site
COPY index.html entry.sh ./
RUN cat index.html > copy.html
USER web:games
EXPOSE 8000
ENTRYPOINT ["./entry.sh"]
CMD ["8000"]
"""
ENTRY = """#!/bin/sh
env > /tmp/started.env
id -un > /tmp/started.user
id -gn >> /tmp/started.user
pwd > /tmp/started.cwd
exec python3 -m http.server "$1"
"""


@pytest.fixture(scope="module")
def templates(server):
    return Client().templates


@pytest.fixture(scope="module")
def web(templates, tmp_path_factory):
    """A template that serves a page, and what its build said."""
    context = tmp_path_factory.mktemp("context")
    (context / "index.html").write_text("<h1>baked in</h1>\n")
    (context / "entry.sh").write_text(ENTRY)
    (context / "deep" / "er").mkdir(parents=True)
    (context / "deep" / "er" / "näme with space").write_text("x")
    build = templates.build_from_dockerfile("web", DOCKERFILE, context_dir=str(context), cpu=1, memory_mb=512, size_mb=4096)
    assert build.status == "queued"
    lines = list(templates.build_logs(build.id))
    build = templates.get_build(build.id)
    assert build.is_done, (build.error, lines[-30:])
    assert build.bytes > 0 and build.size_mb == 4096
    yield lines
    templates.delete("web")
    with pytest.raises(pandastack.NotFoundError):
        templates.get("web")
    with pytest.raises(pandastack.BadRequestError, match="web"):
        Sandbox.create(template="web")


def test_a_create_returns_with_the_server_listening(web, templates):
    template = templates.get("web")
    assert (template.cpu, template.memory_mb, template.is_global) == (1, 512, False)
    assert {"base", "web"} <= {template.name for template in templates.list()}
    with Sandbox.create(template="web", ttl_seconds=600) as sandbox:
        page = sandbox.exec("curl -fsS http://127.0.0.1:8000/copy.html", check=True)
        assert page.stdout == "<h1>baked in</h1>\n"
        assert (sandbox.cpu, sandbox.memory_mb, sandbox.template) == (1, 512, "web")
        # The user, the group, the folder and the environment are the image's.
        assert sandbox.exec("cat /tmp/started.user /tmp/started.cwd").stdout.split() == ["web", "games", "/srv/site"]
        assert "GREETING=hello world" in sandbox.filesystem.read("/tmp/started.env").decode().splitlines()
        # Commands have the environment, too.
        assert sandbox.exec('echo "$GREETING, $COLOUR"').stdout == "hello world, green\n"
        assert sandbox.exec("grep -c . /etc/resolv.conf; hostname").exit_code == 0
        # Another one is another machine, with the server of the same moment.
        with Sandbox.create(template="web", ttl_seconds=600) as other:
            started = "ps -o lstart= -p $(pgrep -f http.server)"
            assert other.exec(started, check=True).exit_code == 0
            assert other.exec("cat /etc/machine-id").stdout != sandbox.exec("cat /etc/machine-id").stdout


def test_the_log_tells_the_steps(web, templates):
    assert any("STEP" in line and "COPY index.html" in line for line in web)
    build = [build for build in templates.builds() if build.name == "web"][-1]
    assert list(templates.build_logs(build.id, follow=False)) == web


def test_a_failed_step_names_its_line(web, templates):
    dockerfile = "FROM base\n\nENV A=1\nRUN echo before && \\\n    exit 7\nRUN echo after\n"
    build = templates.build_from_dockerfile("broken", dockerfile)
    with pytest.raises(pandastack.TemplateBuildError, match=r"Dockerfile:4: RUN echo before && exit 7: .*7") as failure:
        templates.wait_for_build(build.id, timeout_seconds=600)
    assert failure.value.build.status == "failed"
    lines = list(templates.build_logs(build.id))
    assert "before" in lines and "after" not in lines
    with pytest.raises(pandastack.NotFoundError):
        templates.get("broken")


def test_a_command_that_ends_is_told(web, templates):
    dockerfile = "FROM base\nEXPOSE 9000\nCMD echo I cannot go on; exit 3\n"
    build = templates.build_from_dockerfile("ends", dockerfile, size_mb=4096)
    with pytest.raises(pandastack.TemplateBuildError, match="before it listened on port 9000"):
        templates.wait_for_build(build.id, timeout_seconds=600)
    assert "I cannot go on" in list(templates.build_logs(build.id))


def rootfs(path, text):
    with tarfile.open(path, "w:gz") as tar:
        content = text.encode()
        file = tarfile.TarInfo("srv/hello.txt")
        file.size, file.mode = len(content), 0o640
        tar.addfile(file, io.BytesIO(content))
    return str(path)


def test_a_root_file_system_of_a_tar(templates, tmp_path):
    built = templates.build("tiny", rootfs_tar=rootfs(tmp_path / "one.tar.gz", "one"), size_mb=64)
    assert built.is_done, (built.error, list(templates.build_logs(built.id)))
    assert templates.get("tiny").size_bytes == 64 << 20
    with Sandbox.create(template="tiny", ttl_seconds=600) as first:
        assert first.filesystem.read("/srv/hello.txt") == b"one"
        # One of the same name takes its place; what was made of the other goes on.
        built = templates.build("tiny", rootfs_tar=rootfs(tmp_path / "two.tar.gz", "two"), size_mb=64)
        assert built.is_done, built.error
        with Sandbox.create(template="tiny", ttl_seconds=600) as second:
            assert second.filesystem.read("/srv/hello.txt") == b"two"
        assert first.filesystem.read("/srv/hello.txt") == b"one"
    # What does not fit names the way out.
    big = rootfs(tmp_path / "big.tar.gz", "x" * (40 << 20))
    built = templates.build("big", rootfs_tar=big, size_mb=24)
    assert built.is_failed and "size_mb" in built.error
    templates.delete("tiny")


def test_what_cannot_be_built_is_refused(templates):
    for name in ("base", "code-interpreter", "Bad", "-x", "a/b", ""):
        with pytest.raises(pandastack.BadRequestError, match="name|template for all"):
            templates.build_from_dockerfile(name, "FROM base\n")
    with pytest.raises(pandastack.BadRequestError, match="size_mb"):
        templates.build_from_dockerfile("x", "FROM base\n", size_mb=1 << 30)
    with pytest.raises(pandastack.BadRequestError, match="image_ref"):
        templates.register("x", "a b")
    with pytest.raises(pandastack.BadRequestError):
        templates.delete("base")
    with pytest.raises(pandastack.NotFoundError):
        templates.delete("nothing")
    with pytest.raises(pandastack.NotFoundError):
        templates.get_build("00000000-0000-4000-8000-000000000000")
