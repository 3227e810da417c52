"""What starts first, what runs together, and what happens where memory is too little."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

import pytest
from msgspec.structs import replace

from buildkit.config.model import Base
from buildkit.execute.batches import Batch, make_batches
from buildkit.execute.expected import MEGA, Memory, critical_paths, expected_seconds
from buildkit.execute.outcomes import Status
from buildkit.plan.hashing import Hasher
from buildkit.plan.planner import Plan
from buildkit.plan.records import RecordBook
from buildkit.plan.units import AssembleBase, Download, Kind, Progress, Step, Unit, Verdict
from buildkit.proc import OutOfMemoryError, out_of_memory
from tests.fakes.units import LINUX, artifact, binary, push, running
from tests.unit.execute.site import ARM, ONE, A, Act, B, Site, Smith, compiled, statuses

B_ARM = "binary/b@linux/arm64"
BASE, FETCH = "base/static@linux/amd64", "fetch/envoy@linux/amd64"
COMPILE = "compile/default@linux/amd64"


def base() -> Step:
    action = AssembleBase(
        name="static", base=Base(kind="static"), packages=(), archive="", digest=""
    )
    return running(Unit(kind=Kind.BASE, name="static", platform=LINUX, action=action))


def fetch() -> Step:
    output = Path("/out/envoy")
    action = Download(
        name="envoy", version="1", sources=(), override=None, strip=False, output=output
    )
    unit = binary("envoy", action)
    return running(replace(unit, kind=Kind.FETCH))


def noted(book: RecordBook, unit: str, *, seconds: float = 1.0, peak: int = 0) -> None:
    book.put(replace(artifact(unit), peak_memory=peak), {}, seconds, Hasher({}))


def batches_of(*steps: Step) -> dict[str, Batch]:
    return make_batches(Plan(steps=steps, artifacts={}))[0]


@pytest.fixture
def book(tmp_path: Path) -> RecordBook:
    return RecordBook.open(tmp_path / "records.json")


def test_an_image_starts_while_another_platform_compiles_and_its_base_and_envoy_come_meanwhile(
    site: Site,
) -> None:
    seen: dict[str, threading.Event] = {
        unit: threading.Event() for unit in (A, B_ARM, BASE, FETCH, ONE)
    }

    def after(unit: str, others: Iterable[str]) -> Act:
        def act(_progress: Progress) -> None:
            seen[unit].set()
            assert all(seen[other].wait(10) for other in others)

        return act

    site.limits[Kind.BINARY] = 1
    site.smith.acts = {A: after(A, (BASE, FETCH)), ONE: after(ONE, (B_ARM,))}
    site.smith.acts |= {unit: after(unit, (A,)) for unit in (BASE, FETCH)}
    site.smith.acts[B_ARM] = after(B_ARM, (ONE,))
    image = site.image("one", BASE, A, FETCH)
    outcomes = site.run(compiled("a"), compiled("b", platform=ARM), base(), fetch(), image)
    assert {outcome.status for outcome in outcomes} == {Status.DONE}


def test_what_has_the_longest_way_behind_it_starts_first(site: Site) -> None:
    site.limits[Kind.BINARY] = 1
    noted(site.book, A, seconds=10)
    noted(site.book, B_ARM, seconds=11)
    site.run(
        compiled("b", platform=ARM),
        compiled("a"),
        site.image("one", A),
        running(push("x", (ONE,))),
    )
    assert site.smith.order[0] == A


def test_a_path_is_the_longest_way_to_the_end_by_the_seconds_of_the_last_run(
    site: Site, book: RecordBook
) -> None:
    steps = (compiled("a"), compiled("b"), site.image("one", A), site.image("two", A, B))
    batches = batches_of(*steps, running(push("x", (ONE,))))
    for unit, seconds in ((A, 5.0), (B, 7.0), (ONE, 3.0), ("push/x", 2.0)):
        noted(book, unit, seconds=seconds)
    two = expected_seconds(batches["image/two@linux/amd64"], book)
    assert critical_paths(batches, book) == {
        COMPILE: 12.0,
        ONE: 5.0,
        "image/two@linux/amd64": two,
        "push/x": 2.0,
    }


def test_a_compile_is_guessed_to_be_longest_and_a_copy_from_the_cache_shortest(
    book: RecordBook,
) -> None:
    steps = (compiled("a"), replace(compiled("b"), verdict=Verdict.RESTORED), fetch())
    seconds = {k: expected_seconds(batch, book) for k, batch in batches_of(*steps).items()}
    assert seconds[COMPILE] > seconds[FETCH] > seconds[B]


def test_compiles_that_do_not_fit_together_run_one_after_the_other(site: Site) -> None:
    steps = (compiled("a"), compiled("b", platform=ARM))
    for unit in (A, B_ARM):
        noted(site.book, unit, peak=600 * MEGA)
    site.available = 1000 * MEGA
    assert {outcome.status for outcome in site.run(*steps)} == {Status.DONE}
    assert site.smith.most == 1


def test_compiles_that_fit_together_run_at_once(site: Site) -> None:
    meeting = threading.Barrier(2, timeout=10)

    def meet(_progress: Progress) -> None:
        meeting.wait()

    site.smith.acts = {A: meet, B_ARM: meet}
    for unit in (A, B_ARM):
        noted(site.book, unit, peak=500 * MEGA)
    site.available = 1000 * MEGA
    outcomes = site.run(compiled("a"), compiled("b", platform=ARM))
    assert {outcome.status for outcome in outcomes} == {Status.DONE}


def test_the_peak_of_a_batch_is_learned_and_where_it_is_unknown_guessed(
    site: Site, book: RecordBook
) -> None:
    site.smith.peaks = {A: 700 * MEGA, B: 700 * MEGA}
    site.run(compiled("a"), compiled("b"))
    batch = batches_of(compiled("a"), compiled("b"))[COMPILE]
    learned = RecordBook.open(site.path)
    assert Memory(available=1, book=learned).expected(batch) == 700 * MEGA
    assert Memory(available=1, book=book).expected(batch) == 1000 * MEGA
    restored = replace(batch, steps=(replace(compiled("a"), verdict=Verdict.RESTORED),))
    assert Memory(available=1, book=learned).expected(restored) == 50 * MEGA
    image = batches_of(site.image("one", A))[ONE]
    assert Memory(available=1, book=book).expected(image) == 50 * MEGA


def test_nothing_starves_what_is_too_large_runs_beside_nothing(site: Site) -> None:
    noted(site.book, A, peak=5000 * MEGA)
    site.available = 1
    outcomes = site.run(compiled("a"), compiled("b", platform=ARM), base(), fetch())
    assert {outcome.status for outcome in outcomes} == {Status.DONE}
    assert site.smith.most == 1


def test_what_is_known_to_be_too_large_is_made_in_less_memory_and_stays_known(
    site: Site,
) -> None:
    frugal = Smith(peaks={A: 300 * MEGA})
    site.frugal = {Kind.BINARY: frugal}
    site.available = 1000 * MEGA
    noted(site.book, A, peak=2000 * MEGA)
    for _ in range(2):
        site.run(compiled("a"))
    assert (frugal.order, site.smith.order) == ([A, A], [])
    site.available = 3000 * MEGA
    site.run(compiled("a"))
    assert site.smith.order == [A]


def killed(site: Site, unit: str) -> None:
    site.fail(unit, out_of_memory("a for linux/amd64", "link: signal: killed"))


def test_what_was_killed_is_said_and_made_again_alone_in_less_memory(site: Site) -> None:
    frugal = Smith(peaks={A: 300 * MEGA})
    site.frugal = {Kind.BINARY: frugal}
    site.available = 1500 * MEGA
    killed(site, A)
    others = (compiled("b", platform=ARM), base(), fetch())

    def alone(_progress: Progress) -> None:
        assert site.smith.busy == 0

    frugal.acts[A] = alone
    outcomes = site.run(compiled("a"), *others, site.image("one", A))
    assert {outcome.status for outcome in outcomes} == {Status.DONE}
    assert frugal.order == [A]
    assert [line for line in site.journal.lines if line.startswith("warning")] == [
        (
            "warning a for linux/amd64: a process was killed, most likely for lack of memory: "
            "1000 MB expected, 1500 MB available; it is made again, alone"
        )
    ]
    record = site.book.get(A)
    assert record is not None
    assert record.peak_memory == 1500 * MEGA + 1


def test_what_is_killed_twice_fails_with_the_numbers_and_aborts_what_needs_it(
    site: Site,
) -> None:
    site.available = 800 * MEGA
    killed(site, A)
    outcomes = site.run(compiled("a"), compiled("b", platform=ARM), site.image("one", A))
    brief = "a for linux/amd64: a process was killed, most likely for lack of memory"
    assert statuses(outcomes) == {
        A: (Status.FAILED, brief),
        B_ARM: (Status.DONE, "never made here"),
        ONE: (Status.ABORTED, f"{A} failed"),
    }
    assert site.smith.order.count(A) == 2
    error = outcomes[0].error
    assert isinstance(error, OutOfMemoryError)
    assert error.exit_code == 4
    assert error.details == "1000 MB expected, 800 MB available\nlink: signal: killed"
    assert error.resolution.endswith("only more memory helps.")


def test_after_fail_fast_nothing_is_made_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.fail_fast = True
    ended = threading.Event()

    def late(_progress: Progress) -> None:
        assert ended.wait(10)
        raise out_of_memory("a for linux/amd64", "")

    site.smith.acts[A] = late
    site.fail(B_ARM)
    finished = site.journal.finished

    def finish(unit: str, status: str, seconds: float, reason: str) -> None:
        finished(unit, status, seconds, reason)
        ended.set()

    monkeypatch.setattr(site.journal, "finished", finish)
    outcomes = site.run(compiled("a"), compiled("b", platform=ARM))
    assert [outcome.status for outcome in outcomes] == [Status.FAILED, Status.FAILED]
    assert site.smith.order.count(A) == 1
