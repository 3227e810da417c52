"""One turn of a loop as people see it: one line with the time it took, and what went wrong."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

from buildkit.errors import BuildkitError
from buildkit.log import Reporter

_NAMED = 3


class TimeSheet:
    """What a turn did and when.

    Args:
        changed: the paths that caused it; none for the first turn.
        now_ns: when it began, in nanoseconds since 1970.
        clock: seconds from an arbitrary start.
    """

    def __init__(
        self,
        changed: tuple[str, ...],
        now_ns: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._changed = changed
        self._clock = clock
        self._started = clock()
        self._detect = _age(changed, now_ns)
        self._plan: float | None = None
        self._running: dict[str, float] = {}
        self._spans: dict[str, list[tuple[float, float]]] = {}
        self._made: list[str] = []

    @property
    def has_made(self) -> bool:
        """Whether anything was made."""
        return bool(self._made)

    def end_of_plan(self) -> None:
        """Note that it is known what is to be done."""
        self._plan = self._clock() - self._started

    def started(self, batch: str) -> None:
        """Note that a batch began."""
        self._running[batch] = self._clock()

    def finished(self, batch: str, status: str) -> None:
        """Note that a batch ended; one that never began was reused."""
        if status in {"done", "restored"}:
            self._made.append(batch)
        if batch in self._running:
            phase = batch.partition("/")[0]
            span = (self._running.pop(batch), self._clock())
            self._spans.setdefault(phase, []).append(span)

    def line(self, *, is_failed: bool) -> str:
        """Return the turn's line: why, what, and how long it took since the file was saved.

        Each part is the time in which something of its kind ran; parts may overlap.
        """
        parts = [("detect", self._detect)] if self._changed else []
        parts += [("plan", self._plan)] if self._plan is not None else []
        parts += [(phase, _covered(spans)) for phase, spans in self._spans.items()]
        total = self._detect + self._clock() - self._started
        split = ", ".join(f"{name} {seconds:.2f}" for name, seconds in parts)
        why = _some([_short(path) for path in self._changed]) or "first turn"
        return f"{why}: {self._what(is_failed=is_failed)}  {total:.2f} s ({split})"

    def _what(self, *, is_failed: bool) -> str:
        if is_failed:
            return "failed"
        pushed = [batch.partition("/")[2] for batch in self._made if batch.startswith("push/")]
        if pushed:
            return f"pushed {_some(pushed)}"
        return f"made {_some(self._made)}" if self._made else "nothing to do"


class TurnReporter:
    """Keeps a time sheet and lets pass what a turn's line does not say.

    Args:
        inner: takes what people see.
        sheet: gets what is done.
        is_first: whether everything passes, since a first turn may take minutes.
    """

    def __init__(self, inner: Reporter, sheet: TimeSheet, *, is_first: bool) -> None:
        self._inner = inner
        self._sheet = sheet
        self._is_first = is_first

    def started(self, unit: str) -> None:
        """Note the time."""
        self._sheet.started(unit)
        if self._is_first:
            self._inner.started(unit)

    def progress(self, unit: str, text: str) -> None:
        """Pass it on in a first turn."""
        if self._is_first:
            self._inner.progress(unit, text)

    def finished(self, unit: str, status: str, seconds: float, reason: str) -> None:
        """Note the time."""
        self._sheet.finished(unit, status)
        if self._is_first:
            self._inner.finished(unit, status, seconds, reason)

    def note(self, text: str) -> None:
        """Pass it on in a first turn; later ones would say it again."""
        if self._is_first:
            self._inner.note(text)

    def warn(self, text: str) -> None:
        """Pass it on."""
        self._inner.warn(text)

    def error(self, error: BuildkitError) -> None:
        """Pass it on."""
        self._inner.error(error)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Say nothing: a turn has one line."""

    def close(self) -> None:
        """Leave the inner one open for what follows."""


def _age(paths: tuple[str, ...], now_ns: int) -> float:
    """Return how long ago the first of some paths changed, in seconds; 0 where none is left."""
    changed = []
    for path in paths:
        try:
            changed.append(os.stat(path).st_ctime_ns)  # noqa: PTH116 - see plan.hashing
        except OSError:
            continue
    return max(0, now_ns - min(changed)) / 1e9 if changed else 0.0


def _covered(spans: list[tuple[float, float]]) -> float:
    """Return the length of what intervals cover together."""
    total, end = 0.0, float("-inf")
    for since, until in sorted(spans):
        total += max(0.0, until - max(since, end))
        end = max(end, until)
    return total


def _some(names: Sequence[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _short(path: str) -> str:
    """Shorten to the last two parts, which is what a reader needs to know the file."""
    return "/".join(path.split("/")[-2:])
