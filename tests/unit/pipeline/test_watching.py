"""The loop: which turns are taken, what ends it, and what each one leaves to the next."""

from __future__ import annotations

import io
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field

import pytest

from buildkit.errors import BuildError, CancelledError, ConfigError, UsageError
from buildkit.log import Plain, Reporter
from buildkit.pipeline import watching
from buildkit.pipeline.turns import TimeSheet
from buildkit.pipeline.watching import Made, Turns, follow, watch
from buildkit.plan.options import Options
from buildkit.plan.watched import Watched

Burst = tuple[str, ...]


def watched(*files: str) -> Watched:
    return Watched(files=frozenset(files), packages=frozenset(), patterns=frozenset())


@dataclass
class Script:
    """Plays the files: bursts to tell of each time something is watched, then Ctrl-C."""

    bursts: list[list[Burst]]
    seen: list[Watched] = field(default_factory=list)
    since: list[int] = field(default_factory=list)
    closed: int = 0

    def changes(self, what: Watched, since_ns: int) -> Generator[Burst]:
        self.seen.append(what)
        self.since.append(since_ns)
        try:
            if not self.bursts:
                raise KeyboardInterrupt
            yield from self.bursts.pop(0)
        finally:
            self.closed += 1


@dataclass
class Rounds:
    """Plays the turns: what each one leaves to wait for, or how it fails."""

    results: list[Watched | BaseException]
    causes: list[Burst] = field(default_factory=list)

    def turn(self, changed: Burst) -> Watched:
        self.causes.append(changed)
        result = self.results.pop(0)
        if isinstance(result, BaseException):
            raise result
        return result


def run(script: Script, rounds: Rounds) -> str:
    said = io.StringIO()
    follow(rounds.turn, script.changes, Plain(said))
    return said.getvalue()


def test_a_turn_now_and_one_per_burst_until_ctrl_c() -> None:
    one = watched("/a")
    script = Script([[("/a",), ("/a", "/b")]])
    rounds = Rounds([one, one, one])
    said = run(script, rounds)
    assert rounds.causes == [(), ("/a",), ("/a", "/b")]
    assert said.splitlines() == [
        "watching 0 directories; Ctrl-C ends it",
        "watching has ended",
    ]
    # The source ended by itself once; what is the same is then watched anew.
    assert script.seen == [one, one]
    assert script.closed == 2


def test_what_a_turn_found_out_is_watched_from_then_on() -> None:
    one, two = watched("/a"), watched("/a", "/b")
    script = Script([[("/a",), ("/never",)], [("/b",)]])
    rounds = Rounds([one, two, two])
    run(script, rounds)
    assert rounds.causes == [(), ("/a",), ("/b",)]
    assert script.seen == [one, two, two]
    assert script.closed == 3


def test_a_new_source_tells_what_changed_since_the_turn_began() -> None:
    one, two = watched("/a"), watched("/b")
    script = Script([[("/a",)]])
    run(script, Rounds([one, two]))
    assert 0 < script.since[0] < script.since[1]


def test_ctrl_c_in_a_turn_is_a_stopped_run() -> None:
    one = watched("/a")
    script = Script([[("/a",)]])
    with pytest.raises(CancelledError):
        run(script, Rounds([one, KeyboardInterrupt()]))
    assert script.closed == 1


@dataclass
class Kitchen:
    """Plays what makes things, and what runs afterwards."""

    results: list[Made | BaseException]
    batches: list[str] = field(default_factory=list)
    rolled: list[Mapping[str, str]] = field(default_factory=list)
    said: io.StringIO = field(default_factory=io.StringIO)

    def make(self, reporter: Reporter, sheet: TimeSheet) -> Made:
        sheet.end_of_plan()
        batch = self.batches.pop(0) if self.batches else ""
        if batch:
            reporter.started(batch)
            reporter.finished(batch, "done", 0.0, "")
        result = self.results.pop(0)
        if isinstance(result, BaseException):
            raise result
        return result

    def turns(self) -> Turns:
        return Turns(self.make, Plain(self.said), self.rolled.append)

    @property
    def lines(self) -> list[str]:
        return [line.partition("  ")[0] for line in self.said.getvalue().splitlines()]


A = Made(watched=watched("/a"), images={"IMAGE_A": "1"})
B = Made(watched=watched("/a"), images={"IMAGE_A": "2"})
FAILED = Made(watched=watched("/wide"), error=BuildError("it did not compile"))


def test_a_failure_is_told_and_its_fix_is_made() -> None:
    kitchen = Kitchen([A, FAILED, B], ["", "", "push/a"])
    turns = kitchen.turns()
    assert [turns(()), turns(("/a",)), turns(("/a",))] == [A.watched, FAILED.watched, B.watched]
    assert kitchen.lines == [
        "first turn: nothing to do",
        "error: it did not compile",
        "/a: failed",
        "/a: pushed a",
    ]


def test_the_command_runs_after_the_first_success_and_whenever_something_was_made() -> None:
    kitchen = Kitchen([A, A, B, FAILED], ["", "", "push/a", "compile/x"])
    turns = kitchen.turns()
    for _ in range(4):
        turns(("/a",))
    assert kitchen.rolled == [A.images, B.images]


def test_what_a_failed_turn_pushed_is_rolled_out_by_the_next_success() -> None:
    kitchen = Kitchen([A, FAILED, B], ["", "push/a", ""])
    turns = kitchen.turns()
    for _ in range(3):
        turns(("/a",))
    assert kitchen.rolled == [A.images, B.images]


def test_a_configuration_that_cannot_be_read_is_waited_for() -> None:
    kitchen = Kitchen([A, ConfigError("line 3 is wrong"), B])
    turns = kitchen.turns()
    assert turns(()) == A.watched
    assert turns(("/a",)).files == A.watched.files
    turns(("/a",))
    assert kitchen.lines[1:] == ["error: line 3 is wrong", "/a: failed", "/a: nothing to do"]


@pytest.mark.parametrize("error", [UsageError("no such unit"), CancelledError("stopped")])
def test_what_is_wrong_from_the_start_ends_it(error: Exception) -> None:
    with pytest.raises(type(error)):
        Kitchen([error]).turns()(())


def test_a_stopped_turn_ends_it() -> None:
    turns = Kitchen([A, CancelledError("stopped")]).turns()
    turns(())
    with pytest.raises(CancelledError):
        turns(("/a",))


def test_a_dry_run_is_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[object] = []
    monkeypatch.setattr(watching, "show_plan", lambda *given: shown.append(given))
    options = Options(dry_run=True)
    watch(frozenset(), options)
    assert shown == [(frozenset(), options)]


@pytest.mark.parametrize("options", [Options(json=True), Options(exec="'"), Options(exec="")])
def test_what_cannot_be_is_refused_before_anything_starts(options: Options) -> None:
    with pytest.raises(UsageError):
        watch(frozenset(), options)
