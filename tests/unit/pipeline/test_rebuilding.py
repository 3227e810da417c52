"""Two releases compared file by file."""

from __future__ import annotations

import gzip
import shutil
import zlib
from pathlib import Path

import pytest

from buildkit.pipeline.rebuilding import compare_folders
from buildkit.verify.check import Check
from buildkit.verify.layers import Compression, Rebuilt
from buildkit.verify.release import read_release
from tests.fakes.images import compressed
from tests.unit.verify.test_file import add_images, version_image
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


def compared(places: tuple[Path, Path], zlib_version: str = HERE) -> list[Check]:
    compression = Compression(recorded=zlib_version, here=HERE)
    folder, again = places
    rebuilt = Rebuilt(folder=folder, again=again, document=read_release(folder), zlib=compression)
    return list(compare_folders(rebuilt))


def problems(places: tuple[Path, Path], zlib_version: str = HERE) -> dict[str, str]:
    return {it.subject: it.problem for it in compared(places, zlib_version) if it.problem}


def test_the_same_bytes_are_no_difference(places: tuple[Path, Path]) -> None:
    found = compared(places)
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
    told = [check.compared for check in compared(places, "0.9")]
    assert any(text.endswith(f"by zlib {HERE} instead of 0.9") for text in told)


def test_another_content_counts_whatever_compressed_it(places: tuple[Path, Path]) -> None:
    path = places[1] / "metadata.json"
    path.write_bytes(path.read_bytes().replace(b"1.0.0", b"1.0.1"))
    assert problems(places, "0.9") == {"metadata.json": ".tag is 'v1.0.0' and 'v1.0.1'"}


def test_a_release_that_was_downloaded_without_images_is_compared_without_them(
    places: tuple[Path, Path],
) -> None:
    for place in places:
        add_images(place)
    assert problems(places) == {}
    shutil.rmtree(places[0] / "oci")
    assert problems(places) == {}
    assert "1 images are not here" in {check.compared for check in compared(places)}
    said = problems(places, "0.9")
    assert said == {
        "oci": f"their layers were compressed by zlib {HERE} instead of 0.9, "
        "so their digests cannot be compared"
    }


def test_other_bytes_of_layers_count_where_zlib_is_the_recorded_one(
    places: tuple[Path, Path],
) -> None:
    for place, level in zip(places, (1, 9), strict=True):
        add_images(place, compressed(version_image(), level))
    said = problems(places)
    assert {name for name in said if name.startswith("oci/blobs/")}
    assert said["digests.txt"].startswith("the first byte that differs is number ")
