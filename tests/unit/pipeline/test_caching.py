"""`invoke cache` and what runs do to keep the cache small."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from buildkit.collection import KindUse
from buildkit.errors import EnvironmentMissingError, UsageError
from buildkit.execute.outcomes import Outcome, Status
from buildkit.pipeline.caching import cache_rows, show_cache, tidy_cache
from buildkit.pipeline.workshop import Workshop
from buildkit.plan.options import Options
from buildkit.plan.units import Artifact
from buildkit.store import Store
from tests.fakes.units import binary, compile_action

DAY = 24 * 3600
APP = binary("app", compile_action(Path("/src"), Path("/out/app")))
PROJECT = """\
schema_version = 1
[project]
name = "tiny"
release_hub = "docker.io/tiny"
[matrix]
platforms = ["linux/amd64"]
"""


@pytest.fixture
def cache(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("MESHWRIGHT_CACHE", str(store.root))
    moment = time.time() - 3 * DAY
    for number in range(3):
        _, path = store.put_bytes(bytes([number]) * 1000)
        os.utime(path, (moment - number, moment - number))
    (store.root / "registry" / "data").mkdir(parents=True)
    (store.root / "registry" / "data" / "blob").write_bytes(b"x" * 5000)
    return store


def blobs(store: Store) -> int:
    return sum(path.is_file() for path in (store.root / "blobs").rglob("*"))


def test_it_shows_place_size_kinds_and_age(
    cache: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    show_cache(Options())
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"place  {cache.root}"
    assert lines[1] == "size   3.0 kB of at most 20.00 GB"
    assert [line.split() for line in lines[2:5]] == [
        ["kind", "files", "size", "last", "used"],
        ["blobs", "3", "3.0", "kB", "3", "days", "ago"],
        ["registry", "1", "5.0", "kB", "today"],
    ]


def test_an_empty_cache_is_shown_and_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MESHWRIGHT_CACHE", str(tmp_path / "none"))
    show_cache(Options(collect=True))
    assert "size   0 B of at most" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()


def test_a_size_collects_down_to_it(cache: Store, capsys: pytest.CaptureFixture[str]) -> None:
    show_cache(Options(max_size="1kB"))
    assert blobs(cache) == 1
    assert "removed 2 files, 2.0 kB" in capsys.readouterr().out
    assert (cache.root / "registry" / "data" / "blob").exists()


def test_collecting_takes_the_size_of_the_environment(
    cache: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESHWRIGHT_CACHE_SIZE", "2kB")
    show_cache(Options())
    assert blobs(cache) == 3
    show_cache(Options(collect=True))
    assert blobs(cache) == 2


def test_a_dry_run_says_what_would_go(cache: Store, capsys: pytest.CaptureFixture[str]) -> None:
    show_cache(Options(max_size="0", dry_run=True))
    assert blobs(cache) == 3
    assert "would remove 3 files, 3.0 kB" in capsys.readouterr().out


def test_the_document_has_every_number(cache: Store, capsys: pytest.CaptureFixture[str]) -> None:
    show_cache(Options(json=True, max_size="2kB"))
    document = json.loads(capsys.readouterr().out)
    assert (document["place"], document["limit"], document["size"]) == (str(cache.root), 2000, 2000)
    assert document["removed"] == {"files": 1, "size": 1000}
    assert document["kinds"]["blobs"]["files"] == 2
    assert (document["kinds"]["blobs"]["counted"], document["kinds"]["registry"]["counted"]) == (
        True,
        False,
    )


def test_what_is_no_size_is_refused_and_says_who_gave_it(
    cache: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="--max-size is 'x'"):
        show_cache(Options(max_size="x"))
    monkeypatch.setenv("MESHWRIGHT_CACHE_SIZE", "y")
    with pytest.raises(UsageError, match="MESHWRIGHT_CACHE_SIZE in the environment is 'y'"):
        show_cache(Options())
    assert blobs(cache) == 3


def test_nothing_is_collected_while_a_run_uses_the_cache(cache: Store) -> None:
    with cache.in_use(), pytest.raises(EnvironmentMissingError, match="another run uses"):
        show_cache(Options(max_size="0"))
    assert blobs(cache) == 3


def test_ages_are_told_in_days() -> None:
    def row(oldest: float, newest: float) -> str:
        kind = KindUse(kind="blobs", files=1, size=1, oldest=-oldest * DAY, newest=-newest * DAY)
        return cache_rows([kind], now=0)[0][-1]

    assert row(0.5, -1) == "today"
    assert row(1, 1) == "1 day ago"
    assert row(40, 0.1) == "today to 40 days ago"


@pytest.fixture
def targets(tmp_path: Path) -> Path:
    (tmp_path / "targets.toml").write_text(PROJECT)
    return tmp_path / "targets.toml"


def outcome(status: Status, size: int = 1000) -> Outcome:
    made = Artifact(unit=APP.id, digest="sha256:1", size=size)
    return Outcome(unit=APP, status=status, reason="x", artifact=made)


def test_a_run_that_made_something_keeps_the_cache_below_its_size(
    cache: Store, targets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MESHWRIGHT_CACHE_SIZE", "2kB")
    tidy_cache(Workshop.open(Options(targets=str(targets))), [outcome(Status.DONE)])
    assert blobs(cache) == 1
    assert "removed 2 files of the cache, 2.0 kB" in capsys.readouterr().err


@pytest.mark.parametrize("status", [Status.CACHED, Status.RESTORED])
def test_a_run_that_made_nothing_counts_nothing(
    cache: Store, targets: Path, monkeypatch: pytest.MonkeyPatch, status: Status
) -> None:
    monkeypatch.setenv("MESHWRIGHT_CACHE_SIZE", "1")
    tidy_cache(Workshop.open(Options(targets=str(targets))), [outcome(status)])
    assert blobs(cache) == 3


def test_a_run_is_not_spoiled_by_a_size_that_is_none(
    cache: Store, targets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MESHWRIGHT_CACHE_SIZE", "huge")
    tidy_cache(Workshop.open(Options(targets=str(targets))), [outcome(Status.DONE)])
    assert blobs(cache) == 3
    said = capsys.readouterr().err
    assert said.startswith("warning: the cache is not collected: MESHWRIGHT_CACHE_SIZE in the")
    assert said.count("\n") == 1
