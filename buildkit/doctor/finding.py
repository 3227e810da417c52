"""What a check says: a state, what it means, and the command that mends it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct

from buildkit.plan.options import Goal


class State(StrEnum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"
    """Good to know; everything works."""
    WARNING = "warning"
    """It works, but worse or slower than it could, or not everywhere."""
    PROBLEM = "problem"
    """What some task needs is missing."""


EVERY_GOAL = frozenset(Goal)
COMPILING = frozenset({Goal.BUILD, Goal.DOCKER, Goal.PACKAGE})
IMAGES = frozenset({Goal.DOCKER})


class Finding(Struct, frozen=True, kw_only=True):
    """One line of the answer."""

    check: str
    """What was looked at, in a word or two."""
    state: State
    meaning: str
    mend: str = ""
    """A command, or what to do where no command does it."""
    needed_by: frozenset[Goal] = frozenset()
    """Of a problem: the goals that it stops."""


def missing(findings: Iterable[Finding], goals: frozenset[Goal]) -> tuple[Finding, ...]:
    """Return the problems that stop one of the goals."""
    return tuple(
        item for item in findings if item.state is State.PROBLEM and item.needed_by & goals
    )
