"""What targets.toml no longer has: told from what another run would ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.digest import Digest
from buildkit.plan.hashing import Hasher
from buildkit.plan.obsolete import obsolete_output, obsolete_units
from buildkit.plan.records import RecordBook
from tests.fakes.units import artifact
from tests.unit.plan import projects

CURRENT = (
    "binary/pilot@darwin/arm64",
    "binary/agent@linux/arm64",
    "fetch/envoy@darwin/arm64",
    "base/static@linux/amd64",
    "image/pilot@linux/arm64",
    "push/proxy",
    "load/proxy",
    "layout/proxy",
    "oci-archive/proxy",
    "docker-archive/proxy",
)
GONE = (
    "binary/agent@darwin/arm64",
    "binary/renamed@linux/amd64",
    "fetch/ztunnel@linux/amd64",
    "base/other@linux/amd64",
    "base/static@linux/s390x",
    "image/pilot@darwin/arm64",
    "image/other@linux/amd64",
    "push/other",
    "load/other",
    "layout/other",
    "oci-archive/other",
    "docker-archive/other",
)


@pytest.fixture
def book(tmp_path: Path) -> RecordBook:
    return RecordBook.open(tmp_path / "records.json")


def test_units_that_no_flags_could_ask_for_are_obsolete(book: RecordBook) -> None:
    for unit in (*CURRENT, *GONE):
        book.note(artifact(unit), {}, 0)
    assert obsolete_units(book, projects.project().config) == GONE


def test_a_package_is_obsolete_where_its_format_or_platform_is(book: RecordBook) -> None:
    text = (
        projects.TEXT + "[packages.sidecar]\ndescription = 'x'\nmaintainer = 'x <x@x>'\n"
        "formats = ['deb']\nplatforms = ['linux/amd64']\n"
    )
    units = ("sidecar@linux/amd64", "sidecar@linux/arm64", "other@linux/amd64")
    for unit in (*(f"deb/{unit}" for unit in units), f"rpm/{units[0]}"):
        book.note(artifact(unit), {}, 0)
    config = projects.project(text).config
    assert obsolete_units(book, config) == (f"deb/{units[1]}", f"deb/{units[2]}", f"rpm/{units[0]}")


def test_variants_and_bases_of_dockerfiles_are_obsolete_with_their_tables(
    book: RecordBook,
) -> None:
    current = (
        "image/pilot:debug@linux/amd64",
        "push/pilot:debug",
        "base/r.test/base:1@linux/amd64",
    )
    gone = ("image/pilot:old@linux/amd64", "push/pilot:old", "load/other:debug")
    for unit in (*current, *gone):
        book.note(artifact(unit), {}, 0)
    more = '[variants.debug]\n[images.x]\ndockerfile = "D"\n'
    assert obsolete_units(book, projects.project(projects.TEXT + more).config) == gone
    assert set(obsolete_units(book, projects.project().config)) == {*current, *gone}


def record(book: RecordBook, path: Path, unit: str = GONE[1]) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_text("made")
    book.note(artifact(unit, str(Digest.of_bytes(b"made")), path), {}, 0)
    return unit


def test_its_output_is_named_while_it_is_what_was_made(book: RecordBook, tmp_path: Path) -> None:
    out = tmp_path / "out"
    unit = record(book, out / "renamed")
    assert obsolete_output(unit, book, Hasher({}), out) == out / "renamed"
    (out / "renamed").write_text("the user's own")
    assert obsolete_output(unit, book, Hasher({}), out) is None
    (out / "renamed").unlink()
    assert obsolete_output(unit, book, Hasher({}), out) is None


def test_nothing_outside_the_output_directory_is_named(book: RecordBook, tmp_path: Path) -> None:
    unit = record(book, tmp_path / "elsewhere" / "renamed")
    assert obsolete_output(unit, book, Hasher({}), tmp_path / "out") is None


def test_the_description_of_an_image_is_named(book: RecordBook, tmp_path: Path) -> None:
    out = tmp_path / "out"
    unit = record(book, out / "other.json", GONE[6])
    (out / "other.json").write_text("{}")
    assert obsolete_output(unit, book, Hasher({}), out) == out / "other.json"


def test_what_made_no_file_has_none(book: RecordBook, tmp_path: Path) -> None:
    book.note(artifact("push/other"), {}, 0)
    assert obsolete_output("push/other", book, Hasher({}), tmp_path) is None
    assert obsolete_output("push/unknown", book, Hasher({}), tmp_path) is None


def test_a_forgotten_record_is_gone_after_the_next_look(book: RecordBook, tmp_path: Path) -> None:
    book.put(artifact("push/other"), {}, 0, Hasher({}))
    book.forget(["push/other"])
    book.save(Hasher({}))
    assert RecordBook.open(tmp_path / "records.json").units() == ()


def test_units_of_another_targets_file_are_let_be(tmp_path: Path) -> None:
    RecordBook.open(tmp_path / "records.json", "other.toml").put(
        artifact(GONE[0]), {}, 0, Hasher({})
    )
    config = projects.project().config
    assert not obsolete_units(RecordBook.open(tmp_path / "records.json", "targets.toml"), config)
    assert obsolete_units(RecordBook.open(tmp_path / "records.json", "other.toml"), config)
