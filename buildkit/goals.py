"""One run for all tasks of a call: tasks register goals, the executor carries them out.

Invoke runs tasks one after another and parses flags per task. Here a task only
says what it wants; what stands together in one call becomes one graph, and
flags given to one task hold for all of them.
"""

from __future__ import annotations

import io
import json
import logging
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, TextIO

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.executor import Executor
from msgspec import Struct, field
from msgspec.structs import replace

from buildkit.errors import (
    FULL,
    BuildkitError,
    CancelledError,
    EnvironmentMissingError,
    UsageError,
)
from buildkit.log import choose_reporter
from buildkit.plan.options import Goal, Options

_REFUSED = ("command-timeout", "echo", "hide", "prompt-for-sudo-password", "pty", "warn-only")
"""Invoke's flags for its own command runner, which our tasks do not use."""


_LOOP = "watch"
_UNREAD = 128 + signal.SIGPIPE
"""What a shell says of a program that wrote into a pipe without a reader."""


class Runner(Protocol):
    """Carries goals out, see :func:`buildkit.pipeline.run`."""

    def __call__(self, goals: frozenset[Goal], options: Options) -> None:
        """Plan the goals as one graph and carry it out, or only show it."""
        ...


class Session(Struct):
    """What the tasks of one call want.

    Attributes:
        options: the flags of all tasks of the call, merged.
        run: carries goals out.
    """

    options: Options
    run: Runner
    _goals: set[Goal] = field(default_factory=set)
    _views: list[Runner] = field(default_factory=list)
    _is_due: bool = False
    _repeats: bool = False
    _documents: list[str] = field(default_factory=list)

    def want(self, *goals: Goal) -> None:
        """Register goals; they are carried out together, later."""
        self._goals.update(goals)

    def repeat(self, run: Runner) -> None:
        """Have the goals of the call carried out by ``run``, again and again until it is stopped.

        Args:
            run: returns when the user ends it; no goals stand for those of build and docker.

        Raises:
            UsageError: the goals are only to be looked at.
        """
        if self._views:
            raise UsageError(
                "`watch` makes things, and `plan` and `graph` only show what would be made",
                resolution="Call them one after another.",
            )
        self.run, self._repeats, self._is_due = run, True, True

    def view(self, show: Runner) -> None:
        """Have the goals of the call shown by ``show`` and not carried out, wherever they stand.

        For whatever else follows it is a dry run.

        Args:
            show: changes nothing; no goals stand for those of build and docker.
        """
        self._check_end()
        self._views.append(show)
        self._is_due = True
        self.options = replace(self.options, dry_run=True)

    def flush(self) -> None:
        """Carry out what was registered, or show it."""
        goals, self._goals = frozenset(self._goals), set()
        if goals or self._is_due:
            self._is_due = False
            for run in self._views or [self.run]:
                with self._collected():
                    run(goals, self.options)

    def show(self, action: Callable[[frozenset[Goal], Options], None]) -> None:
        """Hand what was registered before to ``action``, and carry out what comes after."""
        self._check_end()
        goals = frozenset(self._goals)
        if self._views:
            self.flush()
        self._goals = set()
        with self._collected():
            action(goals, self.options)

    def act(self, action: Callable[[Options], None], would: str = "") -> None:
        """Do something that is no goal, after the goals that stand before it.

        Args:
            action: does it.
            would: what it changes, which a dry run says instead; empty for nothing.
        """
        self._check_end()
        self.flush()
        with self._collected():
            if not (would and self.options.dry_run):
                action(self.options)
            elif self.options.json:
                print(json.dumps({"would": would}))
            else:
                print(f"would {would}", file=sys.stderr)

    def tell(self) -> None:
        """Print the one document of ``--json``; where tasks made several, they are its parts."""
        documents, self._documents = self._documents, []
        if len(documents) > 1:
            parts = [json.loads(text) for text in documents]
            documents = [json.dumps({"documents": parts}, indent=2, sort_keys=True) + "\n"]
        print("".join(documents), end="", flush=True)

    def _check_end(self) -> None:
        if self._repeats:
            raise UsageError(
                "only tasks that make something can follow `watch`",
                details="It goes on until it is stopped, so nothing else would ever come.",
                resolution="Put the other tasks before `watch`, or run them in another terminal.",
            )

    @contextmanager
    def _collected(self) -> Iterator[None]:
        """Keep what is printed to standard output for the end, where it is JSON."""
        if not self.options.json:
            yield
            return
        buffer = io.StringIO()
        try:
            with redirect_stdout(buffer):
                yield
        finally:
            self._documents += [buffer.getvalue()] if buffer.getvalue() else []


_current: ContextVar[Session | None] = ContextVar("buildkit_session", default=None)


def session_for(context: Context, options: Options, run: Runner) -> tuple[Session, bool]:
    """Return the call's session; the flag tells that it is this task's own and ends with it.

    A task that runs under Invoke's own executor, in a project that does not
    name ours, gets a session of its own and so still works, one graph per task.
    """
    session = _current.get()
    if session is not None:
        return session, False
    if context.config.run.dry:
        options = replace(options, dry_run=True)
    return Session(options, run), True


def check_invoke_flags(core: Any) -> None:
    """Refuse what Invoke itself would pass over in silence: flags without effect, a missing file.

    Args:
        core: what Invoke parsed before the tasks.

    Raises:
        UsageError: one was given.
    """
    if not core:
        return
    given = core[0].args
    if given.config.value and not Path(given.config.value).is_file():
        raise UsageError(f"--config {given.config.value}: there is no such file")
    for flag in _REFUSED:
        if given[flag].value:
            raise UsageError(
                f"--{flag} has no meaning for these tasks",
                details="It steers commands that Invoke itself runs; these tasks run none.",
                resolution="Leave it out; `invoke --help build` shows what fits.",
            )


class GoalExecutor(Executor):
    """Invoke's executor with one session around all tasks of a call."""

    def execute(self, *tasks: Any) -> dict[Any, Any]:
        """Run the tasks, then what they want, as one graph."""
        from buildkit.pipeline.run import run  # noqa: PLC0415 - `invoke --list` needs none of it

        with ErrorExit():
            session = Session(self._merged(tasks), run)
            token = _current.set(session)
            try:
                results: dict[Any, Any] = super().execute(*tasks)
                session.flush()
            finally:
                _current.reset(token)
                session.tell()
        return results

    def _merged(self, tasks: tuple[Any, ...]) -> Options:
        options = Options(dry_run=True) if self.config.run.dry else Options()
        for call in self.normalize(tasks):
            collect = getattr(call.task, "collect_options", None)
            if collect is not None:
                check_invoke_flags(self.core)
                options = options.merge(collect(call.kwargs))
        names = {call.task.name for call in self.normalize(tasks)}
        if options.exec is not None and _LOOP not in names:
            raise UsageError(
                f"--exec belongs to `{_LOOP}`",
                resolution=f"Write `invoke {_LOOP} docker --exec COMMAND`, or run it afterwards.",
            )
        return options


class ErrorExit:
    """Turns errors into their three parts on standard error and the family's exit code.

    Where nobody reads what is printed any more, as in ``invoke plan | head``, the program ends
    without a word, with the status of one that SIGPIPE ended.

    SIGTERM is treated as Ctrl-C meanwhile: both end children and leave nothing half-written.
    """

    def __enter__(self) -> None:
        """Listen to SIGTERM."""
        self._before = signal.signal(signal.SIGTERM, _interrupt)

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Print the error and leave with its exit code."""
        signal.signal(signal.SIGTERM, self._before)
        if isinstance(error, BrokenPipeError) and _silence(sys.stdout, sys.stderr):
            raise Exit(code=_UNREAD) from None
        known = _in_three_parts(error)
        if known is None:
            return
        if wants_debug():
            traceback.print_exception(error)
        reporter = choose_reporter(os.environ, quiet=False)
        reporter.error(known)
        raise Exit(code=known.exit_code) from None


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _silence(*streams: TextIO | None) -> bool:
    """Send what nobody reads into nothing, or Python would try it again at its end and complain."""
    unread = [stream for stream in streams if stream and _is_unread(stream)]
    for stream in unread:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)
    return bool(unread)


def _is_unread(stream: TextIO) -> bool:
    try:
        pipe = stream.fileno()
    except (OSError, ValueError):  # it is no file, or is closed
        return False
    poll = select.poll()
    poll.register(pipe, select.POLLOUT)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _in_three_parts(error: BaseException | None) -> BuildkitError | None:
    match error:
        case BuildkitError():
            return error
        case KeyboardInterrupt():
            return CancelledError("stopped by the user", details="Nothing half-written remains.")
        case OSError():
            return EnvironmentMissingError(
                f"{error.filename or 'the system'}: {error.strerror or error}",
                resolution="Free some space there and run it again; what is done is kept."
                if error.errno in FULL
                else "`invoke --debug` before the task shows where this happened.",
            )
        case _:
            return None


def wants_debug() -> bool:
    """Tell whether Invoke's own ``--debug`` stands before the tasks, or INVOKE_DEBUG is set."""
    return logging.getLogger("invoke").getEffectiveLevel() <= logging.DEBUG
