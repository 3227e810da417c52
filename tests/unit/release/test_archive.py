from __future__ import annotations

import os
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from buildkit.errors import BuildError
from buildkit.release.archive import Entry, walk, write_archive
from tests.fakes.tars import tar_files

EPOCH = 1_700_000_000


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    place = tmp_path / "tree"
    (place / "bin").mkdir(parents=True)
    (place / "empty").mkdir()
    (place / ".git").mkdir()
    (place / ".git" / "config").write_text("none of it")
    (place / "bin" / "run").write_text("#!/bin/sh\n")
    (place / "bin" / "run").chmod(0o711)
    (place / "read").write_text("words")
    (place / "read").chmod(0o600)
    (place / "link").symlink_to("bin/run")
    return place


@pytest.mark.parametrize("form", ["tar.gz", "zip"])
def test_the_same_content_gives_the_same_bytes(
    tree: Path, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = tmp_path / f"one.{form}", tmp_path / f"two.{form}"
    entries = tuple(walk("root", tree))
    write_archive(one, entries, epoch=EPOCH)
    os.utime(tree / "read", (1, 1))
    (tree / "read").chmod(0o644)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    write_archive(two, reversed(entries), epoch=EPOCH)
    monkeypatch.delenv("TZ")
    time.tzset()
    assert one.read_bytes() == two.read_bytes()


def test_a_tar_has_fixed_modes_owners_and_times(tree: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.tar.gz"
    write_archive(target, walk("root", tree), epoch=EPOCH)
    with tarfile.open(target) as archive:
        found = {item.name: item for item in archive}
    assert list(found) == ["root/bin/run", "root/link", "root/read"]
    assert found["root/bin/run"].mode == 0o755
    assert found["root/read"].mode == 0o644
    assert found["root/link"].linkname == "bin/run"
    assert {(item.mtime, item.uid, item.gid, item.uname) for item in found.values()} == {
        (EPOCH, 0, 0, "")
    }


def test_a_zip_has_unix_modes_and_links(tree: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.zip"
    write_archive(target, walk("root", tree), epoch=EPOCH)
    with zipfile.ZipFile(target) as archive:
        modes = {item.filename: item.external_attr >> 16 for item in archive.infolist()}
        assert modes == {"root/bin/run": 0o100755, "root/link": 0o120777, "root/read": 0o100644}
        assert archive.read("root/link") == b"bin/run"
        assert archive.read("root/read") == b"words"
        assert archive.getinfo("root/read").date_time == (2023, 11, 14, 22, 13, 20)


def test_a_zip_of_the_epoch_is_of_1980(tmp_path: Path, tree: Path) -> None:
    target = tmp_path / "a.zip"
    write_archive(target, walk("root", tree / "read"), epoch=0)
    with zipfile.ZipFile(target) as archive:
        assert archive.getinfo("root").date_time == (1980, 1, 1, 0, 0, 0)


def test_the_gzip_header_names_nothing(tmp_path: Path) -> None:
    target = tmp_path / "named.tar.gz"
    write_archive(target, [], epoch=EPOCH)
    assert target.read_bytes()[:8] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00"


def test_a_device_cannot_be_in_an_archive(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BuildError, match="cannot be in an archive"):
        tuple(walk("root", tmp_path))


def test_an_entry_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_archive(tmp_path / "a.zip", [Entry(name="a", path=tmp_path / "gone")], epoch=0)


@pytest.mark.parametrize("form", ["tar.gz", "zip"])
def test_what_is_in_no_file_is_written_too(tmp_path: Path, form: str) -> None:
    target = tmp_path / f"a.{form}"
    write_archive(target, [Entry(name="a", data=b"words"), Entry(name="b", data=b"")], epoch=EPOCH)
    if form == "zip":
        with zipfile.ZipFile(target) as packed:
            found = {item.filename: packed.read(item) for item in packed.infolist()}
            assert packed.getinfo("b").external_attr >> 16 == 0o100644
    else:
        with tarfile.open(target) as archive:
            found = tar_files(archive)
    assert found == {"a": b"words", "b": b""}
