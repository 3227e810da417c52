"""All checks together: of a healthy machine, of a Mac, and what stops which goal."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from buildkit.doctor.checks import examine
from buildkit.doctor.facts import (
    DARWIN,
    BootstrapFacts,
    BuildxFacts,
    CacheFacts,
    ClockFacts,
    CredentialFacts,
    DiskFacts,
    DockerFacts,
    EmulationFacts,
    Facts,
    GoFacts,
    Handler,
    HubFacts,
    MemoryFacts,
    ProjectFacts,
    TreeFacts,
)
from buildkit.doctor.finding import Finding, State, missing
from buildkit.doctor.sizes import size
from buildkit.plan.options import Goal
from buildkit.registry.probe import Presence

MACHINE = Facts(
    go=GoFacts(found="1.26.1", goroot="/go"),
    docker=DockerFacts(endpoint="/d.sock", version="27.1", driver="overlay2", free=10**11),
    memory=MemoryFacts(available=10**10),
    clock=ClockFacts(now=datetime(2026, 5, 4, tzinfo=UTC).timestamp()),
    cache=CacheFacts(place="/c"),
)
PROJECT = replace(
    MACHINE,
    project=ProjectFacts(targets="targets.toml", units=3),
    tree=TreeFacts(path="/s"),
    hubs=(HubFacts(hub="localhost:5000"),),
    credentials=(CredentialFacts(path="/h/config.json"),),
    emulation=(EmulationFacts(arch="amd64"), EmulationFacts(arch="arm64")),
    disks=(DiskFacts(folders=("/out",), free=10**11),),
)


def states(findings: tuple[Finding, ...]) -> dict[str, State]:
    return {item.check: item.state for item in findings}


def test_a_healthy_machine_has_nothing_to_mend() -> None:
    found = examine(PROJECT)
    assert {item.state for item in found} == {State.OK}
    assert not [item for item in found if item.mend]
    assert [item.check for item in found].count("emulation") == 2


def test_without_a_project_the_machine_alone_is_checked() -> None:
    assert set(states(examine(MACHINE))) == {
        "go",
        "docker",
        "docker storage",
        "docker disk",
        "proxy",
        "pip",
        "memory",
        "clock",
        "cache",
    }


def test_a_daemon_that_does_not_answer_is_said_once() -> None:
    found = examine(replace(PROJECT, docker=DockerFacts(problem="gone", needed="x")))
    assert [item.check for item in found if item.check.startswith("docker")] == ["docker"]


def test_a_mac_with_colima_and_airplay() -> None:
    facts = replace(
        PROJECT,
        system=DARWIN,
        docker=DockerFacts(
            endpoint="the context colima",
            origin="currentContext in /h/.docker/config.json",
            version="27.1",
            driver="overlayfs",
            is_virtual=True,
            seconds_ahead=-4000,
        ),
        hubs=(HubFacts(hub="localhost:5000", presence=Presence.OTHER, words="AirPlay"),),
        emulation=(EmulationFacts(arch="amd64", handler=Handler.UNKNOWN),),
    )
    found = examine(facts)
    assert states(found) == states(examine(PROJECT)) | {
        "docker disk": State.NOTE,
        "docker clock": State.WARNING,
        "registry": State.NOTE,
        "emulation": State.NOTE,
    }
    assert missing(found, frozenset(Goal)) == ()


@pytest.mark.parametrize(
    ("facts", "stopped"),
    [
        (replace(PROJECT, go=GoFacts()), {Goal.BUILD, Goal.DOCKER, Goal.PACKAGE}),
        (replace(PROJECT, docker=DockerFacts(problem="gone", needed="x")), {Goal.DOCKER}),
        (replace(PROJECT, docker=DockerFacts(problem="gone")), set()),
        (replace(PROJECT, buildx=BuildxFacts(needed="x", problem="gone")), {Goal.DOCKER}),
        (
            replace(PROJECT, bootstrap=BootstrapFacts(stopped=("image/x has no base",))),
            {Goal.DOCKER},
        ),
        (replace(PROJECT, bootstrap=BootstrapFacts(evaded=("x uses another",))), set()),
        (replace(PROJECT, cache=CacheFacts(place="/c", error="closed")), set(Goal)),
    ],
)
def test_what_stops_which_goal(facts: Facts, stopped: set[Goal]) -> None:
    found = examine(facts)
    assert {goal for goal in Goal if missing(found, frozenset({goal}))} == stopped


def test_sizes_are_decimal() -> None:
    assert (size(0), size(999_400_000), size(1_500_000_000)) == ("0 MB", "999 MB", "1.5 GB")
