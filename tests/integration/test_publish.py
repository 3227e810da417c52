"""A release moved to a registry, a directory and a server: killed, resumed, refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from buildkit.http import HttpPool
from buildkit.reference import Reference
from buildkit.registry.client import RegistryClient
from tests.fakes.registry import Logins
from tests.fakes.uploads import FakeUploads
from tests.integration.registry_servers import free_port, installed_program, serve
from tests.integration.test_release import Project, files
from tests.integration.tiny_project import PROJECT

pytestmark = [pytest.mark.go, pytest.mark.registry, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
TOKEN = "s3cr3t-token"
RELEASE = """\
[release.archives.app]
binaries = { app = "app" }
"""
PLACES = """\
[registry]
protected = ["%(hub)s/team/tiny"]
[publish.hub]
kind = "registry"
hub = "%(hub)s/released"
channels = ["latest"]
[publish.share]
kind = "directory"
directory = "../share/${version}"
[publish.site]
kind = "put"
url = "%(site)s/${project}/${version}"
headers = { Authorization = "Bearer ${env.SITE_TOKEN}" }
[publish.guarded]
kind = "registry"
hub = "%(hub)s/team/${project}"
[publish.absent]
kind = "registry"
hub = "localhost:%(free)d/released"
"""
ALL = "hub,share,site"


class World:
    """A project with its release, and the places that it goes to."""

    def __init__(self, root: Path, hub: str, server: FakeUploads) -> None:
        self.project = Project.__new__(Project)
        self.project.root, self.project.place = root, root / "mesh"
        self.hub, self.server = hub, server
        self.free = free_port()
        self.client = RegistryClient(pool=HttpPool(environ={}), credentials=Logins())
        values = {"hub": hub, "site": server.url, "free": self.free}
        self.project.write("targets.toml", PROJECT + RELEASE + PLACES % values)

    def publish(self, *words: str, **env: str) -> tuple[int, str]:
        given = {"SITE_TOKEN": TOKEN, "CI": "", **env}
        done = self.project.invoke("publish", *words, **given)
        assert "Traceback" not in done.stderr
        assert TOKEN not in done.stdout + done.stderr
        return done.returncode, done.stdout + done.stderr

    def publish_killed(self, event: str, pattern: str, nth: int = 1) -> None:
        words = [str(self.project.root / "notes"), event, pattern, str(nth), "0"]
        task = ["--search-root", str(ROOT), "publish", "--to", ALL]
        done = subprocess.run(
            [sys.executable, "-P", str(ROOT / "tests/integration/killing.py"), *words, *task],
            cwd=self.project.place,
            env={
                **os.environ,
                "MESHWRIGHT_CACHE": str(self.project.root / "cache"),
                "SITE_TOKEN": TOKEN,
                "TARGETS": "targets.toml",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL, done

    def tag(self, name: str, place: str = "released") -> str:
        """Return the digest that a tag names; empty where there is none."""
        found = self.client.head_manifest(Reference.parse(f"{self.hub}/{place}/app:{name}"))
        return str(found.digest) if found else ""

    @property
    def share(self) -> Path:
        return self.project.root / "share"

    def shared(self, version: str = "1.2.3") -> dict[str, str]:
        found = files(self.share / version)
        return {name: digest for name, digest in found.items() if not name.endswith(".tmp")}

    def released(self) -> dict[str, str]:
        found = files(self.project.dist)
        return {name: digest for name, digest in found.items() if not name.startswith("oci/")}

    def image(self) -> str:
        document = json.loads((self.project.dist / "release.json").read_bytes())
        return str(document["images"][0]["digest"])

    def check_nothing(self) -> None:
        """Nothing is anywhere, and no journal says that something is."""
        assert self.tag("1.2.3") == self.tag("latest") == ""
        assert not self.share.exists()
        assert self.server.files == {}
        assert not list(self.project.place.rglob("*.jsonl"))

    def check_whole(self) -> None:
        """Everything is everywhere, byte by byte."""
        assert self.tag("1.2.3") == self.tag("latest") == self.image()
        assert self.shared() == self.released()
        sent = {name.removeprefix("/tiny/1.2.3/"): data for name, data in self.server.files.items()}
        assert sent.keys() == self.released().keys()
        assert all((self.project.dist / name).read_bytes() == sent[name] for name in sent)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with its release."""
    project = Project(tmp_path_factory.mktemp("publish"))
    project.write("targets.toml", PROJECT + RELEASE)
    project.commit("feat: less")
    project.git("tag", "-f", "v1.2.3")
    project.release("--hub", "localhost:1")
    return project


@pytest.fixture
def world(made: Project, tmp_path: Path) -> Iterator[World]:
    shutil.copytree(made.root, tmp_path / "world", symlinks=True)
    folder = tmp_path / "registry"
    folder.mkdir()
    with serve(installed_program(), folder) as port, FakeUploads() as server:
        server.authorization = f"Bearer {TOKEN}"
        yield World(tmp_path / "world", f"localhost:{port}", server)


def test_a_dry_run_tells_what_would_move_and_moves_nothing(world: World) -> None:
    code, said = world.publish("--to", ALL, "--dry-run")
    assert code == 0, said
    for place in (f"{world.hub}/released/app:1.2.3", "release.json", "/tiny/1.2.3/checksums.txt"):
        assert place in said
    world.check_nothing()


def test_everything_arrives_and_the_next_version_moves_no_version_tag(world: World) -> None:
    code, said = world.publish("--to", ALL)
    assert code == 0, said
    assert "site: 1.2.3 is published and read back" in said
    world.check_whole()
    first = world.image()
    before = world.project.snapshot()
    asked = len(world.server.asked)
    assert world.publish("--to", ALL)[0] == 0
    assert {line.split()[0] for line in world.server.asked[asked:]} == {"HEAD"}
    after = world.project.snapshot()
    shares = {name for name in after if name.startswith(str(world.share))}
    assert {name for name in shares if before[name] != after[name]} == set()

    world.project.write("cmd/app/more.go", "package main\n\nfunc init() { println(1) }\n")
    world.project.commit("feat: more")
    world.project.git("tag", "v1.2.4")
    world.project.release("--hub", "localhost:1")
    assert world.publish("--to", ALL)[0] == 0
    assert world.tag("1.2.3") == first != world.image()
    assert world.tag("1.2.4") == world.tag("latest") == world.image()
    assert world.shared("1.2.4") == world.released()

    # The same version, made of something else, is refused everywhere.
    world.project.release("--hub", "localhost:1", "--version", "1.2.3-again")
    world.project.git("tag", "-f", "v1.2.3")
    world.project.release("--hub", "localhost:1", "--version", "1.2.3")
    code, said = world.publish("--to", ALL)
    assert (code, "published already, and different" in said) == (11, True), said
    assert f"{world.hub}/released/app:1.2.3: there is {first}" in said
    assert world.tag("1.2.3") == first


KILLS = {
    "before the first blob": ("http.client.send", r"POST \S+/blobs/uploads", 1),
    "between two files": ("os.rename", r"share/1\.2\.3/", 3),
    "while a file is sent": ("http.client.send", r"PUT /tiny/\S+ \+1", 2),
    "between two tags": ("http.client.send", r"PUT \S+/manifests/latest", 1),
    "before the second manifest": ("http.client.send", r"PUT \S+/manifests/sha256", 2),
    "before a file is copied": ("os.rename", r"share/1\.2\.3/", 1),
    "before the tag": ("http.client.send", r"PUT \S+/manifests/1\.2\.3", 1),
    "before the index in the directory": ("os.rename", r"share/\S+/checksums\.txt$", 1),
    "before the index on the server": ("http.client.send", r"PUT \S+checksums\.txt \+0", 1),
}


@pytest.mark.parametrize("kill", KILLS.values(), ids=KILLS)
def test_a_publish_that_is_killed_goes_on(world: World, kill: tuple[str, str, int]) -> None:
    world.publish_killed(*kill)
    # What is visible is whole: a tag has its image, checksums.txt its files.
    assert world.tag("1.2.3") in {"", world.image()}
    is_listed = "checksums.txt" in world.shared()
    assert not is_listed or world.shared().keys() >= world.released().keys() - {"release.json"}
    code, said = world.publish("--to", ALL)
    assert code == 0, said
    world.check_whole()
    assert not list(world.share.rglob("*.tmp"))


def test_a_server_that_ends_leaves_nothing_visible_anywhere(world: World) -> None:
    world.server.die_at(20, death=type(world.server.death).AMID)
    code, said = world.publish("--to", ALL)
    assert (code, "Run the same command again" in said) == (11, True), said
    assert world.tag("1.2.3") == ""
    assert "checksums.txt" not in world.shared()
    world.server.revive()
    assert world.publish("--to", ALL)[0] == 0
    world.check_whole()


def test_what_may_not_be_published_is_refused_before_anything_moves(world: World) -> None:
    for words, env, problem in (
        (("--to", "guarded"), {}, f"{world.hub}/team/tiny is protected: only CI pushes there"),
        (("--to", "hubb"), {}, "--to hubb: no such place in [publish]"),
        (("--to", ALL), {"SITE_TOKEN": ""}, "publish.site needs SITE_TOKEN"),
        (("--to", f"{ALL},absent"), {}, f"invoke registry.start --hub localhost:{world.free}"),
        (("--to", ALL, "--dist", "nowhere"), {}, "there is no release in"),
    ):
        code, said = world.publish(*words, **env)
        assert (code != 0, problem in said) == (True, True), said
        assert said.count("error:") == 1
    (world.project.dist / "CHANGELOG.md").write_text("better words\n")
    code, said = world.publish("--to", ALL)
    assert (code, "CHANGELOG.md was changed" in said) == (9, True), said
    world.project.release("--snapshot", "--force", "--version", "1.2.3", "--hub", "localhost:1")
    code, said = world.publish("--to", ALL)
    assert (code, "is a snapshot, which is not for others" in said) == (2, True), said
    shutil.rmtree(world.project.dist)
    world.project.commit("feat: places")
    world.project.release("--version", "1.2.4", "--shard", "1/2", "--hub", "localhost:1")
    code, said = world.publish("--to", ALL)
    assert (code, "is part 1/2 of 1.2.4" in said) == (2, True), said
    world.check_nothing()


def test_ci_may_publish_to_a_protected_hub(world: World) -> None:
    assert world.publish("--to", "guarded", "--dry-run")[0] == 0
    assert world.publish("--to", "guarded", CI="true")[0] == 0
    assert world.tag("1.2.3", "team/tiny") == world.image()
