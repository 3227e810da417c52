"""One run for all tasks of a call: tasks register goals, the executor carries them out.

Invoke runs tasks one after another and parses flags per task. Here a task only
says what it wants; what stands together in one call becomes one graph, and
flags given to one task hold for all of them.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.executor import Executor

from buildkit.errors import BuildkitError, UsageError
from buildkit.log import error_lines
from buildkit.plan.options import Goal, Options

_REFUSED = {
    "hide": "--hide",
    "warn": "--warn-only",
    "pty": "--pty",
    "timeout": "--command-timeout",
}
"""Invoke's flags for its own command runner, which our tasks do not use; by run setting."""


class Runner(Protocol):
    """Carries goals out, see :func:`buildkit.pipeline.run`."""

    def __call__(self, goals: frozenset[Goal], options: Options) -> None:
        """Plan the goals as one graph and carry it out, or only show it."""
        ...


@dataclass(slots=True)
class Session:
    """What the tasks of one call want.

    Attributes:
        options: the flags of all tasks of the call, merged.
        run: carries goals out.
    """

    options: Options
    run: Runner
    _goals: set[Goal] = field(default_factory=set)

    def want(self, *goals: Goal) -> None:
        """Register goals; they are carried out together, later."""
        self._goals.update(goals)

    def flush(self) -> None:
        """Carry out what was registered."""
        goals, self._goals = frozenset(self._goals), set()
        if goals:
            self.run(goals, self.options)

    def show(self, action: Callable[[frozenset[Goal], Options], None]) -> None:
        """Hand what was registered before to ``action`` instead of carrying it out."""
        goals, self._goals = frozenset(self._goals), set()
        action(goals, self.options)

    def act(self, action: Callable[[Options], None]) -> None:
        """Do something that is no goal, after the goals that stand before it."""
        self.flush()
        action(self.options)


_current: ContextVar[Session | None] = ContextVar("buildkit_session", default=None)


def session_for(context: Context, options: Options, run: Runner) -> tuple[Session, bool]:
    """Return the call's session; the flag tells that it is this task's own and ends with it.

    A task that runs under Invoke's own executor, in a project that does not
    name ours, gets a session of its own and so still works, one graph per task.
    """
    check_invoke_flags(context)
    session = _current.get()
    if session is None:
        return Session(options, run), True
    return session, False


def check_invoke_flags(context: Context) -> None:
    """Refuse Invoke's flags that would have no effect here.

    Raises:
        UsageError: one was given.
    """
    for setting, flag in _REFUSED.items():
        if context.config.run.get(setting):
            raise UsageError(
                f"{flag} has no meaning for these tasks",
                details="It steers commands that Invoke itself runs; these tasks run none.",
                resolution="Leave it out; `invoke --help build` shows what fits.",
            )


class GoalExecutor(Executor):
    """Invoke's executor with one session around all tasks of a call."""

    def execute(self, *tasks: Any) -> dict[Any, Any]:
        """Run the tasks, then what they want, as one graph."""
        from buildkit.pipeline.run import run  # noqa: PLC0415 - `invoke --list` needs none of it

        with ErrorExit(debug=wants_debug(self.core)):
            session = Session(self._merged(tasks), run)
            token = _current.set(session)
            try:
                results: dict[Any, Any] = super().execute(*tasks)
                session.flush()
            finally:
                _current.reset(token)
        return results

    def _merged(self, tasks: tuple[Any, ...]) -> Options:
        options = Options(dry_run=True) if self.config.run.dry else Options()
        for call in self.normalize(tasks):
            collect = getattr(call.task, "collect_options", None)
            if collect is not None:
                options = options.merge(collect(call.kwargs))
        return options


@dataclass(slots=True)
class ErrorExit:
    """Turns errors into their three parts on standard error and the family's exit code."""

    debug: bool = False

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Print the error and leave with its exit code."""
        if isinstance(error, BuildkitError):
            if self.debug:
                traceback.print_exception(error)
            print("\n".join(error_lines(error)), file=sys.stderr, flush=True)
            raise Exit(code=error.exit_code) from None


def wants_debug(core: Any) -> bool:
    """Tell whether Invoke's own ``--debug`` stands before the tasks."""
    return bool(core) and bool(core[0].args.debug.value)
