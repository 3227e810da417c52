"""A whole tree out of an archive: everything that belongs there, and nothing beyond it."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from pathlib import Path
from typing import Literal

import pytest

from buildkit.build.tree_archive import TreeLimits, extract_tree
from buildkit.errors import FetchError
from tests.fakes.tars import TarMode

FILES = {"mesh-1.0/go.mod": b"module m\n", "mesh-1.0/bin/run.sh": b"#!/bin/sh\n"}


def tarball(path: Path, mode: TarMode = "w:gz", *more: tarfile.TarInfo) -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in FILES.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o4755 if name.endswith(".sh") else 0o644
            archive.addfile(info, io.BytesIO(content))
        for info in more:
            archive.addfile(info)
    return path


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def zipped(path: Path, *more: tuple[str, bytes, int]) -> Path:
    members = [(n, c, stat.S_IFREG | 0o755 if "bin" in n else 0o644) for n, c in FILES.items()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content, mode in (*members, *more):
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, content)
    return path


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz", "w:bz2", "zip"])
def test_the_lone_top_directory_is_the_root(tmp_path: Path, mode: TarMode | Literal["zip"]) -> None:
    path = tmp_path / "mesh"
    made = zipped(path) if mode == "zip" else tarball(path, mode)
    root = extract_tree(made, tmp_path / "tree", "mesh")
    assert root == tmp_path / "tree" / "mesh-1.0"
    assert (root / "go.mod").read_bytes() == b"module m\n"
    assert stat.S_IMODE((root / "bin" / "run.sh").stat().st_mode) == 0o755


def test_several_top_entries_are_the_root_themselves(tmp_path: Path) -> None:
    archive = tarball(tmp_path / "mesh", "w", entry("README"))
    assert extract_tree(archive, tmp_path / "tree", "mesh") == tmp_path / "tree"


def test_links_inside_stay_links(tmp_path: Path) -> None:
    archive = tarball(tmp_path / "mesh", "w", entry("mesh-1.0/l", tarfile.SYMTYPE, "bin/run.sh"))
    assert (extract_tree(archive, tmp_path / "a", "m") / "l").readlink() == Path("bin/run.sh")
    archive = zipped(tmp_path / "zip", ("mesh-1.0/l", b"bin/run.sh", stat.S_IFLNK | 0o777))
    assert (extract_tree(archive, tmp_path / "b", "m") / "l").readlink() == Path("bin/run.sh")


@pytest.mark.parametrize(
    "evil",
    [
        entry("../out"),
        entry("/out"),
        entry("mesh-1.0/../../out"),
        entry("l", tarfile.SYMTYPE, "../out"),
        entry("l", tarfile.SYMTYPE, "/etc/passwd"),
        entry("l", tarfile.LNKTYPE, "../out"),
        entry("d", tarfile.CHRTYPE),
    ],
    ids=lambda info: f"{info.name} {info.linkname}",
)
def test_a_tar_that_leads_out_is_refused(tmp_path: Path, evil: tarfile.TarInfo) -> None:
    archive = tarball(tmp_path / "mesh", "w", evil)
    with pytest.raises(FetchError, match="mesh is not an archive that can be unpacked"):
        extract_tree(archive, tmp_path / "deep" / "tree", "mesh")
    assert not (tmp_path / "deep" / "out").exists()


@pytest.mark.parametrize(
    "evil",
    [
        [("../out", b"", 0o644)],
        [("/out", b"", 0o644)],
        [("l", b"../out", stat.S_IFLNK)],
        [("l", b"/etc", stat.S_IFLNK)],
        # Each is harmless alone: the second one is behind the first.
        [("d", b".", stat.S_IFLNK), ("d/e/x", b"../../out", stat.S_IFLNK)],
        # Two names of one file.
        [("mesh-1.0/go.mod", b"other", 0o644)],
    ],
    ids=lambda members: members[-1][0],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_zip_that_leads_out_is_refused(
    tmp_path: Path, evil: list[tuple[str, bytes, int]]
) -> None:
    archive = zipped(tmp_path / "mesh", *evil)
    with pytest.raises(FetchError, match="mesh is not an archive that can be unpacked"):
        extract_tree(archive, tmp_path / "deep" / "tree", "mesh")
    assert not (tmp_path / "deep" / "out").exists()


def test_an_empty_archive_is_named(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "mesh", "w:gz"):
        pass
    with pytest.raises(FetchError, match="mesh is empty"):
        extract_tree(tmp_path / "mesh", tmp_path / "tree", "mesh")


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b\x08cut"])
def test_what_is_no_archive_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mesh").write_bytes(content)
    with pytest.raises(FetchError, match="mesh is not an archive that can be unpacked"):
        extract_tree(tmp_path / "mesh", tmp_path / "tree", "mesh")


@pytest.mark.parametrize("make", [tarball, zipped])
@pytest.mark.parametrize("limits", [TreeLimits(entries=1), TreeLimits(total_bytes=12)])
def test_a_bomb_is_refused(tmp_path: Path, make: object, limits: TreeLimits) -> None:
    assert callable(make)
    with pytest.raises(FetchError, match="larger than allowed"):
        extract_tree(make(tmp_path / "mesh"), tmp_path / "tree", "mesh", limits)
