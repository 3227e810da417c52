"""Checks of the programs that some bases and images need beside the daemon."""

from __future__ import annotations

from buildkit.doctor.facts import DARWIN, BootstrapFacts, BuildxFacts
from buildkit.doctor.finding import IMAGES, Finding, State


def check_bootstrap(facts: BootstrapFacts, system: str) -> Finding | None:
    """Is there an mmdebstrap, where a base of kind bootstrap is used?"""
    name, mend = "mmdebstrap", _install(system)
    if facts.stopped:
        return Finding(
            check=name,
            state=State.PROBLEM,
            meaning=f"not on PATH, and without it {facts.stopped[0]}",
            mend=mend,
            needed_by=IMAGES,
        )
    if facts.evaded:
        meaning = f"not on PATH: {facts.evaded[0]}"
        return Finding(check=name, state=State.WARNING, meaning=meaning, mend=mend)
    if not facts.bases:
        return None
    bases = ", ".join(facts.bases)
    if facts.program:
        return Finding(check=name, state=State.OK, meaning=f"{facts.program}, for {bases}")
    meaning = f"not on PATH: {bases} comes from the user's cache, --force cannot make it anew"
    return Finding(check=name, state=State.NOTE, meaning=meaning, mend=mend)


def _install(system: str) -> str:
    if system == DARWIN:
        return "mmdebstrap runs on Linux alone: give the image a base of a registry"
    return "sudo apt-get install mmdebstrap, or give the image a base of a registry"


def check_buildx(facts: BuildxFacts) -> Finding | None:
    """Has the docker CLI its buildx, where an image needs BuildKit?"""
    if not facts.needed:
        return None
    if not facts.problem:
        meaning = f"the docker command has it; {facts.needed} needs it"
        return Finding(check="docker buildx", state=State.OK, meaning=meaning)
    return Finding(
        check="docker buildx",
        state=State.PROBLEM,
        meaning=f"{facts.problem}; {facts.needed} needs it",
        mend="install docker-buildx-plugin, docker-buildx or what your system calls it",
        needed_by=IMAGES,
    )
