"""How the facts of a machine are read."""

from __future__ import annotations

import base64
import json
import os
import stat
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from buildkit.doctor.facts import DARWIN, DiskFacts, DockerFacts, Handler
from buildkit.doctor.gather import (
    absent_auth_file,
    gather_credentials,
    gather_disks,
    gather_docker,
    gather_emulation,
    gather_proxy,
    gather_tree,
    goproxy_hosts,
    other_sockets,
    pip_places,
    why_unasked,
)
from buildkit.errors import EnvironmentMissingError
from buildkit.execute.space import Disk, Place
from buildkit.vcs import GitFacts, WorktreeKind
from tests.fakes.runner import Call, FakeRunner, refuse

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC).timestamp()
VERSION = {"Version": "27.1", "Arch": "arm64", "Os": "linux"}
INFO = {
    "Name": "here",
    "OperatingSystem": "Debian",
    "Driver": "overlay2",
    "SystemTime": "2026-05-04T12:00:30.123456789Z",
}
AARCH64 = """\
enabled
interpreter /usr/bin/qemu-aarch64-static
flags: {flags}
offset 0
magic 7f454c460201010000000000000000000200b700
mask ffffffffffffff00fffffffffffffffffeffffff
"""


def docker(
    environ: Mapping[str, str],
    *,
    system: str = "linux",
    version: Mapping[str, Any] = VERSION,
    **info: object,
) -> DockerFacts:
    return gather_docker(
        environ,
        system=system,
        host_name="here",
        now=NOW,
        needed="",
        ask=lambda _: (version, {**INFO, **info}),
    )


def test_a_daemon_of_this_machine(tmp_path: Path) -> None:
    found = docker({}, DockerRootDir=str(tmp_path / "closed"))
    assert (found.endpoint, found.origin) == ("/var/run/docker.sock", "the default")
    assert (found.version, found.arch, found.driver) == ("27.1", "arm64", "overlay2")
    assert found.free is not None
    assert found.free > 0
    assert found.seconds_ahead == pytest.approx(30.123456)
    assert found.problem == ""
    assert not any((found.is_podman, found.is_virtual, found.has_proxy))


def test_a_daemons_disk_that_nobody_may_see_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(path: Path) -> None:
        raise PermissionError(path)

    monkeypatch.setattr("shutil.disk_usage", closed)
    assert docker({}, DockerRootDir=str(tmp_path)).free is None


def test_a_daemon_in_a_virtual_machine_has_a_disk_of_its_own(tmp_path: Path) -> None:
    found = docker({}, system=DARWIN, DockerRootDir=str(tmp_path), Name="colima")
    assert found.is_virtual
    assert found.free is None


def test_podman_and_proxies_are_told_from_the_answer() -> None:
    version = {**VERSION, "Components": [{"Name": "Podman Engine"}]}
    found = docker({}, version=version, HttpsProxy="http://ann:secret@p:1", SystemTime="soon")
    assert found.is_podman
    assert found.has_proxy
    assert found.seconds_ahead == 0
    assert "secret" not in repr(found)


@pytest.mark.parametrize(
    ("environ", "endpoint", "origin", "passed_over"),
    [
        ({"DOCKER_HOST": "unix:///x.sock"}, "/x.sock", "DOCKER_HOST", ""),
        ({"DOCKER_HOST": "tcp://ann:secret@h:2375"}, "h:2375", "DOCKER_HOST", ""),
        ({"DOCKER_CONTEXT": "colima"}, "the context colima", "DOCKER_CONTEXT", ""),
        ({"DOCKER_HOST": "unix:///x", "DOCKER_CONTEXT": "c"}, "/x", "DOCKER_HOST", "c"),
        ({"DOCKER_CONTEXT": "default"}, "/var/run/docker.sock", "the default", ""),
    ],
)
def test_what_chose_the_daemon(
    environ: dict[str, str], endpoint: str, origin: str, passed_over: str
) -> None:
    found = docker(environ)
    assert (found.endpoint, found.origin) == (endpoint, origin)
    assert found.passed_over == passed_over


def test_a_context_of_dockers_own_file(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"currentContext": "orbstack"}')
    found = docker({"DOCKER_CONFIG": str(tmp_path)})
    assert found.endpoint == "the context orbstack"
    assert found.origin == f"currentContext in {tmp_path}/config.json"


def fails(_: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    raise EnvironmentMissingError("the Docker daemon cannot be used", details="Closed.")


def test_a_daemon_that_does_not_answer_and_another_that_may(tmp_path: Path) -> None:
    place = tmp_path / ".colima" / "default"
    place.mkdir(parents=True)
    os.mknod(place / "docker.sock", stat.S_IFSOCK | 0o600)
    environ = {"HOME": str(tmp_path), "DOCKER_HOST": f"unix://{tmp_path}/none"}
    found = gather_docker(environ, system=DARWIN, host_name="h", now=NOW, needed="x", ask=fails)
    assert found.problem == "the Docker daemon cannot be used: Closed"
    assert ("Colima", str(place / "docker.sock")) in found.other_sockets
    assert not found.is_refused
    assert found.needed == "x"


@pytest.mark.parametrize("is_open", [True, False])
def test_a_socket_that_is_closed_to_this_user_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_open: bool
) -> None:
    place = tmp_path / "docker.sock"
    place.touch()
    # Nothing is closed to root, so that modes would not do.
    monkeypatch.setattr("os.access", lambda *_: is_open)
    environ = {"DOCKER_HOST": f"unix://{place}"}
    found = gather_docker(environ, system="linux", host_name="h", now=NOW, needed="", ask=fails)
    assert found.is_refused is not is_open


def test_the_socket_that_was_asked_is_no_other(tmp_path: Path) -> None:
    place = tmp_path / "podman"
    place.mkdir()
    os.mknod(place / "podman.sock", stat.S_IFSOCK | 0o600)
    environ = {"XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)}
    asked = str(place / "podman.sock")
    assert ("Podman", asked) in set(other_sockets(environ, ""))
    assert ("Podman", asked) not in set(other_sockets(environ, asked))


def binfmt(root: Path, text: str, status: str = "enabled") -> Path:
    root.mkdir()
    (root / "status").write_text(f"{status}\n")
    (root / "register").write_text("")
    (root / "qemu-any").write_text(text)
    (root / "python3.11").write_text("enabled\ninterpreter /p\nflags: \noffset 0\nmagic a70d\n")
    return root


@pytest.mark.parametrize(
    ("text", "status", "handler"),
    [
        (AARCH64.format(flags="OCF"), "enabled", Handler.FIXED),
        (AARCH64.format(flags="OC"), "enabled", Handler.UNFIXED),
        (AARCH64.format(flags="F"), "disabled", Handler.DISABLED),
        (AARCH64.format(flags="F").replace("enabled", "disabled"), "enabled", Handler.DISABLED),
        ("enabled\nmagic nonsense\n", "enabled", Handler.MISSING),
        ("", "enabled", Handler.MISSING),
    ],
)
def test_emulation_is_read_from_the_kernel(
    tmp_path: Path, text: str, status: str, handler: Handler
) -> None:
    root = binfmt(tmp_path / "binfmt", text, status)
    found = gather_emulation(("amd64", "386", "arm64"), "amd64", is_elsewhere=False, root=root)
    assert [(item.arch, item.handler) for item in found] == [
        ("amd64", Handler.NATIVE),
        ("386", Handler.NATIVE),
        ("arm64", handler),
    ]


def test_emulation_without_binfmt_and_beyond_this_kernel(tmp_path: Path) -> None:
    root = tmp_path / "none"
    (here,) = gather_emulation(("arm64",), "amd64", is_elsewhere=False, root=root)
    (away,) = gather_emulation(("arm64",), "amd64", is_elsewhere=True, root=root)
    assert (here.handler, away.handler) == (Handler.MISSING, Handler.UNKNOWN)


def test_why_a_hub_is_not_asked() -> None:
    proxy = {"https_proxy": "http://ann:secret@p.example.com:3128", "no_proxy": "near.example.com"}
    assert why_unasked("r.example.com", {}, is_offline=True) == "--offline is given"
    assert why_unasked("r.example.com", {}, is_offline=False) == ""
    assert why_unasked("near.example.com", proxy, is_offline=False) == ""
    behind = why_unasked("r.example.com", proxy, is_offline=False)
    assert behind == "it is behind the proxy p.example.com:3128"
    socks = why_unasked("r.example.com", {"https_proxy": "socks5://p:1"}, is_offline=False)
    assert socks == "the proxy p:1 is not an HTTP proxy"


def test_credentials_name_helpers_and_keep_no_secret(tmp_path: Path) -> None:
    secret = base64.b64encode(b"ann:secret").decode()
    held = {
        "auths": {"a.example.com": {"auth": secret}},
        "credHelpers": {"b.example.com": "there", "c.example.com": "gone"},
        "credsStore": "desktop",
    }
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "config.json").write_text(json.dumps(held))
    (tmp_path / "auth.json").write_text("[")
    program = tmp_path / "docker-credential-there"
    program.touch(mode=0o755)
    environ = {
        "DOCKER_CONFIG": str(tmp_path / "docker"),
        "REGISTRY_AUTH_FILE": str(tmp_path / "auth.json"),
        "PATH": str(tmp_path),
    }
    mine, podman = gather_credentials(environ, ["b.example.com", "d.example.com"])
    assert (mine.logins, mine.helpers) == (1, ("desktop", "gone", "there"))
    assert (mine.absent, mine.needed) == (("desktop", "gone"), ("desktop", "there"))
    assert secret not in repr(mine)
    assert podman.is_podman
    assert podman.error


def test_an_auth_file_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "auth.json").write_text("{}")
    assert absent_auth_file({}) == ""
    assert absent_auth_file({"REGISTRY_AUTH_FILE": str(tmp_path / "auth.json")}) == ""
    assert absent_auth_file({"REGISTRY_AUTH_FILE": "/gone"}) == "/gone"


def test_proxies_are_shown_without_passwords() -> None:
    found = gather_proxy({"HTTPS_PROXY": "http://ann:secret@p:1", "http_proxy": "ann:secret@q:2"})
    assert found.hosts == (("http_proxy", "q:2"), ("https_proxy", "p:1"))
    assert gather_proxy({"ALL_PROXY": "socks5://ann:secret@p:1"}).error == (
        "the proxy p:1 is not an HTTP proxy"
    )


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("https://ann:secret@go.example.com/x,direct", ("go.example.com", "direct")),
        ("https://a.com|https://b.com , off", ("a.com", "b.com", "off")),
        ("file:///srv/mods", ("file:",)),
        ("", ()),
    ],
)
def test_goproxy_is_shown_by_its_hosts(text: str, hosts: tuple[str, ...]) -> None:
    assert goproxy_hosts(text) == hosts


def test_what_sets_the_index_of_pip(tmp_path: Path) -> None:
    own = tmp_path / ".config" / "pip"
    own.mkdir(parents=True)
    (own / "pip.conf").write_text("[global]\nindex-url = https://ann:secret@x/%40\n")
    chosen = tmp_path / "chosen.conf"
    chosen.write_text("[install]\ntimeout = 3\n")
    environ = {
        "HOME": str(tmp_path),
        "PIP_INDEX_URL": "https://ann:secret@x/",
        "PIP_CONFIG_FILE": str(chosen),
    }
    found = set(pip_places(environ, "linux", tmp_path / "venv"))
    assert {"PIP_INDEX_URL", str(own / "pip.conf")} <= found
    assert str(chosen) not in found
    assert pip_places({"HOME": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}, "linux", own) == ()


def test_pip_of_a_mac_and_a_file_that_is_none(tmp_path: Path) -> None:
    own = tmp_path / "Library" / "Application Support" / "pip"
    own.mkdir(parents=True)
    (own / "pip.conf").write_text("[global]\nno-index = true\n")
    (tmp_path / "pip.conf").write_text("no section\n")
    found = pip_places({"HOME": str(tmp_path)}, DARWIN, tmp_path)
    assert str(own / "pip.conf") in found
    assert str(tmp_path / "pip.conf") not in found


def program(folder: Path) -> dict[str, str]:
    folder.mkdir()
    (folder / "git").touch(mode=0o755)
    return {"PATH": str(folder)}


def test_a_tree_outside_git(tmp_path: Path) -> None:
    (tmp_path / ".git").write_bytes(b"\xff")
    found = gather_tree(tmp_path, GitFacts(), FakeRunner(refuse), {}, os.getuid())
    assert (found.kind, found.git) == (None, False)


def test_a_tree_of_this_user_asks_nobody(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "shallow").touch()
    git = GitFacts(revision="abc", dirty=True)
    environ = program(tmp_path / "bin")
    found = gather_tree(tmp_path / "sub", git, FakeRunner(refuse), environ, os.getuid())
    assert (found.path, found.root) == (str(tmp_path / "sub"), str(tmp_path))
    assert found.kind is WorktreeKind.PLAIN
    assert found.git
    assert found.is_shallow
    assert found.is_dirty
    assert found.has_commit
    assert not found.is_foreign


@pytest.mark.parametrize(
    ("listed", "is_safe"), [("{root}", True), ("*", True), ("/other", False), ("", False)]
)
def test_git_is_asked_whether_a_foreign_tree_is_safe(
    tmp_path: Path, listed: str, is_safe: bool
) -> None:
    (tmp_path / ".git").mkdir()

    def answer(call: Call) -> tuple[int, bytes, bytes]:
        assert call.argv[1:] == ("config", "--get-all", "safe.directory")
        return (0, f"/a\n{listed.format(root=tmp_path)}\n".encode(), b"")

    environ = program(tmp_path / "bin")
    found = gather_tree(tmp_path, GitFacts(), FakeRunner(answer), environ, os.getuid() + 1)
    assert found.is_foreign
    assert found.is_safe is is_safe
    assert not found.has_commit


def test_a_worktree_whose_repository_is_gone(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: /gone/.git/worktrees/x\n")
    found = gather_tree(tmp_path, GitFacts(), FakeRunner(refuse), {}, os.getuid())
    assert found.kind is WorktreeKind.LINKED
    assert not found.is_whole


def test_places_on_one_disk_are_added_up() -> None:
    out, cache, other = Path("/out"), Path("/cache"), Path("/other")
    disks = {out: Disk(device=1, free=9), cache: Disk(device=1, free=9)}
    disks[other] = Disk(device=2, free=5)
    places = [Place(folder=folder, needed=3) for folder in (out, other, cache)]
    assert gather_disks(places, disks) == (
        DiskFacts(folders=("/out", "/cache"), free=9, needed=6),
        DiskFacts(folders=("/other",), free=5, needed=3),
    )
