"""The first difference is named, as deep as it can be."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from buildkit.verify.difference import first_difference, is_same_content, json_difference
from tests.unit.images.fake_archive import deb, tar
from tests.unit.verify.packages import rpm


def difference(tmp_path: Path, name: str, first: bytes, second: bytes) -> str:
    paths = tmp_path / "a" / name, tmp_path / "b" / name
    for path, data in zip(paths, (first, second), strict=True):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    return first_difference(*paths)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ({"a": 1}, {"a": 1}, ""),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, ".a.b[1] is 2 and 3"),
        ({"a": 1, "b": 2}, {"b": 3}, ".a is 1 and None"),
        ([1], [1, 2], "[1] is None and 2"),
        ("x", {"x": 1}, ". is 'x' and {'x': 1}"),
    ],
)
def test_json_is_named_by_its_path(first: Any, second: Any, said: str) -> None:
    assert json_difference(first, second) == said


def test_a_document_is_looked_into(tmp_path: Path) -> None:
    first, second = ({"packages": [{"name": name}]} for name in ("a", "b"))
    said = difference(
        tmp_path, "x.spdx.json", json.dumps(first).encode(), json.dumps(second).encode()
    )
    assert said == ".packages[0].name is 'a' and 'b'"
    # What is written otherwise and says the same still differs.
    said = difference(tmp_path, "y.json", b"{}", b"{ }")
    assert said.startswith("the first byte that differs is number 1; they have 2 and 3 bytes")


ARCHIVES: dict[str, Callable[[bytes], bytes]] = {
    "x.tar.gz": lambda data: tar(("a", b"same"), ("bin/app", data), compress="gz"),
    "blob": lambda data: tar(("a", b"same"), ("bin/app", data), compress="gz"),
    "x.deb": lambda data: deb("mesh", ("./a", b"same"), ("./bin/app", data)),
    "x.rpm": lambda data: rpm({"./a": (0o100644, b"same"), "./bin/app": (0o100755, data)}),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_the_file_in_an_archive_is_named(tmp_path: Path, name: str) -> None:
    make = ARCHIVES[name]
    assert difference(tmp_path, name, make(b"1"), make(b"1")) == ""
    assert difference(tmp_path, name, make(b"1"), make(b"2")).startswith("bin/app: its digest is ")


def test_modes_and_missing_files_are_named(tmp_path: Path) -> None:
    first, second = (rpm({"./a": (mode, b"")}) for mode in (0o100644, 0o100755))
    assert difference(tmp_path, "x.rpm", first, second) == "a: its mode is 0o644 and 0o755"
    first, second = tar(("a", b""), compress=""), tar(("a", b""), ("b", b""), compress="")
    assert (
        difference(tmp_path, "x.tar", first, second) == "there are nothing and b in the same place"
    )


def zipped(level: int, *, minute: int = 0) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        info = zipfile.ZipInfo("a", date_time=(2020, 1, 1, 0, minute, 0))
        info.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(info, bytes(range(256)) * 100 + b"text" * 1000, compresslevel=level)
    return buffer.getvalue()


def test_a_zip_is_looked_into_and_compression_alone_is_no_other_content(tmp_path: Path) -> None:
    said = difference(tmp_path, "x.zip", zipped(1), zipped(9))
    assert is_same_content(said)
    said = difference(tmp_path, "x.zip", zipped(1), zipped(1, minute=1))
    assert said == "a: its time is 1577836800 and 1577836860"


def test_gzip_alone_is_no_other_content(tmp_path: Path) -> None:
    plain = tar(("a", b"text" * 1000), compress="")
    first, second = (gzip.compress(plain, level, mtime=0) for level in (1, 9))
    said = difference(tmp_path, "x.tar.gz", first, second)
    assert said == "the content is the same, zlib wrote it otherwise"
    assert is_same_content(said)
    assert not is_same_content("bin/app: its digest is")


@pytest.mark.parametrize(
    ("first", "second"), [(b"", b"x"), (b"\x1f\x8b", b"\x1f\x8bx"), (b"a" * (1 << 21), b"a")]
)
def test_anything_else_is_named_by_its_first_byte(
    tmp_path: Path, first: bytes, second: bytes
) -> None:
    for name in ("x.tar.gz", "x.deb", "x.rpm", "x.zip", "x.json", "x"):
        said = difference(tmp_path, name, first, second)
        assert said.startswith(
            f"the first byte that differs is number {min(map(len, (first, second)))}"
        )
