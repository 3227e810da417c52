"""The record book: a round trip, and nothing that is damaged is believed."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildkit.plan.hashing import Hasher
from buildkit.plan.records import Record, RecordBook, recorded_artifact
from buildkit.plan.units import Artifact, SourceDirectory
from buildkit.vcs import Commit, GitFacts
from tests.fakes.units import artifact, binary, compile_action, push

SOURCES = (
    SourceDirectory(path="/src/pkg", names=("a.go",), files=(("a.go", "sha256:a"),)),
    SourceDirectory(path="/src/pkg", pattern="*.html", names=("x.html",), files=()),
)
MADE = Artifact(
    unit="binary/app@linux/amd64",
    digest="sha256:1",
    size=7,
    path=Path("/out/app"),
    reference=("a", "b"),
    problem="lacks the version",
    sources=SOURCES,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "records.json"


@pytest.fixture
def written(path: Path) -> Path:
    RecordBook.open(path).put(MADE, {"the package": "./app"}, 1.23456, Hasher({}))
    return path


def test_a_record_comes_back_as_it_was_written(written: Path) -> None:
    book = RecordBook.open(written)
    record = book.get(MADE.unit)
    assert record is not None
    assert record.inputs == {"the package": "./app"}
    assert record.seconds == 1.235
    assert tuple(map(book.directory, record.sources)) == SOURCES
    assert book.units() == (MADE.unit,)
    found = recorded_artifact(push("x", ()), record)
    assert (found.digest, found.size, found.path) == (MADE.digest, MADE.size, MADE.path)
    assert (found.reference, found.problem) == (MADE.reference, MADE.problem)


def test_what_lies_below_out_is_found_where_that_was_moved(tmp_path: Path) -> None:
    out = tmp_path / "out"
    book = RecordBook.open(out / "state" / "records.json")
    for name, place in (("in", out / "state" / "sheet.json"), ("beside", tmp_path / "cache")):
        made = Artifact(unit=f"image/{name}", digest="sha256:1", size=1, path=place)
        book.put(made, {}, 1.0, Hasher({}))
    moved = out.rename(tmp_path / "moved")
    again = RecordBook.open(moved / "state" / "records.json")
    found = {unit: record.path for unit in again.units() if (record := again.get(unit))}
    assert found == {
        "image/in": str(moved / "state" / "sheet.json"),
        "image/beside": str(tmp_path / "cache"),
    }


def test_a_book_that_was_never_written_is_empty(path: Path) -> None:
    book = RecordBook.open(path)
    assert book.units() == ()
    assert book.get("binary/app@linux/amd64") is None
    assert not path.exists()


def test_digests_of_files_are_kept_with_the_records(path: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    hasher = Hasher({})
    hasher.digest(tmp_path / "file")
    RecordBook.open(path).put(MADE, {}, 0, hasher)
    assert RecordBook.open(path).files == hasher.fresh()


def test_directories_that_no_record_uses_are_forgotten(written: Path) -> None:
    book = RecordBook.open(written)
    book.put(artifact(MADE.unit), {}, 0, Hasher({}))
    assert b"/src/pkg" not in written.read_bytes()


def test_equal_directories_of_two_units_are_written_once(written: Path) -> None:
    book = RecordBook.open(written)
    other = Artifact(unit="binary/b@linux/amd64", digest="sha256:2", size=1, sources=SOURCES)
    book.put(other, {}, 0, Hasher({}))
    assert written.read_bytes().count(b'"/src/pkg"') == len(SOURCES)


@given(data=st.data())
def test_a_book_with_any_byte_changed_is_ignored(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("book") / "records.json"
    RecordBook.open(path).put(MADE, {"the package": "./app"}, 1, Hasher({}))
    content = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    assert RecordBook.open(path).units() == ()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"{}",
        b"not json at all",
        b"\x00" * 4096,
        b'sha256:0\n{"version": 1}',
        b"\xff\n{}",
    ],
)
def test_a_foreign_or_cut_file_is_ignored_and_can_be_replaced(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    book = RecordBook.open(path)
    assert book.units() == ()
    book.put(MADE, {}, 0, Hasher({}))
    assert RecordBook.open(path).units() == (MADE.unit,)


def test_a_cut_book_is_ignored(written: Path) -> None:
    content = written.read_bytes()
    written.write_bytes(content[: len(content) // 2])
    assert RecordBook.open(written).units() == ()


def test_threads_may_write_at_once(path: Path) -> None:
    book, hasher = RecordBook.open(path), Hasher({})
    units = [f"binary/{number}@linux/amd64" for number in range(20)]
    threads = [Thread(target=book.put, args=(artifact(u), {}, 0, hasher)) for u in units]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(RecordBook.open(path).units()) == sorted(units)


def test_a_record_without_path_gives_an_artifact_without_path() -> None:
    record = Record(inputs={}, digest="sha256:1", size=1)
    assert recorded_artifact(push("pilot", ()), record).path is None


def test_an_output_is_where_its_unit_has_it_now() -> None:
    record = Record(inputs={}, digest="sha256:1", size=1, path="/elsewhere/out/app")
    unit = binary("app", compile_action(Path("/src"), Path("/out/app")))
    assert recorded_artifact(unit, record).path == Path("/out/app")


def test_what_is_checked_out_is_known_by_its_stamp(path: Path) -> None:
    book = RecordBook.open(path)
    assert book.commit("a") is None
    book.note_commit("a", GitFacts(revision="r", describe="1.0", commit_time=7, dirty=True))
    book.save(Hasher({}))
    again = RecordBook.open(path)
    assert again.commit("a") == Commit(revision="r", describe="1.0", commit_time=7)
    assert again.commit("b") is None


def test_nothing_new_is_not_written(written: Path) -> None:
    before = written.stat().st_ino
    RecordBook.open(written).save(Hasher({}))
    assert written.stat().st_ino == before
