"""SIGKILL in the middle and a power cut after it: the next run gives what a first one gives."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from buildkit.images.daemon import connect
from tests.fakes.files import FakeFiles
from tests.integration.crashes import FETCHED, FETCHED_PATH, SLUG, Kill, World
from tests.integration.leftovers import remove_named
from tests.integration.registry_servers import installed_program, serve

pytestmark = [pytest.mark.go, pytest.mark.registry]

RANDOM_MOMENTS = 100
LONGEST_SECONDS = 2.5
"""A first run takes about as long."""

RENAME, SEND = "os.rename", "http.client.send"
POINTS = {
    "before the compiler starts": Kill(event="subprocess.Popen", pattern=r"go build "),
    "while the compiler runs": Kill(event="subprocess.Popen", pattern=r"go build ", delay=0.15),
    "after the compile, before an output is placed": Kill(event=RENAME, pattern=rf"{SLUG}/alpha$"),
    "between two outputs of one compile": Kill(event=RENAME, pattern=rf"{SLUG}/beta$"),
    "before an output is kept in the cache": Kill(
        event="open", pattern=r"/blobs/sha256/../\.\w+\..*tmp", nth=4
    ),
    "before a result is kept in the cache": Kill(event=RENAME, pattern=r"/actions/"),
    "before the first record": Kill(event=RENAME, pattern=r"records\.json$"),
    "before the second record": Kill(event=RENAME, pattern=r"records\.json$", nth=2),
    "in the middle of a download": Kill(event="open", pattern=r"/partial/\w+$", delay=0.002),
    "before a fetched file is kept": Kill(event=RENAME, pattern=rf"{SLUG}/tool$"),
    "before the link to a fetched file": Kill(event=RENAME, pattern=r"release/tool$"),
    "before a base is noted": Kill(event=RENAME, pattern=r"/bases/"),
    "before a layer is noted": Kill(event=RENAME, pattern=r"/layers/", nth=2),
    "before an image's description": Kill(event=RENAME, pattern=rf"images/{SLUG}/\w+\.json$"),
    "before a compressed layer": Kill(event=RENAME, pattern=r"layer\.tar\.gz -> "),
    "between a compressed layer and its digest": Kill(event=RENAME, pattern=r"/gzip/", nth=2),
    "in the middle of an upload": Kill(event=SEND, pattern=r"PUT \S+/blobs/uploads\S+ \+2"),
    "before a manifest": Kill(event=SEND, pattern=r"PUT \S+/manifests/sha256\S+ \+0"),
    "before a tag": Kill(event=SEND, pattern=r"PUT \S+/manifests/latest \+0"),
    "between two tags": Kill(event=SEND, pattern=r"PUT \S+/manifests/latest \+0", nth=2),
    "before a blob of the layout": Kill(event=RENAME, pattern=r"oci/blobs/sha256/\w+$", nth=3),
    "while index.json is replaced": Kill(event=RENAME, pattern=r"oci/index\.json$"),
    "while index.json is replaced again": Kill(event=RENAME, pattern=r"oci/index\.json$", nth=2),
}
RESTORING = {
    "before an output is restored": Kill(event=RENAME, pattern=rf"{SLUG}/alpha$"),
    "between two restored outputs": Kill(event=RENAME, pattern=rf"{SLUG}/(alpha|beta)$", nth=2),
    "in the middle of restoring": Kill(event="open", pattern=rf"{SLUG}/\.alpha\.\w+\.tmp$", nth=2),
    "before a restored output is recorded": Kill(event=RENAME, pattern=r"records\.json$"),
}
"""With the outputs and records gone and the cache there."""

LOADING = {
    "in the middle of loading": Kill(event=SEND, pattern=r"POST \S+/images/load\S* \+2"),
    "between two images that are loaded": Kill(
        event=SEND, pattern=r"POST \S+/images/load\S* \+0", nth=2
    ),
}
"""With a daemon that takes the images too."""

SIMILAR = frozenset(
    {
        "before an output is kept in the cache",
        "before the second record",
        "before the link to a fetched file",
        "before a layer is noted",
        "between a compressed layer and its digest",
        "before a blob of the layout",
        "while index.json is replaced again",
        "before an output is restored",
        "in the middle of loading",
    }
)
"""Moments beside one that every run of the tests tries: the same kind of write, once more."""


def moments(points: Mapping[str, Kill]) -> list[object]:
    return [
        pytest.param(name, marks=[pytest.mark.slow] if name in SIMILAR else []) for name in points
    ]


class Worlds:
    """Makes worlds that share one registry and one server of files."""

    def __init__(self, root: Path, port: int, files: str) -> None:
        self._root, self._port, self._files = root, port, files
        self._count = 0

    def new(self) -> World:
        self._count += 1
        name = f"w{self._count}"
        root = self._root / name
        return World(root=root, port=self._port, files=self._files, name=name).create()


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    root = tmp_path_factory.mktemp("crash").resolve()
    (root / "registry").mkdir()
    with serve(installed_program(), root / "registry") as port, FakeFiles() as files:
        files.files[FETCHED_PATH] = FETCHED
        yield Worlds(root, port, files.url)


class Reference:
    """A world that was built from nothing without a crash, and what it gave; made when needed."""

    def __init__(self, worlds: Worlds) -> None:
        self._worlds = worlds
        self._built: tuple[World, dict[str, Any]] | None = None

    @property
    def built(self) -> tuple[World, dict[str, Any]]:
        if self._built is None:
            world = self._worlds.new()
            done = world.run()
            assert done.returncode == 0, done.stderr
            self._built = world, world.result()
        return self._built

    @property
    def result(self) -> dict[str, Any]:
        return self.built[1]

    def copied(self) -> World:
        """Return another world with the cache of this one."""
        built, _ = self.built
        world = self._worlds.new()
        shutil.copytree(built.cache, world.cache)
        return world


@pytest.fixture(scope="module")
def reference(worlds: Worlds) -> Reference:
    return Reference(worlds)


def check_recovery(world: World, expected: Mapping[str, Any]) -> None:
    """Check that the next run gives what one from nothing gives, and the one after does nothing."""
    done = world.run()
    assert "Traceback" not in done.stderr
    assert done.returncode == 0, done.stderr
    assert world.result() == expected
    assert world.remains() == []
    again = world.run()
    assert again.returncode == 0, again.stderr
    assert set(again.statuses.values()) == {"cached"}, again.statuses


@pytest.mark.parametrize("point", moments(POINTS))
def test_a_run_after_a_kill_and_a_power_cut_is_right(
    point: str, worlds: Worlds, reference: Reference
) -> None:
    world = worlds.new()
    world.run_killed(POINTS[point])
    world.cut_power(frozenset())
    check_recovery(world, reference.result)


@pytest.mark.parametrize("point", moments(RESTORING))
def test_a_run_after_a_kill_while_it_restores_is_right(point: str, reference: Reference) -> None:
    world = reference.copied()
    before = world.snapshot()
    world.run_killed(RESTORING[point])
    world.cut_power(before)
    check_recovery(world, reference.result)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_run_after_a_kill_at_any_moment_is_right(worlds: Worlds, reference: Reference) -> None:
    order = random.Random(5)
    for _ in range(RANDOM_MOMENTS):
        world = worlds.new()
        kills = order.choice((1, 1, 2))
        for _ in range(kills):
            before = world.snapshot()
            child = world.start_killable()
            time.sleep(order.uniform(0.2, LONGEST_SECONDS))
            child.send_signal(signal.SIGKILL)
            child.wait()
            world.cut_power(before)
        check_recovery(world, reference.result)
        shutil.rmtree(world.root)


@pytest.mark.docker
@pytest.mark.parametrize("point", moments(LOADING))
def test_a_run_after_a_kill_while_images_are_loaded_is_right(
    point: str, worlds: Worlds, reference: Reference
) -> None:
    world = replace(worlds.new(), flags=("--layout",))
    expected = reference.result
    with closing(connect(os.environ)) as client:
        try:
            world.run_killed(LOADING[point])
            world.cut_power(frozenset())
            check_recovery(world, expected)
            for name, identity in expected["images"].items():
                assert client.images.get(f"{world.hub}/{name}:latest").id == identity
        finally:
            remove_named(client, f"/{world.name}/")
