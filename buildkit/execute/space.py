"""Is there space on the disks for what a plan makes? Looked at before anything starts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from msgspec import Struct

from buildkit.errors import EnvironmentMissingError
from buildkit.plan.planner import Plan
from buildkit.plan.records import RecordBook
from buildkit.plan.units import Kind, Step, Verdict

MEGA = 1_000_000


class _Share(Struct, frozen=True, kw_only=True):
    """How much one kind of unit writes, in bytes for the first time and in copies of that."""

    first: int
    out: int = 0
    cache: int = 0


_NOTHING = _Share(first=0)
_SHARES = {
    Kind.BINARY: _Share(first=20 * MEGA, out=1, cache=1),
    Kind.FETCH: _Share(first=120 * MEGA, out=1, cache=2),
    Kind.COMMAND: _Share(first=20 * MEGA, out=1),
    Kind.BASE: _Share(first=20 * MEGA, cache=1),
    Kind.LAYOUT: _Share(first=50 * MEGA, out=1),
    Kind.OCI_ARCHIVE: _Share(first=50 * MEGA, out=1),
    Kind.DOCKER_ARCHIVE: _Share(first=50 * MEGA, out=1),
    Kind.DEB: _Share(first=40 * MEGA, out=1),
    Kind.RPM: _Share(first=40 * MEGA, out=1),
}
"""A binary is also kept in the cache, a fetched one there twice: as it came, and as it was taken
out. Images are put together from these when they are read, and their sinks share layers, so what
those write is not known before."""


class Place(Struct, frozen=True, kw_only=True):
    """A directory and the bytes that a run will write below it."""

    folder: Path
    needed: int


class Disk(Struct, frozen=True, kw_only=True):
    """A file system: which one, and the bytes that this user may still write to it."""

    device: int
    free: int


def look_at_disk(folder: Path) -> Disk:
    """Return the file system of a directory, which need not exist yet."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return Disk(device=os.stat(there).st_dev, free=shutil.disk_usage(there).free)  # noqa: PTH116 - one call for one fact


def expected_places(plan: Plan, book: RecordBook, out: Path, cache: Path) -> tuple[Place, Place]:
    """Return what a plan will write to ``out/`` and to the user's cache, from the last sizes."""
    to_out = to_cache = 0
    for step in plan.running:
        share, size = _SHARES.get(step.unit.kind, _NOTHING), _size(step, plan, book)
        to_out += size * share.out
        to_cache += 0 if step.verdict is Verdict.RESTORED else size * share.cache
    return Place(folder=out, needed=to_out), Place(folder=cache, needed=to_cache)


def check_space(places: Iterable[Place], look: Callable[[Path], Disk] = look_at_disk) -> None:
    """Refuse a run that the disks cannot hold.

    Raises:
        EnvironmentMissingError: one lacks space; it names the directories, needed and free bytes.
    """
    disks: dict[int, list[Place]] = {}
    free: dict[int, int] = {}
    for place in places:
        disk = look(place.folder)
        disks.setdefault(disk.device, []).append(place)
        free[disk.device] = disk.free
    short = [
        _sentence(members, free[device])
        for device, members in disks.items()
        if _needed(members) > free[device]
    ]
    if short:
        raise EnvironmentMissingError(
            "there is too little space on the disk for this run, nothing was started",
            details="\n".join(short),
            resolution="Free some there, make less with --only or --platform, or choose another "
            "place: --out for outputs, MESHWRIGHT_CACHE for the user cache.",
        )


def _size(step: Step, plan: Plan, book: RecordBook) -> int:
    known = plan.artifacts.get(step.unit.id) or book.get(step.unit.id)
    return known.size if known else _SHARES.get(step.unit.kind, _NOTHING).first


def _needed(places: Iterable[Place]) -> int:
    return sum(place.needed for place in places)


def _sentence(places: list[Place], free: int) -> str:
    folders = " and ".join(str(place.folder) for place in places if place.needed)
    return f"{folders}: about {_needed(places) / MEGA:.0f} MB needed, {free / MEGA:.0f} MB free"
