"""What people and machines see of a run: live lines, plain lines, CI groups, or nothing.

What happens goes to standard error. What a task was asked to show goes to standard
output, so that it can be piped: a plan, or the one JSON document of ``--json``.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Protocol

from buildkit.errors import BuildkitError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

_COLOURS = {
    "done": "green",
    "cached": "cyan",
    "restored": "cyan",
    "skipped": "yellow",
    "blocked": "yellow",
    "failed": "bold red",
    "aborted": "red",
    "ok": "green",
    "note": "cyan",
    "warning": "yellow",
    "problem": "bold red",
}


class Reporter(Protocol):
    """Takes what happens.

    A unit is named by its id, or by its batch's where several are made together; a
    status by outcomes.Status's values.
    """

    def started(self, unit: str) -> None:
        """A unit began."""

    def progress(self, unit: str, text: str) -> None:
        """A running unit came this far."""

    def finished(self, unit: str, status: str, seconds: float, reason: str) -> None:
        """A unit ended."""

    def note(self, text: str) -> None:
        """Something worth knowing."""

    def warn(self, text: str) -> None:
        """Something that may be wrong but stops nothing."""

    def error(self, error: BuildkitError) -> None:
        """Something failed."""

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Show a table; a cell that is a status gets its colour."""

    def close(self) -> None:
        """End live output; nothing is reported afterwards."""


class Silent:
    """Reports errors and warnings only, for ``--quiet`` and ``--json``."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def started(self, unit: str) -> None:
        """Say nothing."""

    def progress(self, unit: str, text: str) -> None:
        """Say nothing."""

    def finished(self, unit: str, status: str, seconds: float, reason: str) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def warn(self, text: str) -> None:
        """Print a warning."""
        self._print(f"warning: {text}")

    def error(self, error: BuildkitError) -> None:
        """Print the three parts of an error."""
        self._print("\n".join(error_lines(error)))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Say nothing."""

    def close(self) -> None:
        """Nothing is open."""

    def _print(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


class Plain(Silent):
    """One line per event, for logs and pipes."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(stream)
        self._lock = threading.Lock()

    def started(self, unit: str) -> None:
        """Print that a unit began."""
        self._print(f"start    {unit}")

    def finished(self, unit: str, status: str, seconds: float, reason: str) -> None:
        """Print how a unit ended."""
        self._print(f"{status:<8} {unit}  {seconds:.1f} s  {reason}")

    def note(self, text: str) -> None:
        """Print a line."""
        self._print(text)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print aligned columns."""
        lines = [tuple(columns), *(tuple(row) for row in rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
        for line in lines:
            cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            self._print("  ".join(cells).rstrip())

    def _print(self, text: str) -> None:
        with self._lock:
            super()._print(text)


class GitHubGroups(Plain):
    """Plain lines, what units say folded into a group, and errors as annotations.

    The commands are GitHub Actions' workflow commands; a group shows closed, so the closing
    table and errors stay outside.
    """

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(stream)
        self._is_open = False

    def started(self, unit: str) -> None:
        """Print that a unit began, the first one in a new group."""
        if not self._is_open:
            self._is_open = True
            self._print("::group::Units")
        super().started(unit)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """End the group and print the table."""
        self.close()
        super().table(columns, rows)

    def close(self) -> None:
        """End the group, if one is open."""
        if self._is_open:
            self._is_open = False
            self._print("::endgroup::")

    def warn(self, text: str) -> None:
        """Print a warning annotation."""
        self._print(f"::warning::{_escape(text)}")

    def error(self, error: BuildkitError) -> None:
        """Print the error, and its brief as an annotation."""
        self.close()
        self._print(f"::error::{_escape(error.brief)}")
        super().error(error)


class Terminal(Silent):
    """One live line per running unit with its elapsed time."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(console.file)
        self._console = console
        self._clock = clock
        self._running: dict[str, tuple[float, str]] = {}
        self._lock = threading.Lock()
        self._live: Live | None = None
        self._is_live = False

    def started(self, unit: str) -> None:
        """Add a live line."""
        with self._lock:
            self._running[unit] = (self._clock(), "")
            first, self._is_live = not self._is_live, True
        if first:
            self._start()

    def progress(self, unit: str, text: str) -> None:
        """Change the text of a live line."""
        with self._lock:
            if unit in self._running:
                self._running[unit] = (self._running[unit][0], text)

    def finished(self, unit: str, status: str, seconds: float, reason: str) -> None:
        """Replace the live line by a lasting one."""
        with self._lock:
            self._running.pop(unit, None)
        colour = _COLOURS[status]
        time_text = f"{seconds:6.1f} s" if seconds else " " * 8
        self._rich(f"[{colour}]{status:<8}[/] {time_text}  {unit}  [dim]{_plain(reason)}[/]")

    def note(self, text: str) -> None:
        """Print a line above the live ones."""
        self._rich(_plain(text))

    def warn(self, text: str) -> None:
        """Print a warning above the live lines."""
        self._rich(f"[yellow]warning:[/] {_plain(text)}")

    def error(self, error: BuildkitError) -> None:
        """Print the three parts of an error, its brief in red."""
        first, *rest = error_lines(error)
        self._rich(f"[bold red]{_plain(first)}[/]")
        for line in rest:
            self._rich(_plain(line))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table."""
        self.close()
        self._console.print(_rich_table(columns, rows))

    def close(self) -> None:
        """Take the live lines away."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _start(self) -> None:
        from rich.live import Live

        # Never under our lock: Live draws while it holds its own, and drawing takes ours.
        self._live = Live(console=self._console, get_renderable=self._lines, refresh_per_second=8)
        self._live.start()

    def _rich(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)

    def _lines(self) -> Table:
        from rich.table import Table

        grid = Table.grid(padding=(0, 2))
        with self._lock:
            running = dict(self._running)
        now = self._clock()
        for unit, (since, text) in running.items():
            grid.add_row(
                "[bold]running[/] ", f"{now - since:6.1f} s", unit, f"[dim]{_plain(text)}[/]"
            )
        return grid


def choose_reporter(
    environ: Mapping[str, str], *, quiet: bool, stream: IO[str] | None = None
) -> Reporter:
    """Choose what fits: silence, a live terminal, CI groups, or plain lines.

    NO_COLOR (https://no-color.org) takes the colours away, TERM=dumb the live lines too.
    """
    stream = stream or sys.stderr
    if quiet:
        return Silent(stream)
    if environ.get("GITHUB_ACTIONS") == "true":
        return GitHubGroups(stream)
    if environ.get("CI") or not stream.isatty() or environ.get("TERM") == "dumb":
        return Plain(stream)
    from rich.console import Console

    return Terminal(Console(file=stream, emoji=False, _environ=environ))


def error_lines(error: BuildkitError) -> list[str]:
    """Return an error as it is printed: what, why and what to do."""
    lines = [f"error: {error.brief}"]
    lines += [f"  {line}" for line in error.details.splitlines()]
    lines += [f"  -> {line}" for line in error.resolution.splitlines()]
    return lines


def _rich_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in {"time", "size"} else "left")
    for row in rows:
        table.add_row(*(f"[{_COLOURS[c]}]{c}[/]" if c in _COLOURS else _plain(c) for c in row))
    return table


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
