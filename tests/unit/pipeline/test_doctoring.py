"""What `invoke doctor` prints, and when it fails."""

from __future__ import annotations

import io
import json

import pytest
from msgspec.structs import replace

from buildkit.doctor.facts import DockerFacts, GoFacts
from buildkit.errors import EnvironmentMissingError
from buildkit.log import Plain
from buildkit.pipeline.doctoring import tell_health
from buildkit.plan.options import Goal, Options
from tests.unit.doctor.test_examine import PROJECT

IMAGES = frozenset({Goal.DOCKER})
BUILD = frozenset({Goal.BUILD})
NO_DAEMON = replace(
    PROJECT, docker=DockerFacts(problem="nothing answers", needed="the docker engine")
)


def test_a_healthy_machine_is_a_table_of_states() -> None:
    stream = io.StringIO()
    tell_health(PROJECT, IMAGES, Options(), Plain(stream))
    head, *lines = stream.getvalue().splitlines()
    assert head.split() == ["state", "check", "meaning"]
    assert all(line.startswith("ok ") for line in lines)


def test_what_mends_stands_below_its_line() -> None:
    stream = io.StringIO()
    tell_health(NO_DAEMON, BUILD, Options(), Plain(stream))
    lines = stream.getvalue().splitlines()
    (place,) = (number for number, line in enumerate(lines) if line.startswith("problem"))
    assert lines[place].endswith("nothing answers; the docker engine needs it")
    assert lines[place + 1].strip() == "-> sudo systemctl start docker"


def test_what_stops_a_goal_is_the_error() -> None:
    with pytest.raises(EnvironmentMissingError, match="docker cannot be done here") as caught:
        tell_health(NO_DAEMON, IMAGES, Options(quiet=True), Plain(io.StringIO()))
    assert caught.value.exit_code == 4
    assert caught.value.details == "docker: nothing answers; the docker engine needs it"
    assert caught.value.resolution == "sudo systemctl start docker"


def test_quiet_prints_nothing() -> None:
    stream = io.StringIO()
    tell_health(PROJECT, IMAGES, Options(quiet=True), Plain(stream))
    assert stream.getvalue() == ""


def test_json_has_every_check_and_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    facts = replace(PROJECT, go=GoFacts())
    with pytest.raises(EnvironmentMissingError):
        tell_health(facts, BUILD, Options(json=True), Plain(io.StringIO()))
    document = json.loads(capsys.readouterr().out)
    assert document["missing"] == ["go"]
    (go,) = (item for item in document["checks"] if item["check"] == "go")
    assert go == {
        "check": "go",
        "state": "problem",
        "meaning": "no Go on PATH",
        "mend": "install Go of https://go.dev/dl/, or: invoke lock",
        "needed_by": ["build", "docker", "package"],
    }
