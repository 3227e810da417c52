"""Space on the disks: what a plan needs is told before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from buildkit.errors import EnvironmentMissingError
from buildkit.execute.space import (
    MEGA,
    Disk,
    Place,
    check_space,
    expected_places,
    look_at_disk,
)
from buildkit.plan.hashing import Hasher
from buildkit.plan.planner import Plan
from buildkit.plan.records import RecordBook
from buildkit.plan.units import Verdict
from tests.fakes.units import artifact, push, running
from tests.unit.execute.site import A, compiled

OUT, CACHE = Path("/out"), Path("/home/me/cache")


@pytest.fixture
def book(tmp_path: Path) -> RecordBook:
    return RecordBook.open(tmp_path / "records.json")


def needed(plan: Plan, book: RecordBook) -> tuple[int, int]:
    out, cache = expected_places(plan, book, OUT, CACHE)
    assert (out.folder, cache.folder) == (OUT, CACHE)
    return out.needed, cache.needed


def test_a_binary_needs_its_last_size_in_out_and_in_the_cache(book: RecordBook) -> None:
    plan = Plan(steps=(compiled("a"),), artifacts={})
    assert needed(plan, book) == (20 * MEGA, 20 * MEGA)
    book.put(replace(artifact(A), size=7 * MEGA), {}, 1.0, Hasher({}))
    assert needed(plan, book) == (7 * MEGA, 7 * MEGA)


def test_what_is_up_to_date_needs_nothing_and_what_is_restored_nothing_in_the_cache(
    book: RecordBook,
) -> None:
    cached = replace(compiled("b"), verdict=Verdict.CACHED)
    restored = replace(compiled("a"), verdict=Verdict.RESTORED)
    made = {A: replace(artifact(A), size=5 * MEGA)}
    assert needed(Plan(steps=(cached, restored), artifacts=made), book) == (5 * MEGA, 0)


def test_a_push_is_not_guessed_since_its_layers_may_be_there(book: RecordBook) -> None:
    book.put(replace(artifact("push/x"), size=900 * MEGA), {}, 1.0, Hasher({}))
    assert needed(Plan(steps=(running(push("x", ())),), artifacts={}), book) == (0, 0)


def refusal(out: Disk, cache: Disk) -> EnvironmentMissingError:
    disks = {OUT: out, CACHE: cache}
    places = (Place(folder=OUT, needed=60 * MEGA), Place(folder=CACHE, needed=50 * MEGA))
    with pytest.raises(EnvironmentMissingError) as caught:
        check_space(places, disks.__getitem__)
    assert caught.value.exit_code == 4
    assert "nothing was started" in caught.value.brief
    assert "--out" in caught.value.resolution
    return caught.value


def test_the_directory_that_lacks_space_is_named_with_needed_and_free() -> None:
    roomy = Disk(device=1, free=1000 * MEGA)
    error = refusal(out=Disk(device=2, free=59 * MEGA), cache=roomy)
    assert error.details == "/out: about 60 MB needed, 59 MB free"
    error = refusal(out=roomy, cache=Disk(device=2, free=0))
    assert error.details == "/home/me/cache: about 50 MB needed, 0 MB free"


def test_both_are_named_where_each_disk_lacks_space() -> None:
    error = refusal(out=Disk(device=1, free=0), cache=Disk(device=2, free=MEGA))
    assert error.details.splitlines() == [
        "/out: about 60 MB needed, 0 MB free",
        "/home/me/cache: about 50 MB needed, 1 MB free",
    ]


def test_directories_on_one_disk_share_its_space() -> None:
    disk = Disk(device=1, free=100 * MEGA)
    error = refusal(out=disk, cache=disk)
    assert error.details == "/out and /home/me/cache: about 110 MB needed, 100 MB free"


def test_what_fits_is_not_refused() -> None:
    disk = Disk(device=1, free=110 * MEGA)
    places = (Place(folder=OUT, needed=60 * MEGA), Place(folder=CACHE, needed=50 * MEGA))
    check_space(places, lambda _: disk)


def test_a_directory_that_does_not_exist_yet_is_on_the_disk_of_its_parent(tmp_path: Path) -> None:
    disk = look_at_disk(tmp_path / "not" / "yet")
    assert disk.device == look_at_disk(tmp_path).device == tmp_path.stat().st_dev
    assert disk.free > 0
