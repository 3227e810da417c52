"""Programs of some images: one test for each outcome."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from buildkit.doctor.checks.programs import check_program
from buildkit.doctor.facts import DARWIN, ProgramFacts
from buildkit.doctor.finding import IMAGES, State

USED = ProgramFacts(name="mmdebstrap", problem="it is not installed here", used="base/debian_12")
NEEDED = replace(USED, needed="base/debian_12")


def test_a_program_that_is_there() -> None:
    found = check_program(replace(USED, problem=""), "linux")
    assert (found.check, found.state, found.mend) == ("mmdebstrap", State.OK, "")


def test_a_program_of_images_that_nobody_asks_for_now_is_a_note() -> None:
    found = check_program(USED, "linux")
    assert (found.state, found.needed_by) == (State.NOTE, frozenset())
    assert found.meaning == "it is not installed here; base/debian_12 needs it"


def test_a_program_that_an_image_needs_stops_images() -> None:
    found = check_program(NEEDED, "linux")
    assert (found.state, found.needed_by) == (State.PROBLEM, IMAGES)


@pytest.mark.parametrize(
    ("name", "system", "mend"),
    [
        ("mmdebstrap", "linux", "sudo apt-get install mmdebstrap"),
        ("mmdebstrap", DARWIN, "give the image a base of kind registry"),
        ("buildx", "linux", "docker-buildx-plugin"),
        ("buildx", DARWIN, "docker-buildx-plugin"),
    ],
)
def test_what_mends_it(name: str, system: str, mend: str) -> None:
    assert mend in check_program(replace(NEEDED, name=name), system).mend
