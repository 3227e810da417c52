"""Emulation, disks, memory, clock and cache: one test for each outcome."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from buildkit.doctor.checks.machine import (
    check_cache,
    check_clock,
    check_disk,
    check_emulation,
    check_memory,
)
from buildkit.doctor.facts import (
    DARWIN,
    CacheFacts,
    ClockFacts,
    DiskFacts,
    EmulationFacts,
    Handler,
    MemoryFacts,
)
from buildkit.doctor.finding import EVERY_GOAL, State

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC).timestamp()
GB = 10**9


@pytest.mark.parametrize(
    ("handler", "state", "words", "mend"),
    [
        (Handler.NATIVE, State.OK, "arm64 runs natively", ""),
        (Handler.FIXED, State.OK, "arm64 runs by binfmt", ""),
        (Handler.UNFIXED, State.WARNING, "without the flag F", "--install arm64"),
        (Handler.DISABLED, State.WARNING, "switched off", "/proc/sys/fs/binfmt_misc/status"),
        (Handler.MISSING, State.NOTE, "not registered with binfmt", "--install arm64"),
        (Handler.UNKNOWN, State.NOTE, "it is not known", "--platform linux/arm64"),
    ],
)
def test_emulation(handler: Handler, state: State, words: str, mend: str) -> None:
    found = check_emulation(EmulationFacts(arch="arm64", handler=handler))
    assert found.state is state
    assert words in found.meaning
    assert found.mend.endswith(mend) if handler is not Handler.UNKNOWN else mend in found.mend


@pytest.mark.parametrize(
    ("free", "needed", "state"),
    [
        (3 * GB, 0, State.OK),
        (GB, 0, State.WARNING),
        (10 * GB, 4 * GB, State.OK),
        (5 * GB, 4 * GB, State.WARNING),
        (4 * GB, 4 * GB, State.WARNING),
        (4 * GB - 1, 4 * GB, State.PROBLEM),
    ],
)
def test_disks(free: int, needed: int, state: State) -> None:
    found = check_disk(DiskFacts(folders=("/out", "/cache"), free=free, needed=needed))
    assert found.state is state
    assert "free for /out and /cache" in found.meaning
    assert ("a whole build writes" in found.meaning) is bool(needed)
    assert bool(found.mend) is (state is not State.OK)
    assert found.needed_by == (EVERY_GOAL if state is State.PROBLEM else frozenset())


@pytest.mark.parametrize(
    ("available", "needed", "state"),
    [
        (2 * GB, 0, State.OK),
        (GB // 2, 0, State.WARNING),
        (GB // 2, GB // 4, State.OK),
        (2 * GB, 3 * GB, State.WARNING),
    ],
)
def test_memory(available: int, needed: int, state: State) -> None:
    found = check_memory(MemoryFacts(available=available, needed=needed))
    assert found.state is state
    assert ("the largest step took" in found.meaning) is bool(needed)
    assert found.mend.endswith("--jobs 1") is (state is State.WARNING)


def test_a_clock_that_is_right() -> None:
    for commit in (0, int(NOW) - 5, int(NOW) + 30):
        found = check_clock(ClockFacts(now=NOW, commit=commit), "linux")
        assert (found.state, found.meaning) == (State.OK, "2026-05-04 12:00 UTC")


def test_a_clock_before_the_commit() -> None:
    found = check_clock(ClockFacts(now=NOW, commit=int(NOW) + 7200), "linux")
    assert found.state is State.WARNING
    assert found.meaning == "2026-05-04 12:00 UTC is 2:00:00 before the checked out commit"


@pytest.mark.parametrize(
    ("system", "mend"),
    [
        ("linux", "sudo timedatectl set-ntp true"),
        (DARWIN, "sudo sntp -sS time.apple.com"),
    ],
)
def test_a_clock_of_long_ago_stops_everything(system: str, mend: str) -> None:
    found = check_clock(ClockFacts(now=0), system)
    assert (found.state, found.mend, found.needed_by) == (State.PROBLEM, mend, EVERY_GOAL)
    assert found.meaning.startswith("it is not 1970-01-01 00:00 UTC")


@pytest.mark.parametrize(
    ("size", "limit", "state", "words"),
    [
        (GB, 20 * GB, State.OK, "1.0 GB of at most 20.0 GB in /c"),
        (GB, None, State.OK, "1.0 GB without a limit in /c"),
        (3 * GB, 2 * GB, State.NOTE, "the next run collects it"),
    ],
)
def test_the_cache(size: int, limit: int | None, state: State, words: str) -> None:
    found = check_cache(CacheFacts(place="/c", size=size, limit=limit))
    assert found.state is state
    assert words in found.meaning


def test_a_cache_that_cannot_be_used_stops_everything() -> None:
    found = check_cache(CacheFacts(place="/c", error="read-only"))
    assert (found.state, found.needed_by) == (State.PROBLEM, EVERY_GOAL)
    assert found.meaning == "/c cannot be used: read-only"


def test_a_size_of_the_cache_that_is_none() -> None:
    found = check_cache(CacheFacts(place="/c", size=GB, wrong_limit="it is 'big'"))
    assert found.state is State.WARNING
    assert found.meaning == "1.0 GB in /c, never collected: it is 'big'"
