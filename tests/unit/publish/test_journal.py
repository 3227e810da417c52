from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.digest import Digest
from buildkit.publish.journal import Journal, Stage

A, B = Digest.of_bytes(b"a"), Digest.of_bytes(b"b")


def journal(path: Path, *, destination: str = "site", release: Digest = A) -> Journal:
    return Journal(path, destination=destination, release=release)


def test_the_next_run_finds_what_the_last_one_noted(tmp_path: Path) -> None:
    first = journal(tmp_path / "j")
    first.note("x", A, Stage.PLANNED)
    first.note("x", A, Stage.VERIFIED, "etag")
    found = journal(tmp_path / "j").last("x", A)
    assert found is not None
    assert (found.stage, found.mark) == (Stage.VERIFIED, "etag")


def test_an_event_is_of_one_content(tmp_path: Path) -> None:
    first = journal(tmp_path / "j")
    first.note("x", A, Stage.PLANNED)
    assert first.last("x", B) is None


def test_looking_writes_nothing(tmp_path: Path) -> None:
    assert journal(tmp_path / "j").last("x", A) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_last_line_that_was_cut_is_dropped_and_the_journal_goes_on(
    tmp_path: Path, cut: int
) -> None:
    path = tmp_path / "j"
    first = journal(path)
    first.note("x", A, Stage.VERIFIED)
    first.note("y", A, Stage.PLANNED)
    path.write_bytes(path.read_bytes()[:-cut])
    second = journal(path)
    assert second.last("x", A) is not None
    assert second.last("y", A) is None
    second.note("z", A, Stage.PLANNED)
    third = journal(path)
    assert third.last("x", A) is not None
    assert third.last("z", A) is not None


@pytest.mark.parametrize("text", [b"", b"\n", b"junk", b"{}\n", b"\xff\xff\n{"])
def test_a_journal_that_is_none_counts_as_lost(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "j").write_bytes(text)
    found = journal(tmp_path / "j")
    assert found.last("x", A) is None
    found.note("x", A, Stage.PLANNED)
    assert journal(tmp_path / "j").last("x", A) is not None


def test_another_release_or_place_begins_anew(tmp_path: Path) -> None:
    journal(tmp_path / "j").note("x", A, Stage.VERIFIED)
    assert journal(tmp_path / "j", release=B).last("x", A) is None
    assert journal(tmp_path / "j", destination="other").last("x", A) is None
