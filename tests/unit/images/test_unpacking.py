from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable

import pytest

from buildkit.errors import ConfigError
from buildkit.images.unpacking import unpacked
from buildkit.oci.layer import directory, file
from buildkit.oci.tarstream import content_blocks
from buildkit.store import Store


def tar_of(*members: tarfile.TarInfo) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for info in members:
            archive.addfile(info, io.BytesIO(b"x" * info.size))
    return target.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.size = 3 if kind == tarfile.REGTYPE else 0
    return info


@pytest.mark.parametrize(
    "compress", [bytes, gzip.compress, bz2.compress, lzma.compress], ids=["tar", "gz", "bz2", "xz"]
)
def test_an_archive_is_known_by_its_content(
    store: Store, compress: Callable[[bytes], bytes]
) -> None:
    held = unpacked(file("any name", compress(tar_of(member("a/b")))), store, ConfigError)
    assert held is not None
    (entry,) = held
    assert (entry.path, b"".join(map(bytes, content_blocks(entry.content, 3)))) == ("a/b", b"xxx")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text",
        b"t" * 2000,
        gzip.compress(b"text", mtime=0),
        gzip.compress(tar_of(member("a")), mtime=0)[:40],
        b"\x1f\x8bno gzip",
        lzma.compress(b"text"),
    ],
)
def test_another_file_is_no_archive(store: Store, data: bytes) -> None:
    assert unpacked(file("a.tar.gz", data), store, ConfigError) is None


def test_a_directory_is_no_archive(store: Store) -> None:
    assert unpacked(directory("a.tar"), store, ConfigError) is None


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (tar_of(member("dev/null", tarfile.CHRTYPE)), "a.tar holds a device or pipe.*dev/null"),
        (tar_of(member("pipe", tarfile.FIFOTYPE)), "a.tar holds a device or pipe.*pipe"),
        (tar_of(member("a/../../b")), "a.tar holds a path that leads out of it"),
        (b"\x28\xb5\x2f\xfd" + bytes(600), "a.tar is compressed with zstd"),
    ],
)
def test_what_a_layer_cannot_hold_is_refused(store: Store, data: bytes, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        unpacked(file("a.tar", data), store, ConfigError)
