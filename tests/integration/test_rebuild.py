"""`verify --rebuild` of a small release, and `verify` of images and files."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path

import msgspec
import pytest

from buildkit.digest import Digest
from buildkit.release.assemble import write_documents
from buildkit.verify.release import read_release
from tests.integration.test_release import Project
from tests.integration.tiny_project import PROJECT

pytestmark = [pytest.mark.go, pytest.mark.slow, pytest.mark.timeout(300)]

HUB = "localhost:1"
PLACES = '[publish.hub]\nkind = "registry"\nhub = "%s/released"\n'
FOLLOWING = {"artifacts.json", "metadata.json", "digests.txt"}
ARCHIVE = "app-1.2.3-linux-amd64.tar.gz"
RELEASE = """\
[release.archives.app]
name = "app-${version}-${os}-${arch}"
binaries = { app = "bin/app" }
files = { "LICENSE" = "LICENSE" }
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("rebuild"))
    project.write("targets.toml", PROJECT + RELEASE)
    project.commit("feat: less")
    project.git("tag", "-f", "v1.2.3")
    project.release("--hub", HUB)
    return project


@pytest.fixture
def dist(made: Project, tmp_path: Path) -> Path:
    shutil.copytree(made.dist, tmp_path / "dist")
    return tmp_path / "dist"


def verify(project: Project, *words: str) -> tuple[int, str]:
    done = project.invoke("verify", *words)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def change_member(path: Path, wanted: str, change: bytes) -> None:
    """Write a file in an archive otherwise, and the rest as it was."""
    buffer = io.BytesIO()
    with tarfile.open(path) as old, tarfile.open(fileobj=buffer, mode="w") as new:
        for info in old:
            stream = old.extractfile(info)
            assert stream is not None
            data = stream.read()
            if info.name == wanted:
                data = change + data[len(change) :]
            new.addfile(info, io.BytesIO(data))
    path.write_bytes(gzip.compress(buffer.getvalue(), mtime=0))


def reseal(dist: Path) -> None:
    """Have every document say what is there now, as if it had been made so."""
    document = read_release(dist)
    files = tuple(
        msgspec.structs.replace(
            file,
            sha256=Digest.of_file(dist / file.path).hex,
            size=(dist / file.path).stat().st_size,
        )
        for file in document.files
        if file.path not in FOLLOWING
    )
    write_documents(dist, msgspec.structs.replace(document, files=files))


def test_a_rebuild_names_the_one_file_in_an_archive_that_differs(made: Project, dist: Path) -> None:
    change_member(dist / ARCHIVE, "LICENSE", b"X")
    assert verify(made, str(dist))[0] == 9
    reseal(dist)
    assert verify(made, str(dist))[0] == 0
    code, said = verify(made, str(dist), "--rebuild")
    assert (code, f"{ARCHIVE}: rebuilt, byte by byte: LICENSE: its digest is" in said) == (9, True)
    assert "a check fails" in said
    assert said.count("rebuilt, byte by byte") > 10
    assert not list(made.place.rglob("rebuild-*"))


OTHER_ZLIB = """
import gzip, zlib
zlib.ZLIB_RUNTIME_VERSION = "0.9"
make = zlib.compressobj
zlib.compressobj = lambda level=-1, *words, **flags: make(1, *words, **flags)
gzip.zlib = zlib
from buildkit.tasks import main
main()
"""


def test_what_another_zlib_compressed_is_compared_by_its_content(
    made: Project, tmp_path: Path
) -> None:
    dist, cache = tmp_path / "dist", tmp_path / "cache"
    words = ("release", "--hub", HUB, "--dist", str(dist), "--out", str(tmp_path / "out"))
    subprocess.run(
        [sys.executable, "-c", OTHER_ZLIB, *words],
        cwd=made.place,
        env={**os.environ, "MESHWRIGHT_CACHE": str(cache)},
        check=True,
        capture_output=True,
    )
    gzipped = sorted(dist.glob("*.tar.gz"))
    same = [path.read_bytes() == (made.dist / path.name).read_bytes() for path in gzipped]
    assert set(same) == {False}
    blobs = [{path.name for path in place.rglob("blobs/sha256/*")} for place in (dist, made.dist)]
    assert blobs[0] != blobs[1]
    code, said = verify(made, str(dist), "--rebuild")
    assert code == 0, said
    told = f"by zlib {zlib.ZLIB_RUNTIME_VERSION} instead of 0.9"
    assert said.count(f"zlib wrote it otherwise, {told}") == len(gzipped)
    assert said.count(f"layers by DiffID, compressed {told}") == 2


def test_another_commit_is_refused(made: Project, dist: Path) -> None:
    document = read_release(dist)
    source = msgspec.structs.replace(document.source, revision="d" * 40)
    write_documents(
        dist,
        msgspec.structs.replace(
            document,
            source=source,
            files=tuple(file for file in document.files if file.path not in FOLLOWING),
        ),
    )
    code, said = verify(made, str(dist), "--rebuild")
    assert (code, "was built from commit dddddddddddd" in said) == (2, True), said


def test_a_file_of_a_release_is_verified_alone(made: Project, dist: Path) -> None:
    code, said = verify(made, str(dist / ARCHIVE))
    assert (code, "1 executables are for linux/amd64" in said) == (0, True), said
    data = (dist / ARCHIVE).read_bytes()
    (dist / ARCHIVE).write_bytes(data[:-20] + b"x" + data[-19:])
    code, said = verify(made, str(dist / ARCHIVE))
    assert (code, f"{ARCHIVE}: sha256" in said) == (9, True), said
    (dist / "other.tar.gz").write_bytes(data)
    assert "1.2.3 has no file other.tar.gz" in verify(made, str(dist / "other.tar.gz"))[1]
    alone = dist.parent / ARCHIVE
    alone.write_bytes(data)
    code, said = verify(made, str(alone))
    assert (code, f"nothing says what {ARCHIVE} should be" in said) == (9, True), said


@pytest.mark.parametrize("words", [("nothing/here",), ("dist/release.json", "--rebuild")])
def test_what_cannot_be_verified_is_said(made: Project, words: tuple[str, ...]) -> None:
    code, said = verify(made, *words)
    assert (code, said.count("error:")) == (2, 1), said


@pytest.mark.registry
def test_an_image_is_compared_with_its_release_and_else_with_itself(
    made: Project, hub: str, tmp_path: Path
) -> None:
    copy = Project.__new__(Project)
    copy.root, copy.place = made.root, tmp_path / "mesh"
    shutil.copytree(made.place, copy.place)
    copy.write("targets.toml", PROJECT + RELEASE + PLACES % hub)
    done = copy.invoke("publish")
    assert done.returncode == 0, done.stderr
    image = f"{hub}/released/app:1.2.3"
    code, said = verify(copy, image)
    assert (code, "it holds what 1 units made" in said) == (0, True), said
    document = json.loads((copy.dist / "release.json").read_bytes())
    digest = document["images"][0]["platforms"]["linux/arm64"]
    shutil.rmtree(copy.dist)
    code, said = verify(copy, image)
    assert (code, "it holds what" in said) == (0, False), said
    assert "1 executables are for linux/arm64" in said
    assert verify(copy, f"{hub}/released/app@{digest}")[0] == 0
    code, said = verify(copy, f"{hub}/released/app:9")
    assert (code, said.count("error:")) == (7, 1), said
