"""The line of a turn: why, what, and where the time went."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from buildkit.errors import BuildError
from buildkit.log import Plain
from buildkit.pipeline.turns import TimeSheet, TurnReporter


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def sheet(clock: Clock, changed: tuple[str, ...] = ("/gone/cmd/main.go",)) -> TimeSheet:
    return TimeSheet(changed, 0, clock)


def do(made: TimeSheet, clock: Clock, batch: str, seconds: float, status: str = "done") -> None:
    made.started(batch)
    clock.now += seconds
    made.finished(batch, status)


def test_a_line_tells_what_was_pushed_and_where_the_time_went(clock: Clock) -> None:
    made = sheet(clock)
    clock.now += 0.25
    made.end_of_plan()
    do(made, clock, "compile/default@linux/amd64", 1.0)
    do(made, clock, "image/pilot@linux/amd64", 0.5)
    do(made, clock, "push/pilot", 0.125)
    assert made.line(is_failed=False) == (
        "cmd/main.go: pushed pilot  1.88 s "
        "(detect 0.00, plan 0.25, compile 1.00, image 0.50, push 0.12)"
    )
    assert made.has_made


def test_what_ran_side_by_side_counts_once(clock: Clock) -> None:
    made = sheet(clock)
    for batch in ("compile/a@linux/amd64", "compile/b@linux/arm64"):
        made.started(batch)
        clock.now += 1
    for batch in ("compile/a@linux/amd64", "compile/b@linux/arm64"):
        made.finished(batch, "done")
        clock.now += 1
    do(made, clock, "compile/c@linux/arm64", 1)
    assert "made compile/a@linux/amd64, compile/b@linux/arm64, compile/c@linux/arm64" in made.line(
        is_failed=False
    )
    assert "compile 4.00" in made.line(is_failed=False)


def test_what_was_reused_is_nothing_to_do(clock: Clock) -> None:
    made = sheet(clock, ("/a/1", "/a/2", "/a/3", "/a/4", "/a/5"))
    made.finished("image/pilot@linux/amd64", "cached")
    assert made.line(is_failed=False).startswith("a/1, a/2, a/3 and 2 more: nothing to do  0.00 s")
    assert not made.has_made


def test_a_failure_is_told(clock: Clock) -> None:
    made = sheet(clock)
    do(made, clock, "compile/default@linux/amd64", 1.0, "failed")
    assert made.line(is_failed=True) == "cmd/main.go: failed  1.00 s (detect 0.00, compile 1.00)"
    assert not made.has_made


def test_detecting_counts_from_the_first_change_that_is_still_there(
    clock: Clock, tmp_path: Path
) -> None:
    file = tmp_path / "a.go"
    file.touch()
    now = file.stat().st_ctime_ns + 2_500_000_000
    made = TimeSheet((str(tmp_path / "gone.go"), str(file)), now, clock)
    assert "nothing to do  2.50 s (detect 2.50)" in made.line(is_failed=False)


def test_a_file_from_the_future_is_no_negative_time(clock: Clock, tmp_path: Path) -> None:
    made = TimeSheet((str(tmp_path),), 1, clock)
    assert "(detect 0.00)" in made.line(is_failed=False)


def test_the_first_turn_has_no_cause(clock: Clock) -> None:
    assert sheet(clock, ()).line(is_failed=False) == "first turn: nothing to do  0.00 s ()"


def report(clock: Clock, *, is_first: bool) -> list[str]:
    said = io.StringIO()
    reporter = TurnReporter(Plain(said), sheet(clock), is_first=is_first)
    reporter.started("push/a")
    reporter.progress("push/a", "half")
    reporter.finished("push/a", "done", 1.0, "because")
    reporter.note("a note")
    reporter.table(("a",), [("b",)])
    reporter.warn("beware")
    reporter.error(BuildError("broken"))
    reporter.close()
    return said.getvalue().splitlines()


def test_a_first_turn_shows_its_units(clock: Clock) -> None:
    assert report(clock, is_first=True) == [
        "start    push/a",
        "done     push/a  1.0 s  because",
        "a note",
        "warning: beware",
        "error: broken",
    ]


def test_a_later_one_shows_what_is_wrong(clock: Clock) -> None:
    assert report(clock, is_first=False) == ["warning: beware", "error: broken"]
