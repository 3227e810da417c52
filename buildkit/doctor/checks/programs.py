"""Checks of programs that some images alone need."""

from __future__ import annotations

from buildkit.doctor.facts import DARWIN, ProgramFacts
from buildkit.doctor.finding import IMAGES, Finding, State

_MENDS = {
    "mmdebstrap": "sudo apt-get install mmdebstrap",
    "buildx": "install the plugin docker-buildx-plugin (Debian: docker-buildx)",
}
_NO_MMDEBSTRAP = "give the image a base of kind registry: mmdebstrap is for Linux"


def check_program(facts: ProgramFacts, system: str) -> Finding:
    """Is a program there that images are built with?"""
    if not facts.problem:
        return Finding(check=facts.name, state=State.OK, meaning=f"{facts.name} is there")
    is_foreign = facts.name == "mmdebstrap" and system == DARWIN
    return Finding(
        check=facts.name,
        state=State.PROBLEM if facts.needed else State.NOTE,
        meaning=f"{facts.problem}; {facts.needed or facts.used} needs it",
        mend=_NO_MMDEBSTRAP if is_foreign else _MENDS[facts.name],
        needed_by=IMAGES if facts.needed else frozenset(),
    )
