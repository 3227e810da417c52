"""Whatever file of the records or the user's cache is damaged, the next run gives the same."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.damages import DAMAGES
from tests.fakes.files import FakeFiles
from tests.integration.crashes import FETCHED, FETCHED_PATH, World, kind_of
from tests.integration.registry_servers import installed_program, serve

pytestmark = [pytest.mark.go, pytest.mark.registry]

KINDS = frozenset(
    {
        "cache/CACHEDIR.TAG",
        "cache/actions/#.json",
        "cache/bases/#.json",
        "cache/blobs/sha256/#",
        "cache/counted.json",
        "cache/gzip/#.json",
        "cache/layers/#.json",
        "cache/locks/NAME.lock",
        "out/.buildkit/images/NAME.json",
        "out/.buildkit/listings/NAME.json",
        "out/.buildkit/lock",
        "out/.buildkit/records.json",
    }
)


class Site:
    """A world where everything was built; each damage is followed by a run for another hub."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._count = 0
        done = world.run()
        assert done.returncode == 0, done.stderr
        self.expected: dict[str, Any] = world.result()

    def files(self) -> dict[str, list[Path]]:
        """Return the files of the records and the cache by kind."""
        found: dict[str, list[Path]] = {}
        for path in self.world.kept_files():
            kind = kind_of(path, self.world)
            if kind.startswith(("cache/", "out/.buildkit/")):
                found.setdefault(kind, []).append(path)
        return found

    def damage(self, kinds: Iterable[str], how: str) -> None:
        files = self.files()
        for kind in kinds:
            # A directory stays one until its place is needed again.
            for path in files.get(kind, ()):
                DAMAGES[how](path)

    def check(self, *, lost_outputs: bool) -> None:
        """Check that a run to another hub gives what the first one gave, and the next does nothing.

        Every image is read again for that hub; without outputs the cache is read for them too.
        """
        if lost_outputs:
            shutil.rmtree(self.world.out / "oci")
            for path in self.world.out.glob("linux_*/*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self._count += 1
        self.world = replace(self.world, name=f"again{self._count}")
        done = self.world.run()
        assert "Traceback" not in done.stderr
        assert done.returncode == 0, done.stderr
        assert self.world.result() == self.expected
        again = self.world.run()
        assert again.returncode == 0, again.stderr
        assert set(again.statuses.values()) == {"cached"}, again.statuses


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    root = tmp_path_factory.mktemp("damage").resolve()
    (root / "registry").mkdir()
    with serve(installed_program(), root / "registry") as port, FakeFiles() as files:
        files.files[FETCHED_PATH] = FETCHED
        world = World(root=root / "w", port=port, files=files.url, name="first").create()
        yield Site(world)


def test_every_kind_of_file_is_damaged_here(site: Site) -> None:
    assert site.files().keys() == KINDS


@pytest.mark.parametrize("lost_outputs", [False, True], ids=["outputs kept", "outputs lost"])
@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_cache_is_made_again(site: Site, how: str, *, lost_outputs: bool) -> None:
    # Without its records a run would make the images again and not look at the old ones.
    site.damage(sorted(KINDS - {"out/.buildkit/records.json"}), how)
    site.check(lost_outputs=lost_outputs)


@pytest.mark.parametrize("how", DAMAGES)
def test_damaged_records_are_made_again(site: Site, how: str) -> None:
    site.damage(["out/.buildkit/records.json"], how)
    site.check(lost_outputs=False)


@pytest.mark.slow
@pytest.mark.parametrize("lost_outputs", [False, True], ids=["outputs kept", "outputs lost"])
@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_one_damaged_kind_is_made_again(
    site: Site, kind: str, how: str, *, lost_outputs: bool
) -> None:
    site.damage([kind], how)
    site.check(lost_outputs=lost_outputs)
