"""The Docker daemon: one test for each outcome."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from buildkit.doctor.checks.docker import (
    check_daemon,
    check_daemon_clock,
    check_daemon_disk,
    check_daemon_proxy,
    check_storage,
)
from buildkit.doctor.facts import DARWIN, DockerFacts, ProxyFacts
from buildkit.doctor.finding import IMAGES, State

DEFAULT = "/var/run/docker.sock"
GONE = DockerFacts(endpoint=DEFAULT, problem="there is no Docker daemon")
HERE = DockerFacts(endpoint=DEFAULT, version="27.1", driver="overlay2", root="/d", free=10**11)
PROXY = ProxyFacts(hosts=(("https_proxy", "proxy.example.com:3128"),))


def test_a_daemon_that_answers() -> None:
    found = check_daemon(HERE, "linux")
    assert found.state is State.OK
    assert found.meaning == "Docker 27.1 at /var/run/docker.sock (the default)"


def test_a_context_that_is_passed_over() -> None:
    facts = replace(HERE, origin="DOCKER_HOST", passed_over="colima")
    found = check_daemon(facts, DARWIN)
    assert (found.state, found.mend) == (State.NOTE, "unset DOCKER_HOST")
    assert found.meaning.endswith("(DOCKER_HOST); the context colima is passed over")


def test_podman_in_the_place_of_docker() -> None:
    found = check_daemon(replace(HERE, is_podman=True, version="5.2"), "linux")
    assert found.state is State.NOTE
    assert found.meaning.startswith("Podman 5.2 at")


def test_a_daemon_that_nobody_needs_is_a_warning() -> None:
    found = check_daemon(GONE, "linux")
    assert (found.state, found.needed_by) == (State.WARNING, frozenset())
    assert "images are built and pushed without it" in found.meaning


def test_a_daemon_that_is_needed_stops_images() -> None:
    found = check_daemon(replace(GONE, needed="RUN in image/app"), "linux")
    assert (found.state, found.needed_by) == (State.PROBLEM, IMAGES)
    assert found.meaning == "there is no Docker daemon; RUN in image/app needs it"


@pytest.mark.parametrize(
    ("facts", "system", "mend"),
    [
        (GONE, "linux", "sudo systemctl start docker"),
        (GONE, DARWIN, "open -a Docker, or: colima start"),
        (
            replace(GONE, is_refused=True, other_sockets=(("Podman", "/p.sock"),)),
            "linux",
            'sudo usermod -aG docker "$USER", then log in anew',
        ),
        (
            replace(GONE, other_sockets=(("Colima", "/c.sock"), ("Podman", "/p.sock"))),
            DARWIN,
            "export DOCKER_HOST=unix:///c.sock  # Colima",
        ),
        (
            replace(GONE, origin="DOCKER_HOST"),
            "linux",
            "mend or unset what chose it: DOCKER_HOST",
        ),
    ],
)
def test_how_a_daemon_is_had(facts: DockerFacts, system: str, mend: str) -> None:
    assert check_daemon(facts, system).mend == mend


@pytest.mark.parametrize("driver", ["overlay2", "overlayfs", "btrfs", "zfs"])
def test_a_usual_storage_driver(driver: str) -> None:
    found = check_storage(replace(HERE, driver=driver))
    assert found is not None
    assert (found.state, found.meaning) == (State.OK, f"the driver {driver}")


@pytest.mark.parametrize("driver", ["vfs", "devicemapper", "aufs"])
def test_a_slow_storage_driver(driver: str) -> None:
    found = check_storage(replace(HERE, driver=driver))
    assert found is not None
    assert found.state is State.WARNING
    assert "overlay2" in found.mend


def test_a_daemon_that_names_no_driver() -> None:
    assert check_storage(replace(HERE, driver="")) is None


def test_space_for_images() -> None:
    assert check_daemon_disk(HERE).meaning == "100.0 GB free in /d"
    assert check_daemon_disk(HERE).state is State.OK
    little = check_daemon_disk(replace(HERE, free=800_000_000))
    assert (little.state, little.mend) == (State.WARNING, "docker system prune")
    assert little.meaning.startswith("800 MB free in /d")


def test_space_that_cannot_be_told() -> None:
    virtual = check_daemon_disk(replace(HERE, free=None, is_virtual=True))
    assert (virtual.state, virtual.meaning) == (
        State.NOTE,
        "the daemon's disk is not this machine's",
    )
    closed = check_daemon_disk(replace(HERE, free=None))
    assert (closed.state, closed.meaning) == (State.NOTE, "not to be told")


def test_proxies_of_both_or_of_none_are_right() -> None:
    assert check_daemon_proxy(HERE, ProxyFacts()) is None
    assert check_daemon_proxy(replace(HERE, has_proxy=True), PROXY) is None


def test_a_proxy_that_one_side_lacks() -> None:
    ours = check_daemon_proxy(HERE, PROXY)
    assert ours is not None
    assert ours.state is State.WARNING
    assert "the daemon none" in ours.meaning
    daemons = check_daemon_proxy(replace(HERE, has_proxy=True), ProxyFacts())
    assert daemons is not None
    assert daemons.state is State.WARNING
    assert "your environment none" in daemons.meaning


@pytest.mark.parametrize("seconds", [0.0, 59.0, -59.0])
def test_clocks_that_agree(seconds: float) -> None:
    assert check_daemon_clock(replace(HERE, seconds_ahead=seconds), "linux") is None


@pytest.mark.parametrize(
    ("seconds", "system", "virtual", "words", "mend"),
    [
        (-7200.0, DARWIN, True, "7200 s behind", "restart its virtual machine"),
        (90.0, "linux", True, "90 s ahead of", "restart its virtual machine"),
        (90.0, "linux", False, "90 s ahead of", "set the clocks of both"),
    ],
)
def test_a_clock_that_stood_still(
    seconds: float, system: str, virtual: bool, words: str, mend: str
) -> None:
    found = check_daemon_clock(replace(HERE, seconds_ahead=seconds, is_virtual=virtual), system)
    assert found is not None
    assert found.state is State.WARNING
    assert words in found.meaning
    assert found.mend == mend
