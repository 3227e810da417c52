from __future__ import annotations

import contextlib
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buildkit.errors import BuildError
from buildkit.oci.layer import EntryType, write_layer
from buildkit.oci.untar import Limits, unpack


def member(
    name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname, info.mode = len(data), kind, link, 0o751
    info.uid = 12
    return info, data


def tar(*members: tuple[tarfile.TarInfo, bytes]) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    buffer.seek(0)
    return buffer


def test_files_links_and_directories_become_entries(tmp_path: Path) -> None:
    stream = tar(
        member("./", kind=tarfile.DIRTYPE),
        member("./usr/", kind=tarfile.DIRTYPE),
        member("./usr/a", b"content"),
        member("/usr/b", kind=tarfile.LNKTYPE, link="./usr/a"),
        member("usr/c", kind=tarfile.SYMTYPE, link="../../etc/x"),
    )
    entries = {entry.path: entry for entry in unpack(stream, tmp_path, name="x")}
    assert sorted(entries) == ["usr", "usr/a", "usr/b", "usr/c"]
    content = entries["usr/a"].content
    assert isinstance(content, Path)
    assert content.read_bytes() == b"content"
    assert (entries["usr/a"].mode, entries["usr/a"].uid) == (0o751, 12)
    assert (entries["usr/b"].type, entries["usr/b"].link) == (EntryType.HARDLINK, "usr/a")
    assert entries["usr/c"].link == "../../etc/x"


def test_what_was_read_can_be_written_again(tmp_path: Path) -> None:
    stream = tar(member("a", b"1"), member("b", b"2"), member("c", kind=tarfile.LNKTYPE, link="a"))
    (tmp_path / "in").mkdir()
    layer = write_layer(unpack(stream, tmp_path / "in", name="x"), tmp_path / "layer.tar")
    with tarfile.open(layer.path) as archive:
        assert archive.getnames() == ["a", "b", "c"]


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/..", "a/.."])
def test_a_path_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BuildError, match="leads out of it"):
        unpack(tar(member(name, b"x")), tmp_path, name="x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_a_device_is_refused(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(BuildError, match="device or other special file"):
        unpack(tar(member("dev/null", kind=kind)), tmp_path, name="x")


@pytest.mark.parametrize("link", ["/etc/passwd", "nothing", "d"])
def test_a_hard_link_to_nothing_in_the_archive_is_refused(tmp_path: Path, link: str) -> None:
    stream = tar(member("d", kind=tarfile.DIRTYPE), member("a", kind=tarfile.LNKTYPE, link=link))
    with pytest.raises(BuildError, match="hard link to nothing"):
        unpack(stream, tmp_path, name="x")


def test_a_hard_link_out_of_the_archive_is_refused(tmp_path: Path) -> None:
    stream = tar(member("a", kind=tarfile.LNKTYPE, link="../secret"))
    with pytest.raises(BuildError, match="leads out of it"):
        unpack(stream, tmp_path, name="x")


@pytest.mark.parametrize("limits", [Limits(entries=1), Limits(total_bytes=3)])
def test_too_much_is_refused(tmp_path: Path, limits: Limits) -> None:
    with pytest.raises(BuildError, match="larger than expected"):
        unpack(tar(member("a", b"12"), member("b", b"34")), tmp_path, name="x", limits=limits)


def test_a_cut_tar_is_an_error(tmp_path: Path) -> None:
    whole = tar(member("a", b"x" * 2000)).getvalue()
    with pytest.raises(BuildError, match="the thing is damaged"):
        unpack(io.BytesIO(whole[:1000]), tmp_path, name="the thing")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 2047), st.integers(0, 255)), max_size=6))
def test_a_damaged_tar_gives_entries_or_a_build_error(
    tmp_path: Path, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(tar(member("a", b"x" * 600), member("b", kind=tarfile.DIRTYPE)).getvalue())
    for position, value in changes:
        data[position] = value
    with contextlib.suppress(BuildError):
        unpack(io.BytesIO(bytes(data)), tmp_path, name="x")
