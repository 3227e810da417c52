"""The loop: what a saved file touches is made again, until the user stops it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing

from msgspec import Struct, field

from buildkit.errors import BuildkitError, CancelledError, UsageError
from buildkit.execute.outcomes import Outcome, Status
from buildkit.log import Reporter, choose_reporter
from buildkit.pipeline.events import Changes, file_changes
from buildkit.pipeline.holder import only_run
from buildkit.pipeline.hook import image_variables, run_command, split_command
from buildkit.pipeline.makers import Makers
from buildkit.pipeline.planning import BOTH, Planned
from buildkit.pipeline.run import carry_out, judge, prepare, show_plan, tidy_cache
from buildkit.pipeline.turns import TimeSheet, TurnReporter
from buildkit.pipeline.workshop import Answers, Workshop
from buildkit.plan.options import Goal, Options
from buildkit.plan.units import Kind
from buildkit.plan.watched import Watched, watched_files
from buildkit.proc import Processes

_TICK_NS = 10_000_000
"""How far the time of a change may lie before the clock's: a kernel stamps with its last tick."""


class Made(Struct, frozen=True, kw_only=True):
    """How a turn ended: what to wait for next, the pushed images' variables, what went wrong."""

    watched: Watched
    images: Mapping[str, str] = field(default_factory=dict)
    error: BuildkitError | None = None


Turn = Callable[[tuple[str, ...]], Watched]
"""Makes what some paths changed, says how it went, and returns what to wait for next."""

Make = Callable[[Reporter, TimeSheet], Made]
"""Makes what is to be made; an error that it raises came before it was known what that is."""

After = Callable[[Mapping[str, str]], None]
"""Runs after a success, with the pushed images' variables."""


def watch(goals: frozenset[Goal], options: Options) -> None:
    """Make what the goals want, and again whenever a file that matters is saved.

    Returns when the user ends it while it waits.

    Raises:
        UsageError, ConfigError: the first turn shows that nothing can be made.
        CancelledError: the user ended it in the middle of a turn.
    """
    command = split_command(options.exec)
    if options.dry_run:
        show_plan(goals, options)
        return
    if options.json:
        raise UsageError(
            "--json and watch do not go together",
            details="A document can only be printed at an end.",
            resolution="Let --exec run a command, which gets the pushed images.",
        )
    environ = dict(os.environ)
    reporter = choose_reporter(environ, quiet=bool(options.quiet))
    with closing(reporter):

        def after(images: Mapping[str, str]) -> None:
            if command:
                run_command(command, images, environ, Processes(), reporter)

        follow(Turns(maker(goals or BOTH, options), reporter, after), file_changes, reporter)


def follow(turn: Turn, changes: Changes, reporter: Reporter) -> None:
    """Take a turn now and after each burst of changes; Ctrl-C between two turns ends it."""
    started = time.time_ns()
    watched = turn(())
    reporter.note(f"watching {len(watched.places)} directories; Ctrl-C ends it")
    try:
        while True:
            with closing(changes(watched, started - _TICK_NS)) as bursts:
                for changed in bursts:
                    started = time.time_ns()
                    before, watched = watched, _uninterrupted(turn, changed)
                    if watched != before:
                        break
    except KeyboardInterrupt:
        reporter.note("watching has ended")


def _uninterrupted(turn: Turn, changed: tuple[str, ...]) -> Watched:
    try:
        return turn(changed)
    except KeyboardInterrupt as interrupt:
        raise CancelledError("stopped by the user", details="Nothing half-written remains.") from (
            interrupt
        )


class Turns:
    """Takes turns and tells of each.

    Args:
        make: makes what is to be made.
        reporter: takes what people see.
        after: gets the pushed images' variables after each success that something was made for.
    """

    def __init__(self, make: Make, reporter: Reporter, after: After) -> None:
        self._make = make
        self._reporter = reporter
        self._after = after
        self._watched: Watched | None = None
        self._is_owed = True

    def __call__(self, changed: tuple[str, ...]) -> Watched:
        """Make what changed, say how it went, and return what to wait for next."""
        sheet = TimeSheet(changed, time.time_ns())
        reporter = TurnReporter(self._reporter, sheet, is_first=self._watched is None)
        try:
            made = self._make(reporter, sheet)
        except CancelledError:
            raise
        except BuildkitError as error:
            if self._watched is None:
                raise
            made = Made(watched=self._watched.again(), error=error)
        self._watched = made.watched
        self._tell(made, sheet)
        # What a failed turn made counts for the next success.
        self._is_owed = self._is_owed or sheet.has_made
        if self._is_owed and made.error is None:
            self._is_owed = False
            self._after(made.images)
        return made.watched

    def _tell(self, made: Made, sheet: TimeSheet) -> None:
        self._reporter.close()
        if made.error is not None:
            self._reporter.error(made.error)
        self._reporter.note(sheet.line(is_failed=made.error is not None))


def maker(goals: frozenset[Goal], options: Options) -> Make:
    """Return what makes goals, with configuration, records and clients of its own each time."""
    answers = Answers()

    def make(reporter: Reporter, sheet: TimeSheet) -> Made:
        shop = Workshop.open(options, reporter, answers)
        makers = Makers(shop)
        # Between turns the cache is free, so that it can be collected.
        with only_run(shop.state, sys.argv, reporter.note), shop.store.in_use():
            planned = prepare(shop, makers, goals)
            sheet.end_of_plan()
            watched = _look(planned, ())
            try:
                outcomes = carry_out(planned)
                watched = _look(planned, outcomes)
                judge(shop, planned.graph, outcomes)
            except CancelledError:
                raise
            except BuildkitError as error:
                return Made(watched=watched, error=error)
        tidy_cache(shop, outcomes)
        return Made(watched=watched, images=image_variables(outcomes))

    return make


def _look(planned: Planned, outcomes: tuple[Outcome, ...]) -> Watched:
    shop = planned.shop
    unmade = {Status.FAILED, Status.ABORTED}
    wide = any(o.status in unmade and o.unit.kind is Kind.BINARY for o in outcomes)
    return watched_files(planned.graph, shop.book, shop.project, shop.settings.out, wide=wide)
