"""The user's cache: counted by kind, collected by last use, and never what must stay."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildkit.collection import (
    DEFAULT_LIMIT,
    Collected,
    collect,
    collect_if_due,
    read_limit,
    scan,
    survey,
)
from buildkit.errors import UsageError
from buildkit.store import Store

NOW = 2_000_000_000.0
DAY = 24 * 3600.0


def put(store: Store, name: str, size: int = 100, days: float = 10) -> Path:
    """Make a file of the cache that was last used some days ago."""
    path = store.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    used(path, days)
    return path


def used(path: Path, days: float) -> None:
    os.utime(path, (NOW - days * DAY, NOW - days * DAY))


def toolchain(store: Store, name: str, days: float) -> Path:
    home = put(store, f"go/{name}/bin/go", 300).parents[1]
    put(store, f"go/{name}/VERSION", 100)
    used(home, days)
    return home


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1000", 1000),
        ("20GB", 20_000_000_000),
        ("20 gb", 20_000_000_000),
        ("1.5MiB", 1_572_864),
        ("10k", 10_000),
        ("2TB", 2_000_000_000_000),
        ("100B", 100),
        ("unlimited", None),
        ("", DEFAULT_LIMIT),
        (None, DEFAULT_LIMIT),
    ],
)
def test_a_size_is_read_as_people_write_it(text: str | None, size: int | None) -> None:
    assert read_limit(text, "--max-size") == size


@pytest.mark.parametrize("text", ["much", "-1", "1 PB", "GB", "1,5GB", "0x10", "1 G B"])
def test_what_is_no_size_is_refused_by_who_gave_it(text: str) -> None:
    with pytest.raises(UsageError, match=r"--max-size is .*, which is no size"):
        read_limit(text, "--max-size")


def test_what_there_is_is_summed_by_kind(store: Store) -> None:
    put(store, "blobs/sha256/00/a", 10, days=3)
    put(store, "blobs/sha256/01/b", 20, days=1)
    put(store, "layers/k.json", 1)
    put(store, "gzip/k.json", 2)
    put(store, "registry/localhost_5000/data/x", 1000)
    toolchain(store, "1.26", days=2)
    kinds = {kind.kind: kind for kind in survey(scan(store.root))}
    assert {name: (kind.files, kind.size) for name, kind in kinds.items()} == {
        "blobs": (2, 30),
        "layers": (2, 3),
        "registry": (1, 1000),
        "toolchains": (2, 400),
    }
    assert (kinds["blobs"].oldest, kinds["blobs"].newest) == (NOW - 3 * DAY, NOW - DAY)
    assert [name for name, kind in kinds.items() if kind.is_kept] == ["registry"]


def test_a_cache_that_does_not_exist_is_empty_and_stays_so(tmp_path: Path) -> None:
    assert survey(scan(tmp_path / "none")) == ()
    assert collect(tmp_path / "none", 0, NOW) == Collected(files=0, freed=0, left=0)
    assert not (tmp_path / "none").exists()


def test_what_was_not_used_for_longest_goes_until_the_rest_fits(store: Store) -> None:
    paths = [put(store, f"blobs/sha256/0{n}/{n}", days=n + 2) for n in range(5)]
    done = collect(store.root, 250, NOW)
    assert done == Collected(files=3, freed=300, left=200)
    assert [path.exists() for path in paths] == [True, True, False, False, False]


def test_below_the_limit_and_without_one_nothing_goes(store: Store) -> None:
    path = put(store, "blobs/sha256/00/a", days=1000)
    for limit in (100, None):
        assert collect(store.root, limit, NOW) == Collected(files=0, freed=0, left=100)
    assert path.exists()


def test_a_dry_run_counts_and_removes_nothing(store: Store) -> None:
    path = put(store, "blobs/sha256/00/a")
    assert collect(store.root, 0, NOW, dry_run=True) == Collected(files=1, freed=100, left=0)
    assert path.exists()


def test_the_registry_and_tools_stay_and_do_not_count(store: Store) -> None:
    kept = [put(store, "registry/x/data/blob", 10_000), put(store, "tools/registry", 10_000)]
    put(store, "blobs/sha256/00/a")
    assert collect(store.root, 0, NOW) == Collected(files=1, freed=100, left=0)
    assert all(path.exists() for path in kept)


def test_a_source_tree_goes_whole_unless_it_was_used_within_a_day(store: Store) -> None:
    old, recent = (store.root / "trees" / name for name in ("old", "recent"))
    for place, days in ((old, 40.0), (recent, 0.5)):
        (place / "cmd").mkdir(parents=True)
        (place / "cmd" / "main.go").write_text("package main")
        os.utime(place, (NOW - days * DAY,) * 2)
    done = collect(store.root, 0, NOW)
    assert (done.files, old.exists(), recent.exists()) == (1, False, True)


def test_a_toolchain_goes_whole_unless_it_was_used_within_a_day(store: Store) -> None:
    old, recent = toolchain(store, "1.25", days=40), toolchain(store, "1.26", days=0.5)
    done = collect(store.root, 0, NOW)
    assert done == Collected(files=2, freed=400, left=400)
    assert not old.exists()
    assert (recent / "bin" / "go").exists()
    assert list((store.root / "tmp").iterdir()) == []


def test_leftovers_of_a_crash_go_after_a_day_whatever_the_limit(store: Store) -> None:
    stale = [
        put(store, "tmp/work/layer.tar", days=2),
        put(store, "blobs/sha256/00/.abc.x1.tmp", days=2),
        put(store, "actions/.k.json.x2.tmp", days=2),
    ]
    fresh = [put(store, "tmp/now/layer.tar", days=0), put(store, "actions/.k.x3.tmp", days=0)]
    assert collect(store.root, None, NOW).files == len(stale)
    assert collect(store.root, 0, NOW).files == 0
    assert not any(path.exists() for path in stale)
    assert all(path.exists() for path in fresh)


@given(
    sizes=st.lists(st.integers(0, 1000), max_size=12),
    limit=st.integers(0, 6000),
)
def test_what_is_left_fits_and_was_used_last(
    sizes: list[int], limit: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = Store.open(tmp_path_factory.mktemp("collect") / "store")
    paths = [put(store, f"blobs/{n}", size, days=n + 1) for n, size in enumerate(sizes)]
    done = collect(store.root, limit, NOW)
    left = [path for path in paths if path.exists()]
    assert done.left == sum(path.stat().st_size for path in left) <= limit
    assert done.files == len(paths) - len(left)
    assert done.freed == sum(sizes) - done.left
    assert left == paths[: len(left)]
    if done.files:
        assert done.left + sizes[len(left)] > limit


def test_after_a_run_the_cache_is_counted_once_a_day_while_it_fits(store: Store) -> None:
    put(store, "blobs/sha256/00/a", 1000)
    assert collect_if_due(store, 5000, 0, NOW) is None
    # Not seen before the next count: this run did not say that it added so much.
    put(store, "blobs/sha256/01/b", 9000, days=20)
    assert collect_if_due(store, 5000, 100, NOW + 60) is None
    done = collect_if_due(store, 5000, 0, NOW + DAY + 1)
    assert done == Collected(files=1, freed=9000, left=1000)


def test_after_a_run_what_it_added_makes_a_count_due(store: Store) -> None:
    old = put(store, "blobs/sha256/00/a", 3000, days=20)
    assert collect_if_due(store, 5000, 3000, NOW) is None
    new = put(store, "blobs/sha256/01/b", 3000, days=0)
    done = collect_if_due(store, 5000, 3000, NOW + 60)
    assert done == Collected(files=1, freed=3000, left=3000)
    assert (old.exists(), new.exists()) == (False, True)


def test_after_a_run_some_room_is_left_below_the_limit(store: Store) -> None:
    for number in range(20):
        put(store, f"blobs/sha256/00/{number}", 100, days=number + 1)
    done = collect_if_due(store, 1900, 0, NOW)
    assert done is not None
    assert done.left == 1700


def test_while_another_run_uses_the_cache_nothing_is_collected(store: Store) -> None:
    path = put(store, "blobs/sha256/00/a", 1000)
    with store.in_use():
        assert collect_if_due(store, 10, 1000, NOW) is None
        assert path.exists()
    done = collect_if_due(store, 10, 1000, NOW)
    assert done is not None
    assert not path.exists()


def test_a_damaged_ledger_makes_a_count_due(store: Store) -> None:
    put(store, "blobs/sha256/00/a", 1000)
    collect_if_due(store, 5000, 0, NOW)
    (store.root / "counted.json").write_bytes(b"sha256:0\n{}")
    done = collect_if_due(store, 10, 0, NOW + 60)
    assert done is not None
    assert done.freed == 1000


def test_a_clock_that_was_set_back_makes_a_count_due(store: Store) -> None:
    put(store, "blobs/sha256/00/a", 1000)
    assert collect_if_due(store, None, 0, NOW + 400 * DAY) is None
    done = collect_if_due(store, 10, 0, NOW)
    assert done is not None
