"""What a terminal, a pipe, a CI system and a program see of the same run."""

from __future__ import annotations

import io
import re
import threading

import pytest
from rich.console import Console

from buildkit.errors import BuildError
from buildkit.execute.outcomes import Status
from buildkit.log import (
    GitHubGroups,
    Plain,
    Reporter,
    Silent,
    Terminal,
    choose_reporter,
    error_lines,
)

ERROR = BuildError("it failed", details="because\nof that", resolution="mend it")
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9]m")


def test_every_status_has_a_colour() -> None:
    for status in Status:
        stream, reporter = screen()
        reporter.finished("a", status, 1, "")
        reporter.table(("result",), ((status,),))
        assert len(COLOUR.findall(stream.getvalue())) >= 2


class Screen(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


def tell(reporter: Reporter) -> None:
    """Report a run of two units, the second of which fails."""
    reporter.note("a note")
    reporter.started("binary/a@linux/amd64")
    reporter.progress("binary/a@linux/amd64", "halfway")
    reporter.finished("binary/a@linux/amd64", "done", 1.25, "a.go changed")
    reporter.warn("careful\nhere")
    reporter.started("image/b@linux/amd64")
    reporter.finished("image/b@linux/amd64", "failed", 0.5, "it failed")
    reporter.table(("unit", "result", "size"), (("binary/a", "done", "1 B"), ("image/b", "", "")))
    reporter.close()
    reporter.error(ERROR)


@pytest.mark.parametrize(
    ("environ", "stream", "quiet", "kind"),
    [
        ({}, Screen(), False, Terminal),
        ({}, Screen(), True, Silent),
        ({"GITHUB_ACTIONS": "true"}, Screen(), True, Silent),
        ({"GITHUB_ACTIONS": "true", "CI": "true"}, io.StringIO(), False, GitHubGroups),
        ({"CI": "true"}, Screen(), False, Plain),
        ({"TERM": "dumb"}, Screen(), False, Plain),
        ({}, io.StringIO(), False, Plain),
    ],
)
def test_the_reporter_fits_where_it_writes_to(
    environ: dict[str, str], stream: io.StringIO, quiet: bool, kind: type[Silent]
) -> None:
    assert type(choose_reporter(environ, quiet=quiet, stream=stream)) is kind


def test_an_error_has_three_parts() -> None:
    assert error_lines(ERROR) == ["error: it failed", "  because", "  of that", "  -> mend it"]
    assert error_lines(BuildError("alone")) == ["error: alone"]


def test_quiet_prints_warnings_and_errors_only() -> None:
    stream = io.StringIO()
    tell(Silent(stream))
    assert stream.getvalue().splitlines() == [
        "warning: careful",
        "here",
        *error_lines(ERROR),
    ]


def test_a_pipe_gets_a_line_per_event_and_an_aligned_table() -> None:
    stream = io.StringIO()
    tell(Plain(stream))
    assert stream.getvalue().splitlines() == [
        "a note",
        "start    binary/a@linux/amd64",
        "done     binary/a@linux/amd64  1.2 s  a.go changed",
        "warning: careful",
        "here",
        "start    image/b@linux/amd64",
        "failed   image/b@linux/amd64  0.5 s  it failed",
        "unit      result  size",
        "binary/a  done    1 B",
        "image/b",
        *error_lines(ERROR),
    ]


def test_github_folds_the_units_and_annotates_warnings_and_errors() -> None:
    stream = io.StringIO()
    tell(GitHubGroups(stream))
    assert stream.getvalue().splitlines() == [
        "a note",
        "::group::Units",
        "start    binary/a@linux/amd64",
        "done     binary/a@linux/amd64  1.2 s  a.go changed",
        "::warning::careful%0Ahere",
        "start    image/b@linux/amd64",
        "failed   image/b@linux/amd64  0.5 s  it failed",
        "::endgroup::",
        "unit      result  size",
        "binary/a  done    1 B",
        "image/b",
        "::error::it failed",
        *error_lines(ERROR),
    ]


def test_an_error_in_the_middle_is_not_folded_away() -> None:
    stream = io.StringIO()
    reporter = GitHubGroups(stream)
    reporter.started("a")
    reporter.error(BuildError("50% done\r\nbut"))
    lines = stream.getvalue().split("\n")
    assert lines[2:4] == ["::endgroup::", "::error::50%25 done%0D%0Abut"]


def screen(environ: dict[str, str] | None = None) -> tuple[Screen, Reporter]:
    stream = Screen()
    size = {"COLUMNS": "100", "LINES": "30", "TERM": "xterm-256color"}
    return stream, choose_reporter({**size, **(environ or {})}, quiet=False, stream=stream)


def test_a_terminal_shows_colours_and_gets_its_cursor_back() -> None:
    stream, reporter = screen()
    tell(reporter)
    shown = stream.getvalue()
    assert COLOUR.search(shown)
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1
    assert shown.endswith("  -> mend it\n")


def test_no_color_takes_the_colours_away() -> None:
    stream, reporter = screen({"NO_COLOR": "1"})
    tell(reporter)
    assert "binary/a@linux/amd64" in stream.getvalue()
    assert not COLOUR.search(stream.getvalue())


def live_lines(reporter: Terminal) -> list[str]:
    """Draw the live lines as they would show now."""
    console = Console(file=io.StringIO(), width=100, emoji=False)
    with console.capture() as capture:
        console.print(reporter._lines())  # noqa: SLF001 - what Live draws, without its thread
    return [" ".join(line.split()) for line in capture.get().splitlines()]


def test_each_running_unit_has_a_live_line_with_its_time_and_progress() -> None:
    now = [10.0]
    reporter = Terminal(Console(file=io.StringIO(), force_terminal=True), clock=lambda: now[0])
    reporter.started("a")
    now[0] = 11.0
    reporter.started("b")
    reporter.progress("b", "12 of 40 MB")
    reporter.progress("gone", "late")
    now[0] = 13.5
    assert live_lines(reporter) == ["running 3.5 s a", "running 2.5 s b 12 of 40 MB"]
    reporter.finished("a", "done", 3.5, "")
    assert live_lines(reporter) == ["running 2.5 s b 12 of 40 MB"]
    reporter.close()


@pytest.mark.parametrize("text", ["[/usr/bin] [bold]", "RUN [ -f x ] [/]", ":100: C:\\"])
def test_what_others_say_is_never_read_as_markup(text: str) -> None:
    stream, reporter = screen({"NO_COLOR": "1"})
    assert isinstance(reporter, Terminal)
    reporter.started("a")
    reporter.progress("a", text)
    assert live_lines(reporter)[0].endswith(text)
    reporter.finished("a", "failed", 1, text)
    reporter.warn(text)
    reporter.table(("unit",), ((text,),))
    reporter.error(BuildError(text, details=text, resolution=text))
    assert stream.getvalue().count(text) >= 6


def test_many_threads_report_at_once() -> None:
    stream, reporter = screen()

    def work(name: str) -> None:
        reporter.started(name)
        reporter.finished(name, "done", 0.1, "")

    threads = [threading.Thread(target=work, args=(f"unit-{number}",)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    reporter.close()
    assert all(f"unit-{number}" in stream.getvalue() for number in range(20))
