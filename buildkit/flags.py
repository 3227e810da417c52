"""From a function of the session to an Invoke task with flags, and from flags to options."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from invoke.context import Context
from invoke.parser.argument import Argument
from invoke.tasks import Task
from msgspec.structs import fields

from buildkit.errors import UsageError
from buildkit.goals import ErrorExit, session_for
from buildkit.plan.options import REPEATED, Goal, Options

_NUMBERS = ("jobs", "shards")
_SHORT = {"jobs": "j", "quiet": "q", "platform": "p", "dry_run": "n"}


class _Flag(Argument):
    """A flag that knows how little of it has to be copied.

    Invoke makes a deep copy of every flag of every task before it reads the command line.
    """

    @classmethod
    def of(cls, argument: Argument) -> _Flag:
        flag = cls.__new__(cls)
        vars(flag).update(vars(argument))
        return flag

    def __deepcopy__(self, _memo: dict[int, Any]) -> _Flag:
        flag = self.of(self)
        lists = {name: list(value) for name, value in vars(self).items() if type(value) is list}
        vars(flag).update(lists)
        return flag


class BuildTask(Task[Callable[..., None]]):
    """A task whose flags hold for the whole call, with the usual short names."""

    def __init__(
        self, body: Callable[..., None], *, signature: inspect.Signature, **settings: Any
    ) -> None:
        """Make a task.

        Args:
            body: what it does.
            signature: its words and flags, without the context.
            settings: Invoke's own.
        """
        self._signature = signature
        super().__init__(body, **settings)

    def argspec(self, body: Callable[..., None]) -> inspect.Signature:  # noqa: ARG002 - Invoke's
        """Return the task's words and flags."""
        return self._signature

    def __deepcopy__(self, _memo: dict[int, Any]) -> BuildTask:
        """Return a task with flags of its own; what it is made of never changes."""
        task = copy.copy(self)
        task.help = dict(self.help)
        return task

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        """Return the task's flags."""
        return [_Flag.of(argument) for argument in super().get_arguments(ignore_unknown_help)]

    def arg_opts(self, name: str, default: Any, taken_names: set[str]) -> dict[str, Any]:
        """Add the short name of a flag to what Invoke makes of it."""
        found: dict[str, Any] = super().arg_opts(name, default, taken_names)
        if name in _SHORT and _SHORT[name] not in taken_names:
            found["names"].append(_SHORT[name])
        return found

    def collect_options(self, given: dict[str, Any]) -> Options:
        """Return the flags that were given to this task."""
        return read_options(given)


def read_options(given: dict[str, Any]) -> Options:
    """Turn Invoke's keyword arguments into options; a flag at its default was not given.

    Raises:
        UsageError: a flag and its opposite are given, or a number is none.
    """
    chosen = {name: value for name, value in given.items() if value not in (None, False, [])}
    chosen |= {name: tuple(chosen[name]) for name in REPEATED if name in chosen}
    for name in ("push", "load"):
        if chosen.pop(f"no_{name}", False):
            if name in chosen:
                raise UsageError(f"--{name} and --no-{name} contradict each other")
            chosen[name] = False
    chosen |= {name: _number(name, chosen[name]) for name in _NUMBERS if name in chosen}
    known = {item.name for item in fields(Options)}
    return Options(**{name: value for name, value in chosen.items() if name in known})


def _number(flag: str, text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise UsageError(f"--{flag} {text}: a number is needed") from error


def make_task(
    body: Callable[..., None],
    flags: Mapping[str, tuple[Any, str]],
    *,
    name: str | None,
    words: Mapping[str, str],
) -> BuildTask:
    """Make a task of a function of the session.

    Args:
        body: gets the session, and the words by name.
        flags: default and help of each flag, by name.
        name: what it is called, where the function cannot be called so.
        words: what stands after the task without a flag, by name: its help. They hold for
            this task alone.
    """

    def run(context: Context, **given: Any) -> None:
        with ErrorExit():
            session, own = session_for(context, read_options(given), _run)
            body(session, **read_words(task.name, words, given))
            if own:
                session.flush()
                session.tell()

    run.__name__ = body.__name__
    run.__doc__ = body.__doc__
    task = BuildTask(
        run,
        signature=_signature(flags, words),
        positional=words,
        name=name or body.__name__.rstrip("_"),
        help={flag.replace("_", "-"): text for flag, (_, text) in flags.items()} | dict(words),
        iterable=[flag for flag in flags if flag in REPEATED],
        auto_shortflags=False,
    )
    return task


def read_words(task: str, words: Iterable[str], given: Mapping[str, Any]) -> dict[str, str]:
    """Return what stands after a task without a flag.

    Raises:
        UsageError: there is a flag where a word should be, such as ``verify --help``.
    """
    for word in words:
        if given[word].startswith("-"):
            raise UsageError(
                f"{task} needs its {word} before {given[word]}",
                resolution="Put --help before the task to see what it takes.",
            )
    return {word: given[word] for word in words}


def _signature(flags: Mapping[str, tuple[Any, str]], words: Mapping[str, str]) -> inspect.Signature:
    named = inspect.Parameter.KEYWORD_ONLY
    return inspect.Signature(
        [
            *(inspect.Parameter(word, named) for word in words),
            *(inspect.Parameter(flag, named, default=it) for flag, (it, _) in flags.items()),
        ]
    )


def _run(goals: frozenset[Goal], options: Options) -> None:
    from buildkit.pipeline.run import run  # noqa: PLC0415 - `invoke --list` needs none of it

    run(goals, options)
