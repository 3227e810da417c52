"""Checks of the Docker daemon."""

from __future__ import annotations

from buildkit.doctor.facts import DARWIN, DockerFacts, ProxyFacts
from buildkit.doctor.finding import IMAGES, Finding, State
from buildkit.doctor.sizes import GIGA, size

_SLOW_DRIVERS = {
    "vfs": "copies every layer whole",
    "devicemapper": "is gone from newer daemons",
    "aufs": "is gone from newer daemons",
}
_LITTLE = 5 * GIGA
_SECONDS_OFF = 60


def check_daemon(facts: DockerFacts, system: str) -> Finding:
    """Does a daemon answer that can be used?"""
    if facts.problem:
        without = "; images are built and pushed without it, `docker images` does not list them"
        return Finding(
            check="docker",
            state=State.PROBLEM if facts.needed else State.WARNING,
            meaning=facts.problem + (f"; {facts.needed} needs it" if facts.needed else without),
            mend=_start(facts, system),
            needed_by=IMAGES if facts.needed else frozenset(),
        )
    kind = "Podman" if facts.is_podman else "Docker"
    meaning = f"{kind} {facts.version} at {facts.endpoint} ({facts.origin})"
    if facts.passed_over:
        meaning += f"; the context {facts.passed_over} is passed over"
        return Finding(check="docker", state=State.NOTE, meaning=meaning, mend="unset DOCKER_HOST")
    if facts.is_podman:
        meaning += "; its builder of Dockerfiles is not Docker's"
        return Finding(check="docker", state=State.NOTE, meaning=meaning)
    return Finding(check="docker", state=State.OK, meaning=meaning)


def _start(facts: DockerFacts, system: str) -> str:
    if facts.is_refused:
        return 'sudo usermod -aG docker "$USER", then log in anew'
    if facts.other_sockets:
        name, path = facts.other_sockets[0]
        return f"export DOCKER_HOST=unix://{path}  # {name}"
    if facts.origin != "the default":
        return f"mend or unset what chose it: {facts.origin}"
    return "open -a Docker, or: colima start" if system == DARWIN else "sudo systemctl start docker"


def check_storage(facts: DockerFacts) -> Finding | None:
    """Does the daemon keep layers well?"""
    if not facts.driver:
        return None
    if facts.driver in _SLOW_DRIVERS:
        return Finding(
            check="docker storage",
            state=State.WARNING,
            meaning=f"the driver {facts.driver} {_SLOW_DRIVERS[facts.driver]}",
            mend='set "storage-driver": "overlay2" in the daemon\'s daemon.json, restart it',
        )
    return Finding(check="docker storage", state=State.OK, meaning=f"the driver {facts.driver}")


def check_daemon_disk(facts: DockerFacts) -> Finding:
    """Has the daemon space for images?"""
    if facts.free is None:
        meaning = (
            "the daemon's disk is not this machine's" if facts.is_virtual else "not to be told"
        )
        return Finding(
            check="docker disk", state=State.NOTE, meaning=meaning, mend="docker system df"
        )
    meaning = f"{size(facts.free)} free in {facts.root}"
    if facts.free < _LITTLE:
        return Finding(
            check="docker disk",
            state=State.WARNING,
            meaning=f"{meaning}, little for images",
            mend="docker system prune",
        )
    return Finding(check="docker disk", state=State.OK, meaning=meaning)


def check_daemon_proxy(facts: DockerFacts, ours: ProxyFacts) -> Finding | None:
    """Does the daemon go through a proxy where we do?"""
    if bool(ours.hosts) == facts.has_proxy:
        return None
    if facts.has_proxy:
        return Finding(
            check="docker proxy",
            state=State.WARNING,
            meaning="the daemon has a proxy, your environment none: downloads may need it",
            mend="export HTTPS_PROXY=...  # docker info shows the daemon's",
        )
    return Finding(
        check="docker proxy",
        state=State.WARNING,
        meaning="your environment has a proxy, the daemon none: its pulls may not get out",
        mend='set "proxies" in the daemon\'s daemon.json, restart it',
    )


def check_daemon_clock(facts: DockerFacts, system: str) -> Finding | None:
    """Does the daemon know what time it is?

    A virtual machine's clock stops while a laptop sleeps.
    """
    off = facts.seconds_ahead
    if abs(off) < _SECONDS_OFF:
        return None
    way = "ahead of" if off > 0 else "behind"
    return Finding(
        check="docker clock",
        state=State.WARNING,
        meaning=f"the daemon is {abs(off):.0f} s {way} this machine: certificates may be refused",
        mend="restart its virtual machine"
        if facts.is_virtual or system == DARWIN
        else "set the clocks of both",
    )
