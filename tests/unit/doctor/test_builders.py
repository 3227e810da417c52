"""mmdebstrap and buildx: one test for each outcome."""

from __future__ import annotations

import pytest

from buildkit.doctor.checks.builders import check_bootstrap, check_buildx
from buildkit.doctor.facts import DARWIN, BootstrapFacts, BuildxFacts
from buildkit.doctor.finding import IMAGES, State

BASES = ("base/system",)
ABSENT = "mmdebstrap is not installed here"


def test_where_nothing_needs_them_there_is_no_line() -> None:
    assert check_bootstrap(BootstrapFacts(program="/usr/bin/mmdebstrap"), "linux") is None
    assert check_bootstrap(BootstrapFacts(), "linux") is None
    assert check_buildx(BuildxFacts()) is None


def test_an_mmdebstrap_that_is_there() -> None:
    found = check_bootstrap(BootstrapFacts(program="/usr/bin/mmdebstrap", bases=BASES), "linux")
    assert found is not None
    assert (found.state, found.mend) == (State.OK, "")
    assert found.meaning == "/usr/bin/mmdebstrap, for base/system"


@pytest.mark.parametrize(
    ("system", "words"),
    [("linux", "sudo apt-get install mmdebstrap"), (DARWIN, "mmdebstrap runs on Linux alone")],
)
def test_an_image_without_a_base_stops_images(system: str, words: str) -> None:
    stopped = (f"image/debug@linux/amd64 has no base (system: {ABSENT})",)
    found = check_bootstrap(BootstrapFacts(stopped=stopped), system)
    assert found is not None
    assert (found.state, found.needed_by) == (State.PROBLEM, IMAGES)
    assert "image/debug@linux/amd64 has no base" in found.meaning
    assert found.mend.startswith(words)


def test_another_base_in_its_place_is_a_warning() -> None:
    note = f"debug@linux/amd64 uses base remote: system: {ABSENT}"
    found = check_bootstrap(BootstrapFacts(evaded=(note,)), "linux")
    assert found is not None
    assert (found.state, found.needed_by) == (State.WARNING, frozenset())
    assert "uses base remote" in found.meaning


def test_a_system_in_the_cache_does_without() -> None:
    found = check_bootstrap(BootstrapFacts(bases=BASES), "linux")
    assert found is not None
    assert (found.state, found.needed_by) == (State.NOTE, frozenset())
    assert "base/system comes from the user's cache" in found.meaning


def test_a_buildx_that_is_there() -> None:
    found = check_buildx(BuildxFacts(needed="RUN --mount in image/x"))
    assert found is not None
    assert (found.state, found.mend) == (State.OK, "")
    assert found.meaning.endswith("RUN --mount in image/x needs it")


def test_a_missing_buildx_stops_images() -> None:
    found = check_buildx(BuildxFacts(needed="the buildx engine", problem="no docker command"))
    assert found is not None
    assert (found.state, found.needed_by) == (State.PROBLEM, IMAGES)
    assert found.meaning == "no docker command; the buildx engine needs it"
    assert "docker-buildx-plugin" in found.mend
