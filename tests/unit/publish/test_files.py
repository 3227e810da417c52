"""Files at a directory and at a server: whole, once, in order, and on from where a run died."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from buildkit.digest import Digest
from buildkit.errors import EnvironmentMissingError, PublishError
from buildkit.http import HttpPool
from buildkit.publish.cargo import Cargo, CargoFile
from buildkit.publish.destination import Published, State, publish
from buildkit.publish.directory import Directory
from buildkit.publish.files import FileDestination, Found, Shelf
from buildkit.publish.http_put import HttpPut
from buildkit.publish.journal import Journal
from tests.fakes.mortal import Death
from tests.fakes.uploads import FakeUploads
from tests.unit.publish.conftest import CONTENT

NewJournal = Callable[[], Journal]
AT_SERVER = {f"/releases/{name}": content for name, content in CONTENT.items()}


@pytest.fixture
def server() -> Iterator[FakeUploads]:
    with FakeUploads() as fake:
        yield fake


@pytest.fixture
def shelf(server: FakeUploads, pool: HttpPool) -> HttpPut:
    return HttpPut(pool=pool, url=f"{server.url}/releases/")


def run(
    cargo: Cargo, shelf: Shelf, journal: Journal, *, dry_run: bool = False
) -> tuple[Published, ...]:
    place = FileDestination(name="site", files=cargo.files, shelf=shelf, journal=journal)
    return publish([place], lambda _name, _text: None, dry_run=dry_run)


def states(found: tuple[Published, ...]) -> list[State]:
    return [item.state for item in found[0].before]


def test_a_directory_gets_the_files_and_a_rerun_writes_nothing(
    tmp_path: Path, cargo: Cargo, new_journal: NewJournal
) -> None:
    target = tmp_path / "srv" / "1.0.0"
    assert states(run(cargo, Directory(target), new_journal())) == [State.NEW] * 3
    assert {path.name: path.read_bytes() for path in target.iterdir()} == CONTENT
    before = {path.name: path.stat().st_mtime_ns for path in target.iterdir()}
    again = run(cargo, Directory(target), new_journal())
    assert states(again) == [State.SAME] * 3
    assert {path.name: path.stat().st_mtime_ns for path in target.iterdir()} == before


def test_a_file_that_differs_is_refused_and_nothing_is_written(
    tmp_path: Path, cargo: Cargo, new_journal: NewJournal
) -> None:
    target = tmp_path / "srv"
    target.mkdir()
    (target / "mesh.json").write_bytes(b"[]")
    with pytest.raises(PublishError, match="1 thing is published already, and different") as found:
        run(cargo, Directory(target), new_journal())
    assert str(Digest.of_bytes(b"[]")) in found.value.details
    assert [path.name for path in target.iterdir()] == ["mesh.json"]


def test_what_was_changed_after_it_was_published_is_refused(
    tmp_path: Path, cargo: Cargo, new_journal: NewJournal
) -> None:
    target = tmp_path / "srv"
    run(cargo, Directory(target), new_journal())
    (target / "mesh.json").write_bytes(b"[]")
    with pytest.raises(PublishError, match="different"):
        run(cargo, Directory(target), new_journal())
    assert (target / "mesh.json").read_bytes() == b"[]"


def test_a_full_disk_is_named_and_the_next_run_goes_on(
    tmp_path: Path, cargo: Cargo, new_journal: NewJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "srv"

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("buildkit.store.shutil.copyfile", full)
        with pytest.raises(EnvironmentMissingError, match="cannot write") as found:
            run(cargo, Directory(target), new_journal())
    assert "Free some space" in found.value.resolution
    assert list(target.iterdir()) == []
    run(cargo, Directory(target), new_journal())
    assert {path.name: path.read_bytes() for path in target.iterdir()} == CONTENT


def test_a_dry_run_writes_nothing_at_all(
    tmp_path: Path, cargo: Cargo, new_journal: NewJournal
) -> None:
    before = sorted(os.walk(tmp_path))
    assert (
        states(run(cargo, Directory(tmp_path / "srv"), new_journal(), dry_run=True))
        == [State.NEW] * 3
    )
    assert sorted(os.walk(tmp_path)) == before


def test_a_server_gets_the_indexes_last(
    server: FakeUploads, shelf: HttpPut, cargo: Cargo, new_journal: NewJournal
) -> None:
    run(cargo, shelf, new_journal())
    assert server.files == AT_SERVER
    puts = [asked for asked in server.asked if asked.startswith("PUT")]
    assert puts[-1] == "PUT /releases/checksums.txt"
    assert len(puts) == 3


def test_a_rerun_asks_and_reads_nothing_back(
    server: FakeUploads, shelf: HttpPut, cargo: Cargo, new_journal: NewJournal
) -> None:
    run(cargo, shelf, new_journal())
    server.asked.clear()
    run(cargo, shelf, new_journal())
    assert {asked.split()[0] for asked in server.asked} == {"HEAD"}


def test_without_the_journal_what_is_there_is_read_and_kept(
    server: FakeUploads,
    shelf: HttpPut,
    cargo: Cargo,
    new_journal: NewJournal,
    tmp_path: Path,
) -> None:
    run(cargo, shelf, new_journal())
    server.asked.clear()
    (tmp_path / "journal" / "site.jsonl").unlink()
    assert states(run(cargo, shelf, new_journal())) == [State.SAME] * 3
    assert {asked.split()[0] for asked in server.asked} == {"HEAD", "GET"}


@pytest.mark.parametrize("end", list(itertools.product(range(15), Death)), ids=str)
def test_a_server_that_dies_at_any_request_is_no_loss(
    server: FakeUploads,
    shelf: HttpPut,
    cargo: Cargo,
    new_journal: NewJournal,
    end: tuple[int, Death],
) -> None:
    server.die_at(*end)
    # A whole publish takes 15 requests: each file is looked at twice, sent, looked at and read.
    with pytest.raises(PublishError, match=r"127\.0\.0\.1"):
        run(cargo, shelf, new_journal())
    is_visible = "/releases/checksums.txt" in server.files
    assert not is_visible or len(server.files) == 3
    server.revive()
    run(cargo, shelf, new_journal())
    assert server.files == AT_SERVER


def test_half_a_file_without_a_journal_is_somebody_elses(
    server: FakeUploads, shelf: HttpPut, cargo: Cargo, new_journal: NewJournal
) -> None:
    server.files["/releases/mesh.json"] = b"{"
    with pytest.raises(PublishError, match="different") as found:
        run(cargo, shelf, new_journal())
    assert "a file of 1 bytes" in found.value.details
    assert server.files == {"/releases/mesh.json": b"{"}


def test_a_server_that_is_busy_is_asked_again(
    server: FakeUploads, shelf: HttpPut, cargo: Cargo, new_journal: NewJournal
) -> None:
    server.statuses["/releases/mesh.json"] = 503
    run(cargo, shelf, new_journal())
    assert server.files == AT_SERVER


def test_a_server_without_head_is_asked_by_get(
    server: FakeUploads, shelf: HttpPut, cargo: Cargo, new_journal: NewJournal
) -> None:
    server.knows_head = False
    server.marks = False
    run(cargo, shelf, new_journal())
    assert states(run(cargo, shelf, new_journal())) == [State.SAME] * 3


def test_refused_credentials_are_named_and_never_shown(
    server: FakeUploads, shelf: HttpPut, cargo: Cargo, new_journal: NewJournal
) -> None:
    server.authorization = "Bearer right"
    wrong = replace(shelf, headers={"Authorization": "Bearer wrong"})
    with pytest.raises(PublishError, match="refuses the credentials") as found:
        run(cargo, wrong, new_journal())
    assert "wrong" not in str(found.value) + repr(wrong)
    right = replace(shelf, headers={"Authorization": "Bearer right"})
    run(cargo, right, new_journal())
    assert server.files == AT_SERVER


def test_a_file_that_changed_since_the_release_is_not_sent(
    server: FakeUploads, shelf: HttpPut, cargo: Cargo, new_journal: NewJournal
) -> None:
    cargo.files[0].path.write_bytes(b"other")
    with pytest.raises(PublishError, match="changed since it was released"):
        run(cargo, shelf, new_journal())
    assert "/releases/checksums.txt" not in server.files


class Liar:
    """A shelf that loses, or damages, what it was given."""

    def __init__(self, *, loses: bool) -> None:
        self.loses = loses
        self.names: set[str] = set()

    def place(self, name: str) -> str:
        return f"nowhere/{name}"

    def look(self, name: str) -> Found | None:
        return Found(size=None) if name in self.names and not self.loses else None

    def put(self, file: CargoFile, *, replace: bool) -> None:
        del replace
        self.names.add(file.name)

    def digest(self, name: str) -> Digest:
        return Digest.of_bytes(name.encode())


@pytest.mark.parametrize(
    ("loses", "problem"), [(True, "is not there after"), (False, "is not what was sent")]
)
def test_what_arrived_is_read_back(
    cargo: Cargo, new_journal: NewJournal, loses: bool, problem: str
) -> None:
    with pytest.raises(PublishError, match=problem):
        run(cargo, Liar(loses=loses), new_journal())
