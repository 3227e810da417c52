"""Two releases compared file by file."""

from __future__ import annotations

import gzip
import shutil
import zlib
from pathlib import Path

import pytest

from buildkit.pipeline.rebuilding import compare_folders
from tests.unit.verify.test_release import write
from tests.unit.verify.test_unsigned import statement

HERE = zlib.ZLIB_RUNTIME_VERSION


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    first, again = tmp_path / "dist", tmp_path / "again"
    write(first)
    (first / "provenance.json").write_bytes(statement("local", version="1").data)
    shutil.copytree(first, again)
    return first, again


def problems(places: tuple[Path, Path], zlib_version: str = HERE) -> dict[str, str]:
    found = compare_folders(*places, zlib_version)
    return {check.subject: check.problem for check in found if check.problem}


def test_the_same_bytes_are_no_difference(places: tuple[Path, Path]) -> None:
    found = list(compare_folders(*places, HERE))
    assert not [check for check in found if check.problem]
    assert {"app.tar.gz", "mesh.rpm", "metadata.json", "release.json"} <= {
        check.subject for check in found
    }


def test_a_file_of_one_alone_is_said(places: tuple[Path, Path]) -> None:
    (places[0] / "mesh.rpm").unlink()
    (places[1] / "app.tar.gz").unlink()
    assert problems(places) == {
        "app.tar.gz": "it is in the release alone",
        "mesh.rpm": "it is in what was built again alone",
    }


def test_other_gzip_bytes_count_where_zlib_is_the_recorded_one(places: tuple[Path, Path]) -> None:
    path = places[1] / "app.tar.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 1, mtime=0))
    assert problems(places) == {"app.tar.gz": "the content is the same, zlib wrote it otherwise"}
    assert problems(places, "0.9") == {}
    told = [check.compared for check in compare_folders(*places, "0.9")]
    assert any(text.endswith(f"by zlib {HERE} instead of 0.9") for text in told)


def test_another_content_counts_whatever_compressed_it(places: tuple[Path, Path]) -> None:
    path = places[1] / "metadata.json"
    path.write_bytes(path.read_bytes().replace(b"1.0.0", b"1.0.1"))
    assert problems(places, "0.9") == {"metadata.json": ".tag is 'v1.0.0' and 'v1.0.1'"}
