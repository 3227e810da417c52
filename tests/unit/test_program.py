"""What the program says of a command line that it cannot parse, and when nobody reads its list."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import pytest
from invoke.collection import Collection
from invoke.tasks import Task

from buildkit.program import MeshProgram
from buildkit.tasks import make_namespace
from tests.fakes.bare_config import BareConfig


def call(*words: str, namespace: Collection | None = None) -> int:
    """Run the program as from a shell and return its exit status."""
    program = MeshProgram(
        name="meshwright", binary="meshwright", namespace=namespace or make_namespace()
    )
    program.config_class = BareConfig
    with pytest.raises(SystemExit) as end:
        program.run(["meshwright", *words])
    return int(end.value.code or 0)


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        ("bulid", ["there is no task 'bulid'", "did you mean 'build'?"]),
        ("build dokcer", ["there is no task 'dokcer'", "did you mean 'docker'"]),
        ("--help bulid", ["there is no task 'bulid'", "did you mean 'build'?"]),
        ("registry.strat", ["there is no task 'registry.strat'", "did you mean 'registry.start'"]),
        ("build --platfrom all", ["`build` has no flag '--platfrom'", "did you mean '--platform'"]),
        ("build --lsit", ["`build` has no flag '--lsit'", "did you mean '--list'"]),
        ("--lsit", ["there is no flag '--lsit'", "did you mean '--list'"]),
        ("xyzzy", ["there is no task 'xyzzy'", "-> `invoke --list` shows all."]),
        ("verify", ["'verify' did not receive required positional arguments: 'subject'", "-> "]),
        ("build --platform", ["--platform needed value", "-> `invoke --help build` shows"]),
        ("--list keyz", ["Sub-collection 'keyz' not found"]),
        ("--list-format xml --list", ["--list-format xml", "known: flat, nested, json"]),
        ("--list-depth many --list", ["a number is needed, not 'many'"]),
        ("--print-completion-script csh", ['Completion for shell "csh" not supported']),
    ],
)
def test_what_cannot_be_parsed_is_an_error_of_usage_with_what_was_meant(
    capsys: pytest.CaptureFixture[str], words: str, lines: list[str]
) -> None:
    assert call(*words.split()) == 2
    captured = capsys.readouterr()
    said = captured.err.removeprefix("error: ").splitlines()
    assert [line.lstrip()[: len(want)] for line, want in zip(said, lines, strict=False)] == lines
    assert captured.out == ""


def test_a_list_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--list", "keys") == 0
    assert "generate" in capsys.readouterr().out


@pytest.mark.parametrize("words", ["--list", "--help", "--help build", "--version"])
def test_a_list_that_nobody_reads_ends_quietly(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert call(*words.split()) == 128 + signal.SIGPIPE
    assert capsys.readouterr().err == ""


def test_a_defect_of_a_project_s_tasks_comes_out_as_it_is() -> None:
    def own(_context: object) -> None: ...

    task: Task[Any] = Task(own, name="own", help={"nothing": "describes a flag that is none"})
    with pytest.raises(ValueError, match="nothing"):
        call("own", namespace=Collection(task))
