"""Checks of emulation, disks, memory, clock and cache."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from buildkit.doctor.facts import (
    DARWIN,
    CacheFacts,
    ClockFacts,
    DiskFacts,
    EmulationFacts,
    Handler,
    MemoryFacts,
)
from buildkit.doctor.finding import EVERY_GOAL, Finding, State
from buildkit.doctor.sizes import GIGA, size

_LITTLE_DISK = 2 * GIGA
_LITTLE_MEMORY = GIGA
_OLD = datetime(2025, 1, 1, tzinfo=UTC).timestamp()
"""No machine that has this program is right to think that it is earlier."""
_SLACK = 60
"""Seconds that two machines may differ before anything notices."""


def check_emulation(facts: EmulationFacts) -> Finding:
    """Do programs of an architecture run in containers?"""
    name, arch = "emulation", facts.arch
    mend = f"docker run --privileged --rm tonistiigi/binfmt --install {arch}"
    waits = f"RUN in an image for linux/{arch} and `invoke smoke` of it cannot run"
    match facts.handler:
        case Handler.NATIVE:
            return Finding(check=name, state=State.OK, meaning=f"{arch} runs natively")
        case Handler.FIXED:
            return Finding(check=name, state=State.OK, meaning=f"{arch} runs by binfmt")
        case Handler.UNKNOWN:
            meaning = f"{arch}: the daemon's kernel is not this one, so it is not known"
            ask = f"docker run --rm --platform linux/{arch} IMAGE true"
            return Finding(check=name, state=State.NOTE, meaning=meaning, mend=ask)
        case Handler.UNFIXED:
            meaning = f"{arch}: binfmt without the flag F, which containers do not see; {waits}"
            return Finding(check=name, state=State.WARNING, meaning=meaning, mend=mend)
        case Handler.DISABLED:
            meaning = f"{arch}: binfmt is registered but switched off; {waits}"
            on = "echo 1 | sudo tee /proc/sys/fs/binfmt_misc/status"
            return Finding(check=name, state=State.WARNING, meaning=meaning, mend=on)
        case Handler.MISSING:
            meaning = f"{arch}: not registered with binfmt; {waits}, all else is built"
            return Finding(check=name, state=State.NOTE, meaning=meaning, mend=mend)


def check_disk(facts: DiskFacts) -> Finding:
    """Can a file system hold a whole build?"""
    where = " and ".join(facts.folders)
    known = f", a whole build writes about {size(facts.needed)}" if facts.needed else ""
    meaning = f"{size(facts.free)} free for {where}{known}"
    mend = "invoke cache --max-size 2GB, or another place: --out, MESHWRIGHT_CACHE"
    if facts.free < facts.needed:
        return Finding(
            check="disk", state=State.PROBLEM, meaning=meaning, mend=mend, needed_by=EVERY_GOAL
        )
    if facts.free < max(_LITTLE_DISK, 2 * facts.needed):
        return Finding(check="disk", state=State.WARNING, meaning=meaning, mend=mend)
    return Finding(check="disk", state=State.OK, meaning=meaning)


def check_memory(facts: MemoryFacts) -> Finding:
    """Is there memory for what took most last time?"""
    known = f", the largest step took {size(facts.needed)}" if facts.needed else ""
    meaning = f"{size(facts.available)} available{known}"
    if facts.available < (facts.needed or _LITTLE_MEMORY):
        return Finding(
            check="memory",
            state=State.WARNING,
            meaning=f"{meaning}: steps run one at a time, and the kernel may end one",
            mend="end other programs, or: invoke build --jobs 1",
        )
    return Finding(check="memory", state=State.OK, meaning=meaning)


def check_clock(facts: ClockFacts, system: str) -> Finding:
    """Does this machine know what time it is?"""
    shown = datetime.fromtimestamp(facts.now, UTC).strftime("%Y-%m-%d %H:%M UTC")
    mend = "sudo sntp -sS time.apple.com" if system == DARWIN else "sudo timedatectl set-ntp true"
    if facts.now < _OLD:
        return Finding(
            check="clock",
            state=State.PROBLEM,
            meaning=f"it is not {shown}: every TLS certificate is refused",
            mend=mend,
            needed_by=EVERY_GOAL,
        )
    behind = facts.commit - facts.now
    if behind > _SLACK:
        return Finding(
            check="clock",
            state=State.WARNING,
            meaning=f"{shown} is {timedelta(seconds=int(behind))} before the checked out commit",
            mend=mend,
        )
    return Finding(check="clock", state=State.OK, meaning=shown)


def check_cache(facts: CacheFacts) -> Finding:
    """Can the user's cache be used, and is it below its size?"""
    if facts.error:
        return Finding(
            check="cache",
            state=State.PROBLEM,
            meaning=f"{facts.place} cannot be used: {facts.error}",
            mend="mend its permissions, or let MESHWRIGHT_CACHE name another directory",
            needed_by=EVERY_GOAL,
        )
    if facts.wrong_limit:
        return Finding(
            check="cache",
            state=State.WARNING,
            meaning=f"{size(facts.size)} in {facts.place}, never collected: {facts.wrong_limit}",
            mend="export MESHWRIGHT_CACHE_SIZE=20GB",
        )
    cap = "without a limit" if facts.limit is None else f"of at most {size(facts.limit)}"
    meaning = f"{size(facts.size)} {cap} in {facts.place}"
    if facts.limit is not None and facts.size > facts.limit:
        return Finding(
            check="cache",
            state=State.NOTE,
            meaning=f"{meaning}; the next run collects it",
            mend="invoke cache --collect",
        )
    return Finding(check="cache", state=State.OK, meaning=meaning)
