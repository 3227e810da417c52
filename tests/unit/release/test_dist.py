from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.digest import Digest
from buildkit.errors import ConfigError, UsageError, VerificationError
from buildkit.release.assemble import Piece, check_pieces, text_piece, write_pieces
from buildkit.release.dist import check_replaceable, differences, new_dist, read_dist
from buildkit.release.documents import (
    CHECKSUMS_FILE,
    RELEASE_FILE,
    ReleaseDocument,
    SourceEntry,
    checksums,
    encode,
)


def nothing(_: str) -> None: ...


def digest(path: Path) -> str:
    return str(Digest.of_file(path)) if path.is_file() else ""


def make(folder: Path, *pieces: Piece) -> ReleaseDocument:
    """Write a release without images."""
    folder.mkdir(exist_ok=True)
    files = write_pieces(folder, pieces, nothing)
    document = ReleaseDocument(
        schema_version=1,
        project="mesh",
        version="1.2.3",
        snapshot=False,
        previous_tag="",
        source=SourceEntry(revision="a" * 40, tag="v1.2.3", dirty=False, time=7, url=""),
        epoch=7,
        platforms=("linux/amd64",),
        configuration={},
        pins={},
        tools=(),
        units=(),
        images=(),
        files=files,
        decided="sha256:" + "1" * 64,
        inputs="sha256:" + "0" * 64,
    )
    data = encode(document)
    (folder / RELEASE_FILE).write_bytes(data)
    sums = [(file.path, Digest(file.sha256)) for file in files]
    sums.append((RELEASE_FILE, Digest.of_bytes(data)))
    (folder / CHECKSUMS_FILE).write_bytes(checksums(sums))
    return document


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    make(tmp_path / "dist", text_piece("a.txt", "a"), text_piece("deep/b.txt", "b"))
    return tmp_path / "dist"


def read(dist: Path) -> ReleaseDocument:
    document = read_dist(dist)
    assert document is not None
    return document


def test_a_release_as_it_was_made_differs_in_nothing(dist: Path) -> None:
    assert differences(dist, read(dist), digest) == ()


def test_every_kind_of_edit_is_named(dist: Path) -> None:
    document = read(dist)
    (dist / "a.txt").write_text("A")
    (dist / "deep" / "b.txt").unlink()
    (dist / "new.txt").write_text("")
    assert set(differences(dist, document, digest)) == {
        "a.txt was changed",
        "deep/b.txt is missing",
        "new.txt is no part of it",
    }


def test_an_edit_of_the_document_shows_in_the_checksums(dist: Path) -> None:
    text = (dist / RELEASE_FILE).read_text(encoding="utf-8")
    (dist / RELEASE_FILE).write_text(text.replace("v1.2.3", "v1.2.4"), encoding="utf-8")
    assert differences(dist, read(dist), digest) == (f"{CHECKSUMS_FILE} was changed",)


def test_signatures_lie_beside_what_they_sign(dist: Path) -> None:
    for name in (RELEASE_FILE, CHECKSUMS_FILE, "deep/b.txt"):
        (dist / f"{name}.sig").write_text("x")
    (dist / f"{RELEASE_FILE}.sigstore.json").write_text("x")
    assert differences(dist, read(dist), digest) == ()
    (dist / "tool.sh.sig").write_text("of nothing")
    assert differences(dist, read(dist), digest) == ("tool.sh.sig is no part of it",)


def test_a_document_of_another_form_is_refused(dist: Path) -> None:
    (dist / RELEASE_FILE).write_text("{}")
    with pytest.raises(VerificationError, match=RELEASE_FILE):
        read_dist(dist)


def test_where_no_release_is_there_is_none(tmp_path: Path) -> None:
    assert read_dist(tmp_path / "dist") is None


def test_a_new_release_takes_the_place_of_the_old_as_a_whole(dist: Path) -> None:
    with new_dist(dist) as fresh:
        assert (dist / "a.txt").is_file()
        make(fresh, text_piece("c.txt", "c"))
    assert sorted(path.name for path in dist.iterdir()) == [
        "c.txt",
        CHECKSUMS_FILE,
        RELEASE_FILE,
    ]
    assert [path.name for path in dist.parent.iterdir()] == ["dist"]


def test_a_failure_leaves_the_old_one(dist: Path) -> None:
    def interrupted() -> None:
        with new_dist(dist) as fresh:
            (fresh / "half").write_text("")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert differences(dist, read(dist), digest) == ()
    assert [path.name for path in dist.parent.iterdir()] == ["dist"]


def test_what_a_killed_run_left_is_removed(dist: Path) -> None:
    (dist.parent / ".dist.abc.new").mkdir()
    (dist.parent / ".dist.abc.old").mkdir()
    with new_dist(dist) as fresh:
        make(fresh)
    assert [path.name for path in dist.parent.iterdir()] == ["dist"]


def test_a_directory_that_is_no_release_is_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    check_replaceable(mine)
    (mine / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="is no release") as caught:
        check_replaceable(mine)
    assert "--dist" in caught.value.resolution


def test_a_file_in_its_place_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "dist").write_text("")
    with pytest.raises(UsageError, match="is no release"):
        check_replaceable(tmp_path / "dist")


def test_two_files_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"two files of the release would be a\.txt") as caught:
        check_pieces([text_piece("a.txt", "1"), text_piece("b.txt", ""), text_piece("a.txt", "2")])
    assert "${os}" in caught.value.resolution
