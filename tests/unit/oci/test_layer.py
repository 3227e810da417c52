from __future__ import annotations

import gzip
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buildkit.digest import Digest
from buildkit.errors import BuildError
from buildkit.oci.layer import (
    Entry,
    EntryType,
    arrange,
    directory,
    file,
    parents,
    symlink,
    write_layer,
)

LONG = "deep/" + "n" * 150

NAMES = st.text(st.sampled_from("abcé-._ "), min_size=1, max_size=12).filter(
    lambda name: name not in {".", ".."}
)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)


def names(path: Path) -> list[str]:
    with tarfile.open(path) as archive:
        return archive.getnames()


def test_the_same_entries_in_any_order_give_the_same_bytes(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"binary")
    entries = [
        file("usr/bin/envoy", source, 0o755),
        symlink("bin", "usr/bin"),
        directory("tmp", 0o1777),
    ]
    first = write_layer(entries, tmp_path / "one.tar")
    os.utime(source, (1, 1))
    source.chmod(0o600)
    second = write_layer(reversed(entries), tmp_path / "two.tar")
    assert first.diff_id == second.diff_id
    assert first.path.read_bytes() == second.path.read_bytes()


def test_digest_and_size_are_those_of_the_file(tmp_path: Path) -> None:
    layer = write_layer([file("a", b"x" * 3_000_000)], tmp_path / "layer.tar")
    assert layer.digest == layer.diff_id == Digest.of_file(layer.path)
    assert layer.size == layer.path.stat().st_size


def test_a_compressed_layer_keeps_the_diff_id_of_its_plain_tar(tmp_path: Path) -> None:
    entries = [file("a", b"x" * 100_000)]
    plain = write_layer(entries, tmp_path / "layer.tar")
    packed = write_layer(entries, tmp_path / "layer.tar.gz", compress=True)
    again = write_layer(entries, tmp_path / "again.tar.gz", compress=True)
    assert packed.diff_id == plain.diff_id
    assert packed.digest == again.digest == Digest.of_file(packed.path)
    assert packed.size == packed.path.stat().st_size < plain.size
    assert gzip.decompress(packed.path.read_bytes()) == plain.path.read_bytes()


def test_nothing_of_the_host_is_in_a_header(tmp_path: Path) -> None:
    layer = write_layer([file("a/b", b"x")], tmp_path / "layer.tar", epoch=1700000000)
    with tarfile.open(layer.path) as archive:
        for member in archive:
            assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")
            assert member.mtime == 1700000000


def test_parents_are_added_before_their_children(tmp_path: Path) -> None:
    layer = write_layer([file("a/b/c", b""), file("a/b-c", b"")], tmp_path / "layer.tar")
    assert names(layer.path) == ["a", "a/b", "a/b/c", "a/b-c"]


def test_an_added_parent_keeps_the_mode_of_the_layer_below() -> None:
    known = {"tmp": directory("tmp", 0o1777), "home": directory("home", uid=7)}
    placed = {entry.path: entry for entry in arrange([file("tmp/x", b"")], known=known)}
    assert placed["tmp"].mode == 0o1777
    assert "home" not in placed


def test_hard_links_come_after_what_they_name(tmp_path: Path) -> None:
    link = Entry(path="a", type=EntryType.HARDLINK, link="z/real")
    layer = write_layer([link, file("z/real", b"content")], tmp_path / "layer.tar")
    assert names(layer.path) == ["z", "z/real", "a"]
    with tarfile.open(layer.path) as archive:
        stream = archive.extractfile("a")
        assert stream is not None
        assert stream.read() == b"content"


def test_long_and_foreign_names_survive(tmp_path: Path) -> None:
    layer = write_layer([file(LONG, b""), file("ünïcode", b"")], tmp_path / "layer.tar")
    assert set(names(layer.path)) == {"deep", LONG, "ünïcode"}


def test_two_files_at_one_path_are_refused() -> None:
    with pytest.raises(BuildError, match="two different files are placed at /a"):
        arrange([file("a", b"1"), file("a", b"2")])
    assert len(arrange([file("a", b"1"), file("a", b"1")])) == 1


def test_a_file_below_a_link_is_refused() -> None:
    with pytest.raises(BuildError, match="/run/x is placed below /run"):
        arrange([symlink("run", "/var/run"), file("run/x", b"")])


@pytest.mark.parametrize("path", ["", "/a", "a/", "a//b", "./a", "a/../b", "..", "a\0b"])
def test_a_path_that_is_not_normal_is_refused(path: str) -> None:
    with pytest.raises(BuildError, match="not a path inside a layer"):
        arrange([file(path, b"")])


def test_a_missing_source_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_layer([file("a", tmp_path / "missing")], tmp_path / "layer.tar")
    assert list(tmp_path.iterdir()) == []


def test_parents_are_listed_outermost_first() -> None:
    assert parents("a/b/c") == ("a", "a/b")
    assert parents("a") == ()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.dictionaries(PATHS, st.binary(max_size=64), max_size=8))
def test_every_file_comes_back_from_the_tar(tmp_path: Path, contents: dict[str, bytes]) -> None:
    above = {parent for path in contents for parent in parents(path)}
    files = {path: data for path, data in contents.items() if path not in above}
    layer = write_layer([file(path, data) for path, data in files.items()], tmp_path / "l.tar")
    with tarfile.open(layer.path) as archive:
        found = {}
        for member in archive:
            stream = archive.extractfile(member)
            if stream is not None:
                found[member.name] = stream.read()
    assert found == files
