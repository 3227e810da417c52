"""The command after a success: its words, its environment, and what becomes of its failure."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from buildkit.errors import EnvironmentMissingError, UsageError
from buildkit.execute.outcomes import Outcome, Status
from buildkit.log import Plain
from buildkit.pipeline.hook import image_variables, run_command, split_command
from tests.fakes import units
from tests.fakes.runner import Call, FakeRunner

DIGEST = "sha256:" + "a" * 64


def pushed(name: str, reference: str, status: Status = Status.DONE) -> Outcome:
    unit = units.push(name, (), reference)
    made = units.artifact(unit.id, DIGEST)
    return Outcome(unit=unit, status=status, reason="", artifact=made)


def run(answer: tuple[int, bytes, bytes]) -> tuple[str, Call]:
    said = io.StringIO()
    runner = FakeRunner(lambda _: answer)
    run_command(("roll", "out now"), {"IMAGE_A": "h/a"}, {"PATH": "/bin"}, runner, Plain(said))
    (call,) = runner.calls
    return said.getvalue(), call


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, ()),
        ("kubectl set image", ("kubectl", "set", "image")),
        ("sh -c 'echo $IMAGE_A | cat'", ("sh", "-c", "echo $IMAGE_A | cat")),
    ],
)
def test_a_command_is_a_word_list(text: str | None, words: tuple[str, ...]) -> None:
    assert split_command(text) == words


@pytest.mark.parametrize("text", ["", " ", "sh -c 'x"])
def test_what_is_no_word_list_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--exec"):
        split_command(text)


def test_every_pushed_image_is_a_variable() -> None:
    outcomes = (
        pushed("pilot", "localhost:5000/mesh/pilot:latest"),
        pushed("ext-authz.v2", "example.com/ext-authz:1", Status.CACHED),
        Outcome(unit=units.push("app", ()), status=Status.FAILED, reason=""),
    )
    assert image_variables(outcomes) == {
        "IMAGE_PILOT": f"localhost:5000/mesh/pilot@{DIGEST}",
        "IMAGE_EXT_AUTHZ_V2": f"example.com/ext-authz@{DIGEST}",
    }


def test_it_runs_here_with_the_images_and_the_user_s_environment() -> None:
    said, call = run((0, b"rolled\n", b""))
    assert call == Call(
        argv=("roll", "out now"), env={"PATH": "/bin", "IMAGE_A": "h/a"}, cwd=Path.cwd()
    )
    assert said.splitlines()[0] == "  rolled"
    assert "roll 'out now' succeeded" in said


def test_a_failure_is_told_with_its_words() -> None:
    said, _ = run((3, b"", b"no cluster\n"))
    assert said.splitlines() == ["  no cluster", "warning: roll 'out now' ended with status 3"]


def test_a_command_that_cannot_be_started_is_told() -> None:
    def missing(_: Call) -> tuple[int, bytes, bytes]:
        raise EnvironmentMissingError("cannot start roll", details="no such file")

    said = io.StringIO()
    run_command(("roll",), {}, {}, FakeRunner(missing), Plain(said))
    assert said.getvalue() == "warning: cannot start roll: no such file\n"
