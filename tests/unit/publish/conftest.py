"""A small release, and a pool that does not wait."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from buildkit.digest import Digest
from buildkit.http import HttpPool
from buildkit.publish.cargo import Cargo, CargoFile
from buildkit.publish.journal import Journal

CONTENT = {"mesh-1.0.0.tar.gz": b"archive" * 100, "mesh.json": b"{}", "checksums.txt": b"sums"}
INDEXES = {"checksums.txt"}


@pytest.fixture
def cargo(tmp_path: Path) -> Cargo:
    folder = tmp_path / "dist"
    folder.mkdir()
    for name, content in CONTENT.items():
        (folder / name).write_bytes(content)
    files = tuple(
        CargoFile(
            name=name,
            path=folder / name,
            digest=Digest.of_bytes(content),
            size=len(content),
            is_index=name in INDEXES,
        )
        for name, content in CONTENT.items()
    )
    return Cargo(
        version="1.0.0",
        tag="v1.0.0",
        revision="c" * 40,
        notes="## Changes",
        is_prerelease=False,
        digest=Digest.of_bytes(b"release"),
        files=files,
        layout=None,
        folder=tmp_path,
        epoch=0,
    )


@pytest.fixture
def new_journal(tmp_path: Path, cargo: Cargo) -> Callable[[], Journal]:
    """Open the journal as the next run does."""
    path = tmp_path / "journal" / "site.jsonl"
    return lambda: Journal(path, destination="site", release=cargo.digest)


@pytest.fixture
def pool() -> HttpPool:
    return HttpPool(environ={}, sleep=lambda _: None)
