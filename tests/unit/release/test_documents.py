from __future__ import annotations

import json

import msgspec
import pytest

from buildkit.digest import Digest
from buildkit.errors import VerificationError
from buildkit.release.documents import (
    FileEntry,
    ImageEntry,
    ReleaseDocument,
    SourceEntry,
    ToolEntry,
    UnitEntry,
    artifacts,
    checksums,
    decode_release,
    encode,
    image_digests,
    metadata,
    parse_checksums,
)

ONE, TWO = Digest.of_bytes(b"1"), Digest.of_bytes(b"2")
DOCUMENT = ReleaseDocument(
    schema_version=1,
    project="mesh",
    version="1.2.3",
    snapshot=False,
    previous_tag="v1.2.2",
    source=SourceEntry(revision="a" * 40, tag="v1.2.3", dirty=False, time=7, url=""),
    epoch=7,
    platforms=("linux/amd64",),
    configuration={"targets.toml": str(ONE)},
    pins={"envoy": str(TWO)},
    tools=(ToolEntry(name="go", version="1.26.8"),),
    units=(UnitEntry(id="binary/app@linux/amd64", digest=str(ONE), size=1),),
    images=(
        ImageEntry(
            name="app",
            unit="layout/app",
            reference="example.com/app:1.2.3",
            digest=str(TWO),
            platforms={"linux/amd64": str(ONE)},
        ),
    ),
    files=(
        FileEntry(
            path="mesh-1.2.3-linux-arm.tar.gz",
            sha256=ONE.hex,
            size=1,
            type="Archive",
            platform="linux/arm/v7",
        ),
        FileEntry(path="CHANGELOG.md", sha256=TWO.hex, size=1, type="Metadata"),
    ),
    decided=str(TWO),
    inputs=str(ONE),
)


def test_a_document_is_read_as_it_was_written() -> None:
    data = encode(DOCUMENT)
    assert decode_release(data, "release.json") == DOCUMENT
    assert encode(decode_release(data, "release.json")) == data


@pytest.mark.parametrize(
    "change",
    [{"schema_version": 99}, {"surprise": True}, {"files": "none"}, {"version": 3}],
)
def test_what_is_no_such_document_is_refused(change: dict[str, object]) -> None:
    value = {**json.loads(encode(DOCUMENT)), **change}
    with pytest.raises(VerificationError, match=r"release\.json"):
        decode_release(json.dumps(value).encode(), "release.json")


def test_checksums_are_sha256sums_sorted_by_path() -> None:
    data = checksums([("b", TWO), ("a/c", ONE)])
    assert data.decode() == f"{ONE.hex}  a/c\n{TWO.hex}  b\n"
    assert parse_checksums(data, "checksums.txt") == {"a/c": ONE, "b": TWO}


@pytest.mark.parametrize(
    "line",
    [
        "",
        "zz  a",
        f"{ONE.hex} a",
        f"{ONE.hex}  ",
        f"{ONE.hex}  ../a",
        f"{ONE.hex}  /a",
        f"{ONE.hex}  a\n{ONE.hex}  a",
    ],
)
def test_other_lines_are_refused_by_number(line: str) -> None:
    data = f"{ONE.hex}  first\n{line}\n".encode()
    with pytest.raises(VerificationError, match=r"checksums\.txt:[23] is no line of sha256sum"):
        parse_checksums(data, "checksums.txt")


def test_digests_of_images_have_no_algorithm() -> None:
    assert image_digests(DOCUMENT.images).decode() == f"{TWO.hex}  example.com/app:1.2.3\n"


def test_artifacts_have_the_fields_of_goreleaser() -> None:
    archive, changes, image = artifacts(DOCUMENT)
    assert {key: archive[key] for key in ("name", "path", "goos", "goarch", "type")} == {
        "name": "mesh-1.2.3-linux-arm.tar.gz",
        "path": "mesh-1.2.3-linux-arm.tar.gz",
        "goos": "linux",
        "goarch": "arm",
        "type": "Archive",
    }
    assert archive["extra"] == {"Checksum": str(ONE), "Size": 1}
    assert "goos" not in changes
    assert (image["type"], image["name"]) == ("Docker Manifest", "example.com/app:1.2.3")
    assert msgspec.to_builtins(image["extra"])["Digest"] == str(TWO)


def test_metadata_has_the_fields_of_goreleaser() -> None:
    assert metadata(DOCUMENT, "1970-01-01T00:00:07Z") == {
        "project_name": "mesh",
        "tag": "v1.2.3",
        "previous_tag": "v1.2.2",
        "version": "1.2.3",
        "commit": "a" * 40,
        "date": "1970-01-01T00:00:07Z",
    }
